"""What the kernel reads from every host before it plans."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from sealer.cluster.context import PassedOverError
from sealer.cluster.ownership import cluster_line, clusters_script
from sealer.errors import HostError
from sealer.extension.context import StepContext
from sealer.extension.operation import HostPaths
from sealer.extension.steps import Effect, Fact, Retry, Step
from sealer.extension.tail import whole_number
from sealer.extension.targets import Addresses

# {"machine_id", "host_name", "architecture", "rootfs" (bool), "free" (bytes at the data root), "missing" (tools),
# "clusters" (name and id of each that has files there; the id is empty where an earlier sealer put them there)}
HOST_FACTS: Fact[dict[str, Any]] = Fact("kernel.host", dict, per_host=True)

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
TOOLS = ("tar", "gzip", "sha256sum", "head", "stat", "setsid", "mktemp")


def read_facts(paths: HostPaths, hosts: frozenset[str], may_pass: Callable[[str, HostError], bool]) -> Step:
    """The step that asks.

    :param hosts: ids of those asked.
    :param may_pass: whether one of them may be passed over for an error: its fact is then `{"unreachable": why}`.
    """
    script = facts_script(paths)

    def ask(context: StepContext) -> None:
        try:
            facts = parse_facts(context.query(script).stdout)
        except HostError as error:
            if not may_pass(context.host.id, error):
                raise
            context.give(HOST_FACTS, {"unreachable": str(error)})
            raise PassedOverError(error.what, where=error.where, why=error.why) from error
        context.give(HOST_FACTS, facts)

    return Step(
        "facts",
        "Connect to the hosts",
        Addresses(hosts, "any"),
        ask,
        effect=Effect.QUERY,
        gives=frozenset({HOST_FACTS}),
        timeout=60,
        retry=Retry(attempts=2),
    )


def facts_script(paths: HostPaths) -> str:
    """What a host is asked; :func:`parse_facts` reads the answer."""
    return f"""{identity_script(paths)}
echo "host_name=$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
echo "machine=$(uname -m)"
[ -e {shlex.quote(paths.rootfs)} ] && echo rootfs=yes
for tool in {" ".join(TOOLS)}; do command -v $tool > /dev/null || echo "missing=$tool"; done
at={shlex.quote(paths.data_root)}
while [ ! -e "$at" ]; do at=$(dirname "$at"); done
echo "free=$(df -Pk "$at" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
"""


def identity_script(paths: HostPaths) -> str:
    """The part of it that says which machine the host is, and which clusters it belongs to."""
    return f"""{clusters_script(shlex.quote(paths.data_root))}
echo "machine_id=$(cat /etc/machine-id 2>/dev/null)"
"""


def parse_facts(text: str) -> dict[str, Any]:
    """The lines that the host printed, as the fact's value."""
    facts: dict[str, Any] = {"missing": [], "clusters": [], "rootfs": False, "free": 0}
    facts |= {"machine_id": "", "host_name": ""}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "missing":
            facts["missing"].append(value)
        elif key == "cluster":
            facts["clusters"] += [[*found] for found in (cluster_line(value),) if found]
        elif key == "rootfs":
            facts["rootfs"] = True
        elif key == "free":
            facts["free"] = (whole_number(value) or 0) * 1024
        elif key == "machine":
            facts["architecture"] = ARCHITECTURES.get(value, value)
        elif key in facts:
            facts[key] = value
    return facts
