# Ends the registry and takes its unit away; sourced with unit, directory and filling set.
set -u
# Of another cluster of this name, whose data root is another: that one runs on.
[ ! -e "/etc/systemd/system/$unit" ] || grep -q -F -- " $directory/" "/etc/systemd/system/$unit" || exit 0
systemctl stop "$filling" 2>/dev/null
if [ -e "/etc/systemd/system/$unit" ]; then
    systemctl disable --now --quiet "$unit"
    rm -f "/etc/systemd/system/$unit" && systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null
fi
exit 0
