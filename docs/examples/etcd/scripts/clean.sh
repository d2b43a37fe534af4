#!/bin/sh
# Takes everything away that init.sh brought. It may be run again, and where init.sh never was.
set -eu
. ./etcd.sh

if [ -e "$UNIT" ]; then
    # Its data go with it. When all leave, the last leader would wait for somebody to hand over to.
    systemctl stop --no-block etcd-of-sealer
    systemctl kill --signal=KILL etcd-of-sealer 2>/dev/null || true # has ended already
    systemctl disable --now --quiet etcd-of-sealer
    rm -f "$UNIT"
    systemctl daemon-reload
fi
rm -rf "${DATA_DIR:?}"
