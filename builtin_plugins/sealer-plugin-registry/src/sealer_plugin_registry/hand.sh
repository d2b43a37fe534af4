# Hands the registry's service what it may read: run as root before each start, with the service's runtime directory.
# $2 is `plain` where the service is root itself, for systemd is too old to give it a user of its own.
set -u
umask 077
run=$1
directory=$(dirname "$0")
for name in config.yml tls.crt tls.key htpasswd; do
    rm -f "$run/$name"
    [ -e "$directory/$name" ] || continue
    cp "$directory/$name" "$run/$name" && chown --reference="$run" "$run/$name" || exit 1
done
[ "${2:-}" = plain ] || exit 0 # systemd binds the rest
ln -sfn "$directory/storage" "$run/storage" && ln -sfn "$(dirname "$directory")/rootfs/bin/registry" "$run/registry"
