#!/bin/sh
# Whether etcd is well on this host: `sealer check` runs it on each, in scripts/ of the rootfs. It changes nothing, and
# says why where it ends with another status than 0.
set -eu
. ./etcd.sh

[ "$HostRole" = master ] || exit 0 # nodes run no member

systemctl is-active --quiet etcd-of-sealer || {
    echo "etcd-of-sealer.service does not run: $(systemctl is-active etcd-of-sealer)" >&2
    journalctl --no-pager -n 5 -o cat -u etcd-of-sealer >&2
    exit 1
}
ETCDCTL_ENDPOINTS=$(endpoints "$HostIP") timeout 10 etcdctl endpoint health >&2 # its own member, and a majority with it
