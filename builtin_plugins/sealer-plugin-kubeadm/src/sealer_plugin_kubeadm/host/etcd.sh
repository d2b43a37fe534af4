# Asks the member of etcd on this master. SEALER_ETCD is `list`, or `remove IDENTIFIER`.
set -eu
container=$(ctr -n k8s.io containers list --quiet 'labels."io.kubernetes.container.name"==etcd' | while read -r id; do
    ctr -n k8s.io tasks list | grep -q "^$id .*RUNNING" && echo "$id" && break
done)
[ -n "$container" ] || {
    [ ! -e /etc/kubernetes/manifests/etcd.yaml ] || { echo "etcd does not run on this master" >&2 && exit 1; }
    exit 0
}
pki=/etc/kubernetes/pki/etcd

etcdctl() {
    ctr -n k8s.io tasks exec --exec-id "sealer-$$-$(date +%N)" "$container" etcdctl --command-timeout=5s \
        --cacert $pki/ca.crt --cert $pki/server.crt --key $pki/server.key "$@"
}

case $SEALER_ETCD in
list)
    etcdctl --endpoints https://127.0.0.1:2379 member list | while IFS=, read -r id _ _ peers clients _; do
        address=$(echo "$peers" | sed 's|^ *https://||; s|:2380.*||; s|[][]||g')
        url=$(echo "$clients" | tr -d ' ')
        healthy=no
        [ -z "$url" ] || ! etcdctl --endpoints "$url" endpoint health >/dev/null 2>&1 </dev/null || healthy=yes
        echo "$id $address $healthy"
    done
    ;;
remove\ *)
    etcdctl --endpoints https://127.0.0.1:2379 member remove "${SEALER_ETCD#remove }"
    ;;
esac
