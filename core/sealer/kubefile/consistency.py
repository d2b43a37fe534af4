"""What the instructions of a Kubefile say of one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sealer.errors import Problem
from sealer.kubefile.model import App, AppCmds, AppEnv, Cmd, Cmds, Instruction, KubeVersion, Launch, Word
from sealer.suggestions import close_matches

T = TypeVar("T", bound=Instruction)


def contradictions(body: Sequence[Instruction]) -> Iterator[Problem]:
    """Instructions that cannot stand together, or not where they stand."""
    yield from _twice("the application '{0}' is there already", ((it.name.text, it) for it in _of(App, body)))
    yield from _twice(
        "the commands of the application '{0}' are given already", ((it.name.text, it) for it in _of(AppCmds, body))
    )
    for kind, name in ((Launch, "LAUNCH"), (Cmds, "CMDS"), (KubeVersion, "KUBEVERSION")):
        yield from _twice(f"a second {name}", (("", it) for it in _of(kind, body)))
    launches = list(_of(Launch, body))
    for command in body if launches else ():
        if isinstance(command, Cmd | Cmds):
            name = "CMDS" if isinstance(command, Cmds) else "CMD"
            message = f"{name} and LAUNCH exclude each other: give an application its commands with APPCMDS"
            yield Problem(command.position, "", message)
    for last in body[:-1]:
        if isinstance(last, Launch | Cmds) and not isinstance(body[-1], Launch | Cmds):
            name = "LAUNCH" if isinstance(last, Launch) else "CMDS"
            yield Problem(last.position, "", f"{name} is the last instruction: nothing comes after it")


def unknown_names(body: Sequence[Instruction], inherited: Iterable[str]) -> Iterator[Problem]:
    """Applications that are named and are neither in the Kubefile nor in the base.

    :param inherited: names of the base's applications.
    """
    known = {app.name.text for app in _of(App, body)} | set(inherited)
    for name in _named(body):
        if name.text not in known:
            near = close_matches(name.text, sorted(known), n=1)
            more = f"; did you mean '{near[0]}'?" if near else ""
            message = f"there is no application '{name.text}', neither in this Kubefile nor in the base{more}"
            yield Problem(name.position, "", message)


def _named(body: Sequence[Instruction]) -> Iterator[Word]:
    for instruction in body:
        if isinstance(instruction, AppCmds | AppEnv):
            yield instruction.name
        elif isinstance(instruction, Launch):
            yield from instruction.names


def _of(kind: type[T], body: Sequence[Instruction]) -> Iterator[T]:
    return (it for it in body if isinstance(it, kind))


def _twice(message: str, items: Iterable[tuple[str, Instruction]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, instruction in items:
        if name in seen:
            yield Problem(instruction.position, "", message.format(name))
        seen.add(name)
