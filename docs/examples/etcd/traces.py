"""What hosts of the demo are made of on this machine, to see in the end that nothing of it is left.

Others may make and remove hosts meanwhile, under names that were free again: so each thing is known by a number that
the kernel does not give twice.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GROUP = re.compile(r"sealer-nspawn-[0-9a-f]+-sn[0-9]+-[0-9]+")


def hosts_of(environment: Mapping[str, str]) -> frozenset[Path]:
    """The directories of the hosts that the provider NSPAWN has for this SEALER_HOME."""
    words = [sys.executable, "-m", "sealer_plugin_nspawn", "list"]
    listed = subprocess.run(words, env=environment, capture_output=True, check=True, text=True).stdout
    rows = [line.split("\t") for line in listed.splitlines()]
    return frozenset(Path(key).parent for *_, key, owner in rows if owner == environment["SEALER_HOME"])


@dataclass(frozen=True)
class Trace:
    """What hosts consist of on this machine.

    :param directories: of their files.
    :param things: that exist while the hosts do: each in words, with the number that tells it from a later namesake.
    """

    directories: frozenset[Path]
    things: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, directories: frozenset[Path]) -> Trace:
        """Everything that belongs to the hosts whose files are in these directories."""
        groups: set[str] = set()
        for process in _processes():
            if any(f"{directory}/" in _read(process / "cmdline") for directory in directories):
                groups |= set(GROUP.findall(_read(process / "cgroup")))
        numbers = "|".join({group.split("-sn")[1].split("-")[0] for group in groups}) or "none"
        link = re.compile(rf"(snb|vb-sn)({numbers})(-.*)?")
        things = [thing for thing in _all() if any(group in thing[0] for group in groups) or link.fullmatch(thing[0])]
        return cls(directories, frozenset(things))

    def __or__(self, other: Trace) -> Trace:
        return Trace(self.directories | other.directories, self.things | other.things)

    @property
    def size(self) -> int:
        """How many things."""
        return len(self.things)

    def left(self) -> str:
        """What still exists of it, and mounts beside; empty if there is nothing."""
        mounts = [line.split()[4] for line in _read(Path("/proc/self/mountinfo")).splitlines()]
        found = {f"mount {point}" for point in mounts for home in self.directories if Path(point).is_relative_to(home)}
        found |= {name for name, _ in self.things & frozenset(_all())}
        return ": " + ", ".join(sorted(found)) if found else ""


def _all() -> Iterator[tuple[str, str]]:
    """Every process in a control group of such a host, every interface, and every such control group."""
    for process in _processes():
        groups = " ".join(sorted(set(GROUP.findall(_read(process / "cgroup")))))
        state = _read(process / "stat").rpartition(")")[2].split()
        # One that has ended stays listed until this machine's init takes note of it, which is not ours to hasten.
        if groups and len(state) > 19 and state[0] not in "ZX":
            yield f"process {process.name} in {groups}", state[19]
    for interface in Path("/sys/class/net").iterdir():
        yield interface.name, _read(interface / "ifindex")
    for pattern in ("sealer-nspawn-*", "*/sealer-nspawn-*"):
        for group in Path("/sys/fs/cgroup").glob(pattern):
            yield f"control group {group}", str(group.stat().st_ino)


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _read(path: Path) -> str:
    """The text of a file of the kernel's, of something that may be gone by now."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
