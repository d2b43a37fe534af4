# What speaks against this host becoming a node: a line `key=value` for each thing. Changes nothing.
echo "name=$(uname -n)"
echo "clock=$(date +%s)"
echo "memory=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
echo "processors=$(grep -c '^processor' /proc/cpuinfo)"
# Written by the scripts of our own image, before anything of Kubernetes runs here.
if [ -e "$SEALER_JOINED" ] || [ -e "$SEALER_DATA/before/kubelet" ] || [ -e /etc/kubernetes/sealer ]; then
    echo ours=yes
    exit 0
fi
if systemctl is-active --quiet kubelet 2>/dev/null; then
    echo "node=kubelet.service runs"
elif [ -e /etc/kubernetes/kubelet.conf ]; then
    echo "node=/etc/kubernetes/kubelet.conf is there"
fi
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
