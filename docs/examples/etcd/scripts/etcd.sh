# shellcheck shell=sh
# What the other scripts share; to be sourced in scripts/ of the rootfs.

UNIT=/etc/systemd/system/etcd-of-sealer.service

# The URL at which a host's member talks to the others.
peer() { echo "http://$1:2380"; }

# The client URLs of hosts, as etcdctl takes them.
endpoints() { printf 'http://%s:2379\n' "$@" | paste -sd, -; }

# Hosts as etcd's --initial-cluster names them: a member is called by its address.
initial_cluster() { for host in "$@"; do echo "$host=$(peer "$host")"; done | paste -sd, -; }

# The id and the host of each member, a line each.
members() {
    list=$(etcdctl member list) && echo "$list" | sed -n 's|^\([0-9a-f]*\), .*, http://\([^ ]*\):2380, .*|\1 \2|p'
}

# The id of a host's member; nothing if it is none.
member_id() {
    list=$(members) && echo "$list" | sed -n "s/^\\([0-9a-f]*\\) $1\$/\\1/p"
}

# write_unit new|existing INITIAL_CLUSTER: etcd reads both when it starts for the first time, and never again.
write_unit() {
    cat >"$UNIT" <<END
[Unit]
Description=etcd of the cluster $ClusterName
After=network.target

[Service]
Type=notify
EnvironmentFile=${PWD%/scripts}/etc/etcd.env
ExecStart=${PWD%/scripts}/bin/etcd --initial-cluster-state=$1 --initial-cluster=$2
Restart=on-failure

[Install]
WantedBy=multi-user.target
END
    systemctl daemon-reload
    systemctl enable --quiet etcd-of-sealer
}
