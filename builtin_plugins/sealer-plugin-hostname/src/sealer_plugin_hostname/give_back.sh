[ -e "$SEALER_KEPT" ] || exit 0
{ read -r static; read -r running; read -r given; } <"$SEALER_KEPT"
# A name that somebody else has set since is theirs.
if [ "$(static_name)" = "$given" ] && [ -n "$running" ]; then
    set_name "${static:-$running}" || echo "the host keeps the name '$given'"
fi
write_hosts '' || exit
rm -f "$SEALER_KEPT"
