"""Container images of the control plane, fetched while hosts wait for the first master."""

from __future__ import annotations

from sealer.extension import Operation, Step, StepContext, Targets
from sealer_plugin_kubeadm.scripts import script

_OF_MASTERS = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"})
_OF_NODES = frozenset({"haproxy"})
_OF_ALL = frozenset({"kube-proxy", "pause"})


def name_of(reference: str) -> str:
    """The last part of an image's name, without tag and digest."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def references(operation: Operation, *, master: bool) -> list[str]:
    """The image's container images that a host needs at once."""
    wanted = _OF_ALL | (_OF_MASTERS if master else _OF_NODES)
    containers = operation.image.containers if operation.image else ()
    return sorted({it.reference for it in containers if name_of(it.reference) in wanted})


def step(operation: Operation, on: Targets, after: frozenset[str]) -> Step:
    """Fetch them beside everything else: the kubelet, which would do so one by one, then has them."""

    def fetch(context: StepContext) -> None:
        wanted = references(operation, master=context.host.is_master)
        if not wanted:
            return
        failed = context.query(script("images"), env={"SEALER_IMAGES": " ".join(wanted)}).stdout.split()
        if failed:
            context.log(f"left to the kubelet: {', '.join(failed)}")

    return Step("images", "Pull the control plane's images", on, fetch, after=after, timeout=600)
