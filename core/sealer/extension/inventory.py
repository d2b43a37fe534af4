"""What is installed and what it provides; everything is imported to find out whether it can be."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sealer.errors import SealerError
from sealer.events import Json
from sealer.extension.entry_points import ALL_GROUPS, COMMANDS, Installed, installed, left_out, reason
from sealer.extension.loading import GROUPS, Kind, driver_class
from sealer.extension.manager import PluginManager
from sealer.extension.plugin_types import PluginType
from sealer.extension.registration import Registered, Status
from sealer.phases import Phase
from sealer.settings import PLUGIN_PREFIX, Settings, normalised

_TYPES_HOOK = "plugin_types"  # shown as the types it gives


@dataclass(frozen=True)
class DriverOffer:
    """A driver that a package brings.

    :param schema: of its own fields; empty for a broken or disabled one.
    """

    kind: Kind
    name: str
    schema: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class TypeOffer:
    """A type of Plugin documents that a package brings."""

    name: str
    default_phases: tuple[str, ...]
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """An installed package that extends sealer.

    :param name: the package's, without `sealer-plugin-`.
    :param status: `broken` when anything of it is; `problems` says what.
    """

    name: str
    distribution: str
    version: str
    summary: str
    status: Status
    drivers: tuple[DriverOffer, ...] = ()
    types: tuple[TypeOffer, ...] = ()
    hooks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def provides(self) -> tuple[str, ...]:
        """In words: `transport ssh`, `type SHELL`, `hook post_install`, `command backup`."""
        return (
            *(f"{driver.kind} {driver.name}" for driver in self.drivers),
            *(f"type {offer.name}" for offer in self.types),
            *(f"hook {hook}" for hook in self.hooks),
            *(f"command {command}" for command in self.commands),
        )

    def as_json(self) -> dict[str, Json]:
        """The documented JSON form."""
        return {
            "name": self.name,
            "version": self.version,
            "distribution": self.distribution,
            "summary": self.summary,
            "status": self.status,
            "drivers": [{"kind": one.kind, "name": one.name, "schema": dict(one.schema)} for one in self.drivers],
            "types": [
                {"name": one.name, "defaultPhases": list(one.default_phases), "phases": list(one.phases)}
                for one in self.types
            ],
            "hooks": list(self.hooks),
            "commands": list(self.commands),
            "problems": list(self.problems),
        }


def packages(manager: PluginManager) -> list[Package]:
    """Every installed package that extends sealer, sorted by name.

    :param manager: with the installed plugins loaded.
    """
    collected: dict[str, _Collected] = {}
    disabled = left_out(manager.settings)
    for point in _points():
        collected.setdefault(point.distribution or point.target, _Collected(point, disabled)).add(point)
    for registered in manager.installed:
        key = registered.distribution or registered.target
        if key in collected:
            collected[key].registered.append(registered)
    providers: dict[str, str] = {}
    return sorted((one.package(manager, providers) for one in collected.values()), key=lambda package: package.name)


def _points() -> Iterator[Installed]:
    for group in ALL_GROUPS:
        yield from installed(group)


class _Collected:
    """The entry points of one package."""

    def __init__(self, first: Installed, disabled: Callable[[Installed], bool]) -> None:
        self.first = first
        self._disabled = disabled
        self.points: list[Installed] = []
        self.registered: list[Registered] = []
        self.problems: list[str] = []

    def add(self, point: Installed) -> None:
        """One more."""
        self.points.append(point)

    def package(self, manager: PluginManager, providers: dict[str, str]) -> Package:
        """What it provides.

        :param providers: the package that offers each type, for all packages looked at so far.
        """
        drivers = tuple(self._drivers(manager.settings))
        types = tuple(self._types(manager, providers))
        hooks = [hook for one in self._taking_part() for hook in manager.hooks_of(one.name) if hook != _TYPES_HOOK]
        commands = tuple(self._commands())
        self.problems += [f"plugin {one.name}: {one.reason}" for one in self.registered if one.status == "broken"]
        disabled = any(self._disabled(point) for point in self.points)
        distribution = self.first.distribution
        return Package(
            name=distribution.removeprefix(PLUGIN_PREFIX) or self.first.name,
            distribution=distribution,
            version=self.first.version,
            summary=_summary(self.first),
            status="broken" if self.problems else "disabled" if disabled else "enabled",
            drivers=drivers,
            types=types,
            hooks=tuple(dict.fromkeys(hooks)),
            commands=commands,
            problems=tuple(self.problems),
        )

    def _taking_part(self) -> list[Registered]:
        return [one for one in self.registered if one.status == "enabled"]

    def _drivers(self, settings: Settings) -> Iterator[DriverOffer]:
        kinds = {group: kind for kind, group in GROUPS.items()}
        for point in self.points:
            kind = kinds.get(point.group)
            if kind is None:
                continue
            if self._disabled(point):
                yield DriverOffer(kind, point.name)
                continue
            try:
                yield DriverOffer(kind, point.name, driver_class(kind, point.name, settings).schema)
            except SealerError as error:
                self.problems.append(str(error))
                yield DriverOffer(kind, point.name)

    def _types(self, manager: PluginManager, providers: dict[str, str]) -> Iterator[TypeOffer]:
        for registered in self._taking_part():
            for offered in self._types_of(manager, registered.name):
                first = providers.setdefault(offered.type, registered.name)
                if first != registered.name:
                    self.problems.append(f"plugin {registered.name}: '{first}' offers the type {offered.type} already")
                phases = tuple(phase for phase in Phase if phase in offered.phases)
                yield TypeOffer(offered.type, tuple(offered.default_phases), phases)

    def _types_of(self, manager: PluginManager, name: str) -> Sequence[PluginType[object]]:
        try:
            return manager.types_of(name)
        except SealerError as error:
            self.problems.append(str(error))
            return ()

    def _commands(self) -> Iterator[str]:
        import click  # noqa: PLC0415  # only a package with commands is asked what they are

        for point in self.points:
            if point.group != COMMANDS:
                continue
            if self._disabled(point):
                yield point.name
                continue
            try:
                loaded = point.load()
                if not isinstance(loaded, click.Command):
                    raise TypeError("it is no click command")
            except (Exception, SystemExit) as error:
                self.problems.append(f"command {point.name}: {reason(error)}")
            yield point.name


def _summary(point: Installed) -> str:
    if not point.distribution:
        return ""
    try:
        return str(importlib.metadata.metadata(point.distribution).json.get("summary", ""))
    except importlib.metadata.PackageNotFoundError:
        return ""


def find(found: Sequence[Package], name: str) -> Package | None:
    """The package that a user means by its name, its distribution's, or that of one thing it provides."""
    wanted = normalised(name)
    for package in found:
        if wanted in (package.name, package.distribution):
            return package
    for package in found:
        if wanted in {normalised(words.split(" ", 1)[1]) for words in package.provides}:
            return package
    return None
