"""All that hosts leave on a machine while they exist, for tests that see to it that nothing is left."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from sealer_plugin_nspawn.cgroups import MOUNTS, PREFIX, hierarchies, state_digest
from sealer_plugin_nspawn.network import bridge_is_of, exists, interfaces
from sealer_plugin_nspawn.programs import run

NUMBER = re.compile(r"(?:\bsnb|\bsn|vb-sn)(?P<number>[0-9]+)")


def footprint_of_hosts(state: Path) -> frozenset[str]:
    """Every mount, interface, routing rule, control group and process of hosts of one state directory.

    Others may have hosts on the machine, make and remove them meanwhile. An interface or a rule says a cluster's number
    alone: it counts if the bridge of that number is ours, or nobody's.
    """
    seen = _network()
    found = {line for line in seen if _is_of(state, line)} & _network()  # what others just removed is seen once only
    digest = state_digest(state)
    found |= {line for line in _groups() if f"{PREFIX}{digest}-" in line}
    return frozenset(found | {line for line in (*_mounts(), *_processes()) if f"{state}/" in line})


def _is_of(state: Path, line: str) -> bool:
    match = NUMBER.search(line)
    if not match:
        return False
    number = int(match["number"])
    return bridge_is_of(state, number) or not exists(f"snb{number}")


def _mounts() -> Iterator[str]:
    for line in MOUNTS.read_text().splitlines():
        yield f"mount {line}"


def _network() -> set[str]:
    rules = run(["ip", "-4", "rule"]).splitlines()
    return {f"rule {rule}" for rule in rules} | {f"interface {interface}" for interface in interfaces()}


def _groups() -> Iterator[str]:
    for hierarchy in hierarchies(MOUNTS.read_text()):
        for group in hierarchy.root.glob(f"{PREFIX}*"):
            yield f"group {group}"


def _processes() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            # Of a process that ended and waits for its parent nothing but the number is left: no command line.
            with contextlib.suppress(OSError):
                yield f"process {(process / 'cmdline').read_bytes().decode(errors='replace')}"
