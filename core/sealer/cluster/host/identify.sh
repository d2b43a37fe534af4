# Write down which cluster this host belongs to. What is to stand in the file comes in by stdin. The environment has the
# cluster's directory, the data root, the cluster's id, the size of the content, the ids of other clusters that the
# operator has, and `joining` where no cluster of anybody else may be on the host.
# Status 76: it belongs to another cluster; stdout has `cluster=NAME ID`.
# shellcheck disable=SC2154  # what stands there comes by the environment
umask 077
place=$data/identity new=$data/identity.$$

id_in() { sed -n 's/^id=//p' "$1" 2>/dev/null | head -n 1; }

mkdir -p "$data" || exit 1
# A connection that breaks looks like the end of the input.
{ cat > "$new" && [ "$(wc -c < "$new")" -eq "$size" ]; } || { rm -f "$new"; exit 1; }
before=$(id_in "$place")
if [ -n "$before" ] && [ "$before" != "$id" ]; then
    rm -f "$new"
    echo "cluster=${data##*/} $before"
    exit 76
fi
mv -f "$new" "$place" || { rm -f "$new"; exit 1; }
[ -n "$joining" ] || exit 0
# Who takes the host for another cluster at this moment sees our file, or we see theirs: written first, looked for second.
for other in "$root"/data/*/identity; do
    their=$(id_in "$other")
    [ -n "$their" ] && [ "$their" != "$id" ] || continue
    case " $known " in *" $their "*) continue ;; esac
    [ -n "$before" ] || rm -f "$place"
    at=${other%/identity}
    echo "cluster=${at##*/} $their"
    exit 76
done
exit 0
