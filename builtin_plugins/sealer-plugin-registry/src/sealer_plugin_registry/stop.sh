# Ends the registry and takes its unit away; sourced with unit and filling set.
set -u
systemctl stop "$filling" 2>/dev/null
if [ -e "/etc/systemd/system/$unit" ]; then
    systemctl disable --now --quiet "$unit"
    rm -f "/etc/systemd/system/$unit" && systemctl daemon-reload
    systemctl reset-failed "$unit" 2>/dev/null
fi
exit 0
