"""Runs the steps of a stage over their hosts."""

from __future__ import annotations

import secrets
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.connections import Connections
from sealer.cluster.context import HostContext, PassedOverError, ReceiptDiffersError, RunningStep
from sealer.cluster.diagnosis import diagnose
from sealer.cluster.facts import Facts
from sealer.cluster.journal import Attempt, Journal
from sealer.cluster.plan import PlannedStep, Stage, fingerprint
from sealer.errors import (
    AuthenticationError,
    CommandError,
    ConnectionLostError,
    HostError,
    HostKeyError,
    HostUnreachableError,
    InterruptedRunError,
    OperationFailedError,
    OutcomeUnknownError,
    PluginError,
    SealerError,
    StepFailure,
    StepTimeoutError,
)
from sealer.events import EventStream, Json, State
from sealer.extension.drivers import Runtime
from sealer.extension.operation import Operation
from sealer.extension.steps import Effect, Retry
from sealer.hosts import Host
from sealer.redaction import redactor

OPERATOR_HOST = Host("", roles=(), placeholder="operator")
NO_RETRY = Retry(attempts=1)
# After these nobody knows whether the host did it: the attempt stays open, and the next run settles it.
UNKNOWN_OUTCOME = (ConnectionLostError, HostUnreachableError, OutcomeUnknownError)
# After these neither, where the step must not run twice: what it began may have ended well before anybody looked.
UNSEEN_OUTCOME = (InterruptedRunError, StepTimeoutError, AuthenticationError, HostKeyError)


@dataclass(frozen=True)
class Surroundings:
    """What an executor works with, for a whole operation.

    :param key: of the cluster, for fingerprints.
    :param parallel: how many hosts are worked on at once.
    :param hosts_of: who a step is for, asked when it starts; may itself ask the cluster.
    :param environment_of: what is exported on a host.
    :param settle: a person's word on a ONCE step whose outcome on a host is unknown; True: run it again.
    :param passed_over: why a host is left out of a step that is for it; empty: it is not.
    :param tolerate: whether a failure of this step is only warned of.
    :param runtime: what steps ask about the cluster itself; None: nothing can be asked.
    :param recordable: the facts of a step as the journal may have them.
    """

    operation: Operation
    journal: Journal
    key: bytes
    facts: Facts
    connections: Connections
    events: EventStream
    cancellation: Cancellation
    parallel: int
    hosts_of: Callable[[PlannedStep], Sequence[Host]]
    environment_of: Callable[[Host], Mapping[str, str]]
    settle: Callable[[PlannedStep, Host], bool | None] = lambda planned, host: None
    passed_over: Callable[[PlannedStep, Host], str] = lambda planned, host: ""
    tolerate: Callable[[PlannedStep], bool] = lambda planned: False
    runtime: Runtime | None = None
    recordable: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda facts: facts


@dataclass
class _Progress:
    """A step that has started.

    :param running: threads that work on it, or are wanted for it.
    :param skipped: some host was passed over: a later run looks at the step again.
    """

    planned: PlannedStep
    fingerprint: str
    waiting: list[Host] = field(default_factory=list)
    running: int = 0
    skipped: bool = False
    ended: bool = False


class Executor:
    """Runs one stage: every step as soon as those before it are over, on all its hosts at once."""

    def __init__(self, surroundings: Surroundings, stage: Stage) -> None:
        self._with = surroundings
        self._stage = stage
        self._over: set[str] = set()
        self._tasks: dict[Future[None], tuple[_Progress, Host | None]] = {}
        self._queue: deque[tuple[_Progress, Host | None]] = deque()
        self._failures: list[StepFailure] = []
        self._prints = {planned.id: fingerprint(surroundings.key, planned) for planned in stage.steps}
        self._wanted = self._what_is_wanted()

    def run(self) -> None:
        """Run all steps.

        :raises OperationFailedError: some failed; what was running has ended, nothing new was started.
        :raises InterruptedRunError: the run was cancelled.
        """
        with ThreadPoolExecutor(self._with.parallel, thread_name_prefix="host") as pool:
            try:
                self._work(pool)
            except BaseException:
                # The records cannot be written, say: what runs may end, and nothing else begins.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._failures and not all(isinstance(failure.error, InterruptedRunError) for failure in self._failures):
            raise OperationFailedError("The operation failed", failures=self._failures)
        if self._with.cancellation.stop.is_set():
            raise InterruptedRunError("Interrupted")

    def _work(self, pool: ThreadPoolExecutor) -> None:
        waiting = list(self._stage.steps)
        while True:
            if self._stopping:
                self._cancel()
            else:
                waiting = self._start_ready(waiting)
            # The pool never has more than it can begin: what comes after a failure is for this thread to decide.
            while self._queue and len(self._tasks) < self._with.parallel:
                progress, host = self._queue.popleft()
                task = pool.submit(self._on_host, progress, host) if host else pool.submit(self._resolve, progress)
                self._tasks[task] = (progress, host)
            if not self._tasks:
                return
            finished, _ = wait(self._tasks, return_when=FIRST_COMPLETED)
            for task in finished:
                self._finish(task)

    @property
    def _stopping(self) -> bool:
        return bool(self._failures) or self._with.cancellation.stop.is_set()

    # -- steps ---------------------------------------------------------------------------------------------------

    def _start_ready(self, waiting: list[PlannedStep]) -> list[PlannedStep]:
        """Start each step that may; starting one that is over already may free the next, so go through in order."""
        later = []
        for planned in waiting:
            if planned.after <= self._over:
                self._start(planned)
            else:
                later.append(planned)
        return later

    def _start(self, planned: PlannedStep) -> None:
        if planned.id not in self._wanted:
            self._restore(planned)
            self._tell(planned, State.SKIPPED, "done before")
            self._over.add(planned.id)
            return
        progress = _Progress(planned, self._prints[planned.id], running=1)
        # Who it is for may have to be asked from the cluster: that is work for a thread, too.
        self._queue.append((progress, None))

    def _what_is_wanted(self) -> frozenset[str]:
        """The steps of which anything is left to do, or without which something that is left could not be done."""
        dependents = self._stage.dependents
        wanted: set[str] = set()
        for planned in reversed(self._stage.steps):  # whoever comes after it has been judged
            if planned.step.effect is Effect.QUERY:
                users: set[str] | None = dependents[planned.id]
            else:
                users = self._users_of_secrets(planned)
            if self._pending(planned) or (users is not None and (not users or users & wanted)):
                wanted.add(planned.id)
        return frozenset(wanted)

    def _users_of_secrets(self, planned: PlannedStep) -> set[str] | None:
        """The steps that need a fact of it which is never written down; None: it gives no such fact."""
        secret = {fact.name for fact in planned.step.gives if fact.secret}
        if not secret:
            return None
        return {other.id for other in self._stage.steps if secret & {fact.name for fact in other.step.needs}}

    def _pending(self, planned: PlannedStep) -> bool:
        if planned.step.effect is Effect.QUERY:
            return False
        return self._with.journal.state.completed.get(planned.id) != self._prints[planned.id]

    def _restore(self, planned: PlannedStep, host: str | None = None) -> None:
        """Take what the step learned in an earlier run."""
        per_host = {fact.name: fact.per_host for fact in planned.step.gives}
        for (step, where), attempt in list(self._with.journal.state.attempts.items()):
            if step == planned.id and host in (None, where) and attempt.state == "done":
                self._with.facts.restore(per_host, where, attempt.facts)

    def _resolve(self, progress: _Progress) -> None:
        """Find out who the step is for, and for whom there is something left to do."""
        planned = progress.planned
        secret = any(fact.secret for fact in planned.step.gives)
        for host in self._with.hosts_of(planned):
            if why := self._with.passed_over(planned, host):
                progress.skipped = True
                self._tell(planned, State.SKIPPED, why, host)
                continue
            attempt = self._with.journal.state.attempts.get((planned.id, host.id))
            if attempt and attempt.state == "done" and attempt.fingerprint == progress.fingerprint and not secret:
                self._restore(planned, host.id)
                self._tell(planned, State.SKIPPED, "done before", host)
            else:
                progress.waiting.append(host)
        self._tell(planned, State.STARTED, data={"hosts": len(progress.waiting)})

    def _finish(self, task: Future[None]) -> None:
        """A thread came back: with the hosts of a step, or from one of them."""
        progress, host = self._tasks.pop(task)
        progress.running -= 1
        if (error := task.exception()) is not None:
            self._fail(progress, host or OPERATOR_HOST, as_sealer_error(error, progress.planned))
        if self._stopping:
            progress.waiting.clear()
        at_once = 1 if progress.planned.step.order == "serial" else sys.maxsize
        while progress.waiting and progress.running < at_once:
            following = progress.waiting.pop(0)
            progress.running += 1
            self._queue.append((progress, following))
        if not progress.running and not progress.waiting:
            self._end(progress)

    def _cancel(self) -> None:
        """Give up what no thread has begun."""
        while self._queue:
            progress, _ = self._queue.popleft()
            progress.running -= 1
            progress.waiting.clear()
            if not progress.running:
                self._end(progress)

    def _end(self, progress: _Progress) -> None:
        planned = progress.planned
        if progress.ended:
            return
        progress.ended = True
        errors = [failure.error for failure in self._failures if failure.step == planned.id]
        if any(not isinstance(error, InterruptedRunError) for error in errors):
            self._tell(planned, State.FAILED)
            return
        if self._stopping and self._with.cancellation.stop.is_set():
            self._tell(planned, State.CANCELLED)
            return
        if self._failures:  # some of its hosts were never started, because another step failed
            self._tell(planned, State.CANCELLED)
            return
        if planned.step.effect is not Effect.QUERY and not progress.skipped and self._pending(planned):
            self._with.journal.completed(planned.id, progress.fingerprint)
        self._over.add(planned.id)
        self._tell(planned, State.DONE)

    def _fail(self, progress: _Progress, host: Host, error: SealerError) -> None:
        planned = progress.planned
        gone = isinstance(error, ConnectionLostError | HostUnreachableError)
        passed_over = isinstance(error, PassedOverError) or (gone and planned.step.unreachable == "skip")
        if passed_over or (self._with.tolerate(planned) and not isinstance(error, InterruptedRunError)):
            progress.skipped = True
            self._tell(planned, State.WARNING, f"passed over: {error}", host)
            self._tell(planned, State.SKIPPED, str(error), host)
            return
        self._failures.append(StepFailure(planned.id, planned.step.title, host.id, error))
        state = State.CANCELLED if isinstance(error, InterruptedRunError) else State.FAILED
        self._tell(planned, state, str(error), host, {"diagnosis": [*error.diagnosis]} if error.diagnosis else None)

    # -- one step on one host ------------------------------------------------------------------------------------

    def _on_host(self, progress: _Progress, host: Host) -> None:
        planned = progress.planned
        self._tell(planned, State.STARTED, host=host)
        try:
            if planned.step.effect is Effect.QUERY:
                self._try(self._context(planned, host, ""))
            else:
                self._recorded(progress, host)
        except HostError as error:
            diagnose(error, planned, host, self._with.operation, self._context)
            raise
        self._tell(planned, State.DONE, host=host)

    def _recorded(self, progress: _Progress, host: Host) -> None:
        """An attempt with its records around it; one that an earlier run left open is settled first."""
        planned, journal = progress.planned, self._with.journal
        before = journal.state.attempts.get((planned.id, host.id))
        if before is not None and before.state == "unknown":
            self._tell(planned, State.ATTACHED, "settling what an earlier run began", host)
            if self._settled(progress, host, before):
                return
        attempt = f"{planned.step.id[:40].replace('/', '-')}-{secrets.token_hex(5)}"
        journal.intend(planned.id, progress.fingerprint, host.id, attempt)
        self._attempt(self._context(planned, host, attempt))

    def _settled(self, progress: _Progress, host: Host, before: Attempt) -> bool:
        """Go through the open attempt again; what the host has receipts for is not done again.

        :returns: False when a new attempt is needed.
        """
        planned = progress.planned
        once = planned.step.effect is Effect.ONCE
        if once and not host.address:
            again = self._with.settle(planned, host)
            if again is None:
                raise OutcomeUnknownError(
                    f"'{planned.step.title}' must not run twice, and it is unknown whether it ended",
                    where=host.id,
                    remedy="Find out, then run the same command with "
                    f"`--settle {planned.id}@{host.id}=done` or `...=again`.",
                )
            if not again:
                self._with.journal.done(before.name, {})
                return True
        context = self._context(planned, host, before.name)
        try:
            self._attempt(context)
        except ReceiptDiffersError as error:
            if once:
                raise OutcomeUnknownError(
                    f"'{planned.step.title}' must not run twice, and what it does has changed since it began",
                    where=host.id,
                    remedy="Run the command as it was, or delete the cluster with "
                    f"`sealer delete --all --name {self._with.operation.cluster}` and begin again.",
                ) from error
            return False
        except CommandError:
            # The failure was the earlier run's; whoever ran the command again has fixed the cause.
            if not context.replayed:
                raise
            return False
        return True

    def _attempt(self, context: HostContext) -> None:
        journal = self._with.journal
        try:
            self._try(context)
        except (*UNKNOWN_OUTCOME, ReceiptDiffersError):
            raise
        except BaseException as error:
            once = context.step.planned.step.effect is Effect.ONCE
            if context.ended_script or not (once and isinstance(error, UNSEEN_OUTCOME)):
                journal.failed(context.attempt, redactor(str(error)))
            raise
        journal.done(context.attempt, self._with.recordable(context.given))

    def _try(self, context: HostContext) -> None:
        """Run the step; again after a broken connection, where that is declared safe."""
        step = context.step.planned.step
        retry = step.retry or NO_RETRY
        delay = retry.delay
        for number in range(1, retry.attempts + 1):
            try:
                step.run(context)
                break
            except (ConnectionLostError, HostUnreachableError) as error:
                if number == retry.attempts:
                    raise
                message = f"{error}; trying again in {delay:.0f} s ({number} of {retry.attempts})"
                self._tell(context.step.planned, State.RETRYING, message, context.host)
                if self._with.cancellation.stop.wait(delay):
                    raise InterruptedRunError("Interrupted", where=context.host.id) from error
                delay = min(delay * 2, retry.most)
                context.start_over()
        missing = [fact.name for fact in step.gives if not fact.secret and fact.name not in context.given]
        if missing:
            raise PluginError(f"{context.step.planned.id} did not give the fact '{missing[0]}'", where=context.host.id)

    def _context(self, planned: PlannedStep, host: Host, attempt: str) -> HostContext:
        around = self._with
        running = RunningStep(
            planned,
            around.operation,
            around.facts,
            around.connections,
            around.events,
            around.cancellation,
            around.environment_of,
            around.runtime,
        )
        return HostContext(running, host, attempt, lambda: around.settle(planned, host))

    def _tell(
        self,
        planned: PlannedStep,
        state: State,
        message: str = "",
        host: Host | None = None,
        data: Mapping[str, Json] | None = None,
    ) -> None:
        self._with.events.emit(
            state,
            step=planned.id,
            title=planned.step.title,
            host=host.id if host else "",
            phase=planned.phase,
            plugin=planned.plugin,
            message=message,
            data=data,
        )


def as_sealer_error(error: BaseException, planned: PlannedStep) -> SealerError:
    """An error for people; what is not ours is a mistake in the plugin that gave the step."""
    if isinstance(error, SealerError):
        return error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    wrapped = PluginError(
        f"Plugin {planned.plugin} failed in step {planned.id}",
        why=redactor(f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"),
        remedy=f"This is a bug in the plugin {planned.plugin}: report it to its authors with the log.",
    )
    wrapped.__cause__ = error
    return wrapped
