"""A plugin type of a stranger, whose every failure names the plugin it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sealer.clusterfile.model import NOWHERE, PluginDocument
from sealer.errors import PluginError, Position, SealerError
from sealer.extension.answers import check_health, check_steps, listed
from sealer.extension.entry_points import reason
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Step
from sealer.phases import Phase
from sealer.redaction import redactor

T = TypeVar("T")


def steps_of(driver: str, method: str, ask: Callable[[], object], *, health: bool = False) -> tuple[Step, ...]:
    """What a driver wants done, checked as the answers of hooks are.

    :param health: whether the steps are to check a cluster that runs.
    :raises PluginError: it failed, or answered with something else than steps.
    """
    try:
        steps = listed(ask(), Step)
        check_steps(steps)
        if health:
            check_health(steps)
    except SealerError as error:
        error.add_note(f"from driver '{driver}', {method}")
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"driver '{driver}' failed in {method}", why=redactor(reason(error))) from error
    return steps


class GuardedType(PluginType[object]):
    """Asks another type, and turns what is no error for users into one that names the plugin.

    :param inner: the type.
    :param plugin: that offers it.
    """

    def __init__(self, inner: PluginType[object], plugin: str) -> None:
        self.inner = inner
        self.plugin = plugin
        for name in ("type", "default_phases", "phases"):  # of the class, in every other type
            setattr(self, name, getattr(inner, name))

    def parse(self, document: PluginDocument) -> object:
        """What the type makes of the data."""
        return self._guarded("parse", lambda: self.inner.parse(document), document.position)

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: object) -> Sequence[Step]:
        """What the type wants done, checked to be steps."""

        def steps() -> Sequence[Step]:
            answer = listed(self.inner.steps(operation, phase, document, parsed), Step)
            check_steps(answer)
            return answer

        return self._guarded("steps", steps, document.position)

    def addresses(self, parsed: object) -> frozenset[str]:
        """The hosts that the data names."""
        return self._guarded("addresses", lambda: frozenset(self.inner.addresses(parsed)))

    def host_names(self, parsed: object) -> Mapping[str, str]:
        """Names that the data gives to hosts."""
        return self._guarded("host_names", lambda: dict(self.inner.host_names(parsed)))

    def _guarded(self, method: str, ask: Callable[[], T], position: Position = NOWHERE) -> T:
        try:
            return ask()
        except SealerError as error:
            error.add_note(f"from plugin '{self.plugin}', type {self.type}")
            raise
        except (Exception, SystemExit) as error:  # a plugin's exit must not be sealer's
            what = f"plugin '{self.plugin}' failed in {method} of type {self.type}"
            raise PluginError(what, where=str(position), why=redactor(reason(error))) from error
