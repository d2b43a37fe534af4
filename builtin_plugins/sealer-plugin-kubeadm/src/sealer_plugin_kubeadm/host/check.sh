# What speaks against this host becoming a node: a line `key=value` for each thing. Changes nothing.
echo "name=$(uname -n)"
echo "clock=$(date +%s)"
echo "memory=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
echo "processors=$(grep -c '^processor' /proc/cpuinfo)"

# MiB that are free, and of how many, on the disk that a directory is on, or will be.
room() {
    place=$1
    until [ -d "$place/" ]; do place=${place%/*}; done
    stat -f -c '%a %b %S' "$place/" | while read -r free all size; do
        echo "$((free * size / 1048576)) $((all * size / 1048576))"
    done
}
echo "images_disk=$(room /var/lib/containerd)"
echo "pods_disk=$(room /var/lib/kubelet)"

# Whose /etc/kubernetes it is. A sealer that wrote no id there: what says it is the cluster's own directory, which the
# kernel knows the owner of, and which the scripts of our own image write to before anything of Kubernetes runs here.
cluster=$(cat "$SEALER_IDENTITY" 2>/dev/null)
if [ -n "$cluster" ] && [ "$cluster" = "$SEALER_CLUSTER_ID" ]; then
    echo ours=yes
    exit 0
elif [ -n "$cluster" ]; then
    echo "cluster=$cluster"
elif [ -e "$SEALER_DATA/before/kubelet" ] || { [ -e "$SEALER_DATA/rootfs" ] && [ -e "${SEALER_IDENTITY%/*}" ]; }; then
    echo ours=yes
    exit 0
fi
# The first of these three that is found. A unit says most; where there is no systemd, or somebody started it by hand, the
# process does; its socket does where the process is called otherwise.
node() {
    for unit in kubelet k3s k3s-agent rke2-server rke2-agent k0scontroller k0sworker snap.microk8s.daemon-kubelite \
        snap.microk8s.daemon-kubelet snap.k8s.kubelet; do
        if systemctl is-active --quiet $unit 2>/dev/null; then
            echo "node=$unit.service runs"
            return
        fi
    done
    for process in /proc/[0-9]*; do
        read -r command 2>/dev/null < "$process/comm" || continue
        case $command in
        kubelet | kubelite | k3s | k3s-server | k3s-agent | rke2 | k0s)
            # Those of containers are none of this host's.
            if [ "$(readlink "$process/ns/pid")" = "$(readlink /proc/$$/ns/pid)" ]; then
                echo "node=$command runs, process ${process#/proc/}"
                return
            fi
            ;;
        esac
    done
    # The flag says that somebody listens there.
    awk '$4 == "00010000" && $8 ~ "^(/var)?/run/(k3s/containerd|k0s)/|^/var/snap/(microk8s|k8s)/" {
        print "node=something listens on " $8; exit
    }' /proc/net/unix
}
node
for place in /etc/kubernetes/kubelet.conf /etc/kubernetes/admin.conf /etc/kubernetes/pki/ca.crt \
    /etc/kubernetes/manifests/kube-apiserver.yaml /var/lib/rancher/k3s/server /var/lib/rancher/k3s/agent \
    /var/lib/rancher/rke2/server /var/lib/rancher/rke2/agent /etc/rancher/k3s/k3s.yaml /etc/rancher/rke2/rke2.yaml \
    /var/lib/k0s/pki /var/lib/k0s/kubelet /var/lib/k0s/kubelet.conf /var/snap/microk8s/current /var/snap/k8s/current; do
    if [ -e $place ]; then
        echo "left=$place is there"
        break
    fi
done
busy=
for port in $SEALER_PORTS; do
    hexadecimal=$(printf ':%04X' "$port")
    # State 0A is LISTEN.
    if awk -v port="$hexadecimal" 'index($2, port) == length($2) - 4 && $4 == "0A" { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null; then
        busy="$busy $port"
    fi
done
[ -z "$busy" ] || echo "busy=${busy# }"
# The flag says that somebody listens there. A containerd that a run of ours has begun to set up is no other's.
[ -e "$SEALER_DATA/before/containerd" ] || awk '
    $4 == "00010000" && $8 ~ "^(/var)?/run/(containerd/containerd|crio/crio|cri-dockerd|dockershim)\\.sock$" {
        print "runtime=" $8; exit
    }' /proc/net/unix
# What the image's scripts set to 1. Where /proc/sys is for reading only they cannot.
for setting in net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables; do
    if [ -e "/proc/sys/$setting" ] && [ "$(cat "/proc/sys/$setting")" != 1 ] && ! [ -w "/proc/sys/$setting" ]; then
        echo "fixed=$setting"
        break
    fi
done
