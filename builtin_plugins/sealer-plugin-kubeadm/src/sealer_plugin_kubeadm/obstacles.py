"""What speaks against a host, by what `host/check.sh` printed there, in place of kubeadm's own preflight.

That one needs crictl, and comes when much has been changed already. What kubeadm has an error for is an error here,
under kubeadm's name of it; the rest is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealer.errors import HostError, RefusedError
from sealer.extension import Operation, StepContext
from sealer_plugin_kubeadm.documents.phases import ALL
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.places import IDENTITY

# What kubeadm demands of a master: MiB of memory, and processors. Of nodes it demands neither.
LEAST_MEMORY = 1700
LEAST_PROCESSORS = 2
NODE_MEMORY = 700  # MiB, below which a node has hardly any for pods
LEAST_DISK = 2048  # MiB, for images, logs, and etcd's data; kubeadm does not look
# Where the kubelet, by its default, lets no more pods run: percent of the disk that must be free.
EVICTION = {"images_disk": ("/var/lib/containerd", 15), "pods_disk": ("/var/lib/kubelet", 10)}


@dataclass(frozen=True)
class Obstacle:
    """What speaks against a host.

    :param check: kubeadm's name of it, by which it can be ignored; empty: it cannot.
    """

    check: str
    what: str
    why: str
    remedy: str


def ignored_checks(operation: Operation) -> frozenset[str]:
    """The names of kubeadm's checks that the user lets fail, in small letters."""
    names: list[Any] = [*Options.of(operation.spec.runtime.options).ignore_preflight_errors]
    for document in operation.desired.kubeadm:
        registration = document.content.get("nodeRegistration")
        listed = registration.get("ignorePreflightErrors") if isinstance(registration, dict) else None
        names += listed if isinstance(listed, list) else []
    return frozenset(str(name).lower() for name in names)


def obstacles(found: Mapping[str, str], *, master: bool) -> Iterator[Obstacle]:
    """What speaks against a host that is not in the cluster yet, by what `check.sh` printed."""
    node = found.get("node") or found.get("left")
    if node and (cluster := found.get("cluster")):
        yield Obstacle(
            "",
            f"This host is a node of another cluster that sealer made, id {cluster}",
            f"{node}, and {IDENTITY} has that id",
            f"`sealer delete --all --cluster-id {cluster} -m MASTERS -n NODES` deletes that one; or name another host.",
        )
    elif node:
        yield Obstacle(
            "",
            "This host is a node of a cluster already",
            node,
            "`kubeadm reset`, or what made that cluster, takes it out of it; or name another host.",
        )
    if node:
        return  # all else follows from it
    if found.get("runtime"):
        yield Obstacle(
            "CRI",
            "A container runtime runs on this host already",
            f"something listens on {found['runtime']}, and the image brings its own runtime",
            "Stop and disable it, for example: `systemctl disable --now containerd`.",
        )
    for port in found.get("busy", "").split():
        yield Obstacle(
            f"Port-{port}",
            f"Port {port} of this host is taken",
            "something listens on it, and Kubernetes needs it",
            "`ss -ltnp` on the host shows who does; stop it, or name another host.",
        )
    if setting := found.get("fixed"):
        yield Obstacle(
            f"FileContent--proc-sys-{setting.replace('/', '-')}",
            f"{setting.replace('/', '.')} is not 1 on this host, and cannot be set",
            "/proc/sys is for reading only, as in a container that may not change its kernel's settings",
            "Set it on the machine around the container, or let the host write there.",
        )
    memory, processors = _memory(found), int(number(found.get("processors", "")))
    if master and memory and memory < LEAST_MEMORY:
        yield Obstacle(
            "Mem",
            f"This host has {memory} MiB of memory",
            f"a master needs {LEAST_MEMORY} MiB",
            "Give it more, or name another host.",
        )
    if master and processors and processors < LEAST_PROCESSORS:
        yield Obstacle(
            "NumCPU",
            f"This host has {processors} processor",
            f"a master needs {LEAST_PROCESSORS}",
            "Give it more, or name another host.",
        )


def judge(context: StepContext, found: Sequence[Obstacle], ignored: frozenset[str]) -> None:
    """Warn of what may be, and end the step for what may not.

    :param ignored: names of checks, in small letters; `all` is each that has one.
    :raises HostError: with everything that speaks against the host.
    :raises RefusedError: it is a node already.
    """
    serious = []
    for obstacle in found:
        if obstacle.check and ignored & {obstacle.check.lower(), ALL}:
            context.warn(f"{obstacle.what}: {obstacle.why}; ignored, as {obstacle.check} is named to be")
        else:
            serious.append(obstacle)
    if not serious:
        return
    if not serious[0].check:  # it is somebody's: that is not to be mended here
        raise RefusedError(serious[0].what, where=context.host.id, why=serious[0].why, remedy=serious[0].remedy)
    first, *others = serious
    why = [first.why]
    for other in others:
        known = any(other.why in text for text in why)
        why.append(other.what if known else f"{other.what}: {other.why}")
    names = [obstacle.check for obstacle in serious if obstacle.check]
    raise HostError(
        first.what,
        where=context.host.id,
        why="; ".join(why),
        remedy=" ".join(
            [
                *dict.fromkeys(obstacle.remedy for obstacle in serious),
                *([f"`ignorePreflightErrors: [{', '.join(names)}]` goes on all the same."] if names else []),
            ]
        ),
    )


def warnings(found: Mapping[str, str], *, master: bool) -> Iterator[str]:
    """What a host is short of, and can begin with all the same."""
    memory = _memory(found)
    if not master and memory and memory < NODE_MEMORY:
        yield f"{memory} MiB of memory: a node with less than {NODE_MEMORY} MiB has hardly any for pods"
    told = set()
    for key, (path, percent) in EVICTION.items():
        free, _, size = found.get(key, "").partition(" ")
        room, whole = int(number(free)), int(number(size))
        if not whole or (room, whole) in told:
            continue  # most hosts have one disk
        if room * 100 < whole * percent:
            told.add((room, whole))
            yield (
                f"{room} of {whole} MiB are free for {path}: by its default the kubelet lets no pod run on a disk with"
                f" less than {percent} percent"
            )
        elif room < LEAST_DISK:
            told.add((room, whole))
            yield f"{room} MiB are free for {path}: the images and the data of Kubernetes want {LEAST_DISK} MiB"


def number(text: str) -> float:
    """Of a text; 0 of what is none."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _memory(found: Mapping[str, str]) -> int:
    return int(number(found.get("memory", ""))) // 1024
