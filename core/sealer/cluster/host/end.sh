# End a script that launch.sh began, and all of its process group: first politely, after 5 seconds for good.
#   sh end.sh RECEIPT
# What it ended it tells with the word "ended": a script that ran no more may have come to its end.
umask 077
r=$1
[ -d "$r" ] || [ ! -d "/run/sealer$r" ] || r=/run/sealer$r # where the disk was full

started() {
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086  # the fields of the line are wanted as words
    set -- ${line##*) }
    [ "$1" != Z ] && echo "${20}"
}

alive() {
    read -r pid start boot 2>/dev/null < "$r/pid" || return 1
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$(started "$pid")" = "$start" ]
}

# The supervisor leads the group and outlives the script; what the script started may outlive both.
group() {
    kill -0 "-$pid" 2>/dev/null
}

alive || exit 0
kill -TERM "-$pid" && echo ended
tries=0
while alive && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
tries=0
while group && [ $tries -lt 10 ]; do sleep 0.1; tries=$((tries + 1)); done
group || exit 0
kill -KILL "-$pid"
while alive; do sleep 0.05; done
[ -e "$r/status" ] || { echo 137 > "$r/status.new" && mv "$r/status.new" "$r/status"; }
