"""Looks at a cluster: every check on every host, to the end whatever fails, and within a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sealer.cluster.asked import Asked
from sealer.cluster.checks import Checks
from sealer.cluster.executor import Executor, Surroundings, as_sealer_error
from sealer.cluster.health import Condition, Finding, Health, of_nodes
from sealer.cluster.hostfacts import facts_script, parse_facts
from sealer.cluster.hosts_of import resolve
from sealer.cluster.identity import other_machine, same_machine
from sealer.cluster.plan import PlannedStep, Stage, StageBuilder
from sealer.cluster.stages import KERNEL
from sealer.errors import (
    ConnectionLostError,
    HostError,
    HostKeyError,
    HostUnreachableError,
    InterruptedRunError,
    SealerError,
    StepTimeoutError,
)
from sealer.events import Event, EventStream, State
from sealer.extension.context import StepContext
from sealer.extension.operation import Node, RecordedHost
from sealer.extension.steps import Effect, Step
from sealer.extension.tail import whole_number
from sealer.extension.targets import ALL, Role
from sealer.hosts import MASTER, Host

ONE_CHECK = 30.0  # seconds that one check may take on one host
REACH = f"Reach/{KERNEL}/host"
API = f"Nodes/{KERNEL}/api"
MOST_SKEW = 60.0  # seconds by which clocks may differ: certificates and leases are judged by them
# After these nobody knows how it is there: nothing was said.
UNHEARD = (HostUnreachableError, ConnectionLostError)


class Checkup:
    """One look at one cluster. Nothing is recorded, and no lock is taken.

    :param seconds: that all of it may take; what has not been answered then is not known.
    :param at_work: the sealer that works on the cluster right now, in words; empty: none.
    """

    def __init__(self, asked: Asked, seconds: float, at_work: str = "") -> None:
        self._asked = asked
        self._seconds = seconds
        self._at_work = at_work
        recorded = asked.operation.recorded
        self._recorded: Mapping[str, RecordedHost] = {
            entry.host.id: entry for entry in (recorded.hosts if recorded else ())
        }
        self._places = {host.id: place for place, host in enumerate(asked.operation.hosts)}
        self._members = [host for host in asked.operation.hosts if self._recorded[host.id].member]
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Finding] = {}
        self._warned: dict[tuple[str, str], list[str]] = {}
        self._gone: dict[str, str] = {}  # hosts that are not asked further, and why
        self._seen: dict[str, str] = {}  # hosts by machine-id
        self._files: dict[str, bool] = {}  # whether a member has the cluster's files
        self._skew: dict[str, float] = {}  # seconds by which a host's clock is ahead of ours
        self._nodes: dict[str, Sequence[Node]] = {}  # by the master that answered
        self._late = False

    def run(self, checks: Checks) -> Health:
        """Ask everyone.

        :param checks: QUERY steps beyond the kernel's own, and who gives them.
        :raises InterruptedRunError: it was cancelled.
        """
        stage = self._stage(checks)
        timer = threading.Timer(self._seconds, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            Executor(self._surroundings(), stage).run()
        except InterruptedRunError:
            if not self._late:
                raise
        finally:
            timer.cancel()
            self._asked.connections.close()
        return self._health(stage)

    def _give_up(self) -> None:
        self._late = True
        self._asked.cancellation.stop.set()

    # -- what is asked -------------------------------------------------------------------------------------------

    def _stage(self, checks: Checks) -> Stage:
        builder = StageBuilder("check")
        reach = Step("host", "Reachable, same machine as recorded", ALL, self._reach, effect=Effect.QUERY)
        builder.add("Reach", KERNEL, [reach])
        if self._keeps_nodes:
            ask = Step("api", "The cluster's API answers on it", Role(MASTER), self._ask_nodes, effect=Effect.QUERY)
            builder.add("Nodes", KERNEL, [ask])
        for plugin, steps in checks:
            # Side by side: one that hangs keeps no other from being made.
            builder.add("Check", plugin, [replace(step, after=frozenset()) for step in steps])
        stage = builder.build()
        # A master is asked for nodes as soon as it is reached: one that is silent must not use up the others' time.
        api = next((planned for planned in stage.steps if planned.id == API), None)
        guarded = [self._guarded(planned, then=api if planned.id == REACH else None) for planned in stage.steps]
        return replace(stage, steps=tuple(guarded))

    def _reach(self, context: StepContext) -> None:
        host, before = context.host, time.time()
        said = context.query(f"{facts_script(context.operation.paths)}echo now=$(date +%s)\n").stdout
        after = time.time()
        facts, entry = parse_facts(said), self._recorded[host.id]
        error = other_machine(host.id, facts, entry.machine_id) or self._other_key(host, entry)
        error = error or self._asked.ownership.refusal(host.id, facts, joins=False)
        with self._lock:
            error = error or same_machine(host.id, facts, self._seen)
            now = whole_number(said.rpartition("now=")[2])
            if now is not None and not error:
                self._skew[host.id] = now - (before + after) / 2
            if not error and entry.member:
                self._files[host.id] = bool(facts["rootfs"])
        if error:
            raise error

    def _other_key(self, host: Host, entry: RecordedHost) -> SealerError | None:
        key = self._asked.connections.to(host).host_key
        if not entry.host_key or not key or key == entry.host_key:
            return None
        return HostKeyError(
            "Its identity has changed",
            where=host.id,
            why=f"its host key is {key}, recorded is {entry.host_key}",
            remedy="Find out whether the host was replaced, or its keys renewed, before you trust it.",
        )

    def _ask_nodes(self, context: StepContext) -> None:
        nodes = tuple(self._asked.drivers.runtime.nodes(context))
        with self._lock:
            self._nodes[context.host.id] = nodes

    # -- how it is asked -----------------------------------------------------------------------------------------

    def _guarded(self, planned: PlannedStep, then: PlannedStep | None = None) -> PlannedStep:
        """The step, whose failure is a finding and ends nothing.

        :param then: what a master is asked next, where the step went well on it.
        """
        step = planned.step

        def run(context: StepContext) -> None:
            state, error = self._outcome(planned, context)
            self._note(planned, context.host.id, state, error)
            if planned.id == REACH and error:
                with self._lock:
                    self._gone[context.host.id] = str(error).removeprefix(f"{context.host.id}: ")
            elif then and context.host.is_master:
                self._note(then, context.host.id, *self._outcome(then, context))

        quick = min(step.timeout, ONE_CHECK)
        return replace(planned, step=replace(step, run=run, timeout=quick, order="parallel", retry=None))

    def _outcome(self, planned: PlannedStep, context: StepContext) -> tuple[Condition, SealerError | None]:
        try:
            planned.step.run(context)
        except InterruptedRunError:
            if not self._late:
                raise
            return "failed" if planned.id == REACH else "unknown", self._no_answer(context.host.id)
        except StepTimeoutError:
            return "failed" if planned.id == REACH else "unknown", self._no_answer(
                context.host.id, min(planned.step.timeout, ONE_CHECK)
            )
        except UNHEARD as error:
            return "failed" if planned.id == REACH else "unknown", error
        except Exception as error:  # a plugin's mistake must not keep the other checks from being made
            return "failed", as_sealer_error(error, planned)
        return "well", None

    def _no_answer(self, host: str, seconds: float = 0.0) -> SealerError:
        return HostError(f"No answer within {seconds or self._seconds:g} s", where=host)

    def _note(self, planned: PlannedStep, host: str, state: Condition, error: SealerError | None) -> None:
        finding = Finding(planned.id, planned.plugin, planned.step.title, host, state, error)
        with self._lock:
            self._found[planned.id, host] = finding

    def _surroundings(self) -> Surroundings:
        events = EventStream()
        events.subscribe(self._hear)
        around = self._asked.surroundings(events)
        return replace(around, hosts_of=self._hosts_of, passed_over=self._passed_over)

    def _hear(self, event: Event) -> None:
        if event.state is State.WARNING and event.step:
            self._warned.setdefault((event.step, event.host), []).append(event.message)

    def _hosts_of(self, planned: PlannedStep) -> Sequence[Host]:
        try:
            return resolve(planned.step.on, self._asked.operation, self._labelled)
        except SealerError as error:
            self._note(planned, "", "unknown", error)
            return ()

    def _labelled(self, key: str, value: str | None) -> frozenset[str]:
        nodes = self._first_answer()
        if nodes is None:
            raise SealerError(f"Nodes labelled {key} are unknown", why="the cluster's API does not answer")
        return frozenset(node.address for node in nodes if key in node.labels and value in (None, node.labels[key]))

    def _passed_over(self, planned: PlannedStep, host: Host) -> str:
        """A host that did not answer once is not waited for again."""
        if host.roles and not host.address:
            self._note(planned, host.id, "failed", HostError("It was never created", where=host.id))
            return "it was never created"
        if (planned.id, host.id) in self._found:
            return "it was asked when it was reached"
        if planned.id == REACH or host.id not in self._gone:
            return ""
        why = self._gone[host.id]
        self._note(planned, host.id, "unknown", HostError("Not asked", where=host.id, why=why))
        return why

    # -- what it comes to ----------------------------------------------------------------------------------------

    @property
    def _keeps_nodes(self) -> bool:
        return self._asked.drivers.runtime.keeps_nodes

    def _first_answer(self) -> Sequence[Node] | None:
        """Of the first master that answered: all of them show the same cluster."""
        return next((self._nodes[host.id] for host in self._asked.operation.masters if host.id in self._nodes), None)

    def _health(self, stage: Stage) -> Health:
        nodes = self._first_answer() if self._keeps_nodes else None
        found = [*self._records(), *self._of_steps(stage), *self._rootfs(), *self._clocks()]
        if self._keeps_nodes:
            found += of_nodes(nodes, self._members, "the cluster's API answers on no master")
        reached = {host: finding.state == "well" for (check, host), finding in self._found.items() if check == REACH}
        nodes_or_none = None if nodes is None else tuple(nodes)
        name = self._asked.operation.cluster
        return Health(name, tuple(found), reached, dict(self._gone), nodes_or_none, self._keeps_nodes)

    def _of_steps(self, stage: Stage) -> Iterable[Finding]:
        """In the order of the plan, hosts in theirs; of what nobody came to, that it is not known."""
        for planned in stage.steps:
            if self._late:
                for host in self._hosts_of(planned):
                    if (planned.id, host.id) not in self._found:
                        self._note(planned, host.id, "unknown", self._no_answer(host.id))
        by_check: dict[str, list[Finding]] = {planned.id: [] for planned in stage.steps}
        for finding in sorted(self._found.values(), key=lambda finding: self._place(finding.host)):
            notes = tuple(self._warned.get((finding.check, finding.host), ()))
            state = "warning" if notes and finding.state == "well" else finding.state
            by_check[finding.check].append(replace(finding, notes=notes, state=state))
        return [finding for findings in by_check.values() for finding in findings]

    def _place(self, host: str) -> int:
        """Masters first, as everywhere."""
        return self._places.get(host, -1)

    def _records(self) -> Iterable[Finding]:
        """Whether what is recorded is what is meant to be."""
        recorded = self._asked.operation.recorded
        error: SealerError | None = None
        if recorded and recorded.status != "running":
            error = SealerError(
                f"An operation was interrupted or still runs: the cluster is {recorded.status}",
                why=self._at_work,
                remedy="Wait for it to end." if self._at_work else "Run the command again that began it: it continues.",
            )
        title = "No interrupted operation"
        yield Finding("Record/kernel/status", KERNEL, title, "", "failed" if error else "well", error)

    def _rootfs(self) -> Iterable[Finding]:
        """Whether the members have what was put on them."""
        recorded = self._asked.operation.recorded
        for host in () if recorded and recorded.foreign else self._members:
            error: SealerError | None = None
            option = f"{'-m' if host.is_master else '-n'} {host.address} --name {self._asked.operation.cluster}"
            if not self._files.get(host.id, True):
                error = HostError(
                    "The cluster's files are not on the host any more",
                    where=host.id,
                    why=f"there is no {self._asked.operation.paths.rootfs}",
                    remedy=f"Remove the host and add it again: `sealer delete {option} --force`, then "
                    f"`sealer scale-up {option}`.",
                )
            if host.id in self._files:
                state: Condition = "failed" if error else "well"
                yield Finding("Reach/kernel/files", KERNEL, "The cluster's files are on it", host.id, state, error)

    def _clocks(self) -> Iterable[Finding]:
        """Whether the hosts agree on the time; whoever is far from the middle one is named."""
        if len(self._skew) < 2:  # a clock alone agrees with itself
            return
        middle = sorted(self._skew.values())[len(self._skew) // 2]
        for host, skew in sorted(self._skew.items(), key=lambda item: self._place(item[0])):
            error: SealerError | None = None
            if abs(skew - middle) > MOST_SKEW:
                way = "ahead of" if skew > middle else "behind"
                why = f"{abs(skew - middle):.0f} s {way} the others"
                error = HostError("Its clock is wrong", where=host, why=why, remedy="Set it, for example with NTP.")
            state: Condition = "failed" if error else "well"
            yield Finding("Reach/kernel/clock", KERNEL, "Its clock agrees with the others", host, state, error)
