# A further master. Its certificates and kubeconfigs are there already, and ask a master that answers until it does so
# itself.
exec_etcd() {
    pod=$(kubectl --kubeconfig $ADMIN --namespace kube-system get pods --selector component=etcd \
        --field-selector status.phase=Running --output name 2>/dev/null | grep -v "/etcd-$SEALER_NODE\$" | head -n 1)
    [ -n "$pod" ] || return 1
    pki=$KUBERNETES/pki/etcd
    kubectl --kubeconfig $ADMIN --namespace kube-system exec "${pod#pod/}" -- etcdctl \
        --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt --cert $pki/server.crt --key $pki/server.key "$@"
}

# Of an attempt that ended between the words to etcd's other members and the first start of this one.
forget_member() {
    exec_etcd member list 2>/dev/null | while IFS=', ' read -r member _ rest; do
        case "$rest" in *"$SEALER_PEER"*) exec_etcd member remove "$member" ;; esac
    done
}

if [ ! -e "$SEALER_JOINED" ]; then
    if [ -e $KUBERNETES/manifests/etcd.yaml ]; then
        # Interrupted when it was a member of etcd already: from there on it can only go ahead. A kubelet that would not
        # run a static pod tries it anew when it is started anew.
        systemctl restart kubelet
        until_true 180 kubectl --kubeconfig $ADMIN --server "$SEALER_SERVER" --request-timeout=5s get --raw /readyz \
            >/dev/null 2>&1 || fail "the API server of this master does not become ready"
        for phase in $SEALER_LAST_PHASES; do
            kubeadm join phase control-plane-join "$phase" --config "$SEALER_CONFIG" || exit 1
        done
    else
        if begun; then
            begin_anew
            forget_member
            kubectl --kubeconfig $ADMIN delete node "$SEALER_NODE" --ignore-not-found || exit 1
        fi
        # shellcheck disable=SC2086  # arguments, one word each
        kubeadm join --config "$SEALER_CONFIG" $SEALER_ARGUMENTS || exit 1
    fi
fi
until_true 120 kubectl --kubeconfig $ADMIN --server "$SEALER_SERVER" --request-timeout=5s get --raw /readyz \
    >/dev/null 2>&1 || fail "the API server of this master does not become ready"
