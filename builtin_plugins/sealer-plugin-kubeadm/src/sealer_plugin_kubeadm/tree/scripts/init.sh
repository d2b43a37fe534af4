#!/bin/sh
# Makes a bare host ready for kubeadm. sealer runs it on every host before anything of Kubernetes is set up there; to run
# it again changes nothing. clean.sh takes everything back.
set -eu
cd "$(dirname "$0")"

# Whatever speaks against this host is said before anything is changed.
for part in system packages containerd kubelet; do
    "./$part.sh" check
done
for part in system packages containerd kubelet; do
    "./$part.sh" apply
done
