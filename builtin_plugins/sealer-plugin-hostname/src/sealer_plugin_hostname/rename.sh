# What the host was called before is kept once: the first line is the static name, the second the running one, the third
# the name given, the fourth what became of the file with the name: `file`, it is beside this one; `none`, there was none.
if [ "$(static_name)" != "$SEALER_NAME" ] || [ "$(running_name)" != "$SEALER_NAME" ]; then
    if [ -e "$SEALER_KEPT" ]; then
        file=
        { read -r static; read -r running; read -r _; read -r file; } <"$SEALER_KEPT"
    else
        static=$(static_name)
        running=$(running_name)
        file=none
        mkdir -p "${SEALER_KEPT%/*}" || exit
        if [ -e "$hostname_file" ]; then
            cp -p "$hostname_file" "$SEALER_KEPT.file" || exit
            file=file
        fi
    fi
    printf '%s\n%s\n%s\n%s\n' "$static" "$running" "$SEALER_NAME" "$file" >"$SEALER_KEPT.new" || exit
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
