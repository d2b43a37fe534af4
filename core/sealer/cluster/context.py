"""A step's way to its host: the implementation of :class:`~sealer.extension.context.StepContext`."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.connections import Connections
from sealer.cluster.facts import Facts
from sealer.cluster.output import Lines, last_lines
from sealer.cluster.plan import PlannedStep
from sealer.cluster.receipts import NOT_BEGUN, Receipt, Script, end_command, launch_command, spare
from sealer.errors import (
    CommandError,
    HostError,
    InterruptedRunError,
    OutcomeUnknownError,
    PluginError,
    SealerError,
    StepTimeoutError,
)
from sealer.events import EventStream, State
from sealer.extension.context import Result
from sealer.extension.drivers import Runtime
from sealer.extension.operation import Node, Operation
from sealer.extension.steps import Effect, Fact
from sealer.extension.tail import Tail, whole_number
from sealer.extension.transport import Exit
from sealer.hosts import Host
from sealer.image.model import Layer
from sealer.redaction import redactor

T = TypeVar("T")
BLOCK = 1 << 20
END_TIMEOUT = 15.0  # seconds that ending a script on a host may take
QUERY_LIMIT = 64 << 20  # bytes that a query may print: they are kept in memory
ERRORS_LIMIT = 256 << 10  # bytes of its stderr that are kept, the last ones
RECEIPT_LIMIT = 128 << 10  # bytes of what is said of a script that ended: a line, and 64 KiB of its output


class ReceiptDiffersError(HostError):
    """The receipt is of another script: what was planned changed in between. The executor starts a new attempt."""


class PassedOverError(HostError):
    """The operation goes on without this host; what others need to know of that was given as facts."""


@dataclass
class RunningStep:
    """What all hosts of a running step share."""

    planned: PlannedStep
    operation: Operation
    facts: Facts
    connections: Connections
    events: EventStream
    cancellation: Cancellation
    environment_of: Callable[[Host], Mapping[str, str]]
    runtime: Runtime | None = None


@dataclass
class HostContext:
    """One attempt of a step on one host.

    :param attempt: names the receipts on the host; the same when an earlier run's attempt is settled.
    :param ask_lost: called when a script that must not run twice began and nobody knows how it ended; True: run it
        again, False: take it as done, None: nobody can say.
    """

    step: RunningStep
    host: Host
    attempt: str
    ask_lost: Callable[[], bool | None] = lambda: None
    given: dict[str, Any] = field(default_factory=dict)
    replayed: bool = False  # the last script's outcome is one that an earlier run left behind
    ended_script: bool = False  # a script was ended from here, at a time-out or an interrupt
    _calls: int = 0
    _started_over: bool = False
    _deadline: float = 0.0

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.step.planned.step.timeout

    def start_over(self) -> None:
        """Before the step runs again under the same attempt: its scripts find their receipts in the same order."""
        self._calls = 0
        self._started_over = True  # what a receipt says from now on may be of this run
        self.__post_init__()

    @property
    def operation(self) -> Operation:
        """What is being done to which cluster."""
        return self.step.operation

    @property
    def environment(self) -> Mapping[str, str]:
        """What is exported to scripts on this host."""
        return self.step.environment_of(self.host)

    # -- scripts -------------------------------------------------------------------------------------------------

    def sh(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Do something on the host, with a receipt."""
        if self.step.planned.step.effect is Effect.QUERY:
            return self.query(script, env=env, stdin=stdin, cwd=cwd, check=check)
        self._calls += 1
        sent = Script(script, {**self.environment, **(env or {})}, cwd, stdin)
        receipt = self._launch(sent, f"{self.operation.paths.receipts}/{self.attempt}/{self._calls}")
        text = redactor(receipt.text)
        if check and receipt.status:
            raise CommandError(
                f"The script ended with status {receipt.status}",
                status=receipt.status,
                where=self.host.id,
                output=last_lines(text),
            )
        return Result(receipt.status, text)

    def _launch(self, script: Script, path: str, *, again: bool = False) -> Receipt:
        once = self.step.planned.step.effect is Effect.ONCE
        lines = Lines(self._tell)
        answer = bytearray()
        try:
            exit_ = self._execute(
                launch_command(path, once=once, spared=self.host in self.operation.removed),
                script.archive(),
                _at_most(RECEIPT_LIMIT, answer),
                lines.feed,
                gently=once,
            )
        except (StepTimeoutError, InterruptedRunError):
            self._end_script(path)
            raise
        receipt = Receipt.parse(bytes(answer))
        if receipt is None:
            lines.end()
            raise self._no_receipt(exit_.status, tuple(lines.last))
        if receipt.state == "differs":
            raise ReceiptDiffersError("The step is not what an earlier run began", where=self.host.id)
        if receipt.state == "lost" and again and not once:
            raise CommandError("The script and its supervisor were killed twice", status=137, where=self.host.id)
        if receipt.state == "lost":
            return self._settle(script, path, once)
        lines.feed(receipt.untold)
        lines.end()
        self.replayed = receipt.state == "kept" and not self._started_over
        return receipt

    def _no_receipt(self, status: int, output: tuple[str, ...]) -> SealerError:
        """What watches the script on the host ended without a word on it."""
        if status == NOT_BEGUN:
            return CommandError("The script could not be started", status=status, where=self.host.id, output=output)
        return OutcomeUnknownError(
            f"The script's supervisor on the host ended early, with status {status}",
            where=self.host.id,
            remedy="Run the same command again: a script that still runs is waited for, one that ended is not run "
            "again.",
            output=output,
        )

    def _settle(self, script: Script, path: str, once: bool) -> Receipt:
        """A script began and neither runs nor ended: the host lost power, or somebody killed its supervisor."""
        asked = time.monotonic()
        again = self.ask_lost() if once else True
        self._deadline += time.monotonic() - asked  # a person may think as long as they like
        if again is None:
            title = self.step.planned.step.title
            raise OutcomeUnknownError(
                f"'{title}' must not run twice, and the host lost power (or the script was killed) in the middle of it",
                where=self.host.id,
                remedy="Look at the host, then run the same command with "
                f"`--settle {self.step.planned.id}@{self.host.id}=done` or `...=again`.",
            )
        if not again:
            return Receipt("done", 0, 0, 0, b"")
        self.query(f"rm -rf {shlex.quote(path)} {shlex.quote(spare(path))}")
        return self._launch(script, path, again=True)

    def _end_script(self, path: str) -> None:
        """Leave no orphan: what this call began is ended before anybody else hears of it."""
        connection = self.step.connections.to(self.host)
        said = Tail()
        try:
            with self.step.connections.noticing_loss(self.host):
                connection.execute(end_command(path), stdout=said.feed, timeout=END_TIMEOUT)
            self.ended_script = bytes(said).startswith(b"ended")
        except StepTimeoutError as error:
            raise OutcomeUnknownError(
                "A script could not be ended, and may still run",
                where=self.host.id,
                remedy="Run the same command again: it is waited for.",
            ) from error

    def query(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Read something from the host."""
        command, sent = Script(script, {**self.environment, **(env or {})}, cwd, stdin).inline()
        stdout, stderr = bytearray(), Tail(ERRORS_LIMIT)
        status = self._execute(command, sent, self._up_to_limit(stdout), stderr.feed).status
        text, errors = stdout.decode("utf-8", "replace"), redactor(stderr.text)
        if check and status:
            raise CommandError(
                f"The command ended with status {status}",
                status=status,
                where=self.host.id,
                output=last_lines(errors or redactor(text)),
            )
        return Result(status, text, errors)

    def _up_to_limit(self, collected: bytearray) -> Callable[[bytes], None]:
        """Keeps what is printed; a host that does not stop is not listened to until the step's time is over."""

        def feed(block: bytes) -> None:
            if len(collected) + len(block) > QUERY_LIMIT:
                raise HostError(f"The command printed more than {QUERY_LIMIT >> 20} MiB", where=self.host.id)
            collected.extend(block)

        return feed

    def _execute(
        self,
        command: str,
        stdin: bytes | Iterator[memoryview],
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        gently: bool = False,
    ) -> Exit:
        self.check()
        if not self.host.address:
            raise PluginError(f"{self.step.planned.id} runs on this machine: it has no host to run a script on")
        connection = self.step.connections.to(self.host)
        cancelled = self.step.cancellation.now if gently else self.step.cancellation.stop
        with self.step.connections.noticing_loss(self.host):
            return connection.execute(
                command,
                stdin=[stdin] if isinstance(stdin, bytes) else stdin,
                stdout=stdout,
                stderr=stderr,
                timeout=self.left(),
                cancelled=cancelled,
            )

    # -- files ---------------------------------------------------------------------------------------------------

    def send(self, blob: Layer, to: str) -> None:
        """Bring a blob to the host, resumed where it broke off and verified by digest.

        One that the host has is verified too: it may be of an earlier cluster, and cut short by a power cut since.
        """
        expected = blob.digest.partition(":")[2]
        partial = shlex.quote(f"{to}.{self.operation.cluster}.partial")
        target = shlex.quote(to)
        script = (
            f'mkdir -p "$(dirname {target})" || exit 1\n'
            f"if [ -f {target} ]; then\n"
            f"    sum=$(sha256sum < {target}) || exit 1\n"
            f'    if [ "${{sum%% *}}" = {expected} ]; then echo whole; exit; fi\n'
            f"fi\n"
            f"stat -c %s {partial} 2>/dev/null || echo 0"
        )
        answer = self.query(script).stdout.strip()
        if answer == "whole":
            self.progress(blob.size, blob.size)
            return
        have = whole_number(answer)
        if have is None:
            raise HostError(
                f"The host's answer to how much of {blob.digest[:19]} it has is no number",
                where=self.host.id,
                remedy="See what `stat` and `sha256sum` print there.",
                output=last_lines(redactor(answer[-2000:])),
            )
        start = have if have < blob.size else 0  # a full one that was not renamed did not verify: begin anew
        command = (
            f"umask 077; {'' if start else f': > {partial};'} cat >> {partial} || exit 1\n"
            f"sum=$(sha256sum < {partial}) || exit 1\n"
            f'if [ "${{sum%% *}}" = {expected} ]; then mv {partial} {target}; else rm -f {partial}; exit 65; fi'
        )
        errors = Tail()
        status = self._execute(
            f"sh -c {shlex.quote(command)}", self._blocks(blob, start), lambda block: None, errors.feed
        ).status
        if status == 65 and start:
            self.log("the part sent earlier did not verify; sending all of it again")
            self.send(blob, to)
        elif status:
            why = "its digest is not right on the host" if status == 65 else ""
            raise CommandError(
                f"{blob.digest[:19]} could not be written to {to}" + (f": {why}" if why else ""),
                status=status,
                where=self.host.id,
                output=last_lines(redactor(errors.text)),
                remedy="See whether its disk is full (`df -h`); what arrived is kept and continued.",
            )

    def _blocks(self, blob: Layer, start: int) -> Iterator[memoryview]:
        done = start
        told = time.monotonic()
        with blob.path.open("rb") as stream:
            stream.seek(start)
            while block := stream.read(BLOCK):
                self.check()
                yield memoryview(block)
                done += len(block)
                if time.monotonic() - told > 0.2:
                    self.progress(done, blob.size)
                    told = time.monotonic()
        self.progress(done, blob.size)

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Write a small file on the host atomically."""
        target, temporary = shlex.quote(path), shlex.quote(f"{path}.sealer-new")
        # Who may read the file can reach it, too.
        directories = "umask 022" if mode & 0o004 else "umask 077"
        # A connection that breaks looks like the end of the input: only all of it is put in place.
        script = (
            f'{directories}; mkdir -p "$(dirname {target})" || exit 1\n'
            f"umask 077; cat > {temporary} && chmod {mode:o} {temporary}"
            f" && [ $(wc -c < {temporary}) -eq {len(content)} ] && mv -f {temporary} {target}"
        )
        self.query(script, stdin=content)

    def forward(self, port: int) -> tuple[str, int]:
        """A local address that leads to the host's port."""
        self.check()
        with self.step.connections.noticing_loss(self.host):
            return self.step.connections.to(self.host).forward(port)

    # -- the cluster itself ---------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[Node]:
        """The nodes as the cluster itself sees them."""
        return self._runtime.nodes(self)

    def kubectl(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Run the runtime's kubectl on this host."""
        return self._runtime.kubectl(self, *arguments, stdin=stdin, check=check)

    @property
    def _runtime(self) -> Runtime:
        if self.step.runtime is None:
            raise PluginError(f"{self.step.planned.id} asks the cluster, and this operation has no runtime")
        return self.step.runtime

    # -- facts, time, words --------------------------------------------------------------------------------------

    def get(self, fact: Fact[T], host: Host | None = None) -> T:
        """A fact that the step declares in `needs`."""
        if fact not in self.step.planned.step.needs:
            raise PluginError(
                f"{self.step.planned.id} asks for the fact '{fact.name}' without declaring that it needs it"
            )
        return self.step.facts.get(fact, (host or self.host).id)

    def give(self, fact: Fact[T], value: T) -> None:
        """A fact that the step declares in `gives`."""
        if fact not in self.step.planned.step.gives:
            raise PluginError(f"{self.step.planned.id} gives the fact '{fact.name}' without declaring it")
        self.step.facts.put(fact, self.host.id, value)
        if fact.secret:
            return
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise PluginError(f"The fact '{fact.name}' of {self.step.planned.id} is not JSON: {error}") from None
        self.given[fact.name] = value

    def left(self) -> float:
        """Seconds until the step's deadline."""
        return max(self._deadline - time.monotonic(), 0.001)

    def check(self) -> None:
        """Whether there is time and nobody asked to stop.

        :raises StepTimeoutError: the deadline is over.
        :raises InterruptedRunError: the run was cancelled.
        """
        once = self.step.planned.step.effect is Effect.ONCE
        if (self.step.cancellation.now if once else self.step.cancellation.stop).is_set():
            raise InterruptedRunError("Interrupted", where=self.host.id)
        if time.monotonic() > self._deadline:
            raise StepTimeoutError(f"It took longer than {self.step.planned.step.timeout:.0f} s", where=self.host.id)

    def progress(self, done: int, total: int | None = None) -> None:
        """Bytes done so far, and of how many."""
        self.check()
        self._emit(State.PROGRESS, "", {"done": done, "total": total})

    def log(self, message: str) -> None:
        """One line for whoever watches."""
        self._emit(State.INFO, message)

    def warn(self, message: str) -> None:
        """One line that should not be missed."""
        self._emit(State.WARNING, message)

    def _tell(self, line: str) -> None:
        self._emit(State.OUTPUT, line)

    def _emit(self, state: State, message: str, data: dict[str, Any] | None = None) -> None:
        planned = self.step.planned
        self.step.events.emit(
            state,
            step=planned.id,
            title=planned.step.title,
            host=self.host.id,
            phase=planned.phase,
            plugin=planned.plugin,
            message=message,
            data=data,
        )


def _at_most(limit: int, collected: bytearray) -> Callable[[bytes], None]:
    """Keeps what is printed as long as there is room for it."""

    def feed(block: bytes) -> None:
        collected.extend(block[: max(limit - len(collected), 0)])

    return feed
