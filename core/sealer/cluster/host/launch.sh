# Run a script so that it survives the connection, or attach to the one an earlier call left, or tell how it ended.
#   sh launch.sh RECEIPT DURABLE SPARE    a tar of {run, script, supervise, stdin?, digest} comes in by stdin
# RECEIPT is a directory of this script alone. DURABLE is "once" when a power cut must not hide that it began.
# With SPARE "spare", and a disk that is full, the receipt lies in memory: below /run/sealer, and its own path.
# What the script prints comes live on stderr, at most 64 KiB at a time; where more was printed, from the next line on,
# as half of a secret could not be recognised. At its end stdout has one line
#   sealer STATE STATUS SIZE SEEN
# STATE is done, kept (it had ended before this call), lost (it began, never ended, and runs no more) or differs (the
# receipt is of another script); then come the last 64 KiB printed; SEEN bytes of the SIZE printed have been told live.
# Status 73 and no such line: the script never began.
umask 077
r=$1 durable=$2
[ -d "$r" ] || [ ! -d "/run/sealer$r" ] || r=/run/sealer$r

refuse() {
    echo "cannot keep a receipt in $r" >&2
    exit 73
}

room() {
    mkdir -p "$1" 2>/dev/null && [ "$(df -Pk "$1" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)" -ge 64 ]
}

started() {
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086  # the fields of the line are wanted as words
    set -- ${line##*) }
    [ "$1" != Z ] && echo "${20}"
}

# The supervisor of this receipt runs: its process number alone could be another's by now.
alive() {
    read -r pid start boot 2>/dev/null < "$r/pid" || return 1
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$(started "$pid")" = "$start" ]
}

# This shell was not killed; what it left behind would keep the connection's output open.
watching() {
    read -r line 2>/dev/null < "/proc/$$/stat" || return 1
    case ${line##*) } in [ZX]*) return 1 ;; esac
}

show() {
    size=$(stat -c %s "$r/output" 2>/dev/null || echo 0)
    [ "$size" -gt "$seen" ] || return 0
    from=1
    [ $((size - seen)) -le 65536 ] || { seen=$((size - 65536)); from=2; }
    tail -c "+$((seen + 1))" "$r/output" | head -c "$((size - seen))" | tail -n "+$from" >&2
    seen=$size
    echo "$seen" > "$r/seen"
}

if [ -s "$r/digest" ]; then
    digest=$(tar -xOf - digest) || refuse
else
    # Never begun, or a power cut took it before anything was forced to the disk.
    if [ -d "$r" ] && [ ! -s "$r/pid" ] && [ ! -s "$r/digest" ]; then rm -rf "$r"; fi
    new=$r.$$
    if [ "$3" = spare ] && ! room "$new"; then
        rm -rf "$new"
        r=/run/sealer$r new=/run/sealer$new
    fi
    if ! { mkdir -p "$new" && tar -xf - -C "$new" && digest=$(cat "$new/digest"); }; then
        rm -rf "$new"
        refuse
    fi
    # Of two that come at once one succeeds; the other finds its receipt.
    mv -T "$new" "$r" 2>/dev/null || rm -rf "$new"
fi
seen=$(cat "$r/seen" 2>/dev/null)
seen=${seen:-0}
state="done"
if [ "$(cat "$r/digest")" != "$digest" ]; then
    while alive; do sleep 0.2; done
    echo "sealer differs 0 0 0"
    exit 0
fi
if [ -e "$r/status" ]; then
    state=kept
elif ! alive; then
    if [ -s "$r/pid" ]; then
        alive || [ -e "$r/status" ] || state=lost
    else
        # Empty is what a power cut leaves of a claim that was not forced to the disk: the script had not begun.
        [ ! -e "$r/pid" ] || [ -s "$r/pid" ] || rm -f "$r/pid"
        setsid sh "$r/supervise" "$r" "$durable" < /dev/null > /dev/null 2>&1 &
        supervisor=$!
        (while sleep 0.3 2>/dev/null && watching; do show; done) < /dev/null > /dev/null &
        ticker=$!
        wait "$supervisor"
        kill "$ticker" 2>/dev/null
        wait "$ticker" 2>/dev/null
        seen=$(cat "$r/seen" 2>/dev/null)
        seen=${seen:-0}
        [ -s "$r/pid" ] || refuse
    fi
fi
while alive; do show; sleep 0.2; done
status=0
[ "$state" = lost ] || { [ -e "$r/status" ] && read -r status < "$r/status"; } || state=lost
size=$(stat -c %s "$r/output" 2>/dev/null || echo 0)
echo "sealer $state ${status:-0} $size $seen"
[ "$size" -eq 0 ] || tail -c 65536 "$r/output"
# What a script says of a full disk is lost with it.
if [ "$status" != 0 ] && [ "$(df -Pk "$r" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)" -lt 64 ]; then
    echo "No space left on device: the disk of $r is full"
fi
exit 0
