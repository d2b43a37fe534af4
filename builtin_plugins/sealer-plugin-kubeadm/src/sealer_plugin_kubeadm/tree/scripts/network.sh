#!/bin/sh
# The pod network, without any image: a bridge on each host, and routes to the pods of the others. For hosts that see one
# another on one segment.
#
#   PodCIDR="100.64.1.0/24[,fd64:1::/64]" PodRoutes="CIDR via ADDRESS
#   ..." network.sh [apply]     the pods' addresses of this host, and a line for those of each other host; run again with
#                               others it adds and removes what differs
#   network.sh undo             as it was before
. "$(dirname "$0")/changes.sh"

SETTINGS=/etc/sealer-pod-network
UNIT=sealer-pod-network.service
PROGRAM=/usr/local/sbin/sealer-pod-network

apply() {
    # shellcheck disable=SC2153  # PodCIDR comes from the environment
    cidrs=$(echo "${PodCIDR:?is empty: the addresses of the pods of this host, such as 100.64.1.0/24}" | tr ',' ' ')
    for cidr in $cidrs; do
        well_formed "$cidr" || fail "PodCIDR: '$cidr' is no network"
    done
    printf '%s\n' "${PodRoutes:-}" | sed '/^[[:space:]]*$/d' >"$DATA/pod-routes"
    while read -r cidr via address rest; do
        { [ "$via" = via ] && [ -n "$address" ] && [ -z "$rest" ] && well_formed "$cidr"; } ||
            fail "PodRoutes: '$cidr $via $address $rest' is not of the form 'CIDR via ADDRESS'"
    done <"$DATA/pod-routes"
    case $cidrs in *:*) ipv6_forwarding ;; esac
    ours_alone /var/lib/cni
    # shellcheck disable=SC2086  # one word a network
    configuration $cidrs | put_text /etc/cni/net.d/10-sealer-bridge.conflist
    {
        for cidr in $cidrs; do echo "pods $cidr"; done
        sed 's/^/route /' "$DATA/pod-routes"
    } | put_text $SETTINGS
    rm -f "$DATA/pod-routes"
    put "$ROOTFS/scripts/pod-network.sh" $PROGRAM
    put "$ROOTFS/etc/$UNIT" /etc/systemd/system/$UNIT
    ! changed || systemctl daemon-reload
    enable_unit $UNIT
    # Always: somebody may have taken away a route, and what is there already is not touched.
    said=$("$PROGRAM" up 2>&1) || fail "the routes to the pods of other hosts cannot be set: $said"
    systemctl start $UNIT || fail "$UNIT does not start: $(systemctl status $UNIT --lines 5 --no-pager 2>&1)"
    settled
}

well_formed() {
    case $1 in
    *[!0-9a-fA-F.:/]* | */*/*) return 1 ;;
    *[.:]*/[0-9]*) return 0 ;;
    *) return 1 ;;
    esac
}

# A router does not listen to the advertisements of others any more, unless it is told to.
ipv6_forwarding() {
    for name in $(cd /proc/sys && echo net/ipv6/conf/*/accept_ra); do
        [ "$(cat "/proc/sys/$name")" != 1 ] || set_sysctl "$(echo "$name" | tr / .)" 2
    done
    set_sysctl net.ipv6.conf.all.forwarding 1
    echo 'net.ipv6.conf.all.forwarding = 1' | put_text /etc/sysctl.d/99-sealer-pod-network.conf
}

configuration() {
    ranges=
    for cidr in "$@"; do
        ranges="$ranges, [{\"subnet\": \"$cidr\"}]"
    done
    sed "s|@RANGES@|${ranges#, }|" "$ROOTFS/etc/10-sealer-bridge.conflist"
}

undo() {
    if remembered file $SETTINGS; then
        systemctl stop $UNIT 2>/dev/null || true
        "$PROGRAM" down
        ip link delete cni0 2>/dev/null || true
        "$SCRIPTS/iptables.sh" CNI- SEALER-PODS
    fi
    take_back
    systemctl daemon-reload
}

"${1:-apply}"
