# Ends the instance that takes images; sourced with unit and directory set.
systemctl stop "$unit" 2>/dev/null
systemctl reset-failed "$unit" 2>/dev/null
rm -rf "$directory"
