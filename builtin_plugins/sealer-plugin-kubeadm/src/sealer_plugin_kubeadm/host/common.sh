# What init and join have in common. From the environment: SEALER_NODE, SEALER_CONFIG (kubeadm's documents; removed at the
# end, as they may have secrets), SEALER_JOINED (written last of all).
set -u
umask 022
KUBERNETES=/etc/kubernetes
ADMIN=$KUBERNETES/admin.conf

fail() {
    echo "$*" >&2
    exit 1
}

finish() {
    status=$?
    rm -f "$SEALER_CONFIG"
    exit $status
}
trap finish EXIT

quick_kubectl() { kubectl --kubeconfig "$1" --request-timeout=5s "$2" "$3" "$4" >/dev/null 2>&1; }

# until_true SECONDS COMMAND...
until_true() {
    end=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt $end ] || return 1
        sleep 0.3
    done
}

# An API server answers, and is ready: the one that a kubeconfig names.
ready() { quick_kubectl "$1" get --raw /readyz; }

begun() { [ -e /var/lib/kubelet/config.yaml ] || ls $KUBERNETES/manifests/kube-*.yaml >/dev/null 2>&1; }

# A host on which kubeadm was interrupted in the middle: its own work goes, what it was given before stays.
begin_anew() {
    begun || return 0
    echo "kubeadm was interrupted here; starting again"
    systemctl stop kubelet
    rm -f $KUBERNETES/manifests/kube-*.yaml $KUBERNETES/manifests/etcd.yaml $KUBERNETES/bootstrap-kubelet.conf
    for task in $(ctr -n k8s.io tasks list --quiet); do
        ctr -n k8s.io tasks kill --all --signal SIGKILL "$task" >/dev/null 2>&1
    done
    until_true 20 no_tasks || fail "containers of the attempt before do not end"
    rm -rf /var/lib/etcd/member /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env
}

no_tasks() { ! ctr -n k8s.io tasks list | grep -q RUNNING; }
