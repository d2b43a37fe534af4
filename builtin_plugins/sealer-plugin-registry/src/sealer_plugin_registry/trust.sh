# What a host is told of the private registry, and how it forgets it; sourced with certs, mark, mark_of, line_mark and
# data set.
# ROOT is empty but in tests.
set -u
certs="${ROOT:-}$certs"
hosts_file="${ROOT:-}/etc/hosts"
made="$data/registry-made-directories"

# A directory, and a note of each one that was not there before.
directory() {
    [ -d "$1" ] && return 0
    directory "$(dirname "$1")" || return 1
    mkdir -p "$data" && printf '%s\n' "$1" >>"$made" && mkdir -m 755 "$1"
}

is_ours() {
    [ -e "$1" ] || return 1
    first=
    IFS= read -r first <"$1"
    [ "$first" = "$mark" ]
}

# The other cluster on this host that a file is of; empty: there is none.
neighbour() {
    [ -e "$1" ] || return 0
    first=
    IFS= read -r first <"$1"
    other=${first#"$mark_of"}
    [ "$other" != "$first" ] && [ "$first" != "$mark" ] && [ -d "$(dirname "$data")/${other%.}" ] &&
        printf '%s' "${other%.}"
    return 0
}

# $1: a path, $2: its content. A file that is not ours is kept beside it.
put() {
    path="${ROOT:-}$1"
    other=$(neighbour "$path")
    if [ -n "$other" ]; then
        echo "$1 is of the cluster $other, which is on this host too: on one host containerd asks one private registry" \
            "for the images of a domain. Take the host out of one of the two clusters; where $other is no more, remove" \
            "$(dirname "$data")/$other."
        return 1
    fi
    directory "$(dirname "$path")" || return 1
    if [ -e "$path" ] && ! is_ours "$path"; then
        mv "$path" "$path.before-sealer" || return 1
    fi
    (umask 077 && printf '%s' "$2" >"$path.sealer-new") && mv -f "$path.sealer-new" "$path"
}

# Our files go, but those named; what was there before comes back.
keep_only() {
    for path in "$certs"/*/hosts.toml; do
        is_ours "$path" || continue
        for kept in "$@"; do
            [ "$path" = "${ROOT:-}$kept" ] && continue 2
        done
        if [ -e "$path.before-sealer" ]; then
            mv -f "$path.before-sealer" "$path" || return 1
        else
            rm -f "$path" || return 1
        fi
    done
}

# The lines of the hosts file that are not ours. Our mark is all to the end of the line: the name of another cluster may
# begin with that of this one.
others() {
    awk -v mark="$line_mark" 'substr($0, length($0) - length(mark) + 1) != mark' "$hosts_file"
}

# $1: an address, empty to forget; $2: the registry's name. Ours is the only line with our mark.
name_registry() {
    [ -e "$hosts_file" ] || : >"$hosts_file" || return 1
    [ -n "$1" ] || [ "$(others | wc -l)" -ne "$(awk 'END { print NR }' "$hosts_file")" ] || return 0
    found=$(cat "$hosts_file"; echo x)
    kept=$(others; echo x)
    kept=${kept%x}
    if [ -n "$1" ]; then
        other=$(printf '%s' "$kept" | sed 's/#.*//' | while read -r where names; do
            for name in $names; do [ "$name" = "$2" ] && [ "$where" != "$1" ] && echo "$where"; done
        done)
        if [ -n "$other" ]; then
            echo "$hosts_file says that $2 is $other: take that line out, or give the registry another name"
            return 1
        fi
        kept="$kept$1 $2 $line_mark
"
    fi
    [ "$kept" = "${found%x}" ] && return 0
    # A copy keeps the owner and the mode; where the file is a mount of its own it can only be written.
    cp -p "$hosts_file" "$hosts_file.sealer-new" && printf '%s' "$kept" >"$hosts_file.sealer-new" || return 1
    mv -f "$hosts_file.sealer-new" "$hosts_file" 2>/dev/null ||
        { cat "$hosts_file.sealer-new" >"$hosts_file" && rm -f "$hosts_file.sealer-new"; }
}

# The directories that were made for our files, the innermost first, as far as nothing else is in them.
forget_directories() {
    [ -e "$made" ] || return 0
    sort -r -u "$made" | while IFS= read -r path; do rmdir "$path" 2>/dev/null; done
    rm -f "$made"
}

# $1: a path, $2: its content. Says what is wrong with it.
look() {
    path="${ROOT:-}$1"
    if [ ! -e "$path" ]; then
        echo "$1 is missing"
    elif [ "$(cat "$path"; echo x)" != "$2x" ]; then
        echo "$1 is not what sealer wrote"
    fi
}

# $1: an address; $2: the registry's name.
look_up() {
    grep -q -x -F -- "$1 $2 $line_mark" "$hosts_file" || echo "/etc/hosts does not say that $2 is $1"
}
