# Fetches container images that are not here yet, all at once, as the kubelet would: by the settings of each registry.
# Prints those that could not be fetched; the kubelet tries again, and says why.
present=$(ctr -n k8s.io images list --quiet 2>/dev/null)
for image in $SEALER_IMAGES; do
    case "
$present
" in *"
$image
"*) continue ;; esac
    ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null 2>&1 </dev/null || echo "$image" &
done
wait
