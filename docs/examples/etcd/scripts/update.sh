#!/bin/sh
# Runs on the hosts that stay when others came or left. A host that was lost could not sign off: it is taken off the list.
set -eu
. ./etcd.sh

[ "$HostRole" = master ] || exit 0
list=$(members)
for host in $(echo "$list" | cut -d' ' -f2); do
    case " $MasterIPs " in
    *" $host "*) ;;
    *) ./members.sh remove "$host" ;;
    esac
done
