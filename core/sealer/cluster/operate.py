"""One operation from its first record to its last."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealer.cluster import state
from sealer.cluster.cancellation import Cancellation
from sealer.cluster.changes import Changes, refuse_uncovered
from sealer.cluster.choices import Choices
from sealer.cluster.connections import Connections
from sealer.cluster.content import ImageContent
from sealer.cluster.desired import without_logins
from sealer.cluster.documents import DocumentsPlugin, Parsed
from sealer.cluster.environment import environment
from sealer.cluster.executor import Executor, Surroundings
from sealer.cluster.facts import Facts
from sealer.cluster.home import ClusterHome
from sealer.cluster.hostfacts import HOST_FACTS, read_facts
from sealer.cluster.hostlock import HostLocks
from sealer.cluster.hosts_of import groups, resolve
from sealer.cluster.identity import check_hosts, other_machine
from sealer.cluster.journal import Journal
from sealer.cluster.leftovers import before, undo_nothing
from sealer.cluster.leftovers import key as _key
from sealer.cluster.made_hosts import MadeHosts
from sealer.cluster.ownership import Ownership, new_id
from sealer.cluster.plan import Plan, PlannedStep, Stage, StageBuilder
from sealer.cluster.stages import CLEANING, ENDING, KERNEL, LEAVING, REVOKE, Composer, Drivers, driver_name
from sealer.clusterfile.model import Clusterfile
from sealer.clusterfile.secrets import secret_fields
from sealer.clusterfile.writing import write
from sealer.errors import (
    AuthenticationError,
    CommandError,
    ConnectionLostError,
    HostError,
    HostUnreachableError,
    InterruptedRunError,
    OperationFailedError,
    PluginError,
    RefusedError,
    SealerError,
)
from sealer.events import EventStream, Json, State
from sealer.extension.drivers import HOSTS_MADE
from sealer.extension.guarding import steps_of
from sealer.extension.manager import PluginManager
from sealer.extension.operation import Operation, OperationKind, Recorded, RecordedHost
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import FIRST_MASTER, REMOVED
from sealer.hosts import DEFAULT_USER, Host, Ssh
from sealer.image.model import ClusterImage
from sealer.redaction import Secret
from sealer.settings import Settings

_STATUS = {"create": "creating", "delete": "deleting"}


@dataclass(frozen=True)
class Intention:
    """What is to be done, before anything of it is recorded.

    :param wanted: the hosts of the cluster when it has ended.
    :param application: name of the application image that is installed.
    :param record: what is to be recorded when an application has been installed; None: that stays as it is.
    """

    kind: OperationKind
    desired: Clusterfile
    image: ClusterImage | None
    wanted: tuple[Host, ...]
    added: tuple[Host, ...] = ()
    kept: tuple[Host, ...] = ()
    removed: tuple[Host, ...] = ()
    application: str = ""
    record: Clusterfile | None = None

    def fingerprint(self, key: bytes) -> str:
        """The same for the same command on the same input: then an unfinished operation is resumed.

        Logins are no part of it: whoever corrects one goes on.
        """
        return self._fingerprint(key, without_logins(self.desired))

    def fingerprints(self, key: bytes) -> frozenset[str]:
        """What the operation may be recorded by: up to version 0.1.0 with logins."""
        return frozenset({self.fingerprint(key), self._fingerprint(key, self.desired)})

    def _fingerprint(self, key: bytes, desired: Clusterfile) -> str:
        content = [
            self.kind,
            self.image.digest if self.image else "",
            self.application,
            write(desired),
            sorted(_key(host) for host in self.wanted),
        ]
        return hmac.new(key, json.dumps(content).encode(), hashlib.sha256).hexdigest()[:32]


def exists(recorded: Recorded, image: ClusterImage | None = None) -> RefusedError:
    """A create of what is there.

    :param image: that was to be run; None: the same.
    """
    if image is not None and image.digest != recorded.image_digest:
        return RefusedError(
            f"The cluster '{recorded.name}' exists ({recorded.status})",
            why=f"it runs {recorded.image}, and sealer cannot upgrade a cluster to another image",
            remedy="`--name NAME` makes another cluster on other hosts; "
            f"`sealer delete --all --name {recorded.name}` removes this one.",
        )
    return RefusedError(
        f"The cluster '{recorded.name}' exists ({recorded.status})",
        remedy=f"`sealer scale-up --name {recorded.name}` adds hosts to it, `sealer apply -f Clusterfile` changes it; "
        "another cluster needs another `--name`.",
    )


@dataclass
class Run:
    """One operation of one process on one cluster, under its lock.

    :param parsed: the Plugin documents that take part.
    """

    settings: Settings
    plugins: PluginManager
    documents: DocumentsPlugin
    events: EventStream
    cancellation: Cancellation
    choices: Choices
    home: ClusterHome
    drivers: Drivers
    intention: Intention
    recorded: Recorded | None
    parsed: tuple[Parsed, ...]
    facts: Facts = field(default_factory=Facts)
    _current: Recorded | None = None  # as this run has recorded it so far
    _resumed: bool = False  # an earlier run began the operation

    def __post_init__(self) -> None:
        self._journal = Journal(self.home.directory / "dry-run")
        self._connections = Connections(self.drivers.transport_of)
        self._made_hosts = MadeHosts(self.home.credentials / "made-hosts.json")
        self._key = b"dry run" if self.choices.dry_run else self.home.fingerprint_key()
        self._content = ImageContent(self.intention.image) if self.intention.image else None
        self.documents.parsed = self.parsed
        given = self.intention
        self.operation = Operation(
            id=f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}",
            kind=given.kind,
            cluster=self.home.name,
            desired=given.desired,
            recorded=self.recorded,
            image=given.image,
            added=self._made_hosts.with_logins(given.added),
            kept=self._made_hosts.with_logins(given.kept),
            removed=self._made_hosts.with_logins(given.removed),
            names=self.documents.host_names(),
            application=given.application,
            cluster_id=self.recorded.id if self.recorded else "",
        )

    # -- plan only -----------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What the operation would do; hosts are asked for facts, nothing is changed."""
        try:
            self._read_facts()
            provider, *others = self._stages_ahead()
            stages = tuple(stage for stage in (provider, *others) if stage.steps)
            unread = tuple(host.id for host in self._addressed(reached=False))
            complete = not (provider.steps or self.drivers.missing)
            return Plan(self.operation, stages, complete, self.drivers.missing, unread)
        finally:
            self._connections.close()

    def examine(self) -> None:
        """See that a plan can be made; no host is touched for that.

        :raises SealerError: it cannot: what drivers, plugin types or the image's files are told is wrong, say.
        """
        self._stages_ahead()

    def ask_runtime(self) -> None:
        """See that the runtime has nothing against hosts that come, before anything is recorded or a host is touched.

        :raises InputError: what it was told cannot be right.
        """
        operation, runtime = self.operation, self.drivers.runtime
        ask = runtime.install if operation.kind == "create" else runtime.join
        if operation.added:
            steps_of(driver_name(runtime), ask.__name__, lambda: ask(operation))

    def refuse_uncovered(self, found: Changes) -> None:
        """See that for every changed field there is a step that makes it true; no host is touched for that.

        :raises RefusedError: names the fields without one.
        """
        if not found.fields:
            return
        covered: set[str] = set()
        for planned in (planned for stage in self._stages_ahead() for planned in stage.steps):
            # A step for nobody does nothing; who has a label is only known when the step starts.
            if planned.step.covers and resolve(planned.step.on, self.operation, self._perhaps_labelled):
                covered |= planned.step.covers
        refuse_uncovered(found, frozenset(covered))

    def _stages_ahead(self) -> tuple[Stage, ...]:
        """All stages as far as they can be known now: the hosts that are still to be made have no address."""
        provider = self._composer().provider_stage()
        # Such hosts will have been asked, and will have addresses, before the main stage.
        later = {fact.name for planned in provider.steps for fact in planned.step.gives} | {HOST_FACTS.name}
        composer = replace(self._composer(), known_facts=self.facts.names | later)
        return (provider, composer.main_stage(), composer.destroy_stage())

    # -- for real ------------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Do it, or the rest of it.

        :raises SealerError: it failed; the same command continues it.
        """
        journal = self._journal = Journal(self.home.journal)
        locks: HostLocks | None = None
        started = time.monotonic()
        try:
            self._begin(journal)
            self._give_id()
            self._tell(State.STARTED, self._summary())
            if not journal.state.settling:
                self._stage(journal, self._composer().provider_stage())
                self._adopt_made_hosts()
                self._read_facts(journal)
                locks = HostLocks(
                    self.settings.home,
                    self.operation.paths,
                    self.choices.command,
                    self._connections,
                    self.events,
                    self.cancellation.stop.set,
                )
                journal.lock()
                self._stage(journal, self._composer().lock_stage(locks))
                locks.keep_alive()
                self._stage(journal, self._composer().main_stage())
                self._release(locks)
                locks = None
                self._stage(journal, self._composer().destroy_stage())
                journal.settle()
            self._finish(journal)
            done = {"create": "created", "delete": "deleted"}.get(self.operation.kind, "updated")
            self._tell(State.DONE, f"Cluster {self.home.name} {done}", time.monotonic() - started)
        except BaseException as error:
            state_ = State.CANCELLED if isinstance(error, InterruptedRunError) else State.FAILED
            if locks:
                self._release(locks)
                if not journal.state.attempts:
                    journal.release()
            self._undo_nothing(journal)
            self._tell(state_, str(error), time.monotonic() - started)
            raise self._advised(error) from error.__cause__
        finally:
            journal.close()
            self._connections.close()

    def _begin(self, journal: Journal) -> None:
        """Resume the unfinished operation when it is this one; otherwise record a new one before a host is touched."""
        fingerprint = self.intention.fingerprint(self._key)
        unfinished = journal.state.unfinished
        if unfinished and unfinished["fingerprint"] not in self.intention.fingerprints(self._key):
            self._judge_unfinished(journal, unfinished)
            unfinished = None
        if unfinished:
            self.operation = replace(self.operation, id=unfinished["id"])
            self.events.info(f"continuing the {self.operation.kind} that was not finished")
            self._resumed = True
            self._record_logins()
            return
        then = before(self.home)  # None also for a foreign cluster: its first record is not on disk yet
        if self.recorded is None:  # a cluster that has begun can be deleted by its name
            self._record_intention()
        self._write_begin(journal, fingerprint, then)
        if self.recorded is not None:  # what is recorded after the journal's word, it can take back
            self._record_intention()

    def _write_begin(self, journal: Journal, fingerprint: str, then: Json) -> None:
        journal.begin(
            {
                "id": self.operation.id,
                "kind": self.operation.kind,
                "fingerprint": fingerprint,
                "hosts": [_key(host) for host in self.intention.wanted],
                "before": then,
                "secrets": [*secret_fields(self.intention.desired), *self.choices.secret_fields],
                "command": self.choices.command,
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            }
        )

    def _undo_nothing(self, journal: Journal) -> None:
        """Leave no trace of an operation that did nothing; where that cannot be written, the next command does it."""
        try:
            if self.recorded is None and journal.state.operation is None:
                self.home.discard()
            undo_nothing(self.home, journal)
        except SealerError as error:
            self.events.warn(f"the record of this operation could not be removed: {error}")

    def _judge_unfinished(self, journal: Journal, unfinished: Mapping[str, Any]) -> None:
        if journal.state.settling and self.recorded and self.recorded.status == "running":
            self._made_hosts.forget()
            journal.end("completed")  # all of it was recorded; only this word was not written any more
            if self.operation.kind == "create":
                raise exists(self.recorded)
            return
        if self.operation.kind != "delete" and self.choices.unfinished != "abandon":
            # Only by a command of its kind can an operation be continued.
            same = unfinished["kind"] == self.operation.kind
            others = "`--continue` (finish that operation) or " if same else ""
            raise RefusedError(
                f"The {unfinished['kind']} of '{self.home.name}' that `{unfinished['command']}` began "
                f"on {unfinished['time']} is not finished, and this is not the same command on the same input",
                remedy=f"Run that command again, or this one with {others}`--abandon` (go on from where it stopped "
                "towards what this one asks for).",
            )
        journal.end("abandoned")

    def _record_intention(self) -> None:
        state.save_pending(self.home, self.intention.desired)
        self._record_hosts()

    def _record_hosts(self) -> None:
        known = {_key(entry.host): entry for entry in (self.recorded.hosts if self.recorded else ())}
        for host in self.operation.added:
            entry = known.get(_key(host))
            known[_key(host)] = replace(entry, host=host) if entry else RecordedHost(host)
        base = self.recorded or Recorded(self.home.name, "creating", (), self.intention.desired)
        status = _STATUS.get(self.operation.kind, "changing")
        image = self.intention.image
        create = self.operation.kind == "create"
        self._save(
            replace(
                base,
                status=status,  # type: ignore[arg-type]  # the two tables agree
                hosts=tuple(known.values()),
                image=image.reference if create and image else base.image,
                image_digest=image.digest if create and image else base.image_digest,
                runtime=self.drivers.runtime_name if create else base.runtime,
                registry=self.drivers.registry_name if create else base.registry,
                pending_image=image.digest if image else "",
            )
        )

    def _give_id(self) -> None:
        """The cluster has its id: from its first operation, or the first since sealer gives ids."""
        current = self._current or self.recorded
        assert current is not None  # recorded by _begin
        if not current.id:
            current = replace(current, id=new_id())
            self._save(current)
        state.keep_id(self.home, current.id)
        self.operation = replace(self.operation, cluster_id=current.id)

    def _ownership(self) -> Ownership:
        ownership = Ownership.of(self.home.name, self.recorded, self.settings.clusters)
        return replace(ownership, id=self.operation.cluster_id)

    def _record_logins(self) -> None:
        """Logins that were corrected since the operation began: what the run may yet do needs them when it is over."""
        current = state.load(self.home)
        if current is None or self.operation.kind not in ("create", "scale"):
            return
        wanted = {_key(host): host for host in self.intention.wanted}

        def corrected(entry: RecordedHost) -> RecordedHost:
            host = wanted.get(_key(entry.host))
            return replace(entry, host=replace(entry.host, ssh=host.ssh.filled_from(entry.host.ssh))) if host else entry

        changed = state.change_hosts(current, corrected)
        if not state.same_logins(current, changed):
            if self.home.pending_clusterfile.exists():
                state.save_pending(self.home, self.intention.desired)
            self._save(changed)

    def _save(self, recorded: Recorded) -> None:
        state.save(self.home, recorded)
        self._current = recorded

    def _finish(self, journal: Journal) -> None:
        """Bring the recorded state up to date; may be done again after a crash in the middle of it."""
        unfinished = journal.state.unfinished or {}
        stay = set(unfinished["hosts"])
        if self.choices.force:
            self._forget_those_passed_over()
        if self.operation.kind == "delete":
            journal.close()  # without an end: whoever is killed here removes the rest by the same command
            self.home.remove()
            return
        recorded = state.load(self.home)
        assert recorded is not None  # it was recorded before the first host was touched
        hosts = tuple(replace(entry, member=True) for entry in recorded.hosts if _key(entry.host) in stay)
        wanted = {_key(host): host for host in self.intention.wanted}
        hosts = tuple(replace(entry, host=_updated(entry.host, wanted.get(_key(entry.host)))) for entry in hosts)
        applications = dict(recorded.applications)
        if self.operation.application and self.operation.image:
            applications[self.operation.application] = self.operation.image.digest
            if self.intention.record:
                state.save_settled(self.home, self.intention.record)
            self.home.pending_clusterfile.unlink(missing_ok=True)
        else:
            state.settle_pending(self.home)
        self._save(replace(recorded, status="running", hosts=hosts, applications=applications, pending_image=""))
        self._made_hosts.forget()
        journal.end("completed")

    def _forget_those_passed_over(self) -> None:
        """Tell what was not done on hosts that left all the same, and let other machines have their addresses."""
        for host in self.operation.removed:
            facts = self._facts_of(host)
            if not host.address or "unreachable" not in facts:
                continue
            self.events.warn(f"forgotten, not cleaned: {facts['unreachable']}; what was installed on it stays there")
            try:
                self.drivers.transport_of(host).forget(host)
            except SealerError as error:
                self.events.warn(str(error), host=host.id)

    # -- stages --------------------------------------------------------------------------------------------------

    def _composer(self) -> Composer:
        return Composer(
            operation=self.operation,
            plugins=self.plugins,
            drivers=self.drivers,
            content=self._content,
            environment_of=self._environment,
            architecture_of=lambda host: str(self._facts_of(host).get("architecture", "")),
            documents=[entry.document for entry in self.parsed],
            known_facts=self.facts.names,
            ownership=self._ownership(),
            keep_layers=self.choices.keep_layers,
            do_without=self._do_without if self.choices.force and self.operation.kind == "delete" else None,
        )

    def _do_without(self, error: SealerError) -> None:
        self.events.warn(f"left out: {error}")

    def _stage(self, journal: Journal, stage: Stage) -> None:
        for planned in stage.steps:
            self.events.emit(
                State.PLANNED,
                step=planned.id,
                title=planned.step.title,
                phase=planned.phase,
                plugin=planned.plugin,
                data={"on": str(planned.step.on), "after": [*sorted(planned.after)]},
            )
        Executor(self._surroundings(journal), stage).run()

    def _surroundings(self, journal: Journal) -> Surroundings:
        return Surroundings(
            operation=self.operation,
            journal=journal,
            key=self._key,
            facts=self.facts,
            connections=self._connections,
            events=self.events,
            cancellation=self.cancellation,
            parallel=self.settings.parallel_hosts,
            hosts_of=self._hosts_of,
            passed_over=self._passed_over,
            environment_of=self._environment,
            settle=lambda planned, host: self.choices.settle(planned.id, planned.step.title, host.id),
            tolerate=self._tolerated,
            runtime=self.drivers.runtime,
            recordable=self._made_hosts.recordable,
        )

    def _read_facts(self, journal: Journal | None = None) -> None:
        """Reach every host that has an address, and see that each is fit and who it was."""
        hosts = self._addressed(reached=True)
        attempts = journal.state.attempts if journal else ()
        revoked = frozenset(host for step, host in attempts if step.startswith(f"{REVOKE}/"))

        def may_pass(host: str, error: HostError) -> bool:
            return self._may_pass_over(host, error, revoked)

        step = read_facts(self.operation.paths, frozenset(host.id for host in hosts), may_pass)
        builder = StageBuilder("facts")
        builder.add("Reach", KERNEL, [step] if hosts else [])
        stage = builder.build()
        if stage.steps:
            # Queries write no record: a dry run's journal is a file that is never made.
            self._stage(journal or self._journal, stage)
        current = self._current or self.recorded
        machines = {entry.host.id: entry.machine_id for entry in (current.hosts if current else ())}
        if self.choices.force:
            self._leave_strangers_alone(hosts, machines)
        found = {host.id: self.facts.per_host(HOST_FACTS)[host.id] for host in hosts}
        silent = frozenset(host for host, facts in found.items() if "unreachable" in facts)
        self.operation = replace(self.operation, unreachable=silent)
        size = sum(layer.size for layer in self.intention.image.first.layers) if self.intention.image else 0
        # Hosts that no create has looked at are new to sealer, too.
        new = self.operation.hosts if self.intention.record else self.operation.added
        check_hosts(found, machines, {host.id for host in new}, self.intention.image, size, self._ownership())
        if not self.choices.dry_run and current:
            self._remember(current, found)

    def _addressed(self, *, reached: bool) -> list[Host]:
        """The hosts that have an address, and whose transport can be had, or not."""
        everyone = groups(self.operation)["any"]
        return [host for host in everyone if host.address and self.drivers.reaches(host) is reached]

    def _may_pass_over(self, host: str, error: HostError, revoked: frozenset[str]) -> bool:
        """Whether the operation goes on without a host that cannot be worked on.

        :param revoked: hosts that may let us in no more, as all else was done there before.
        """
        refused = isinstance(error, AuthenticationError)
        silent = isinstance(error, HostUnreachableError | ConnectionLostError)
        if refused and host in revoked:
            return True
        if host in {it.id for it in self.operation.kept}:
            return self.operation.kind == "scale" and (refused or silent or self.choices.force)
        if host in {it.id for it in self.operation.removed}:
            return self.choices.force or (silent and self.drivers.provider.makes_hosts)
        return False

    def _leave_strangers_alone(self, hosts: Sequence[Host], machines: Mapping[str, str]) -> None:
        """Pass over hosts that are other machines than were recorded: what stands there now is none of ours."""
        leaving = {host.id for host in (*self.operation.removed, *self.operation.kept)}
        for host in hosts:
            said = self._facts_of(host)
            error = None if "unreachable" in said else other_machine(host.id, said, machines.get(host.id, ""))
            if error is not None and host.id in leaving:
                self._connections.drop(host)
                self.events.warn(f"passed over: {error}", host=host.id)
                self.facts.put(HOST_FACTS, host.id, {"unreachable": str(error)})

    def _remember(self, current: Recorded, found: Mapping[str, Mapping[str, Any]]) -> None:
        def learned(entry: RecordedHost) -> RecordedHost:
            facts = found.get(entry.host.id, {})
            machine = str(facts.get("machine_id", ""))
            if not machine or entry.machine_id not in ("", machine):
                return entry
            # A key that differs was let pass by the transport: somebody vouched for it.
            connection = self._connections.to(entry.host)
            host = entry.host
            if connection.user not in ("", DEFAULT_USER) and not host.ssh.user:
                host = replace(host, ssh=replace(host.ssh, user=connection.user))
            return replace(entry, host=host, machine_id=machine, host_key=connection.host_key or entry.host_key)

        changed = state.change_hosts(current, learned)
        if changed != current:
            self._save(changed)

    def _adopt_made_hosts(self) -> None:
        """The provider's hosts have addresses now: record them, and go on with hosts like any others."""
        if not any(host.placeholder for host in self.operation.added):
            return
        given = HOSTS_MADE.name in self.facts.names
        said: dict[str, Any] = self.facts.get(HOSTS_MADE, "") if given else self._made_before()
        made = self._made_hosts.complete(said)

        def addressed(host: Host) -> Host:
            facts = made.get(host.placeholder)
            if host.address:  # an earlier run recorded it, but for secrets
                password = facts.get("password") if isinstance(facts, dict) else None
                return replace(host, ssh=host.ssh.filled_from(Ssh(password=Secret(password) if password else None)))
            if not isinstance(facts, dict) or not facts.get("address"):
                raise PluginError(
                    f"The provider did not make {host.placeholder}", remedy="Report this to the provider's authors."
                )
            password = facts.get("password")
            ssh = Ssh(
                user=facts.get("user", ""),
                password=Secret(password) if password else None,
                private_key=facts.get("private_key", ""),
                port=facts.get("port", 0),
            )
            if self._resumed and host.ssh.password:  # it may have been corrected; nothing else is known to be right
                ssh = replace(ssh, password=host.ssh.password)
            return replace(host, address=facts["address"], ssh=ssh.filled_from(host.ssh))

        added = tuple(addressed(host) for host in self.operation.added)
        self.operation = replace(self.operation, added=added)
        by_placeholder = {host.placeholder: host for host in added}
        self.intention = replace(
            self.intention,
            wanted=tuple(
                by_placeholder.get(host.placeholder, host) if host.placeholder else host
                for host in self.intention.wanted
            ),
        )
        current = state.load(self.home)
        assert current is not None  # recorded by _begin
        self._save(
            state.change_hosts(
                current,
                lambda entry: (
                    replace(entry, host=by_placeholder[entry.host.placeholder])
                    if entry.host.placeholder in by_placeholder
                    else entry
                ),
            )
        )

    def _made_before(self) -> dict[str, Any]:
        """What the provider said in an earlier run of this operation."""
        made: dict[str, Any] = {}
        for attempt in self._journal.state.attempts.values():
            facts = attempt.facts.get(HOSTS_MADE.name)
            made |= facts if isinstance(facts, dict) else {}
        return made

    # -- what steps ask ------------------------------------------------------------------------------------------

    def _facts_of(self, host: Host) -> Mapping[str, Any]:
        return self.facts.per_host(HOST_FACTS).get(host.id, {})

    def _environment(self, host: Host) -> Mapping[str, str]:
        name = self.operation.names.get(host.address) or str(self._facts_of(host).get("host_name", ""))
        return environment(self.operation, host, name, self.drivers.runtime.environment(self.operation, host))

    def _hosts_of(self, planned: PlannedStep) -> Sequence[Host]:
        """Who the step is for."""
        return resolve(planned.step.on, self.operation, self._labelled)

    def _passed_over(self, planned: PlannedStep, host: Host) -> str:
        """Why a host is left out: it is not there, or an earlier run never got to it."""
        facts = self._facts_of(host)
        if not host.address and host.roles:
            return "it was never created"
        if "unreachable" in facts and (planned.step.unreachable == "skip" or self.choices.force):
            return f"it is passed over: {facts['unreachable']}"
        if planned.phase in CLEANING and host.roles and not facts.get("rootfs"):
            return "nothing was installed on it"
        return ""

    def _tolerated(self, planned: PlannedStep) -> bool:
        """Whether a failure of the step keeps nobody from going on: with force, what takes away what is to be gone."""
        if not self.choices.force:
            return False
        leaving = self.operation.kind == "delete" or planned.step.on == REMOVED or planned.phase in ENDING
        return planned.phase in CLEANING or (leaving and planned.phase in LEAVING)

    def _perhaps_labelled(self, key: str, value: str | None) -> frozenset[str]:
        return frozenset(host.address for host in groups(self.operation)["any"])

    def _labelled(self, key: str, value: str | None) -> frozenset[str]:
        """Ask the cluster which nodes have a label: a step of its own on the first master."""
        found: list[str] = []

        def ask(context: Any) -> None:
            try:
                nodes = list(self.drivers.runtime.nodes(context))
            except CommandError as error:
                if self.operation.hosts:
                    raise
                context.warn(f"the cluster does not answer, and no node of it is labelled {key}: {error.what}")
                return  # it is to go all the same, and may never have come up
            found.extend(node.address for node in nodes if key in node.labels and value in (None, node.labels[key]))

        first = self.operation.first_master
        if first is None:
            raise SealerError(f"Nodes labelled {key}: there is no master to ask")
        step = Step("nodes", f"List the nodes labelled {key}", FIRST_MASTER, ask, effect=Effect.QUERY, timeout=60)
        builder = StageBuilder("nodes", self.facts.names)
        builder.add("Ask", KERNEL, [step])
        Executor(self._surroundings(self._journal), builder.build()).run()
        return frozenset(found)

    # -- words ---------------------------------------------------------------------------------------------------

    def _release(self, locks: HostLocks) -> None:
        locks.release()

    def _summary(self) -> str:
        """What begins, as a heading: `Creating cluster etcd from etcd:3.4 on 3 hosts`."""
        operation, name = self.operation, self.home.name
        image = operation.image.reference if operation.image else ""
        match operation.kind:
            case "create":
                words = f"Creating cluster {name}{f' from {image}' if image else ''} on {_hosts(operation.added)}"
            case "application":
                words = f"Installing {image or 'applications'} on cluster {name}"
            case "delete":
                words = f"Deleting cluster {name}, {_hosts(operation.removed)}"
            case _ if operation.added:
                removing = f", removing {_hosts(operation.removed)}" if operation.removed else ""
                words = f"Adding {_hosts(operation.added)} to cluster {name}{removing}"
            case _ if operation.removed:
                words = f"Removing {_hosts(operation.removed)} from cluster {name}"
            case _:
                words = f"Updating cluster {name}"
        return words

    def _tell(self, state_: State, message: str, seconds: float | None = None) -> None:
        data = {} if seconds is None else {"seconds": round(seconds, 1)}
        self.events.emit(state_, message=message, data={**data, "operation": self.operation.id})

    def _advised(self, error: BaseException) -> BaseException:
        """What to do next, on every error that does not say so itself."""
        if isinstance(error, SealerError) and not error.remedy:
            # Only of a create is the whole cluster what was done, where anything was.
            create = self.operation.kind == "create" and self.home.exists
            delete = f" `sealer delete --all --name {self.home.name}` undoes it." if create else ""
            if isinstance(error, InterruptedRunError):
                error.remedy = f"Run the same command again: it continues where it stopped.{delete}"
            elif isinstance(error, OperationFailedError):
                again = "Fix the cause, then run the same command again"
                # What changed nothing is not in the way of another command.
                abandonable = self.operation.kind in ("create", "scale") and self._journal.state.unfinished is not None
                if self.choices.force or self.operation.kind not in ("delete", "scale") or not self.operation.removed:
                    changed = " With a changed Clusterfile or other options, add --abandon." if abandonable else ""
                    error.remedy = f"{again}: completed steps are skipped.{changed}{delete}"
                else:
                    error.remedy = f"{again}, or add --force to go on without hosts that cannot be cleaned."
        return error


def _updated(recorded: Host, wanted: Host | None) -> Host:
    """A host as recorded, with what the desired cluster says of it."""
    if wanted is None:
        return recorded
    return replace(
        recorded,
        roles=wanted.roles,
        env=wanted.env,
        labels=wanted.labels,
        taints=wanted.taints,
        ssh=wanted.ssh.filled_from(recorded.ssh),
    )


def _hosts(hosts: Sequence[Host]) -> str:
    return f"{len(hosts)} host{'s' if len(hosts) != 1 else ''}"
