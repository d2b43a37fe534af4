"""On which hosts a step runs. Resolved when the step starts, not when it is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sealer.phases import Phase


@dataclass(frozen=True)
class Group:
    """Hosts by what the operation does to them: `operator` is this machine, once."""

    name: Literal["operator", "any", "all", "added", "kept", "removed", "first-master"]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Role:
    """Those of `within` that have the role `role`."""

    role: str
    within: Literal["any", "all", "added", "kept", "removed"] = "all"

    def __str__(self) -> str:
        return f"{self.role} hosts" if self.within == "all" else f"{self.within} {self.role} hosts"


@dataclass(frozen=True)
class Addresses:
    """Those of `within` with one of the addresses."""

    addresses: frozenset[str]
    within: Literal["any", "all", "added", "kept", "removed"] = "all"

    def __str__(self) -> str:
        return ", ".join(sorted(self.addresses))


@dataclass(frozen=True)
class Labelled:
    """Those of `within` whose node has the label, by the cluster's own API.

    :param value: None for `key` alone: any value.
    """

    key: str
    value: str | None
    within: Literal["any", "all", "added", "kept", "removed"] = "all"

    def __str__(self) -> str:
        return f"nodes labelled {self.key}" + ("" if self.value is None else f"={self.value}")


Targets = Group | Role | Addresses | Labelled

OPERATOR = Group("operator")
ALL = Group("all")  # the added and the kept
ANY = Group("any")  # the added, the kept and the removed
ADDED = Group("added")
KEPT = Group("kept")
REMOVED = Group("removed")
FIRST_MASTER = Group("first-master")  # the first master that stays in the cluster, of those that answer


Within = Literal["all", "added", "removed"]
_WITHIN: dict[Phase, Within] = {
    Phase.PRE_JOIN: "added",
    Phase.POST_JOIN: "added",
    Phase.PRE_CLEAN: "removed",
    Phase.POST_CLEAN: "removed",
}


def within(phase: Phase) -> Within:
    """The hosts that a phase is about: those that come, those that go, or all where an installation is."""
    return _WITHIN.get(phase, "all")


def everyone(phase: Phase) -> Group:
    """All hosts that a phase is about, as targets of a step."""
    return Group(within(phase))
