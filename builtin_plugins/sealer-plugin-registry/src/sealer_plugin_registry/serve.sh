# Starts the registry under systemd; sourced with unit, program, directory, storage and port set.
set -u
if [ ! -f "$program" ]; then
    echo "the image has no bin/registry: it needs one (distribution, or Debian's docker-registry) for its hosts"
    exit 1
fi
[ -x "$program" ] || chmod +x "$program" || exit 1

# Says who has the port, as far as the host knows.
holder() {
    for other in /etc/systemd/system/sealer-registry-*.service; do
        if [ "$other" = "$wanted" ] || ! systemctl is-active --quiet "${other##*/}"; then
            continue
        fi
        if grep -q -s -x "  addr: :$port" "$(sed -n 's/^ExecStart=.* serve //p' "$other")"; then
            name=${other##*/sealer-registry-}
            echo "port $port is taken by the registry of the cluster ${name%.service}, which runs on this host too:" \
                "give this one another one, spec.registry.localRegistry.port"
            return
        fi
    done
    taken=$(ss -Hltnp "sport = :$port" 2>/dev/null)
    if [ -n "$taken" ]; then
        by=$(printf '%s\n' "$taken" | sed -n 's/.*users:(("\([^"]*\)".*/ by \1/p' | sort -u)
        echo "port $port is taken$by: end that, or give the registry another one, spec.registry.localRegistry.port"
    else
        echo "is port $port taken by something else?"
    fi
}

command -v systemctl >/dev/null 2>&1 || { echo "the host has no systemd, which keeps the registry running"; exit 1; }
mkdir -p "$storage" || exit 1
wanted="/etc/systemd/system/$unit"
if [ -e "$wanted" ] && ! grep -q -F -- " $directory/" "$wanted"; then
    echo "$unit is the registry of another cluster of this name, with another spec.dataRoot: give this one another name"
    exit 1
fi
# Older ones can give it neither a user of its own nor a sandbox.
if [ "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -lt 240 ]; then
    sed -e '/^# sandbox/,/^# end of sandbox/d' -e 's/^\(ExecStartPre=\)+\(.*\)/\1\2 plain/' "$directory/unit" >"$directory/unit.plain" &&
        mv -f "$directory/unit.plain" "$directory/unit" || exit 1
fi
sum=$(cat "$directory/unit" "$directory/hand.sh" "$directory/config.yml" "$directory"/tls.* "$directory/htpasswd" 2>/dev/null | sha256sum)
started=$(cat "$directory/started" 2>/dev/null)
if [ "$sum" = "$started" ] && cmp -s "$directory/unit" "$wanted" && systemctl is-active --quiet "$unit"; then
    exit 0
fi
# Its user has to read what versions before it, and links made by hand, wrote for root alone.
chmod -R go+rX "$storage" || exit 1
cp "$directory/unit" "$wanted.new" && chmod 644 "$wanted.new" && mv -f "$wanted.new" "$wanted" || exit 1
systemctl daemon-reload && systemctl enable --quiet "$unit" || exit 1
if ! systemctl restart "$unit"; then
    journalctl -u "$unit" -n 5 --no-pager -o cat 2>/dev/null
    systemctl disable --now --quiet "$unit"
    exit 1
fi
# It ends at once where the port is taken or a file is wrong; systemd would start it again for ever.
tries=0
while [ "$tries" -lt 10 ]; do
    sleep 0.1
    tries=$((tries + 1))
    if ! systemctl is-active --quiet "$unit"; then
        journalctl -u "$unit" -n 5 --no-pager -o cat 2>/dev/null
        systemctl disable --now --quiet "$unit"
        echo "the registry does not run: $(holder)"
        exit 1
    fi
done
printf '%s' "$sum" >"$directory/started"
