# Take the lock of a cluster on this host. What is to stand in it comes in by stdin: who we are, then the same in words.
# The environment has its path, our first line, the size of the content, the age in seconds after which a lock is a dead
# one's, and where receipts are that may go after some days.
# Status 75: another holds it; stdout has its second line, and its age.
# shellcheck disable=SC2154  # what stands there comes by the environment
umask 077
# A disk that is full must not keep anybody from deleting what fills it: then the lock lies in memory.
spare=/run/sealer$lock new=''
content=$(cat; echo .)
content=${content%.}
# A connection that breaks looks like the end of the input: half a holder would be nobody, and in everybody's way.
[ "$(printf %s "$content" | wc -c)" -eq "$size" ] || exit 1

refuse() {
    [ -z "$new" ] || rm -f "$new"
    exit "$1"
}

# Another's that is not stale; what stands in it, and its age, are printed.
held() {
    since=$(stat -c %Y "$1" 2>/dev/null) || return 1
    age=$(($(date +%s) - since))
    [ "$(head -n 1 "$1" 2>/dev/null)" != "$me" ] && [ $age -le "$stale" ] || return 1
    sed -n 2p "$1"
    echo $age
}

# Take the lock at a path; status 1: nothing can be written there.
take() {
    path=$1 new=$1.$$ tries=0
    mkdir -p "${path%/*}" || return 1
    if ! { printf %s "$content" > "$new" && [ "$(wc -c < "$new")" -eq "$size" ]; }; then
        rm -f "$new"
        return 1
    fi
    # The link is made with all that stands in it, or not at all.
    until ln "$new" "$path" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -le 10 ] || { echo "no link can be made to $path" >&2; rm -f "$new"; return 1; }
        at=$(stat -c %i.%Y "$path" 2>/dev/null) || continue # it was given back just now
        held "$path" && refuse 75
        # Of several that find it so, one makes the claim on this very lock, and sees that it is still the same one.
        claim=$path.$at
        if ! ln "$new" "$claim" 2>/dev/null; then
            [ $(($(date +%s) - $(stat -c %Y "$claim" 2>/dev/null || date +%s))) -le "$stale" ] || rm -f "$claim"
            sed -n 2p "$path"
            echo 0
            refuse 75
        fi
        if [ "$(stat -c %i.%Y "$path" 2>/dev/null)" = "$at" ]; then
            mv -f "$new" "$path"
            rm -f "$claim"
            break
        fi
        rm -f "$claim"
    done
    rm -f "$new"
}

other=$spare
take "$lock" || { take "$spare" && other=$lock; } || exit 1
# Who found the disk full and who did not see each other here.
if held "$other"; then
    rm -f "$path"
    exit 75
fi
find "${lock%/*}" -mindepth 1 -maxdepth 1 -name "${lock##*/}.*" -mmin +60 -exec rm -f {} + 2>/dev/null
find "$receipts" -mindepth 1 -maxdepth 1 -mtime "+$days" -exec rm -rf {} + 2>/dev/null
exit 0
