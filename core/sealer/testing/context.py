"""A step's context without a host: it records what the step does, and answers as it was told."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sealer.errors import CommandError, PluginError
from sealer.extension.context import Result
from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Effect, Fact, Step
from sealer.hosts import Host
from sealer.image.model import Layer
from sealer.testing.answers import Answers

T = TypeVar("T")
FactValues = dict[tuple[str, str], Any]  # by name, and by host where a fact is per host


@dataclass(frozen=True)
class Call:
    """One thing a step did.

    :param what: the method's name.
    :param host: the host's id.
    :param text: the script, the path, the message, or the name of the fact.
    :param content: what was written, or sent to the script's stdin.
    :param mode: of a file that was written.
    """

    what: Literal["sh", "query", "send", "write", "forward", "kubectl", "get", "give", "progress", "log", "warn"]
    host: str
    text: str = ""
    content: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    mode: int = 0


class RecordedContext:
    """Doubles the context that the executor makes for a step on a host.

    Why a double: what a plugin asks of a host is the plugin's to test and needs no host; whether the host then does it
    is for a test with a real one. What it cannot show: quoting that a real shell stumbles over, deadlines, receipts.
    What the real one refuses, this refuses too: hosts on an operator's step, facts that are not declared.

    :param step: the step that runs; None: nothing about it is checked.
    :param calls: where calls are added; several contexts may share a list, and so may `facts`.
    """

    def __init__(
        self,
        operation: Operation,
        host: Host | None = None,
        *,
        answers: Answers | None = None,
        environment: Mapping[str, str] | None = None,
        step: Step | None = None,
        calls: list[Call] | None = None,
        facts: FactValues | None = None,
    ) -> None:
        self._operation = operation
        self._host = host or Host("", placeholder="operator")
        self._answers = answers or Answers()
        self._environment = dict(environment or {})
        self._step = step
        self.calls: list[Call] = [] if calls is None else calls
        self.facts: FactValues = {} if facts is None else facts

    @property
    def operation(self) -> Operation:
        """What is being done to which cluster."""
        return self._operation

    @property
    def host(self) -> Host:
        """The host this call is about; without an address on the operator."""
        return self._host

    @property
    def environment(self) -> Mapping[str, str]:
        """What is exported to scripts."""
        return self._environment

    @property
    def scripts(self) -> list[str]:
        """The scripts that ran, in order."""
        return [call.text for call in self.calls if call.what in ("sh", "query")]

    def sh(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Record a script, and answer it."""
        self._on_host("sh")
        self.calls.append(Call("sh", self._host.id, script, stdin or b"", dict(env or {}), cwd))
        reply = self._reply(script)
        return self._checked(Result(reply.status, reply.stdout + reply.stderr), script, check)

    def query(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Record a script that reads, and answer it."""
        self._on_host("query")
        self.calls.append(Call("query", self._host.id, script, stdin or b"", dict(env or {}), cwd))
        reply = self._reply(script)
        return self._checked(Result(reply.status, reply.stdout, reply.stderr), script, check)

    def send(self, blob: Layer, to: str) -> None:
        """Record that a blob was sent; its digest is the call's content."""
        self._changes("send")
        self.calls.append(Call("send", self._host.id, to, blob.digest.encode()))

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Record a file."""
        self._changes("write")
        self.calls.append(Call("write", self._host.id, path, content, mode=mode))

    def forward(self, port: int) -> tuple[str, int]:
        """Record a forwarded port; nothing listens there."""
        self._on_host("forward")
        self.calls.append(Call("forward", self._host.id, str(port)))
        return "127.0.0.1", port

    def nodes(self) -> Sequence[Node]:
        """The hosts that stay and those that leave, each a node that is ready, with its roles for labels."""
        self._on_host("ask for nodes")
        operation = self._operation
        return [
            Node(
                operation.names.get(host.address, host.address),
                host.address,
                True,
                {**{f"node-role.kubernetes.io/{role}": "" for role in host.roles}, **host.labels},
            )
            for host in (*operation.hosts, *operation.removed)
        ]

    def kubectl(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Record a call of kubectl, as text that a shell would take, and answer it."""
        self._on_host("run kubectl")
        text = shlex.join(("kubectl", *arguments))
        self.calls.append(Call("kubectl", self._host.id, text, stdin or b""))
        reply = self._reply(text)
        return self._checked(Result(reply.status, reply.stdout, reply.stderr), text, check)

    def get(self, fact: Fact[T], host: Host | None = None) -> T:
        """A fact that a step gave, or that was put into :attr:`facts`."""
        if self._step is not None and fact not in self._step.needs:
            raise PluginError(f"step '{self._step.id}' reads the fact '{fact.name}', which its needs do not have")
        key = (fact.name, (host or self._host).id if fact.per_host else "")
        if key not in self.facts:
            raise PluginError(f"nobody gave the fact '{fact.name}'" + (f" of {key[1]}" if key[1] else ""))
        value: T = self.facts[key]
        return value

    def give(self, fact: Fact[T], value: T) -> None:
        """Keep a fact for the steps that follow."""
        if self._step is not None and fact not in self._step.gives:
            raise PluginError(f"step '{self._step.id}' gives the fact '{fact.name}', which its gives do not have")
        if not isinstance(value, fact.type):
            raise PluginError(f"the fact '{fact.name}' is a {fact.type.__name__}, not a {type(value).__name__}")
        self.calls.append(Call("give", self._host.id, fact.name))
        self.facts[fact.name, self._host.id if fact.per_host else ""] = value

    def progress(self, done: int, total: int | None = None) -> None:
        """Record progress."""
        self.calls.append(Call("progress", self._host.id, f"{done}" if total is None else f"{done}/{total}"))

    def log(self, message: str) -> None:
        """Record a line."""
        self.calls.append(Call("log", self._host.id, message))

    def warn(self, message: str) -> None:
        """Record a warning."""
        self.calls.append(Call("warn", self._host.id, message))

    def _reply(self, script: str) -> Result:
        reply = self._answers.reply(self._host.id, script)
        if reply.error is not None:
            raise reply.error
        return Result(reply.status, reply.stdout, reply.stderr)

    def _checked(self, result: Result, script: str, check: bool) -> Result:
        if check and not result.ok:
            raise CommandError(
                "the script failed",
                status=result.status,
                where=self._host.id,
                output=(result.stdout + result.stderr).splitlines()[-20:] or script.splitlines()[-1:],
            )
        return result

    def _on_host(self, what: str) -> None:
        if not self._host.address:
            raise PluginError(f"a step on the operator has no host: it cannot {what}")

    def _changes(self, what: str) -> None:
        self._on_host(what)
        if self._step is not None and self._step.effect is Effect.QUERY:
            raise PluginError(f"step '{self._step.id}' only reads: it must not {what}")
