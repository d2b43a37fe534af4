# Waits until so many nodes have a range of pod addresses, by the API server here or, where it is down, by another.
end=$(($(date +%s) + SEALER_PATIENCE))
ranges='jsonpath={range .items[*]}{.spec.podCIDR}{"\n"}{end}'
ask() {
    for server in "" $SEALER_SERVERS; do
        "$SEALER_KUBECTL" ${server:+--server "$server"} get nodes --output "$ranges" && return
    done
}
until [ "$(ask | grep -c .)" -ge "$SEALER_COUNT" ]; do
    [ "$(date +%s)" -lt $end ] || exit 1
    sleep 0.3
done
