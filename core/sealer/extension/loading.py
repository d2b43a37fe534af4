"""Drivers by name. The only module that knows stevedore."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Literal, overload

from sealer.clusterfile.model import NOWHERE
from sealer.errors import InputError, MissingDriverError, PluginError, Position, SealerError, UnknownDriverError
from sealer.events import EventStream, Json
from sealer.extension import schema
from sealer.extension.drivers import RUNTIME_FIELDS, Driver, Provider, Registry, Runtime, Transport
from sealer.extension.entry_points import DRIVERS, Installed, installed, left_out, reason
from sealer.settings import SHIPPED, Settings, normalised, shipped_in

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


def driver_names(kind: Kind, settings: Settings) -> tuple[str, ...]:
    """The drivers installed and not disabled, sorted; nothing is imported."""
    disabled = left_out(settings)
    return tuple(dict.fromkeys(point.name for point in installed(GROUPS[kind]) if not disabled(point)))


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
    driver = driver_class(kind, name, settings, position=position)
    return make_driver(kind, name, driver, settings, events, options, position)


def make_driver(  # noqa: PLR0917  # what a driver is made with
    kind: Kind,
    name: str,
    driver: type[Driver],
    settings: Settings,
    events: EventStream,
    options: Mapping[str, Json] | None = None,
    position: Position = NOWHERE,
) -> Driver:
    """An instance of a class that :func:`check_class` found right, when its options fit.

    :raises InputError: they do not fit the driver's schema.
    :raises PluginError: its constructor fails.
    """
    given = dict(options or {})
    check_options(kind, driver, given, position)
    try:
        return driver(settings, events, given)
    except SealerError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"the {kind} '{name}' cannot be made", why=reason(error)) from error


def driver_class(kind: Kind, name: str, settings: Settings, *, position: Position = NOWHERE) -> type[Driver]:
    """The class of the driver `name`, imported; what is wrong with its schema shows here, whatever options are given.

    :raises MissingDriverError: it is disabled, or sealer's own and not installed.
    :raises UnknownDriverError: nobody knows it.
    :raises PluginError: it cannot be imported, several packages offer it, or it is no such driver.
    """
    from stevedore.driver import DriverManager
    from stevedore.exception import NoMatches

    chosen = _only(kind, name, settings, position)

    class Fresh(DriverManager[Driver]):
        """stevedore's manager over entry points that did not come out of its cache."""

        def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
            return [chosen.entry_point]

    try:
        found: object = Fresh(chosen.group, chosen.entry_point.name).driver
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, NoMatches) and error.__cause__ else error
        raise _broken(f"the {kind} '{chosen.name}'", chosen, reason(cause)) from error
    try:
        return check_class(kind, found)
    except ValueError as error:
        raise _broken(f"the {kind} '{chosen.name}'", chosen, str(error)) from error


def check_class(kind: Kind, found: object) -> type[Driver]:
    """See that a class is a driver of a kind: its interface is implemented, and its schema is one.

    :raises ValueError: it is none; says why, for its author.
    """
    if not (isinstance(found, type) and issubclass(found, INTERFACES[kind])):
        raise ValueError(f"it is no subclass of {INTERFACES[kind].__name__}")
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise ValueError(f"it does not implement {', '.join(missing)}")
    for name in ("makes_hosts", "keeps_nodes", "takes_kubeadm"):
        if not isinstance(getattr(found, name, False), bool):
            raise ValueError(f"{name} is no variable of the class: it is read before there is an instance")
    honours = getattr(found, "honours", None)
    if honours is not None and not (isinstance(honours, frozenset) and honours <= RUNTIME_FIELDS):
        raise ValueError(f"honours is not a frozenset of {', '.join(sorted(RUNTIME_FIELDS))}")
    if wrong := schema.defects(found.schema):
        raise ValueError("; ".join(wrong))
    return found


def check_options(kind: Kind, driver: type[Driver], options: Mapping[str, Json], position: Position) -> None:
    """See that `options` are what the driver's schema allows.

    :raises InputError: with all problems.
    """
    problems = schema.check(dict(options), driver.schema, FIELDS[kind], position)
    if problems:
        raise InputError(f"the fields of the {kind} are not right", problems=problems)


def _only(kind: Kind, name: str, settings: Settings, position: Position) -> Installed:
    disabled = left_out(settings)
    points = installed(GROUPS[kind])
    matching = [point for point in points if point.name == normalised(name)]
    enabled = [point for point in matching if not disabled(point)]
    if matching and not enabled:
        raise MissingDriverError(
            f"{kind} '{name}' is disabled by {settings.disabled_by}", where=str(position), remedy=settings.enable_again
        )
    if not enabled:
        raise _unknown(kind, name, [point.name for point in points if not disabled(point)], position)
    if len(enabled) > 1:
        raise PluginError(
            f"several packages offer the {kind} '{name}'",
            why=", ".join(str(point) for point in enabled),
            remedy="uninstall all but one of them",
        )
    return enabled[0]


def _unknown(kind: Kind, name: str, known: Sequence[str], position: Position) -> UnknownDriverError:
    if package := shipped_in(kind, name):
        return MissingDriverError(
            f"{kind} '{name}' is not installed", package=package, where=str(position), remedy=f"pip install {package}"
        )
    names = list(dict.fromkeys((*known, *SHIPPED[kind])))
    hint = schema.did_you_mean(name, names)
    return UnknownDriverError(
        f"unknown {kind} '{name}'{hint if 'did you mean' in hint else ''}",
        where=str(position),
        why=f"installed are {', '.join(dict.fromkeys(known))}" if known else f"no {kind} is installed",
        remedy=f"check the name, or install the package that offers this {kind}",
    )


def _broken(what: str, point: Installed, why: str) -> PluginError:
    return PluginError(
        f"{what} of {point} cannot be loaded",
        why=why,
        remedy=f"install {point.distribution or 'its package'} again, or a version for this sealer",
    )
