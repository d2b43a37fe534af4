"""A context for steps on the operator that really runs them: for drivers whose work is done on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from sealer.errors import PluginError
from sealer.extension.context import Result
from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Fact, Step
from sealer.extension.targets import OPERATOR
from sealer.hosts import Host
from sealer.image.model import Layer

T = TypeVar("T")


class OperatorContext:
    """What a step on the operator is given, without a plan, a journal or a screen.

    :param step: the step that runs: only what it declares may be read and given.
    :param facts: by name; several steps share it.
    :param say: told what the step logs and warns of.
    """

    def __init__(
        self,
        operation: Operation,
        step: Step,
        facts: dict[str, Any],
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._operation = operation
        self._step = step
        self._facts = facts
        self._say = say

    @property
    def operation(self) -> Operation:
        """What is being done to which cluster."""
        return self._operation

    @property
    def host(self) -> Host:
        """This machine: a host without an address."""
        return Host("", placeholder="operator")

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing is exported on the operator."""
        return {}

    def get(self, fact: Fact[T], host: Host | None = None) -> T:
        """A fact that an earlier step gave."""
        if fact not in self._step.needs:
            raise PluginError(f"step '{self._step.id}' reads the fact '{fact.name}', which its needs do not have")
        if fact.name not in self._facts:
            raise PluginError(f"nobody gave the fact '{fact.name}'")
        value: T = self._facts[fact.name]
        return value

    def give(self, fact: Fact[T], value: T) -> None:
        """Keep a fact for the steps that follow."""
        if fact not in self._step.gives:
            raise PluginError(f"step '{self._step.id}' gives the fact '{fact.name}', which its gives do not have")
        if not isinstance(value, fact.type):
            raise PluginError(f"the fact '{fact.name}' is a {fact.type.__name__}, not a {type(value).__name__}")
        self._facts[fact.name] = value

    def progress(self, done: int, total: int | None = None) -> None:
        """Nobody watches."""

    def log(self, message: str) -> None:
        """Say it."""
        self._say(message)

    def warn(self, message: str) -> None:
        """Say it."""
        self._say(message)

    def sh(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Refused: there is no host."""
        self._no_host("sh")

    def query(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Refused: there is no host."""
        self._no_host("query")

    def send(self, blob: Layer, to: str) -> None:
        """Refused: there is no host."""
        self._no_host("send")

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Refused: there is no host."""
        self._no_host("write")

    def forward(self, port: int) -> tuple[str, int]:
        """Refused: there is no host."""
        self._no_host("forward")

    def nodes(self) -> Sequence[Node]:
        """Refused: there is no host."""
        self._no_host("nodes")

    def kubectl(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Refused: there is no host."""
        self._no_host("kubectl")

    def _no_host(self, what: str) -> NoReturn:
        raise PluginError(f"step '{self._step.id}' is on the operator, it has no host: it cannot {what}")


def run_on_operator(
    steps: Sequence[Step], operation: Operation, say: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """Run steps for real, in the order of the list; all of them must be on the operator.

    :returns: the facts they gave, by name.
    :raises SealerError: what a step raised.
    """
    facts: dict[str, Any] = {}
    for step in steps:
        if step.on != OPERATOR:
            raise PluginError(f"step '{step.id}' is on {step.on}, not on the operator")
        step.run(OperatorContext(operation, step, facts, say))
        absent = sorted(fact.name for fact in step.gives if fact.name not in facts)
        if absent:
            raise PluginError(f"step '{step.id}' promised {', '.join(absent)} and did not give it")
    return facts
