# How Kubernetes is on this host: a line `key=value` for each thing. Changes nothing, and prints no key.
# From the environment: SEALER_FILES (paths that a member has).
echo "kubelet=$(systemctl is-active kubelet 2>/dev/null)"
# An image may bring another runtime.
grep -qs 'containerd\.sock' /var/lib/kubelet/kubeadm-flags.env /var/lib/kubelet/config.yaml &&
    echo "containerd=$(systemctl is-active containerd 2>/dev/null)"
for file in $SEALER_FILES; do
    [ -e "$file" ] || echo "missing=$file"
done

# Only what stands between these lines: the files of some clients have their key beside it.
certificate() { awk '/BEGIN CERTIFICATE/ { on = 1 } on { print } /END CERTIFICATE/ { exit }'; }

print() { echo "certificate=$1 $(certificate | base64 | tr -d '\n')"; }

pki=/etc/kubernetes/pki
for file in $pki/*.crt $pki/etcd/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet.crt; do
    [ ! -e "$file" ] || print "$file" <"$file"
done
for file in /etc/kubernetes/*.conf; do
    [ -e "$file" ] || continue
    data=$(sed -n 's/^ *client-certificate-data: *//p' "$file" | head -n 1)
    [ -z "$data" ] || echo "$data" | base64 -d 2>/dev/null | print "$file"
done
exit 0
