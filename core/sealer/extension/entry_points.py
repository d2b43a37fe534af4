"""What is installed: the entry points of sealer's groups, read afresh every time.

stevedore keeps them in a cache whose key rounds times to about two minutes: a package edited and installed again within
that time is stale. A read costs 4 ms with a hundred of them, so nothing is cached here.
"""

from __future__ import annotations

import importlib.metadata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sealer.settings import PLUGIN_PREFIX, Settings, normalised

PLUGINS = "sealer.plugins"
COMMANDS = "sealer.commands"
DRIVERS = ("sealer.runtimes", "sealer.registries", "sealer.providers", "sealer.transports")
ALL_GROUPS = (PLUGINS, COMMANDS, *DRIVERS)


@dataclass(frozen=True)
class Installed:
    """One entry point.

    :param name: as normalised by :func:`normalised`.
    :param distribution: the package that brings it; empty if that cannot be told.
    """

    name: str
    group: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint

    @property
    def target(self) -> str:
        """What it names: `module` or `module:object`."""
        return self.entry_point.value

    def load(self) -> object:
        """Import it.

        :raises Exception: whatever the import raises.
        """
        loaded: object = self.entry_point.load()
        return loaded

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.target})" if self.distribution else self.target


def installed(group: str) -> list[Installed]:
    """All of a group, sorted by name and then by distribution: the file system's order differs between machines."""
    found = {
        (normalised(point.name), _distribution(point), point.value): point
        for point in importlib.metadata.entry_points(group=group)
    }
    return [
        Installed(name, group, distribution, point.dist.version if point.dist else "", point)
        for (name, distribution, _), point in sorted(found.items(), key=lambda item: item[0])
    ]


def left_out(settings: Settings) -> Callable[[Installed], bool]:
    """What tells of an entry point whether the user disabled it, or the plugin or package it belongs to."""
    plugins: dict[str, set[str]] = defaultdict(set)
    if settings.disabled_plugins:
        for point in installed(PLUGINS):
            plugins[point.distribution or point.target].add(point.name)
    return lambda point: settings.leaves_out(
        point.name, point.distribution, point.target, plugins[point.distribution or point.target]
    )


def names_to_disable() -> frozenset[str]:
    """Every name that `SEALER_DISABLE_PLUGINS` can have, as normalised: entry points, packages and their modules."""
    found: set[str] = set()
    for point in (point for group in ALL_GROUPS for point in installed(group)):
        parts = point.target.partition(":")[0].strip().split(".")
        found |= {normalised(".".join(parts[: number + 1])) for number in range(len(parts))}
        found |= {point.name, point.distribution, point.distribution.removeprefix(PLUGIN_PREFIX)}
    return frozenset(found - {""})


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return normalised(point.dist.name) if point.dist else ""


def reason(error: BaseException) -> str:
    """A foreign error in one line: what it is and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
