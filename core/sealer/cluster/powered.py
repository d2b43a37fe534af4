"""Hosts that a provider made: whether they are switched on, and how they are started and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from sealer.cluster.asked import Asked
from sealer.cluster.executor import Executor
from sealer.cluster.plan import Stage, StageBuilder
from sealer.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostUnreachableError,
    InputError,
    InterruptedRunError,
    PluginError,
    RefusedError,
    SealerError,
)
from sealer.events import EventStream, State
from sealer.extension.context import StepContext
from sealer.extension.drivers import Provider
from sealer.extension.entry_points import reason
from sealer.extension.guarding import steps_of
from sealer.extension.loading import load_driver
from sealer.extension.operation import Recorded
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import OPERATOR, Addresses
from sealer.hosts import Host
from sealer.redaction import redactor
from sealer.settings import DEFAULT_PROVIDER, Settings

T = TypeVar("T")
Verb = Literal["start", "stop"]
PATIENCE = 300.0  # seconds until a host that was booted must answer
PAUSE = 1.0  # seconds between two tries
_WORDS = {"start": ("Starting", "started", "running"), "stop": ("Stopping", "stopped", "off")}


def made_hosts(recorded: Recorded) -> tuple[Host, ...]:
    """The hosts of a cluster that its provider made, masters first."""
    made = [entry.host for entry in recorded.hosts if entry.host.placeholder and entry.host.address]
    return tuple(sorted(made, key=lambda host: not host.is_master))


def switched_off(recorded: Recorded, settings: Settings, events: EventStream) -> tuple[str, ...]:
    """The hosts, by id, that the cluster's provider made and that are off; none where it cannot tell.

    :raises InterruptedRunError: it was cancelled.
    """
    made = made_hosts(recorded)
    try:
        provider = _provider(recorded, settings, events) if made else None
        running = _running(provider, recorded.name) if provider else None
    except SealerError:  # a provider that is not installed any more, say: nothing is claimed
        return ()
    return () if running is None else tuple(host.id for host in made if host.address not in running)


def can_start(recorded: Recorded, settings: Settings, events: EventStream) -> bool:
    """Whether `sealer start` boots the hosts that the cluster's provider made."""
    try:
        provider = _provider(recorded, settings, events)
        made = made_hosts(recorded)
        return (
            provider is not None
            and _asked_of(provider, "start", lambda: provider.start(recorded.name, made)) is not None
        )
    except SealerError:
        return False


def _provider(recorded: Recorded, settings: Settings, events: EventStream) -> Provider | None:
    cluster = recorded.clusterfile.cluster
    if cluster is None or not cluster.provider.name:
        return None
    return load_driver("provider", cluster.provider.name, settings, events, cluster.provider.options)


def _running(provider: Provider, cluster: str) -> frozenset[str] | None:
    return _asked_of(provider, "running", lambda: provider.running(cluster))


def _asked_of(provider: Provider, method: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except SealerError:
        raise
    except (Exception, SystemExit) as error:
        name = type(provider).__name__
        raise PluginError(f"driver '{name}' failed in {method}", why=redactor(reason(error))) from error


def switchable(recorded: Recorded, chosen: Sequence[Host] | None) -> tuple[Host, ...]:
    """The hosts that are to be started or stopped, masters first.

    :param chosen: None: all that the cluster's provider made.
    :raises InputError: sealer did not make them.
    """
    made = made_hosts(recorded)
    ids = {host.id for host in made}
    others = [host.id for host in chosen or () if host.id not in ids]
    if made and not others:
        return made if chosen is None else tuple(host for host in made if host.id in {one.id for one in chosen})
    if not made and any(entry.host.placeholder for entry in recorded.hosts):
        raise InputError(
            f"The hosts of the cluster '{recorded.name}' are not created yet",
            remedy="Run the command that creates the cluster again.",
        )
    what = (
        f"{', '.join(others)}: not made by sealer" if others else f"sealer did not make the hosts of '{recorded.name}'"
    )
    raise InputError(
        what,
        why="only hosts that a provider makes are started and stopped",
        remedy="Use the tools of the machines themselves.",
    )


@dataclass(frozen=True)
class Switched:
    """A host that was to be started or stopped.

    :param changed: False: it was as it should be already.
    """

    host: Host
    on: bool
    changed: bool


@dataclass(frozen=True)
class Power:
    """Starts and stops hosts of a cluster; nothing is recorded: the same command again completes it.

    :param asked: the cluster, with its provider.
    """

    asked: Asked
    events: EventStream

    def switch(self, verb: Verb, hosts: Sequence[Host], confirm: Callable[[str], bool]) -> tuple[Switched, ...]:
        """Start or stop `hosts`, masters first and last.

        :param hosts: that the cluster's provider made.
        :param confirm: asked before any is stopped.
        :raises InputError: the provider cannot do that.
        :raises RefusedError: nobody confirms it.
        """
        name, start = self.asked.operation.cluster, verb == "start"
        running = _running(self.asked.drivers.provider, name)
        changing = [host for host in hosts if running is None or (host.address in running) != start]
        stage = self._stage(
            verb, changing, hosts
        )  # says that the provider cannot, also where all are as they should be
        doing, done, already = _WORDS[verb]
        listed = ", ".join(host.id for host in changing)
        if changing:
            if not start and not confirm(f"Shut down {listed} of the cluster '{name}'?"):
                raise RefusedError("Aborted: nothing was stopped")
            self.events.emit(State.STARTED, message=f"{doing} {_counted(changing)} of cluster {name}")
        for host in hosts if changing else ():
            if host not in changing:
                self.events.info(f"{host.id}: already {already}")
        try:
            Executor(self.asked.surroundings(self.events), stage).run()
        except SealerError as error:
            error.remedy = error.remedy or "Fix the cause, then run the same command again."
            raise
        finally:
            self.asked.connections.close()
        if changing:
            self.events.emit(State.DONE, message=f"{_counted(changing)} of cluster {name} {done}")
        return tuple(Switched(host, start, host in changing) for host in hosts)

    def _stage(self, verb: Verb, changing: Sequence[Host], hosts: Sequence[Host]) -> Stage:
        if not changing:
            self._steps(verb, hosts)  # a provider that cannot says so
        builder = StageBuilder(verb)
        phase, provider = verb.capitalize(), self._provider_name
        masters_first = [[host for host in changing if host.is_master is master] for master in (True, False)]
        for wave in masters_first if verb == "start" else masters_first[::-1]:
            if wave:
                builder.add(phase, provider, self._steps(verb, wave))
        if verb == "start":
            on = Addresses(frozenset(host.id for host in hosts))
            title = "Wait until the host answers"
            builder.add(phase, "kernel", [Step("answers", title, on, self._await_answer, effect=Effect.QUERY)])
        return builder.build()

    @property
    def _provider_name(self) -> str:
        return self.asked.operation.spec.provider.name or DEFAULT_PROVIDER

    def _steps(self, verb: Verb, hosts: Sequence[Host]) -> Sequence[Step]:
        """What the provider wants done; never recorded, as the state of the hosts says what is left to do."""
        provider, name = self.asked.drivers.provider, self._provider_name

        def ask() -> Sequence[Step]:
            method = provider.start if verb == "start" else provider.stop
            steps = method(self.asked.operation.cluster, hosts)
            if steps is None:
                raise InputError(
                    f"The provider {name} cannot {verb} hosts", remedy=f"Use the tools of {name} to {verb} them."
                )
            return steps

        steps = steps_of(name, verb, ask)
        if elsewhere := [step.id for step in steps if step.on != OPERATOR]:
            raise PluginError(
                f"driver '{name}': step '{elsewhere[0]}' of {verb} does not run on the operator's machine"
            )
        return [replace(step, effect=Effect.QUERY) for step in steps]

    def _await_answer(self, context: StepContext) -> None:
        """Wait until a login is possible; one that is refused is an answer, too."""
        host, stop = context.host, self.asked.cancellation.stop
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.asked.connections.to(host)
            except AuthenticationError:
                return
            except (HostUnreachableError, ConnectionLostError) as error:
                if time.monotonic() > deadline:
                    why = f"it was booted, and did not answer within {PATIENCE:g} s: {error.why or error.what}"
                    raise HostUnreachableError("No answer", where=host.id, why=why, remedy=error.remedy) from error
            else:
                return
            if stop.wait(PAUSE):
                raise InterruptedRunError("Interrupted", where=host.id)


def refuse_unfinished(recorded: Recorded) -> None:
    """Hosts are not stopped in the middle of an operation: what must not run twice could be cut short.

    :raises RefusedError: one is unfinished.
    """
    if recorded.status != "running":
        raise RefusedError(
            f"An operation on the cluster '{recorded.name}' is unfinished",
            why="its hosts may still be at work",
            remedy=f"Run its command again to complete it, then stop the hosts; `sealer status {recorded.name}` shows "
            "where it stopped.",
        )


def _counted(hosts: Sequence[Host]) -> str:
    return "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
