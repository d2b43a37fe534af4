#!/bin/sh
# Leaves the host as it was before init.sh. It goes on where one part fails, and says so at the end.
set -u
cd "$(dirname "$0")" || exit 1

status=0
# Whatever runs, before anything it uses: kube-proxy, for one, puts its rules back for as long as it lives.
[ ! -e ./containerd.sh ] || ./containerd.sh end || status=1
for part in network kubelet containerd packages system; do
    [ -e "./$part.sh" ] || continue
    "./$part.sh" undo || {
        echo "$part.sh could not take back all of its changes" >&2
        status=1
    }
done
exit $status
