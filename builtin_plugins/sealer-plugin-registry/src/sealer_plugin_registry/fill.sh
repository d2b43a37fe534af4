# Starts the instance that takes images; sourced with unit, program, directory, storage, seconds and hardening set.
set -u
if [ ! -f "$program" ]; then
    echo "the image has no bin/registry: it needs one (distribution, or Debian's docker-registry) for its hosts"
    exit 1
fi
command -v systemctl >/dev/null 2>&1 || { echo "the host has no systemd, which keeps the registry running"; exit 1; }
systemctl stop "$unit" 2>/dev/null
systemctl reset-failed "$unit" 2>/dev/null
set -- -p UMask=0022 -p RuntimeMaxSec="$seconds"
if [ "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge 240 ]; then
    set -- "$@" -p ReadWritePaths="$storage" -p CapabilityBoundingSet=
    while IFS= read -r line; do
        [ -z "$line" ] || set -- "$@" -p "$line"
    done <<EOT
$hardening
EOT
fi
exec systemd-run --quiet --unit="$unit" "$@" "$program" serve "$directory/config.yml"
