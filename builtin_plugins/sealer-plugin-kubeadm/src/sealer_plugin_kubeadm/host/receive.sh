# Takes files from the tar on standard input and puts each in its place, whole or not at all.
set -eu
umask 022
new=$(mktemp -d /etc/.sealer-XXXXXX)
trap 'rm -rf "$new"' EXIT
tar -x -C "$new"
cd "$new"
find . -type f | while read -r file; do
    mkdir -p "/${file%/*}"
    mv -f "$file" "/$file"
done
