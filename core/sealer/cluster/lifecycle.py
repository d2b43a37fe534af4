"""What can be done to clusters: create, apply, scale, delete, install an application."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Literal

from sealer.cluster import state
from sealer.cluster.ad_hoc import AdHocCommand, Answer, Listener
from sealer.cluster.asked import Asked
from sealer.cluster.cancellation import Cancellation
from sealer.cluster.changes import Changes, changes
from sealer.cluster.checks import checks_of
from sealer.cluster.checkup import Checkup
from sealer.cluster.choices import Choices
from sealer.cluster.connections import Connections
from sealer.cluster.content import ImageContent
from sealer.cluster.desired import corrected, login_in, placeholders, recorded_ssh, with_logins
from sealer.cluster.differences import differences, lines_of
from sealer.cluster.documents import (
    DocumentsPlugin,
    Parsed,
    check_hosts,
    merged,
    missing_types,
    parse,
    refuse_missing,
)
from sealer.cluster.driver_choice import DriverNames, DriverRequest, choose_drivers
from sealer.cluster.foreign import attached, refuse_changes, settle_images
from sealer.cluster.health import Health
from sealer.cluster.home import ClusterHome
from sealer.cluster.honoured import not_honoured
from sealer.cluster.host_names import as_recorded
from sealer.cluster.journal import Journal
from sealer.cluster.leftovers import tidy
from sealer.cluster.lock import cluster_lock, working
from sealer.cluster.lost import Lost, find, wrong_id
from sealer.cluster.operate import Intention, Run, exists
from sealer.cluster.ownership import Identity
from sealer.cluster.plan import Plan
from sealer.cluster.powered import Power, Switched, Verb, can_start, refuse_unfinished, switchable, switched_off
from sealer.cluster.salvage import known, store
from sealer.cluster.scripts import launched
from sealer.cluster.stages import Drivers
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, HostGroup, RegistrySpec
from sealer.clusterfile.secrets import secret_fields, with_secrets
from sealer.errors import ImageError, ImageNotFoundError, InputError, MissingDriverError, PluginError, RefusedError
from sealer.events import EventStream
from sealer.extension.drivers import Provider, Runtime
from sealer.extension.guarding import steps_of
from sealer.extension.loading import driver_class, driver_names
from sealer.extension.manager import PluginManager
from sealer.extension.missing_types import all_types
from sealer.extension.operation import Operation, Recorded, RecordedHost
from sealer.extension.transport import Connection
from sealer.hosts import Host, Ssh
from sealer.image.model import APP_INSTALLER, ClusterImage
from sealer.image.store import Store
from sealer.settings import DEFAULT_PROVIDER, Settings

NO_LOGIN = Ssh()  # nothing given: what is recorded, and the cluster's own key


@dataclass(frozen=True)
class Outcome:
    """What came of a request.

    :param plan: of a dry run.
    :param changes: of an apply.
    """

    cluster: str
    kind: Literal["create", "scale", "application", "delete", "nothing"]
    plan: Plan | None = None
    changes: Changes | None = None
    recorded: Recorded | None = None


class Lifecycle:
    """The clusters of one home, and what can be done to them."""

    def __init__(
        self,
        settings: Settings,
        plugins: PluginManager,
        events: EventStream,
        cancellation: Cancellation | None = None,
        choices: Choices | None = None,
    ) -> None:
        self.settings = settings
        self.events = events
        self._plugins = plugins
        self._cancellation = cancellation or Cancellation()
        self._choices = choices or Choices()
        self._store = Store(settings.images)
        self._documents = DocumentsPlugin()
        plugins.register(self._documents, DocumentsPlugin.NAME, place="last")

    # -- what is there -------------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """The clusters that are recorded, sorted."""
        if not self.settings.clusters.is_dir():
            return ()
        found = (ClusterHome(path) for path in self.settings.clusters.iterdir())
        return tuple(sorted(home.name for home in found if home.exists))

    def recorded(self, name: str) -> Recorded:
        """What is recorded of a cluster.

        :raises InputError: there is no such cluster.
        """
        recorded = state.load(self._home(name))
        if recorded is None:
            known = ", ".join(self.names()) or "none"
            raise InputError(
                f"No cluster named '{name}'", why=f"clusters: {known}", remedy="`sealer status` lists them"
            )
        return recorded

    def makes_hosts(self, provider: str) -> bool | None:
        """Whether a provider makes hosts by count; None: it cannot be had here, and nobody knows."""
        try:
            found = driver_class("provider", provider or DEFAULT_PROVIDER, self.settings)
        except MissingDriverError:
            return None
        return issubclass(found, Provider) and found.makes_hosts

    def examine(self, desired: Clusterfile) -> bool:
        """See that a cluster can be planned as a Clusterfile says; no host is asked, nothing is recorded.

        :returns: whether its image is in the store. If not, only the runtime is asked, where it is known which it is.
        :raises InputError: with every mistake that was found.
        """
        cluster = _cluster(desired)
        try:
            image = self._store.find(cluster.image) if cluster.image else None
        except ImageNotFoundError:
            image = None
        wanted = self._wanted(cluster, None)
        home = self._home(cluster.name)
        if image is None:
            if name := cluster.runtime.name or self._runtime_of_documents(desired):
                named = replace(cluster, runtime=replace(cluster.runtime, name=name))
                intention = Intention("create", replace(desired, cluster=named), None, wanted=wanted, added=wanted)
                operation = Operation("examine", "create", cluster.name, intention.desired, None, None, added=wanted)
                runtime = self._drivers(home, intention, None).runtime
                self._warn_of_no_effect(intention, runtime, name)
                steps_of(name, "install", lambda: runtime.install(operation))
            return False
        launched(image, cluster.app_names)
        intention = Intention("create", desired, image, wanted=wanted, added=wanted)
        if image.first.type == APP_INSTALLER:  # which cluster it is for is not known here
            self._parsed(replace(intention, kind="application"))
        else:
            run = self._prepared(home, None, intention)
            for what in run.drivers.missing:
                self.events.warn(f"not checked: {what}")
            run.examine()
        return True

    def _runtime_of_documents(self, desired: Clusterfile) -> str:
        """The only runtime installed that kubeadm's documents can be for; empty: there are none, or several."""
        if not desired.kubeadm:
            return ""
        takers = []
        for name in driver_names("runtime", self.settings):
            with suppress(PluginError):  # a broken package is none of this Clusterfile's mistakes
                found = driver_class("runtime", name, self.settings)
                takers += [name] if issubclass(found, Runtime) and found.takes_kubeadm else []
        return takers[0] if len(takers) == 1 else ""

    # -- what can be done ----------------------------------------------------------------------------------------

    def create(self, desired: Clusterfile, *, foreign: bool = False) -> Outcome:
        """Make a new cluster, or go on making it; an application image is installed onto the cluster that runs.

        :param foreign: onto one that sealer did not make: `spec.runtime` says which.
        :raises RefusedError: the cluster exists.
        """
        cluster = _cluster(desired)
        home = self._home(cluster.name)
        with self._locked(home):
            recorded = state.load(home)
            desired = self._named_as_recorded(desired, recorded)
            image = self._begun_with(recorded, self._image(cluster.image))
            if foreign:
                recorded = attached(recorded, cluster, image)
            elif recorded is not None and recorded.foreign and image.first.type == APP_INSTALLER:
                known = replace(_recorded_cluster(recorded), hosts=(), ssh=cluster.ssh, registry=cluster.registry)
                recorded = attached(recorded, known, image)
            if image.first.type == APP_INSTALLER:
                return self._application(home, recorded, image, desired)
            if recorded is not None and recorded.status != "creating" and not self._lacks_a_word(home, recorded):
                raise exists(recorded, image)
            return self._create(home, recorded, image, desired)

    def apply(self, desired: Clusterfile) -> Outcome:
        """Create the cluster, or bring it to what the Clusterfile says.

        :raises RefusedError: a change is asked for that nothing would bring about, or nobody confirms a removal.
        """
        cluster = _cluster(desired)
        home = self._home(cluster.name)
        with self._locked(home):
            return self._apply(home, desired)

    def scale_up(
        self, name: str, hosts: Sequence[Host], counts: tuple[int, int] = (0, 0), ssh: Ssh = NO_LOGIN
    ) -> Outcome:
        """Add hosts to a cluster.

        :param counts: further masters and nodes, with a provider that makes hosts.
        :param ssh: how to log in to such hosts, over what is recorded.
        """
        self.recorded(name)
        home = self._home(name)
        with self._locked(home):
            return self._apply(home, self._with_hosts(self.recorded(name), hosts, counts, ssh))

    def _with_hosts(self, recorded: Recorded, hosts: Sequence[Host], counts: tuple[int, int], ssh: Ssh) -> Clusterfile:
        cluster = _recorded_cluster(recorded)
        if any(counts):
            cluster = replace(cluster, ssh=ssh.filled_from(cluster.ssh))
        members = {entry.host.address for entry in recorded.hosts if entry.member}
        hosts = as_recorded(hosts, recorded, self.events.warn)
        for host in hosts:
            if host.address in members:
                raise InputError(f"The host {host.address} is in the cluster already")
        known = {host.address for host in hosts}
        kept = tuple(host for host in cluster.hosts if host.address not in known)
        added = tuple(replace(host, ssh=host.ssh.filled_from(cluster.ssh)) for host in hosts)
        groups = list(cluster.groups)
        for role, count in zip(("master", "node"), counts, strict=True):
            groups = _with_more(groups, role, count)
        return replace(recorded.clusterfile, cluster=replace(cluster, hosts=(*kept, *added), groups=tuple(groups)))

    def scale_down(
        self, name: str, addresses: Sequence[str], ssh: Ssh = NO_LOGIN, logins: Clusterfile | None = None
    ) -> Outcome:
        """Remove hosts from a cluster.

        :param ssh: over what is recorded, where the cluster's own key does not open the hosts.
        :param logins: a Clusterfile whose logins are over what is recorded, too; `ssh` is over them.
        :raises InputError: a host is not in it.
        """
        self.recorded(name)
        home = self._home(name)
        with self._locked(home):
            return self._leave(home, _with_logins_of(self.recorded(name), logins), addresses, ssh)

    def _leave(self, home: ClusterHome, recorded: Recorded, addresses: Sequence[str], ssh: Ssh) -> Outcome:
        refuse_changes(recorded)
        cluster = _recorded_cluster(recorded)
        known = {entry.host.address: entry.host for entry in recorded.hosts} | {
            entry.host.placeholder: entry.host for entry in recorded.hosts if entry.host.placeholder
        }
        unknown = [address for address in addresses if address not in known]
        if unknown:
            raise InputError(f"{', '.join(unknown)}: not in the cluster '{home.name}'")
        leaving = {known[address].id for address in addresses}
        gone = [_with_ssh(entry.host, ssh) for entry in recorded.hosts if entry.host.id in leaving]
        groups = list(cluster.groups)
        for host in gone:
            if host.placeholder:
                groups = _with_more(groups, host.roles[0], -1)
        stay = tuple(host for host in cluster.hosts if host.address not in leaving)
        desired = replace(recorded.clusterfile, cluster=replace(cluster, hosts=stay, groups=tuple(groups)))
        staying = (entry.host for entry in recorded.hosts if entry.host.id not in leaving and entry.member)
        kept = tuple(_filled(host, ssh) for host in staying)
        return self._scale(home, recorded, desired, Changes(removed=tuple(gone), kept=kept))

    def delete(self, name: str, ssh: Ssh = NO_LOGIN, logins: Clusterfile | None = None) -> Outcome:
        """Delete a cluster, whatever became of the operations before.

        :param ssh: over what is recorded, where the cluster's own key does not open the hosts.
        :param logins: a Clusterfile whose logins are over what is recorded, too; `ssh` is over them.
        """
        home = self._home(name)
        if not self._choices.force or known(home, self.settings, self._store, self.events) is None:
            self.recorded(name)
        with self._locked(home, force=self._choices.force):
            recorded = self._to_delete(home)
            if recorded is None:  # nothing of it had been begun on a host, so that it was just forgotten
                home.remove()
                return Outcome(name, "delete")
            recorded = _with_logins_of(recorded, logins)
            hosts = tuple(_with_ssh(entry.host, ssh) for entry in recorded.hosts)
            question = _forgetting(home.name) if recorded.foreign else _question(home.name, hosts, everything=True)
            if not (self._choices.dry_run or self._choices.confirm(question)):
                raise RefusedError("Aborted: nothing was deleted")
            desired = recorded.clusterfile
            image = self._image_if_whole(recorded)
            intention = Intention("delete", desired, image, wanted=(), removed=hosts)
            if not self._choices.force:
                return self._carried_out(self._prepared_for_removal(home, recorded, intention))
            return self._carried_out(self._prepared_as_far_as_possible(home, recorded, intention))

    def _prepared_as_far_as_possible(self, home: ClusterHome, recorded: Recorded, intention: Intention) -> Run:
        """The same without what cannot be loaded any more: a plugin that was uninstalled, say."""
        cluster = _recorded_cluster(recorded)
        nothing = DriverChoice()
        bare = replace(cluster, runtime=nothing, registry=RegistrySpec())
        left_out: list[tuple[Cluster, Recorded, str]] = [
            (cluster, recorded, "the image's files and the Plugin documents"),
            (bare, replace(recorded, runtime="", registry=""), "the runtime and the registry"),
            (replace(bare, provider=nothing), replace(recorded, runtime="", registry=""), "the provider"),
        ]
        for less, record, what in left_out:
            try:
                return self._prepared_for_removal(home, recorded, intention)
            except (InputError, PluginError, ImageError) as error:
                self.events.warn(f"{what} cannot take part, and what they brought may stay: {error}")
            recorded = record
            intention = replace(intention, image=None, desired=Clusterfile(cluster=less))
        return self._prepared_for_removal(home, recorded, intention)

    def _to_delete(self, home: ClusterHome) -> Recorded | None:
        """What is recorded; where that is damaged and a delete is forced, what is known all the same, recorded anew."""
        try:
            if (recorded := state.load(home)) is not None or not self._choices.force:
                return recorded
        except state.DamagedRecordError:
            if not self._choices.force:
                raise
        found = known(home, self.settings, self._store, self.events)
        if found is None:
            return None
        self.events.warn(
            f"The record of the cluster '{home.name}' is damaged ({'; '.join(found.lost)}). Going on with what is "
            f"known: {', '.join(entry.host.id for entry in found.recorded.hosts) or 'no host'}; what else there may be "
            "of it on other hosts stays"
        )
        if not self._choices.dry_run:
            store(home, found.recorded)
        return found.recorded

    def lost(self, identifier: str, hosts: Sequence[Host], base: Cluster, *, force: bool) -> Lost:
        """The cluster with an id, by what its hosts know of it; nothing is recorded, no lock is taken.

        :param hosts: those that are named.
        :param base: how they are reached, and where its files are on them.
        :param force: leave hosts behind that cannot be asked.
        :raises InputError: that is no id.
        :raises RefusedError: its record is here, or one of another cluster of its name.
        """
        if error := wrong_id(identifier):
            raise error
        for home in map(self._home, self.names()):
            try:
                recorded = state.load_state(home)
                same, force_it = recorded is not None and recorded.id == identifier, ""
            except state.DamagedRecordError:  # which is no matter of the others
                recorded, same, force_it = None, state.kept_id(home) == identifier, " --force"
            if same and recorded is not None and recorded.status == "deleting":
                return Lost(Identity(identifier, home.name), begun=True)
            if same:
                raise RefusedError(
                    f"The cluster with the id {identifier} is recorded here: '{home.name}'",
                    remedy=f"`sealer delete --all{force_it} --name {home.name}` deletes it.",
                )
        cluster = replace(base, hosts=tuple(hosts))
        intention = Intention("scale", Clusterfile(cluster=cluster), None, wanted=cluster.hosts)
        drivers = self._drivers(ClusterHome(self.settings.clusters / identifier), intention, None)
        operation = Operation("lost", "scale", cluster.name, intention.desired, None, None, kept=cluster.hosts)
        connections, settings = Connections(drivers.transport_of), self.settings
        asked = Asked(operation, drivers, connections, self._cancellation, settings.parallel_hosts, settings.clusters)
        found = find(asked, identifier, self.events, force=force)
        if self._home(found.name).exists:
            raise RefusedError(
                f"Another cluster named '{found.name}' is recorded here",
                why="its id is not " + identifier,
                remedy="Delete this one from another home: `SEALER_HOME=DIRECTORY sealer delete ...`.",
            )
        return found

    def delete_lost(self, lost: Lost, ssh: Ssh) -> Outcome:
        """Delete a cluster whose record is lost: a new one is made, by which the delete can be continued."""
        if lost.begun:
            return self.delete(lost.name, ssh)
        home = self._home(lost.name)
        with self._locked(home):
            if home.exists:
                raise RefusedError(f"A cluster named '{home.name}' is recorded here by now", remedy="Try again.")
            recorded = lost.record
            question = f"{_question(home.name, lost.hosts, everything=True)} Its id is {recorded.id}."
            if not (self._choices.dry_run or self._choices.confirm(question)):
                raise RefusedError("Aborted: nothing was deleted")
            self.events.warn(
                "The cluster's record is lost: plugins of its Clusterfile do not run, and hosts that a provider made "
                "are cleaned and stay"
            )
            image = self._image_if_whole(recorded)
            intention = Intention("delete", recorded.clusterfile, image, wanted=(), removed=lost.hosts)
            return self._carried_out(self._prepared_for_removal(home, recorded, intention))

    def execute(self, name: str, command: str, hosts: Sequence[Host], hear: Listener) -> tuple[Answer, ...]:
        """Run a command on some hosts of a cluster; nothing is recorded, no lock is taken."""
        return AdHocCommand(self._asked("exec", self.recorded(name)), self.events, command, hear).run(hosts)

    def switch(self, verb: Verb, name: str, hosts: Sequence[Host] | None = None) -> tuple[Switched, ...]:
        """Start hosts that the cluster's provider made and wait until they answer, or shut them down.

        They are started also where an operation is unfinished: after a power cut in the middle of one, say.

        :param hosts: None: all of them.
        :raises InputError: sealer did not make them, or the provider cannot do that.
        :raises RefusedError: nobody confirms a stop, or an operation is unfinished.
        """
        switchable(self.recorded(name), hosts)
        with self._locked(self._home(name)):
            recorded = self.recorded(name)
            chosen = switchable(recorded, hosts)
            if verb == "stop":
                refuse_unfinished(recorded)
            asked = self._asked(verb, recorded, needs_provider=True)
            return Power(asked, self.events).switch(verb, chosen, self._choices.confirm)

    def check(self, name: str, seconds: float, ssh: Ssh = NO_LOGIN) -> Health:
        """Whether a cluster is well, now; nothing is recorded, no lock is taken.

        :param seconds: that all of it may take.
        :param ssh: over what is recorded, where the cluster's own key does not open the hosts.
        """
        asked = self._asked("check", self.recorded(name), ssh)
        at_work = working(self._home(name).lock)
        return Checkup(asked, seconds, at_work).run(checks_of(asked, self._plugins))

    def look(self, name: str, seconds: float) -> Health:
        """What hosts and the cluster's API say of it, now; nobody else is asked."""
        recorded = self.recorded(name)
        health = Checkup(self._asked("look", recorded), seconds).run(())
        if health.reached and all(health.reached.values()):
            return health
        return replace(health, off=switched_off(recorded, self.settings, self.events))

    def _asked(
        self, identifier: str, recorded: Recorded, ssh: Ssh = NO_LOGIN, *, needs_provider: bool = False
    ) -> Asked:
        everyone = tuple(_with_ssh(entry.host, ssh) for entry in recorded.hosts)
        desired, image = recorded.clusterfile, self._image_if_whole(recorded)
        intention = Intention("scale", desired, image, wanted=everyone, kept=everyone)
        drivers = self._drivers(self._home(recorded.name), intention, recorded, needs_provider=needs_provider)
        operation = Operation(identifier, "scale", recorded.name, desired, recorded, image=image, kept=everyone)
        connections = Connections(drivers.transport_of)
        settings = self.settings
        return Asked(operation, drivers, connections, self._cancellation, settings.parallel_hosts, settings.clusters)

    @contextmanager
    def connected(self, name: str, host: Host) -> Iterator[Connection]:
        """A way to a host of a cluster beside all operations: nothing is recorded, no lock is taken.

        :raises HostError: no connection could be made.
        """
        recorded = self.recorded(name)
        everyone = tuple(entry.host for entry in recorded.hosts)
        intention = Intention("scale", recorded.clusterfile, self._image_of(recorded), wanted=everyone, kept=everyone)
        connection = self._drivers(self._home(name), intention, recorded).transport_of(host).connect(host)
        try:
            yield connection
        finally:
            connection.close()

    def _lacks_a_word(self, home: ClusterHome, recorded: Recorded) -> bool:
        """Whether a run was killed when all of its work was recorded, but not that it ended: its command ends it."""
        running = recorded.status == "running" and not self._choices.dry_run
        return running and Journal(home.journal).state.settled

    # -- parts ---------------------------------------------------------------------------------------------------

    def _create(
        self, home: ClusterHome, recorded: Recorded | None, image: ClusterImage, desired: Clusterfile
    ) -> Outcome:
        if image.first.type == APP_INSTALLER:
            raise RefusedError(
                f"{image.reference} is an application image, and there is no cluster '{home.name}' to install it onto",
                remedy="Run a cluster image first.",
            )
        if self._choices.unfinished == "continue":
            desired = self._pending(home, desired)
        cluster = _cluster(desired)
        launched(image, cluster.app_names)  # a wrong name is told of before anything is done
        self._confirm_this_machine(cluster, recorded)
        if recorded is None and not self._choices.dry_run and (aside := home.set_credentials_aside()):
            self.events.warn(f"unknown keys were found and not used; they were moved to {aside}")
        wanted = self._wanted(cluster, recorded)
        removed = _left_over(recorded, wanted, cluster.ssh)
        intention = Intention("create", desired, image, wanted=wanted, added=wanted, removed=removed)
        return self._run(home, recorded, intention)

    def _confirm_this_machine(self, cluster: Cluster, recorded: Recorded | None) -> None:
        """Where no host was named, this machine is meant; it may be the last one that somebody wants changed.

        :raises RefusedError: nobody says yes.
        """
        known = {entry.host.address for entry in recorded.hosts} if recorded else set()
        if not cluster.on_this_machine or known.issuperset(host.address for host in cluster.hosts):
            return
        if cluster.ssh.port:
            raise InputError(
                f"SSH port {cluster.ssh.port} is given, and no host",
                remedy=f"Name the host: --masters ADDRESS:{cluster.ssh.port}",
            )
        if cluster.ssh != NO_LOGIN:
            self.events.warn("The login is not used: no host is named, and this machine needs none")
        if not (self._choices.dry_run or self._choices.confirm(_on_this_machine(cluster))):
            raise RefusedError("Aborted: nothing was changed", remedy="Name hosts with --masters and --nodes.")

    def _named_as_recorded(self, desired: Clusterfile, recorded: Recorded | None) -> Clusterfile:
        cluster = _cluster(desired)
        hosts = as_recorded(cluster.hosts, recorded, self.events.warn)
        return replace(desired, cluster=replace(cluster, hosts=hosts))

    def _apply(self, home: ClusterHome, desired: Clusterfile) -> Outcome:
        recorded = state.load(home)
        desired = self._named_as_recorded(desired, recorded)
        if recorded is None or recorded.status == "creating":
            image = self._begun_with(recorded, self._image(_cluster(desired).image))
            return self._create(home, recorded, image, desired)
        if recorded.status == "deleting":
            raise RefusedError(
                f"The cluster '{home.name}' is being deleted",
                remedy=f"Finish that with `sealer delete --all --name {home.name}`, then apply again.",
            )
        refuse_changes(recorded)
        return self._change(home, recorded, desired)

    def _change(self, home: ClusterHome, recorded: Recorded, desired: Clusterfile) -> Outcome:
        if self._choices.unfinished == "continue":
            desired = self._pending(home, desired)
        cluster = _cluster(desired)
        self._confirm_this_machine(cluster, recorded)
        found = changes(recorded, desired, self._wanted(cluster, recorded))
        found = replace(found, fields=(*found.fields, *self._changed_in_registry(home, recorded, desired, found.kept)))
        found = replace(found, details=differences(recorded, desired, found))
        return self._scale(home, recorded, desired, found)

    def _changed_in_registry(
        self, home: ClusterHome, recorded: Recorded, desired: Clusterfile, kept: tuple[Host, ...]
    ) -> Sequence[str]:
        """What only the driver of the private registry can tell: a password, say, is in no record."""
        image = self._image_if_whole(recorded)
        intention = Intention("scale", desired, image, wanted=kept, kept=kept)
        registry = self._drivers(home, intention, recorded, needs_provider=False).registry
        if registry is None:
            return ()
        operation = Operation("compare", "scale", home.name, desired, recorded, image=image, kept=kept)
        return sorted(registry.changed(operation))

    def _scale(self, home: ClusterHome, recorded: Recorded, desired: Clusterfile, found: Changes) -> Outcome:
        if found.plugins:
            self.events.warn(
                f"Plugin documents that changed ({', '.join(found.plugins)}) do not run again: "
                "install-time plugins run at install only; those of later phases run when their phase comes"
            )
        if found.none and recorded.status == "running":
            self._record_logins(home, recorded, desired, found.kept)
            self._warn_of_hosts_that_are_off(recorded)
            return Outcome(home.name, "nothing", changes=found, recorded=recorded)
        masters = [host for host in (*found.kept, *found.added) if host.is_master]
        if not masters:
            raise RefusedError(
                "No master would be left", remedy=f"`sealer delete --all --name {home.name}` deletes it."
            )
        needed = found.added or found.fields
        intention = Intention(
            "scale",
            desired,
            self._image_of(recorded) if needed else self._image_if_whole(recorded),
            wanted=(*found.kept, *found.added),
            added=found.added,
            kept=found.kept,
            removed=tuple(_filled(recorded_ssh(host, recorded), _cluster(desired).ssh) for host in found.removed),
        )
        if needed and intention.image is None:
            raise ImageNotFoundError(
                f"The cluster's image {recorded.image} is not in the local store",
                why="adding hosts and changing fields need it",
                remedy="Pull, load or build it again.",
            )
        prepared = self._prepared if needed else self._prepared_for_removal
        run = prepared(home, recorded, intention)
        run.refuse_uncovered(found)
        for line in (_announcement(home.name, found), *lines_of(found)):
            self._choices.announce(line)
        ask = found.removed and not self._choices.dry_run
        if ask and not self._choices.confirm(_question(home.name, found.removed)):
            raise RefusedError("Aborted: nothing was changed")
        return replace(self._carried_out(run), changes=found)

    def _warn_of_hosts_that_are_off(self, recorded: Recorded) -> None:
        """What was asked for is recorded; whether it is there is another matter."""
        if off := switched_off(recorded, self.settings, self.events):
            how = "the tools of their provider"
            if can_start(recorded, self.settings, self.events):
                how = f"`sealer start {recorded.name}`"
            self.events.warn(
                f"{', '.join(off)}: switched off; apply does not boot hosts that it made before. Boot them with {how}"
            )

    def _record_logins(self, home: ClusterHome, recorded: Recorded, desired: Clusterfile, kept: Sequence[Host]) -> None:
        """Logins that were corrected count from now on, also where nothing else is to be done."""
        logins = {host.id: host.ssh for host in kept}
        clusterfile = with_logins(recorded.clusterfile, desired)
        corrected_hosts = state.change_hosts(
            recorded, lambda entry: replace(entry, host=_with_ssh(entry.host, logins.get(entry.host.id, NO_LOGIN)))
        )
        if self._choices.dry_run or state.same_logins(recorded, corrected_hosts):
            return
        state.save(home, replace(corrected_hosts, clusterfile=clusterfile))
        state.save_settled(home, clusterfile)
        self.events.info("the changed logins are recorded")

    def _application(
        self, home: ClusterHome, recorded: Recorded | None, image: ClusterImage, desired: Clusterfile
    ) -> Outcome:
        if recorded is None or recorded.status not in ("running", "changing"):
            raise RefusedError(
                f"{image.reference} is an application image, and no cluster '{home.name}' runs",
                remedy="Run a cluster image first, or name the cluster with `--name`.",
            )
        asked, kept = _cluster(desired), recorded.clusterfile
        if recorded.foreign:
            recorded = settle_images(recorded, image, self.events, publish=self._choices.publish)
        elif not self._choices.publish:
            raise InputError(
                "--no-publish", why=f"sealer made the cluster '{home.name}', and its hosts pull what is published"
            )
        base = _recorded_cluster(recorded)
        launched(image, asked.app_names)
        if asked.runtime.options and asked.runtime.options != base.runtime.options:
            self.events.warn("fields of spec.runtime are for the cluster, and have no effect on an application")
        spec = replace(
            base, env={**base.env, **asked.env}, cmd=asked.cmd, cmd_args=asked.cmd_args, app_names=asked.app_names
        )
        hosts = tuple(entry.host for entry in recorded.hosts if entry.member)
        intention = Intention(
            "application",
            replace(desired, cluster=spec),
            image,
            wanted=hosts,
            kept=hosts,
            application=image.reference.rpartition("/")[2].partition("@")[0].partition(":")[0],
            record=kept if recorded.foreign else None,  # with its registry, also where this image is not published
        )
        return self._run(home, recorded, intention)

    def _run(self, home: ClusterHome, recorded: Recorded | None, intention: Intention) -> Outcome:
        return self._carried_out(self._prepared(home, recorded, intention))

    def _prepared_for_removal(self, home: ClusterHome, recorded: Recorded, intention: Intention) -> Run:
        """The same for hosts that only leave: an image that cannot be read must not keep them."""
        try:
            return self._prepared(home, recorded, intention)
        except ImageError as error:
            if intention.image is None:
                raise
            self._warn_of_damage(recorded, error)
            return self._prepared(home, recorded, replace(intention, image=None))

    def _prepared(self, home: ClusterHome, recorded: Recorded | None, intention: Intention) -> Run:
        parsed = self._parsed(intention)
        drivers = self._drivers(home, intention, recorded)
        drivers = replace(drivers, missing=(*drivers.missing, *missing_types(parsed)))
        if intention.kind == "create" or (intention.kind == "scale" and not intention.removed):
            self._warn_of_no_effect(intention, drivers.runtime, drivers.runtime_name)
        return Run(
            self.settings,
            self._plugins,
            self._documents,
            self.events,
            self._cancellation,
            self._choices,
            home,
            drivers,
            intention,
            recorded,
            parsed,
        )

    def _warn_of_no_effect(self, intention: Intention, runtime: Runtime, name: str) -> None:
        """A field that the runtime does nothing with must not look as if it had been done."""
        for problem in not_honoured(intention.desired, runtime, name):
            self.events.warn(str(problem))

    def _carried_out(self, run: Run) -> Outcome:
        """Plan it, or do it."""
        name = run.home.name
        kind: Literal["create", "scale", "application", "delete"] = run.intention.kind  # type: ignore[assignment]
        if self._choices.dry_run:
            return Outcome(name, kind, plan=run.plan(), recorded=run.recorded)
        run.ask_runtime()
        image = run.intention.image
        # It stays whole meanwhile, whatever is removed from the store.
        with self._store.using(image.digest) if image else nullcontext():
            run.execute()
        return Outcome(name, kind, recorded=state.load(run.home))

    def _parsed(self, intention: Intention) -> tuple[Parsed, ...]:
        """The Plugin documents that take part, read by their types before anything is changed."""
        carried = ImageContent(intention.image).documents if intention.image else ()
        documents = merged(carried, intention.desired.plugins)
        parsed = parse(documents, all_types(self._plugins))
        if not self._choices.dry_run:
            refuse_missing(parsed)
        hosts = (*intention.wanted, *intention.removed)
        # What a foreign cluster has is not what an application's data is about: nothing would be done, unseen.
        told = intention.kind in ("create", "scale") or intention.record is not None
        if told and all(host.address for host in hosts):
            check_hosts(parsed, [host.address for host in hosts], self.events.warn)
        return parsed

    def _drivers(
        self, home: ClusterHome, intention: Intention, recorded: Recorded | None, *, needs_provider: bool = True
    ) -> Drivers:
        cluster = intention.desired.cluster or Cluster()
        given = {**cluster.provider.options, **self._choices.provider_options}
        request = DriverRequest(
            replace(cluster, provider=replace(cluster.provider, options=given)),
            DriverNames.of(cluster, intention.image, recorded if intention.kind != "create" else None),
            hosts=(*intention.wanted, *intention.removed),
            recorded=recorded,
            credentials=home.credentials,
            stop=self._cancellation.stop,
            plan_only=self._choices.dry_run,
            needs_provider=needs_provider,
        )
        return choose_drivers(request, self.settings, self.events)

    def _wanted(self, cluster: Cluster, recorded: Recorded | None) -> tuple[Host, ...]:
        """The desired hosts: those named, and those a provider makes or made, by their placeholders."""
        before = _recorded_cluster(recorded).ssh if recorded else NO_LOGIN
        made = [corrected(entry.host, cluster.ssh, before) for entry in recorded.hosts] if recorded else []
        by_count = placeholders(cluster.groups, [host for host in made if host.placeholder], cluster.ssh)
        named = tuple(recorded_ssh(host, recorded) for host in cluster.hosts)
        return tuple(sorted((*named, *by_count), key=lambda host: not host.is_master))

    def _pending(self, home: ClusterHome, desired: Clusterfile) -> Clusterfile:
        """What the unfinished operation is about, with the secrets of this command."""
        pending = state.load_pending(home)
        if pending is None or pending.cluster is None:
            return desired
        found = with_secrets(with_logins(pending, desired), desired)
        unfinished = None if self._choices.dry_run else Journal(home.journal).state.unfinished
        known = {*secret_fields(found), *self._choices.secret_fields}
        if unknown := [path for path in (unfinished or {}).get("secrets", ()) if path not in known]:
            raise RefusedError(
                f"The {(unfinished or {})['kind']} of '{home.name}' cannot be continued without its secrets",
                why=f"they are not recorded, and this command does not give {', '.join(unknown)}",
                remedy="Give them in the Clusterfile, or fields of drivers with --provider-option, --runtime-option or "
                "--transport-option NAME=VALUE. Or --abandon what is unfinished.",
            )
        return found

    def _image(self, reference: str) -> ClusterImage:
        if not reference:
            raise InputError("No image", why="neither the command line nor spec.image names one")
        return self._store.find(reference)

    def _begun_with(self, recorded: Recorded | None, image: ClusterImage) -> ClusterImage:
        """Where an operation is to be finished as it was begun, its image: the name may be another image's by now."""
        if self._choices.unfinished != "continue" or recorded is None or not recorded.pending_image:
            return image
        return replace(self._store.find(recorded.pending_image), reference=image.reference)

    def _image_of(self, recorded: Recorded) -> ClusterImage | None:
        """The cluster's image, by digest: its name may be another image's by now."""
        for reference in (recorded.image_digest, recorded.image):
            try:
                image = self._store.find(reference) if reference else None
            except (ImageNotFoundError, InputError):
                continue
            if image is not None and image.digest == recorded.image_digest:
                return replace(image, reference=recorded.image)
        return None

    def _image_if_whole(self, recorded: Recorded) -> ClusterImage | None:
        """The same where it can be done without: a damaged image is told of, and is none."""
        try:
            return self._image_of(recorded)
        except ImageError as error:
            self._warn_of_damage(recorded, error)
            return None

    def _warn_of_damage(self, recorded: Recorded, error: ImageError) -> None:
        self.events.warn(
            f"The cluster's image {recorded.image} is damaged, and what it brings for hosts that leave (its plugins, "
            f"its environment) is left out; load or pull it again to have that: {error}"
        )

    def _home(self, name: str) -> ClusterHome:
        return ClusterHome.of(self.settings.clusters, name)

    @contextmanager
    def _locked(self, home: ClusterHome, *, force: bool = False) -> Iterator[None]:
        """The cluster's lock, and an orderly home; a dry run changes nothing and takes none."""
        if self._choices.dry_run:
            yield
            return
        with cluster_lock(home.lock, self._choices.command, self.events):
            tidy(home, self.events, force=force)
            yield


def _with_ssh(host: Host, ssh: Ssh) -> Host:
    return replace(host, ssh=ssh.filled_from(host.ssh))


def _with_logins_of(recorded: Recorded, given: Clusterfile | None) -> Recorded:
    """What is recorded, with the logins that a Clusterfile gives now."""
    before = _recorded_cluster(recorded).ssh

    def corrected_entry(entry: RecordedHost) -> RecordedHost:
        return replace(entry, host=replace(entry.host, ssh=login_in(given, entry.host, before)))

    return state.change_hosts(recorded, corrected_entry)


def _cluster(desired: Clusterfile) -> Cluster:
    if desired.cluster is None:
        raise InputError("There is no document of kind Cluster")
    return desired.cluster


def _recorded_cluster(recorded: Recorded) -> Cluster:
    return recorded.clusterfile.cluster or Cluster(name=recorded.name)


def _left_over(recorded: Recorded | None, wanted: Sequence[Host], ssh: Ssh) -> tuple[Host, ...]:
    """Hosts that an abandoned operation has touched and that are no longer wanted.

    :param ssh: fills what is not recorded of how to log in.
    """
    ids = {host.id for host in wanted}
    known = tuple(entry.host for entry in recorded.hosts if entry.host.id not in ids) if recorded else ()
    return tuple(_filled(host, ssh) for host in known)


def _filled(host: Host, ssh: Ssh) -> Host:
    return replace(host, ssh=host.ssh.filled_from(ssh))


def _with_more(groups: Sequence[HostGroup], role: str, more: int) -> list[HostGroup]:
    """`groups` with `more` hosts of a role, or fewer when it is negative."""
    changed = list(groups)
    same = [number for number, group in enumerate(changed) if group.role == role]
    if same:
        changed[same[-1]] = replace(changed[same[-1]], count=changed[same[-1]].count + more)
    elif more > 0:
        changed.append(HostGroup(role, more))
    return [group for group in changed if group.count > 0]


def _announcement(name: str, found: Changes) -> str:
    parts = [f"add {host.id} ({host.roles[0]})" for host in found.added]
    parts += [f"remove {host.id} ({host.roles[0]})" for host in found.removed]
    parts += [f"change {field}" for field in found.fields]
    return f"cluster {name}: " + ", ".join(parts)


def _question(name: str, hosts: Sequence[Host], *, everything: bool = False) -> str:
    listed = ", ".join(host.id for host in hosts)
    if everything:
        return f"Delete the cluster '{name}' and everything on its hosts ({listed or 'no hosts'})?"
    return f"Remove {listed} from the cluster '{name}' with all they hold?"


def _on_this_machine(cluster: Cluster) -> str:
    address = ", ".join(host.address for host in cluster.hosts)
    return f"No host is named. Install {cluster.image} on this machine, {socket.gethostname()} ({address})?"


def _forgetting(name: str) -> str:
    return f"Forget the cluster '{name}'? What is installed on it stays; files of sealer's own go."
