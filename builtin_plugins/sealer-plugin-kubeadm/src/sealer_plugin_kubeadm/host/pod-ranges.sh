# Waits until so many nodes have a range of pod addresses.
end=$(($(date +%s) + SEALER_PATIENCE))
ranges='jsonpath={range .items[*]}{.spec.podCIDR}{"\n"}{end}'
until [ "$("$SEALER_KUBECTL" get nodes --output "$ranges" | grep -c .)" -ge "$SEALER_COUNT" ]; do
    [ "$(date +%s)" -lt $end ] || exit 1
    sleep 0.3
done
