#!/bin/sh
# Makes a master a member of etcd. sealer runs it on each host, in scripts/ of the rootfs, and exports HostIP, MasterIPs
# and the like. It may be run again at any time.
set -eu
. ./etcd.sh

[ "$HostRole" = master ] || exit 0 # nodes have etcdctl, and need nothing else

if [ "$SealerOperation" = create ]; then
    write_unit new "$(initial_cluster $MasterIPs)"
    systemctl start --no-block etcd-of-sealer # the members wait for each other: not here
else
    ETCDCTL_ENDPOINTS=$(endpoints $PreviousMasterIPs) ./members.sh add
fi
