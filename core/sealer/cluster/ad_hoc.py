"""A command that somebody wants to run on the hosts of a cluster, now and without a record."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sealer.cluster.asked import Asked
from sealer.cluster.executor import Executor
from sealer.cluster.hostfacts import identity_script, parse_facts
from sealer.cluster.identity import other_machine
from sealer.cluster.output import Lines
from sealer.cluster.ownership import Ownership
from sealer.cluster.plan import StageBuilder
from sealer.cluster.receipts import Script
from sealer.errors import CommandError, InterruptedRunError, SealerError
from sealer.events import EventStream
from sealer.extension.context import StepContext
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import Addresses
from sealer.hosts import Host
from sealer.redaction import redactor

TITLE = "Run the command"
# Called with each line: the host, which of its two streams, and the line, with secrets removed.
Listener = Callable[[Host, Literal["stdout", "stderr"], str], None]


@dataclass(frozen=True)
class Answer:
    """What came of a command on one host.

    :param status: exit status; -1 when the host could not be asked.
    :param error: why the command failed; None: it did not.
    """

    host: Host
    status: int
    error: SealerError | None = None


@dataclass(frozen=True)
class AdHocCommand:
    """A command for some hosts of a cluster.

    :param hear: called from several threads, but not from two at once.
    """

    asked: Asked
    events: EventStream
    command: str
    hear: Listener

    def run(self, hosts: Sequence[Host]) -> tuple[Answer, ...]:
        """Run it on all of `hosts`, whatever becomes of it on some of them; on none that is not the cluster's own.

        :raises InterruptedRunError: the run was cancelled.
        """
        answers: dict[str, Answer] = {}
        hearing = threading.Lock()
        ownership = self.asked.ownership

        def ask(context: StepContext) -> None:
            try:
                self._refuse_others(context, ownership)
                answers[context.host.id] = self._ask(context.host, hearing)
            except InterruptedRunError:
                raise
            except SealerError as error:  # the other hosts are asked all the same
                answers[context.host.id] = Answer(context.host, -1, error)

        on = Addresses(frozenset(host.id for host in hosts))
        builder = StageBuilder("command")
        builder.add("Exec", "kernel", [Step("command", TITLE, on, ask, effect=Effect.QUERY, timeout=math.inf)])
        try:
            # The hosts as they are given: they know how to be logged in to.
            around = replace(self.asked.surroundings(self.events), hosts_of=lambda planned: hosts)
            Executor(around, builder.build()).run()
        finally:
            self.asked.connections.close()
        return tuple(answers[host.id] for host in hosts)

    def _refuse_others(self, context: StepContext, ownership: Ownership) -> None:
        """The record may be older than the host: it may be another machine by now, or of another cluster.

        :raises SealerError: it is.
        """
        host, operation = context.host.id, context.operation
        said = parse_facts(context.query(identity_script(operation.paths)).stdout)
        entries = operation.recorded.hosts if operation.recorded else ()
        machine = next((entry.machine_id for entry in entries if entry.host.id == host), "")
        # Without the cluster's own files it is judged as a host that nobody vouches for yet.
        gone = all(name != operation.cluster for name, _ in said["clusters"])
        if error := other_machine(host, said, machine) or ownership.refusal(host, said, joins=gone):
            raise error

    def _ask(self, host: Host, hearing: threading.Lock) -> Answer:
        command, sent = Script(self.command, self.asked.environment_of(host)).inline()

        def listen(stream: Literal["stdout", "stderr"]) -> Callable[[str], None]:
            def tell(line: str) -> None:
                with hearing:
                    self.hear(host, stream, redactor(line))

            return tell

        out, err = Lines(listen("stdout")), Lines(listen("stderr"))
        exit_ = self.asked.connections.to(host).execute(
            command, stdin=[sent], stdout=out.feed, stderr=err.feed, cancelled=self.asked.cancellation.stop
        )
        out.end()
        err.end()
        if not exit_.status:
            return Answer(host, 0)
        failed = CommandError(f"The command ended with status {exit_.status}", status=exit_.status, where=host.id)
        return Answer(host, exit_.status, failed)
