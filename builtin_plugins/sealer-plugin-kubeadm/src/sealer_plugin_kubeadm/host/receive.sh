# Takes files from the tar on standard input and puts each in its place, whole or not at all.
set -eu
umask 022
new=$(mktemp -d /etc/.sealer-XXXXXX)
trap 'rm -rf "$new"' EXIT
tar -x -C "$new"
cd "$new"
[ ! -e var/lib/kubelet ] || [ -e /var/lib/kubelet ] || mkdir -m 700 /var/lib/kubelet # as kubeadm makes it
find . -type f -o -type l | while read -r file; do
    mkdir -p "/${file%/*}"
    mv -f "$file" "/$file"
done
