# What the host was called before is kept once: the first line is the static name, the second the running one, the third
# the name given.
if [ "$(static_name)" != "$SEALER_NAME" ] || [ "$(running_name)" != "$SEALER_NAME" ]; then
    if [ -e "$SEALER_KEPT" ]; then
        { read -r static; read -r running; } <"$SEALER_KEPT"
    else
        static=$(static_name)
        running=$(running_name)
    fi
    mkdir -p "${SEALER_KEPT%/*}" || exit
    printf '%s\n%s\n%s\n' "$static" "$running" "$SEALER_NAME" >"$SEALER_KEPT.new" || exit
    mv -f "$SEALER_KEPT.new" "$SEALER_KEPT" || exit
    set_name "$SEALER_NAME" || {
        echo "the host does not take the name '$SEALER_NAME'"
        exit 1
    }
fi
write_hosts "$SEALER_NAME" || exit
if [ "$(running_name)" != "$SEALER_NAME" ]; then
    echo "the host calls itself '$(running_name)', not '$SEALER_NAME'"
    exit 1
fi
