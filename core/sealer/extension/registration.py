"""How installed plugins are found and taken in: sorted by name, each in its own try.

pluggy's own loader aborts on one broken plugin with others registered already, and its order is the file system's.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pluggy

from sealer.extension.entry_points import PLUGINS, Installed, installed, left_out, reason
from sealer.extension.schema import did_you_mean
from sealer.settings import Settings

Status = Literal["enabled", "disabled", "broken"]


@dataclass(frozen=True)
class Registered:
    """An installed plugin of the group `sealer.plugins`, and what became of it.

    :param status: `enabled`; `disabled` by the user; `broken`, for `reason`.
    """

    name: str
    distribution: str
    version: str
    target: str
    status: Status
    reason: str = ""


def register_installed(manager: pluggy.PluginManager, settings: Settings) -> Iterator[Registered]:
    """Take in every installed plugin that the settings do not disable, by name, and say what became of each."""
    disabled = left_out(settings)
    owners: dict[str, Installed] = {}
    for point in installed(PLUGINS):
        status: Status = "enabled"
        why = ""
        if disabled(point):
            status = "disabled"
        elif point.name in owners:
            status, why = "broken", f"{owners[point.name]} has a plugin of that name already"
        else:
            owners[point.name] = point
            try:
                register(manager, _instance(point.load()), point.name)
            # A plugin may fail in any way while it is imported, and even ask the interpreter to exit.
            except (Exception, SystemExit) as error:
                status, why = "broken", str(error) if isinstance(error, RegistrationError) else reason(error)
        yield Registered(point.name, point.distribution, point.version, point.target, status, why)


class RegistrationError(ValueError):
    """A plugin that cannot take part; the message is a line for its author."""


def register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Take in one plugin.

    :raises RegistrationError: it has an unknown hook or argument, no hook at all, or options that mean nothing here.
    """
    try:
        hash(plugin)
        manager.register(plugin, name)
    except (pluggy.PluginValidationError, TypeError, ValueError) as error:
        raise RegistrationError(" ".join(str(error).split())) from error
    wrong = _wrong(manager, plugin)
    if wrong:
        manager.unregister(plugin)
        raise RegistrationError(wrong)


def _instance(loaded: object) -> object:
    """An entry point may name a module, an object, or a class that is made without arguments."""
    return loaded() if inspect.isclass(loaded) else loaded


def hook_names(manager: pluggy.PluginManager) -> list[str]:
    """The hooks that sealer calls."""
    return sorted(name for name, caller in vars(manager.hook).items() if not name.startswith("_") and caller.has_spec())


def _wrong(manager: pluggy.PluginManager, plugin: object) -> str:
    known = hook_names(manager)
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            if not caller.has_spec() and not implementation.optionalhook:
                return f"unknown hook '{caller.name}'{did_you_mean(caller.name, known)}"
            if implementation.wrapper or implementation.hookwrapper:
                return f"hook '{caller.name}': every plugin is called on its own, so there is nothing to wrap"
            if implementation.tryfirst or implementation.trylast:
                return f"hook '{caller.name}': plugins run in the order of their names; tryfirst and trylast do nothing"
    if not callers:
        return "it implements no hook; is @hookimpl missing?"
    return ""
