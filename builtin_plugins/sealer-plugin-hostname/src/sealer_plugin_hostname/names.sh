# A host's name, with nothing but a POSIX shell and coreutils. ROOT is empty but in tests.
set -u
hostname_file="${ROOT:-}/etc/hostname"
hosts_file="${ROOT:-}/etc/hosts"
mark='# own name, by sealer'

static_name() {
    line=
    if [ -r "$hostname_file" ]; then
        while read -r line; do
            case $line in '' | '#'*) ;; *) break ;; esac
        done <"$hostname_file"
    fi
    printf '%s' "$line"
}

running_name() {
    uname -n
}

# Where the file is a mount of its own (in a container) it cannot be replaced, only written.
replace() {
    mv -f "$1" "$2" 2>/dev/null || { cat "$1" >"$2" && rm -f "$1"; }
}

set_name() {
    if command -v hostnamectl >/dev/null 2>&1 && hostnamectl set-hostname "$1" >/dev/null 2>&1 &&
        [ "$(static_name)" = "$1" ] && [ "$(running_name)" = "$1" ]; then
        return 0
    fi
    if [ "$(static_name)" != "$1" ]; then
        printf '%s\n' "$1" >"$hostname_file.new" && chmod 644 "$hostname_file.new" || return 1
        replace "$hostname_file.new" "$hostname_file" || return 1
    fi
    if [ "$(running_name)" != "$1" ]; then
        hostname "$1" 2>/dev/null || printf '%s\n' "$1" >/proc/sys/kernel/hostname || return 1
    fi
}

# The file with the static name as it was, with its mode and its comments. $1: `file`, a copy of it is kept; `none`: there
# was none; nothing: an earlier version of sealer kept none.
give_file_back() {
    case $1 in
    file)
        cp -p "$SEALER_KEPT.file" "$hostname_file.new" && replace "$hostname_file.new" "$hostname_file" &&
            chmod --reference="$SEALER_KEPT.file" "$hostname_file"
        ;;
    none) rm -f "$hostname_file" ;;
    esac
}

# The hosts file without our line, and with a new one where $1 is a name that no other line has.
write_hosts() {
    [ -e "$hosts_file" ] || : >"$hosts_file" || return 1
    known=
    found=
    content=
    set -f
    while IFS= read -r line || [ -n "$line" ]; do
        found="$found$line
"
        case $line in *"$mark") continue ;; esac
        content="$content$line
"
        first=yes
        for word in ${line%%#*}; do
            [ -n "$first" ] || [ "$word" != "$1" ] || known=yes
            first=
        done
    done <"$hosts_file"
    set +f
    if [ -n "$1" ] && [ -z "$known" ]; then
        short=${1%%.*}
        [ "$short" = "$1" ] && short= || short=" $short"
        content="$content$SEALER_ADDRESS $1$short $mark
"
    fi
    [ "$content" != "$found" ] || return 0
    # A copy keeps the owner and the mode of what it replaces.
    cp -p "$hosts_file" "$hosts_file.new" && printf '%s' "$content" >"$hosts_file.new" &&
        replace "$hosts_file.new" "$hosts_file"
}
