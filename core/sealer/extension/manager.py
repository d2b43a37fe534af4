"""All hooks, one typed method each. Nothing else in sealer touches pluggy's hook callers."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar

import pluggy

from sealer.errors import PluginError, SealerError
from sealer.events import Event, EventStream
from sealer.extension import answers, hookspecs
from sealer.extension.entry_points import names_to_disable, reason
from sealer.extension.guarding import GuardedType
from sealer.extension.marker import PROJECT
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.registration import Registered, RegistrationError, register, register_installed
from sealer.extension.schema import did_you_mean
from sealer.extension.steps import Step
from sealer.image.discovery.files import NO_FILES, Files
from sealer.image.discovery.model import Mention
from sealer.phases import Phase
from sealer.redaction import Secret, redactor
from sealer.settings import EVERY_PLUGIN, Settings, normalised

T = TypeVar("T")
Place = Literal["first", "installed", "last"]
_PLACES: tuple[Place, ...] = ("first", "installed", "last")


class PluginManager:
    """Who is installed, and what each answers.

    Every plugin is called on its own and in one order: the kernel's own in the order they were registered, the
    installed ones by name, then those registered as `last`. An error names the plugin and the hook it came from.

    :param events: told of broken plugins; None: nobody is.
    """

    def __init__(self, settings: Settings, events: EventStream | None = None) -> None:
        self._settings = settings
        self._events = events
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._places: dict[str, Place] = {}
        self._callers: dict[str, list[tuple[str, Callable[..., object]]]] = {}
        self._types: dict[str, tuple[str, PluginType[object]]] | None = None
        self._deaf: set[str] = set()
        self._reporting = threading.local()
        self.installed: tuple[Registered, ...] = ()

    @classmethod
    def load(cls, settings: Settings, events: EventStream | None = None) -> PluginManager:
        """A manager with the installed plugins that `settings` does not disable; broken ones are warned of."""
        manager = cls(settings, events)
        manager.load_installed()
        return manager

    def load_installed(self) -> None:
        """Take in the installed plugins. A broken one is disabled, warned of, and listed in :attr:`installed`."""
        self.installed = tuple(register_installed(self._pluggy, self._settings))
        for plugin in self.installed:
            if plugin.status == "enabled":
                self._places[plugin.name] = "installed"
            elif plugin.status == "broken" and self._events:
                self._events.warn(
                    f"plugin '{plugin.name}' of {plugin.distribution or plugin.target} is left out: {plugin.reason}",
                    plugin=plugin.name,
                )
        self._warn_of_typos()
        self._forget_answers()

    def register(self, plugin: object, name: str, *, place: Literal["first", "last"] = "first") -> None:
        """Take in one of the kernel's own.

        :param place: `first`: before the installed plugins; `last`: after them, as Plugin documents are.
        :raises PluginError: its hooks are wrong, or the name is taken.
        """
        try:
            register(self._pluggy, plugin, name)
        except RegistrationError as error:
            raise PluginError(f"plugin '{name}' cannot take part", why=str(error)) from error
        self._places[name] = place
        self._forget_answers()

    @property
    def settings(self) -> Settings:
        """What it was made with."""
        return self._settings

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that take part, in the order they are called."""
        return tuple(
            name
            for place in _PLACES
            for name in (sorted if place == "installed" else list)(n for n, p in self._places.items() if p == place)
        )

    def hooks_of(self, name: str) -> tuple[str, ...]:
        """The hooks that a plugin implements, sorted."""
        callers = self._pluggy.get_hookcallers(self._pluggy.get_plugin(name)) or []
        return tuple(sorted(caller.name for caller in callers))

    def lifecycle(self, phase: Phase, operation: Operation) -> list[tuple[str, Sequence[Step]]]:
        """What every plugin wants done in a phase: its name and its steps; those that want nothing are left out.

        :raises PluginError: a plugin failed, or answered with something else than steps.
        """
        return list(self._steps(phase.hook, operation, answers.check_steps))

    def preflight_checks(self, operation: Operation) -> list[tuple[str, Sequence[Step]]]:
        """What every plugin wants checked before anything is changed: its name and its QUERY steps.

        :raises PluginError: a plugin failed, or answered with something else than QUERY steps.
        """
        return list(self._steps("preflight_checks", operation, answers.check_steps, answers.check_queries))

    def health_checks(self, operation: Operation) -> list[tuple[str, Sequence[Step] | SealerError]]:
        """What every plugin looks at when a cluster is checked: its name, and its QUERY steps or why it has none."""
        found: list[tuple[str, Sequence[Step] | SealerError]] = []
        for name, _ in self._callers_of("health_checks"):
            try:
                checks = (answers.check_steps, answers.check_health)
                found += self._steps("health_checks", operation, *checks, only=name)
            except SealerError as error:  # nobody's failure keeps another from looking
                found.append((name, error))
        return found

    def plugin_types(self) -> dict[str, PluginType[object]]:
        """Every type that Plugin documents can name, by its name; made once a manager.

        Whatever fails in one of them is a PluginError that names the plugin.

        :raises PluginError: a plugin failed, or two offer the same type.
        """
        return {name: instance for name, (_, instance) in self._all_types().items()}

    def type_providers(self) -> dict[str, str]:
        """The plugin that offers each type, by the type's name.

        :raises PluginError: as :meth:`plugin_types`.
        """
        return {name: plugin for name, (plugin, _) in self._all_types().items()}

    def types_of(self, name: str) -> tuple[PluginType[object], ...]:
        """An instance of every type that one plugin offers.

        :raises PluginError: the plugin failed.
        """
        return tuple(
            instance for plugin, answered in self._call("plugin_types", _types, only=name) for instance in answered
        )

    def image_references(self, path: str, content: bytes, files: Files = NO_FILES) -> list[Mention]:
        """The container images that a file of a rootfs mentions, by every plugin's rules.

        :param path: relative to the rootfs.
        :param files: all files of the rootfs.
        :raises PluginError: a plugin failed, or answered with something else.
        """
        found = self._call("image_references", _references, path=path, content=content, files=files)
        return [reference for _, references in found for reference in references]

    def resolve_secret(self, reference: str) -> Secret | None:
        """What the first plugin that knows `reference` says it stands for; None: nobody knows it.

        :raises PluginError: a plugin failed, or answered with something else than a Secret.
        """
        return next((secret for _, secret in self._call("resolve_secret", _secret, reference=reference)), None)

    def event(self, event: Event) -> None:
        """Tell every plugin; one that fails is warned of once and never ends the run."""
        if getattr(self._reporting, "active", False):
            return  # what an observer itself reports is not reported to observers: it would never end
        self._reporting.active = True
        failed: list[tuple[str, BaseException]] = []
        try:
            for name, call in self._callers_of("event"):
                try:
                    self._traced(name, "event", call, event=event)
                except (Exception, SystemExit) as error:
                    failed.append((name, error))
            for name, failure in failed:
                self._warn_once(name, failure)
        finally:
            self._reporting.active = False

    def _warn_of_typos(self) -> None:
        """A name to leave out that nobody has would leave the one that was meant in."""
        disabled = sorted(self._settings.disabled_plugins - {EVERY_PLUGIN})
        names = names_to_disable() if disabled else frozenset()
        for name in disabled:
            if normalised(name) not in names and self._events:
                near = did_you_mean(name, sorted(names))
                hint = near if "did you mean" in near else "; `sealer plugin list` lists them"
                self._events.warn(f"{self._settings.disabled_by}: no installed plugin is called '{name}'{hint}")

    def _warn_once(self, name: str, error: BaseException) -> None:
        if name in self._deaf or not self._events:
            return
        self._deaf.add(name)
        self._events.warn(
            f"plugin '{name}' fails to listen, further failures are not shown: {reason(error)}", plugin=name
        )

    def _steps(
        self, hook: str, operation: Operation, *checks: Callable[[Sequence[Step]], None], only: str = ""
    ) -> Iterator[tuple[str, Sequence[Step]]]:
        def checked(answered: Iterable[object]) -> tuple[Step, ...]:
            steps = tuple(step for answer in answered for step in answers.listed(answer, Step))
            for check in checks:
                check(steps)
            return steps

        return self._call(hook, checked, only=only, operation=operation)

    def _all_types(self) -> dict[str, tuple[str, PluginType[object]]]:
        if self._types is None:
            found: dict[str, tuple[str, PluginType[object]]] = {}
            for plugin, instances in self._call("plugin_types", _types):
                for instance in instances:
                    if instance.type in found:
                        raise answers.type_taken(instance.type, found[instance.type][0], plugin)
                    found[instance.type] = (plugin, GuardedType(instance, plugin))
            self._types = found
        return self._types

    def _call(
        self, hook: str, understand: Callable[[Iterable[object]], T], *, only: str = "", **arguments: object
    ) -> Iterator[tuple[str, T]]:
        """Every plugin's answer, understood; plugins that answer nothing are left out."""
        for name, call in self._callers_of(hook):
            if only and name != only:
                continue
            try:
                answer = understand(self._traced(name, hook, call, **arguments))
            except SealerError as error:
                # What a plugin says to the user on purpose keeps its kind, and gets the plugin's name.
                error.add_note(f"from plugin '{name}', hook {hook}")
                if not error.where and self._places[name] == "installed":
                    error.where = f"plugin '{name}'"
                raise
            except (Exception, SystemExit) as error:  # a plugin's exit must not be sealer's
                raise PluginError(f"plugin '{name}' failed in hook {hook}", why=redactor(reason(error))) from error
            if answer:
                yield name, answer

    def _callers_of(self, hook: str) -> list[tuple[str, Callable[..., object]]]:
        callers = self._callers.get(hook)
        if callers is None:
            plugins = dict(self._pluggy.list_name_plugin())
            implementing = {impl.plugin_name for impl in getattr(self._pluggy.hook, hook).get_hookimpls()}
            callers = [
                (name, self._pluggy.subset_hook_caller(hook, [p for n, p in plugins.items() if n != name]))
                for name in self.names
                if name in implementing
            ]
            self._callers[hook] = callers
        return callers

    def _traced(self, name: str, hook: str, call: Callable[..., object], **arguments: object) -> list[object]:
        started = time.perf_counter()
        ending = "failed"
        try:
            answered = call(**arguments)
            # A hook of which only the first answer counts gives that answer; all others give a list of answers.
            answer = answered if isinstance(answered, list) else [] if answered is None else [answered]
            ending = f"{sum(len(one) if isinstance(one, Sequence) else 1 for one in answer)} given"
            return answer
        finally:
            if self._settings.trace_plugins:
                spent = (time.perf_counter() - started) * 1000
                sys.stderr.write(f"sealer: hook {hook}: plugin {name}: {ending} in {spent:.1f} ms\n")

    def _forget_answers(self) -> None:
        self._callers.clear()
        self._types = None


def _types(answered: Iterable[object]) -> tuple[PluginType[object], ...]:
    return tuple(answers.plugin_type(one) for answer in answered for one in answers.listed(answer, object))


def _references(answered: Iterable[object]) -> tuple[Mention, ...]:
    return tuple(answers.checked_reference(one) for answer in answered for one in answers.listed(answer, object))


def _secret(answered: Iterable[object]) -> Secret | None:
    for answer in answered:
        if not isinstance(answer, Secret):
            raise ValueError(f"a Secret is expected, not {type(answer).__name__}")
        return answer
    return None
