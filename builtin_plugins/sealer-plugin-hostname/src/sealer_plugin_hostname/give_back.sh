[ -e "$SEALER_KEPT" ] || exit 0
file=
{ read -r static; read -r running; read -r given; read -r file; } <"$SEALER_KEPT"
# A name that somebody else has set since is theirs.
if [ "$(static_name)" = "$given" ] && [ -n "$running" ]; then
    if set_name "${static:-$running}"; then
        give_file_back "$file"
    else
        echo "the host keeps the name '$given'"
    fi
fi
write_hosts '' || exit
rm -f "$SEALER_KEPT" "$SEALER_KEPT.file"
