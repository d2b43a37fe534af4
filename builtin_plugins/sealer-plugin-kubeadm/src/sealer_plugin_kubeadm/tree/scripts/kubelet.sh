#!/bin/sh
# kubeadm, kubectl and the kubelet with its unit. kubeadm starts the kubelet when it has written its configuration.
#
#   kubelet.sh check     refuse a host that is a node already; changes nothing
#   kubelet.sh [apply]   install them; a kubelet that runs an older program is restarted
#   kubelet.sh undo      end the kubelet, and leave the host as it was before
. "$(dirname "$0")/changes.sh"

UNIT=/etc/systemd/system/kubelet.service
DROP_IN=/etc/systemd/system/kubelet.service.d/10-kubeadm.conf

check() {
    remembered file $UNIT && return
    ! runs kubelet || fail "kubelet.service runs on this host: it is a node of another cluster." \
        "Take it out of that one first (kubeadm reset), or name another host"
    [ ! -e /etc/kubernetes/kubelet.conf ] || fail "/etc/kubernetes/kubelet.conf is there: this host is, or was, a node" \
        "of another cluster. kubeadm reset takes it out of that one"
}

apply() {
    check
    ours_alone /etc/kubernetes /var/lib/kubelet /var/lib/etcd /var/log/pods /var/log/containers /var/run/kubernetes \
        /usr/libexec/kubernetes /run/xtables.lock
    # What kubeadm's pods mount of the host, there or not.
    left_empty /usr/libexec /lib/modules /etc/pki /etc/ca-certificates /usr/share/ca-certificates \
        /usr/local/share/ca-certificates
    for program in kubeadm kubectl kubelet; do
        put_program "$ROOTFS/bin/$program" /usr/local/bin/$program
    done
    put "$ROOTFS/etc/kubelet.service" $UNIT
    put "$ROOTFS/etc/10-kubeadm.conf" $DROP_IN
    ! changed || systemctl daemon-reload
    enable_unit kubelet.service
    ! changed || ! runs kubelet || systemctl restart kubelet
    settled
}

undo() {
    if remembered file $UNIT; then
        systemctl stop kubelet 2>/dev/null || true
        unmount_below /var/lib/kubelet
        "$SCRIPTS/iptables.sh" KUBE-
        ip link delete kube-ipvs0 2>/dev/null || true
        ip link delete nodelocaldns 2>/dev/null || true
    fi
    take_back
    systemctl daemon-reload
}

"${1:-apply}"
