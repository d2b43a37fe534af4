#!/bin/sh
# Changes who is a member of the etcd cluster that runs, by asking the members at ETCDCTL_ENDPOINTS:
#   members.sh add              this host joins
#   members.sh remove HOST...   these hosts leave, as far as they are members
set -eu
. ./etcd.sh

# One change at a time in the whole cluster: run again by `etcdctl lock`, which sets this variable. For some seconds
# after a change, and while a new leader is elected, etcd refuses the next one: hence the patience.
if [ -z "${ETCD_LOCK_KEY:-}" ]; then
    for _ in 1 2 3 4 5 6 7 8 9; do
        timeout 120 etcdctl lock members "$0" "$@" && exit
        sleep 2
    done
    exit 1
fi

case $1 in
add)
    [ -n "$(member_id "$HostIP")" ] || etcdctl member add "$HostIP" --peer-urls="$(peer "$HostIP")" >/dev/null
    write_unit existing "$(initial_cluster $(members | cut -d' ' -f2))"
    systemctl start etcd-of-sealer # returns when the member has caught up
    ;;
remove)
    shift
    for host in "$@"; do
        id=$(member_id "$host")
        [ -z "$id" ] || etcdctl member remove "$id"
    done
    ;;
esac
