"""Drivers by name. The only module that knows stevedore."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Literal, overload

from sealer.clusterfile.model import NOWHERE
from sealer.errors import InputError, PluginError, Position, SealerError, UnknownDriverError
from sealer.events import EventStream, Json
from sealer.extension import schema
from sealer.extension.drivers import Driver, Provider, Registry, Runtime, Transport
from sealer.extension.entry_points import DRIVERS, Installed, installed, normalised, reason
from sealer.settings import Settings

Kind = Literal["runtime", "registry", "provider", "transport"]
KINDS: tuple[Kind, ...] = ("runtime", "registry", "provider", "transport")
GROUPS: Mapping[Kind, str] = dict(zip(KINDS, DRIVERS, strict=True))
INTERFACES: Mapping[Kind, type[Driver]] = {
    "runtime": Runtime,
    "registry": Registry,
    "provider": Provider,
    "transport": Transport,
}
FIELDS: Mapping[Kind, str] = {kind: f"spec.{kind}" for kind in GROUPS}


def driver_names(kind: Kind) -> tuple[str, ...]:
    """The drivers installed, sorted; nothing is imported."""
    return tuple(dict.fromkeys(point.name for point in installed(GROUPS[kind])))


@overload
def load_driver(
    kind: Literal["runtime"],
    name: str,
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] = ...,
    *,
    position: Position = ...,
) -> Runtime: ...
@overload
def load_driver(
    kind: Literal["registry"],
    name: str,
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] = ...,
    *,
    position: Position = ...,
) -> Registry: ...
@overload
def load_driver(
    kind: Literal["provider"],
    name: str,
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] = ...,
    *,
    position: Position = ...,
) -> Provider: ...
@overload
def load_driver(
    kind: Literal["transport"],
    name: str,
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] = ...,
    *,
    position: Position = ...,
) -> Transport: ...
def load_driver(
    kind: Kind,
    name: str,
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] | None = None,
    *,
    position: Position = NOWHERE,
) -> Driver:
    """The driver `name`, made with its options.

    :param name: in any case, as the user wrote it.
    :param options: the driver's own fields, checked against its schema.
    :param position: where the user chose it, for messages.
    :raises UnknownDriverError: no installed package has it; says which there are and what to install.
    :raises InputError: the options do not fit the driver's schema; `problems` has all of it.
    :raises PluginError: the driver is installed and cannot be loaded.
    """
    given = dict(options or {})
    driver = driver_class(kind, name, position=position)
    check_options(kind, driver, given, position)
    try:
        return driver(settings, events, given)
    except SealerError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"the {kind} '{name}' cannot be made", why=reason(error)) from error


def driver_class(kind: Kind, name: str, *, position: Position = NOWHERE) -> type[Driver]:
    """The class of the driver `name`, imported.

    :raises UnknownDriverError: no installed package has it.
    :raises PluginError: it cannot be imported, several packages offer it, or it is no such driver.
    """
    from stevedore.driver import DriverManager
    from stevedore.exception import NoMatches

    chosen = _only(kind, name, position)

    class Fresh(DriverManager[Driver]):
        """stevedore's manager over entry points that did not come out of its cache."""

        def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
            return [chosen.entry_point]

    try:
        found: object = Fresh(chosen.group, chosen.entry_point.name).driver
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, NoMatches) and error.__cause__ else error
        raise _broken(f"the {kind} '{chosen.name}'", chosen, reason(cause)) from error
    if not (isinstance(found, type) and issubclass(found, INTERFACES[kind])):
        raise _broken(f"the {kind} '{chosen.name}'", chosen, f"it is no subclass of {INTERFACES[kind].__name__}")
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise _broken(f"the {kind} '{chosen.name}'", chosen, f"it does not implement {', '.join(missing)}")
    return found


def check_options(kind: Kind, driver: type[Driver], options: Mapping[str, Json], position: Position) -> None:
    """See that `options` are what the driver's schema allows.

    :raises InputError: with all problems.
    :raises PluginError: the schema itself is wrong.
    """
    try:
        problems = schema.check(dict(options), driver.schema, FIELDS[kind], position)
    except (ValueError, KeyError) as error:
        raise PluginError(f"the schema of {driver.__module__}.{driver.__qualname__}", why=reason(error)) from error
    if problems:
        raise InputError(f"the fields of the {kind} are not right", problems=problems)


def _only(kind: Kind, name: str, position: Position) -> Installed:
    points = installed(GROUPS[kind])
    matching = [point for point in points if point.name == normalised(name)]
    if not matching:
        raise _unknown(kind, name, [point.name for point in points], position)
    if len(matching) > 1:
        raise PluginError(
            f"several packages offer the {kind} '{name}'",
            why=", ".join(str(point) for point in matching),
            remedy="uninstall all but one of them",
        )
    return matching[0]


def _unknown(kind: Kind, name: str, known: Sequence[str], position: Position) -> UnknownDriverError:
    names = list(dict.fromkeys(known))
    hint = schema.did_you_mean(name, names) if names else ""
    likely = f"pip install sealer-plugin-{normalised(name)}" if normalised(name) else "pip install sealer[all]"
    return UnknownDriverError(
        f"unknown {kind} '{name}'{hint if 'did you mean' in hint else ''}",
        where=str(position),
        why=f"installed are {', '.join(names)}" if names else f"no {kind} is installed",
        remedy=f"if a package brings it: {likely}",
    )


def _broken(what: str, point: Installed, why: str) -> PluginError:
    return PluginError(
        f"{what} of {point} cannot be loaded",
        why=why,
        remedy=f"install {point.distribution or 'its package'} again, or a version for this sealer",
    )
