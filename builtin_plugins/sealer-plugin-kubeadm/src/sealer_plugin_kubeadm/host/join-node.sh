# A host without control plane. Its kubelet.conf is there already: it needs no token.
joined() {
    [ -e /var/lib/kubelet/config.yaml ] && [ -e /var/lib/kubelet/kubeadm-flags.env ] &&
        quick_kubectl "$SEALER_DISCOVERY" get node "$SEALER_NODE"
}

if [ ! -e "$SEALER_JOINED" ]; then
    if joined; then
        # Interrupted when all but the last note was made: the node need not be taken down for that.
        systemctl start kubelet
        kubectl --kubeconfig "$SEALER_DISCOVERY" annotate --overwrite node "$SEALER_NODE" \
            "kubeadm.alpha.kubernetes.io/cri-socket=$SEALER_SOCKET" || exit 1
    else
        begin_anew
        # shellcheck disable=SC2086  # arguments, one word each
        kubeadm join --config "$SEALER_CONFIG" $SEALER_ARGUMENTS || exit 1
    fi
    : >"$SEALER_JOINED"
fi
rm -f "$SEALER_DISCOVERY"
systemctl start kubelet
