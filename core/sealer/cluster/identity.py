"""Whether the hosts are fit for what is planned, and still the machines they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealer.cluster.ownership import Ownership
from sealer.errors import HostError, HostKeyError, OperationFailedError, RefusedError, SealerError, StepFailure
from sealer.image.model import ClusterImage

# A rootfs, its layers, and what scripts unpack from it: on real images three times the compressed size.
ROOM = 4


def check_hosts(  # noqa: PLR0917  # all that hosts are judged by
    facts: Mapping[str, Mapping[str, Any]],
    machines: Mapping[str, str],
    added: set[str],
    image: ClusterImage | None,
    size: int,
    ownership: Ownership,
) -> None:
    """Judge what the hosts said of themselves.

    :param facts: by host id; those out of reach have none but `unreachable`.
    :param machines: by host id the machine-id recorded earlier, or empty.
    :param added: ids of the hosts that the image goes to.
    :param size: bytes of the image's layers.
    :param ownership: tells hosts of other clusters.
    :raises OperationFailedError: with every host that is not fit.
    """
    failures = []
    seen: dict[str, str] = {}
    for host, said in facts.items():
        if "unreachable" in said:
            continue
        error = other_machine(host, said, machines.get(host, "")) or same_machine(host, said, seen)
        if error is None:
            error = ownership.refusal(host, said, joins=host in added)
        if error is None and host in added:
            error = _unfit(host, said, image, size)
        if error is not None:
            failures.append(StepFailure("Reach/kernel/facts", "Check the hosts", host, error))
    if failures:
        foreign = any(isinstance(failure.error, RefusedError) for failure in failures)
        remedy = "Name other hosts, or go one of the ways above: these hosts are as they were." if foreign else ""
        raise OperationFailedError("Nothing was changed: not all hosts are fit", failures=failures, remedy=remedy)


def other_machine(host: str, said: Mapping[str, Any], recorded: str) -> SealerError | None:
    """What is wrong where a host's machine-id is not the one recorded of it; None: nothing, or nothing is known."""
    machine = said.get("machine_id", "")
    if not recorded or not machine or machine == recorded:
        return None
    return HostKeyError(
        "This is not the machine it was",
        where=host,
        why=f"its machine-id is {machine}, recorded is {recorded}",
        remedy=f"If the host was replaced, `sealer delete -n {host} --force` forgets it and leaves the new machine "
        f"alone; `sealer scale-up -n {host}` adds it again. For a master, use -m.",
    )


def same_machine(host: str, said: Mapping[str, Any], seen: dict[str, str]) -> SealerError | None:
    """Two addresses of one machine would get two halves of one cluster.

    :param seen: by machine-id the host that had it; the host's own is added.
    """
    machine = said.get("machine_id", "")
    if not machine or seen.setdefault(machine, host) == host:
        return None
    return HostError(
        f"It is the same machine as {seen[machine]}",
        where=host,
        why=f"both have the machine-id {machine}",
        remedy="Name each machine once. Cloned machines: `rm /etc/machine-id; systemd-machine-id-setup` on each.",
    )


def _unfit(host: str, said: Mapping[str, Any], image: ClusterImage | None, size: int) -> SealerError | None:
    if said["missing"]:
        tools = ", ".join(said["missing"])
        return HostError(
            f"The host lacks {tools}", where=host, remedy="Install coreutils, util-linux, tar and gzip there."
        )
    if image and image.on(said["architecture"]) is None:
        has = ", ".join(rootfs.platform for rootfs in image.rootfs)
        return HostError(
            f"The image {image.reference} is not made for {said['architecture']}",
            where=host,
            why=f"it has {has}",
            remedy="Build it for that platform, or leave the host out.",
        )
    if said["free"] < size * ROOM:
        return HostError(
            "The host's disk is too full",
            where=host,
            why=f"{said['free'] >> 20} MiB free, about {size * ROOM >> 20} MiB are needed",
            remedy="Make room, or set spec.dataRoot to a larger disk.",
        )
    return None
