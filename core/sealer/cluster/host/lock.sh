# Take the lock of a cluster on this host. What is to stand in it comes in by stdin: who we are, then the same in words.
# The environment has its path, our first line, the size of the content, the age in seconds after which a lock is a dead
# one's, and where receipts are that may go after some days.
# Status 75: another holds it; stdout has its second line, and its age.
# shellcheck disable=SC2154  # what stands there comes by the environment
umask 077
new=$lock.$$ tries=0
mkdir -p "${lock%/*}" || exit 1

refuse() {
    rm -f "$new"
    exit "$1"
}

# A connection that breaks looks like the end of the input: half a holder would be nobody, and in everybody's way.
{ cat > "$new" && [ "$(wc -c < "$new")" -eq "$size" ]; } || refuse 1
# The link is made with all that stands in it, or not at all.
until ln "$new" "$lock" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -le 10 ] || { echo "no link can be made to $lock" >&2; refuse 1; }
    at=$(stat -c %i.%Y "$lock" 2>/dev/null) || continue # it was given back just now
    age=$(($(date +%s) - ${at#*.}))
    [ "$(head -n 1 "$lock" 2>/dev/null)" = "$me" ] || [ $age -gt "$stale" ] || {
        sed -n 2p "$lock"
        echo $age
        refuse 75
    }
    # Of several that find it so, one makes the claim on this very lock, and sees that it is still the same one.
    claim=$lock.$at
    if ! ln "$new" "$claim" 2>/dev/null; then
        [ $(($(date +%s) - $(stat -c %Y "$claim" 2>/dev/null || date +%s))) -le "$stale" ] || rm -f "$claim"
        sed -n 2p "$lock"
        echo 0
        refuse 75
    fi
    if [ "$(stat -c %i.%Y "$lock" 2>/dev/null)" = "$at" ]; then
        mv -f "$new" "$lock"
        rm -f "$claim"
        break
    fi
    rm -f "$claim"
done
rm -f "$new"
find "${lock%/*}" -mindepth 1 -maxdepth 1 -name "${lock##*/}.*" -mmin +60 -exec rm -f {} + 2>/dev/null
find "$receipts" -mindepth 1 -maxdepth 1 -mtime "+$days" -exec rm -rf {} + 2>/dev/null
exit 0
