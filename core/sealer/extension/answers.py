"""What hooks must answer: a plugin that breaks the promise is told which plugin, which hook, and what came instead."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import TypeVar

from sealer.errors import PluginError
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import Targets
from sealer.image.discovery.model import ImageReference, Mention, UnresolvedReference

T = TypeVar("T")


def listed(answer: object, kind: type[T]) -> tuple[T, ...]:
    """`answer` as a tuple of `kind`.

    :raises ValueError: it is no sequence of that.
    """
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise ValueError(f"a sequence of {kind.__name__} is expected, not {type(answer).__name__}")
    for item in answer:
        if not isinstance(item, kind):
            raise ValueError(f"a sequence of {kind.__name__} is expected; it has {item!r}")
    return tuple(answer)


def check_steps(steps: Sequence[Step]) -> None:
    """See that each step can be run, that ids are unique, and that `after` names steps of the same list.

    :raises ValueError: which step is wrong.
    """
    ids = [step.id for step in steps]
    for step in steps:
        if wrong := _wrong(step):
            raise ValueError(f"step {step.id!r}: {wrong}")
        if ids.count(step.id) > 1:
            raise ValueError(f"two steps have the id '{step.id}'")
        for earlier in sorted(step.after or ()):
            if earlier not in ids:
                raise ValueError(f"step '{step.id}' comes after '{earlier}', which is not in the same list")


def _wrong(step: Step) -> str:
    """What type checkers would have told the step's author, and would else be told in the middle of a run."""
    waited = inspect.iscoroutinefunction(step.run) or inspect.isgeneratorfunction(step.run)
    seconds = isinstance(step.timeout, int | float) and step.timeout > 0
    checks = (
        (isinstance(step.id, str) and step.id, "its id must be a text"),
        (isinstance(step.on, Targets), f"`on` must be targets such as ALL, not {step.on!r}"),
        (callable(step.run), f"`run` must be a function, not {step.run!r}"),
        (not waited, "`run` must be a plain function: nobody would wait for this one"),
        (seconds, f"`timeout` must be a number of seconds, not {step.timeout!r}"),
        (not (wrong := _unwritable(step.inputs)), f"`inputs` must be JSON: {wrong}"),
    )
    return next((message for right, message in checks if not right), "")


def _unwritable(value: object) -> str:
    """Why a value cannot be written as JSON; empty: it can."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return ""


def check_queries(steps: Sequence[Step]) -> None:
    """See that all of `steps` only read.

    :raises ValueError: which one does not.
    """
    for step in steps:
        if step.effect is not Effect.QUERY:
            raise ValueError(f"step '{step.id}' is no QUERY: nothing may be changed before all checks passed")


def check_health(steps: Sequence[Step]) -> None:
    """See that `steps` only read, and that each can be run whatever becomes of the others.

    :raises ValueError: which one does not.
    """
    for step in steps:
        if step.effect is not Effect.QUERY:
            raise ValueError(f"step '{step.id}' is no QUERY: a check of a cluster changes nothing")
        if step.gives or step.needs:
            raise ValueError(f"step '{step.id}' gives or needs a fact: checks run beside one another")


def checked_reference(answer: object) -> Mention:
    """`answer` as a reference that names an image, or says why it does not.

    :raises ValueError: it is something else.
    """
    if isinstance(answer, UnresolvedReference) and answer.why.strip():
        return answer
    if not isinstance(answer, ImageReference) or not answer.image.strip():
        raise ValueError(f"an ImageReference that names an image is expected, not {answer!r}")
    return answer


def plugin_type(answer: object) -> PluginType[object]:
    """An instance of the class `answer`.

    :raises ValueError: it is no subclass of PluginType, lacks a method, or has no upper-case name.
    """
    if not isinstance(answer, type) or not issubclass(answer, PluginType):
        raise ValueError(f"classes derived from PluginType are expected, not {answer!r}")
    if missing := sorted(getattr(answer, "__abstractmethods__", ())):
        raise ValueError(f"{answer.__name__} does not implement {', '.join(missing)}")
    name = getattr(answer, "type", "")
    if not isinstance(name, str) or not name or name != name.upper():
        raise ValueError(f"{answer.__name__}.type must be an upper-case name, not {name!r}")
    made: PluginType[object] = answer()
    return made


def type_taken(name: str, first: str, second: str) -> PluginError:
    """Two plugins offer the same type."""
    return PluginError(
        f"two plugins offer the type {name}",
        why=f"'{first}' and '{second}'",
        remedy=f"uninstall one of them, or set SEALER_DISABLE_PLUGINS={second}",
    )
