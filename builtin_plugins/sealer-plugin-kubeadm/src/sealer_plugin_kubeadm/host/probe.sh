# What decides how kubeadm is called on this host: a line `key=value` for each thing. Changes nothing.
fact() { cat "$SEALER_DATA/facts/$1" 2>/dev/null; }

echo "name=$(uname -n | tr '[:upper:]' '[:lower:]')"
echo "version=$("$SEALER_ROOTFS/bin/kubeadm" version -o short 2>/dev/null)"
echo "cgroup_driver=$(fact cgroup-driver)"
echo "cri_socket=$(fact cri-socket)"
command -v crictl >/dev/null && echo crictl=yes
if [ -d /proc/sys/net/ipv4/vs ] || modprobe --dry-run --quiet ip_vs 2>/dev/null; then echo ipvs=yes; fi
# In a network namespace that is not the machine's first, the table of connections has the size that the machine gave it.
table=/proc/sys/net/netfilter/nf_conntrack_max
if ! { [ ! -e $table ] || [ -w $table ]; } || systemd-detect-virt --container --quiet 2>/dev/null; then
    echo conntrack_fixed=yes
fi
# A kubelet up to v1.26 asks a cloud for credentials whenever it starts, and waits 6 s where packets to there get lost.
"$SEALER_ROOTFS/bin/kubectl" --server http://169.254.169.254 --request-timeout=1s get --raw / 2>&1 |
    grep -qi 'unable to connect\|timeout\|deadline' && echo no_metadata=yes
[ -e "$SEALER_ROOTFS/scripts/network.sh" ] && echo network=yes
admin=/etc/kubernetes/admin.conf
[ -e $admin ] && "$SEALER_ROOTFS/bin/kubectl" --kubeconfig $admin --server https://127.0.0.1:6443 --request-timeout=3s \
    get --raw /readyz >/dev/null 2>&1 && echo api=yes
files=$(ls "$SEALER_API_SERVER" 2>/dev/null) && echo "api_server_files=$(echo "$files" | tr '\n' ' ')"
documents=$SEALER_ROOTFS/etc/kubeadm.yml
[ -e "$documents" ] && echo "documents=$(base64 <"$documents" | tr -d '\n')"
exit 0
