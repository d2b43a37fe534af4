# Kubernetes ends on this host. An image whose scripts do not undo what they did gets kubeadm's own reset.
systemctl stop kubelet 2>/dev/null
if [ -e /etc/kubernetes/sealer/apiserver/audit-policy.yaml ]; then
    rm -rf /var/log/kubernetes/audit # gone with what it is about
    rmdir /var/log/kubernetes 2>/dev/null
fi
rm -rf /etc/systemd/system/kubelet.service.d/20-sealer.conf /etc/kubernetes/sealer /etc/kubernetes/manifests/sealer-balancer.yaml
if [ ! -e "$SEALER_ROOTFS/scripts/clean.sh" ] && [ -x "$SEALER_ROOTFS/bin/kubeadm" ]; then
    # The member of etcd has left already.
    "$SEALER_ROOTFS/bin/kubeadm" reset --force --skip-phases=remove-etcd-member,update-cluster-status 2>/dev/null ||
        "$SEALER_ROOTFS/bin/kubeadm" reset --force
fi
# What kubectl remembers of API servers, whoever called it.
rm -rf "${HOME:-/root}/.kube/cache"
rmdir "${HOME:-/root}/.kube" 2>/dev/null
exit 0
