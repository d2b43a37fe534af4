#!/bin/sh
# Routes and rules of the pod network, as /etc/sealer-pod-network lists them: its unit runs this at each boot, and
# scripts/network.sh of the image when the members of the cluster change.
#
#   pod-network.sh [up]     what is listed is set, what was set before and is not listed any more goes
#   pod-network.sh boot     the same, once this host has the addresses from which the others are reached
#   pod-network.sh down     all of it goes
set -eu

SETTINGS=/etc/sealer-pod-network
PROTOCOL=155 # marks our routes among all others of the host

# The lines `pods CIDR` and `route CIDR via ADDRESS` of a family.
settings() { # settings -4|-6
    case $1 in
    -4) grep -v : "$SETTINGS" || true ;;
    -6) grep : "$SETTINGS" || true ;;
    esac
}

# Longer than a host needs for its addresses; a route that cannot be set after that is an error, as ever.
boot() {
    tries=60
    until "$0" up 2>/dev/null || [ $((tries = tries - 1)) -eq 0 ]; do sleep 1; done
    up
}

up() {
    for family in -4 -6; do
        routes "$family"
    done
    rules -4 iptables
    rules -6 ip6tables
}

routes() {
    settings "$1" | while read -r kind cidr _ address; do
        [ "$kind" = route ] || continue
        case $(ip "$1" route show "$cidr" proto $PROTOCOL) in
        *" via $address "*) ;;
        *) ip "$1" route replace "$cidr" via "$address" proto $PROTOCOL ;;
        esac
    done
    ip "$1" route show proto $PROTOCOL | while read -r cidr _; do
        settings "$1" | grep -q "^route $cidr " || ip "$1" route delete "$cidr" proto $PROTOCOL
    done
}

# Packets of pods are forwarded, whatever a firewall's policy is. Between pods they keep their addresses; to anywhere else
# they go under that of the host.
rules() { # rules -4|-6 iptables|ip6tables
    all=$(settings "$1" | cut -d' ' -f2)
    own=$(settings "$1" | sed -n 's/^pods //p')
    [ -n "$own" ] && command -v "$2" >/dev/null || return 0
    local_only=224.0.0.0/4
    [ "$1" = -4 ] || local_only=ff00::/8
    {
        echo '*filter'
        echo ':SEALER-PODS - [0:0]'
        for cidr in $all; do
            echo "-A SEALER-PODS -s $cidr -j ACCEPT"
            echo "-A SEALER-PODS -d $cidr -j ACCEPT"
        done
        echo COMMIT
        echo '*nat'
        echo ':SEALER-PODS - [0:0]'
        for cidr in $all $local_only; do
            echo "-A SEALER-PODS -d $cidr -j RETURN"
        done
        for cidr in $own; do
            echo "-A SEALER-PODS -s $cidr -j MASQUERADE"
        done
        echo COMMIT
    } | "$2-restore" --noflush
    "$2" -w -C FORWARD -j SEALER-PODS 2>/dev/null || "$2" -w -A FORWARD -j SEALER-PODS
    "$2" -w -t nat -C POSTROUTING -j SEALER-PODS 2>/dev/null || "$2" -w -t nat -A POSTROUTING -j SEALER-PODS
}

down() {
    for family in -4 -6; do
        ip "$family" route flush proto $PROTOCOL 2>/dev/null || true
    done
}

"${1:-up}"
