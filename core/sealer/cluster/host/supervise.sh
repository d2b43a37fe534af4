# The parent of a script that outlives the connection: claims the receipt, runs the script, keeps its exit status.
#   setsid sh supervise RECEIPT DURABLE
umask 077
r=$1 durable=$2
line=$(cat /proc/$$/stat)
# shellcheck disable=SC2086  # the fields of the line are wanted as words
set -- ${line##*) }
# The link is the claim: of two supervisors only one can make it, and whoever sees it sees all of it.
echo "$$ ${20} $(cat /proc/sys/kernel/random/boot_id)" > "$r/pid.$$" || exit 9
ln "$r/pid.$$" "$r/pid" 2>/dev/null || { rm -f "$r/pid.$$"; exit 9; }
rm -f "$r/pid.$$"
[ -z "$durable" ] || sync "$r/pid" "$r/digest" "$r" "${r%/*}" 2>/dev/null || sync
# Room for the outcome is taken before the script may fill the disk.
head -c 4096 /dev/zero > "$r/status.new"
trap : TERM INT HUP
input=/dev/null
[ ! -e "$r/stdin" ] || input=$r/stdin
sh "$r/run" < "$input" > "$r/output" 2>&1
status=$?
# A status that cannot be written is not made up: then the outcome is unknown.
echo "$status" 1<> "$r/status.new" && { [ -z "$durable" ] || sync "$r/status.new" 2>/dev/null || sync; } &&
    mv "$r/status.new" "$r/status"
