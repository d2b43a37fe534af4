"""A cluster whose record is lost, found again by its id on its hosts: to be deleted, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sealer.cluster.asked import Asked
from sealer.cluster.executor import Executor
from sealer.cluster.ownership import ID, Identity, cluster_line, clusters_script, identities, read_script
from sealer.cluster.plan import StageBuilder
from sealer.cluster.stages import KERNEL
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostUnreachableError,
    InputError,
    OperationFailedError,
    RefusedError,
    SealerError,
    StepFailure,
)
from sealer.events import EventStream
from sealer.extension.context import StepContext
from sealer.extension.operation import Recorded, RecordedHost
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import Addresses
from sealer.hosts import Host

TITLE = "See which cluster the hosts belong to"
LEFT_BEHIND = (HostUnreachableError, ConnectionLostError, AuthenticationError)


@dataclass(frozen=True)
class Lost:
    """A cluster that is only known by its hosts.

    :param hosts: those that have its id, and are to be cleaned.
    :param cluster: how they are reached, and where its files are on them.
    :param begun: a delete of it was begun from here: that is continued.
    """

    identity: Identity
    hosts: tuple[Host, ...] = ()
    cluster: Cluster = field(default_factory=Cluster)
    begun: bool = False

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.identity.name

    @property
    def record(self) -> Recorded:
        """The least record by which it can be deleted."""
        known = self.identity
        cluster = replace(self.cluster, name=known.name, image=known.image, hosts=self.hosts)
        return Recorded(
            known.name,
            "deleting",
            tuple(RecordedHost(host, member=True) for host in self.hosts),
            Clusterfile(cluster=cluster),
            image=known.image,
            image_digest=known.image_digest,
            runtime=known.runtime,
            registry=known.registry,
            id=known.id,
        )


def wrong_id(identifier: str) -> InputError | None:
    """What is wrong with an id that somebody typed; None: nothing."""
    if ID.match(identifier):
        return None
    return InputError(
        f"--cluster-id {identifier}",
        why="an id is 36 characters long, like 0b7a1a9e-5c55-4b64-9d3c-3f6a5c2d8e10",
        remedy="The refusal of a host names its cluster's id; on the host it is in the file `identity` below "
        "/var/lib/sealer/data.",
    )


def find(asked: Asked, identifier: str, events: EventStream, *, force: bool) -> Lost:
    """Ask hosts which cluster they belong to. Nothing is changed.

    :param asked: a cluster made up of the hosts that are named.
    :param force: leave hosts out that cannot be reached or refuse the login.
    :raises OperationFailedError: a host is of another cluster, or of none, or cannot be asked.
    :raises RefusedError: the cluster has hosts that are not named.
    """
    hosts = asked.operation.hosts
    found, unmarked, silent = _answers(asked, events, force=force)
    failures = []
    for host in hosts:
        if host.id not in silent and (error := _not_of(identifier, host.id, found[host.id], unmarked[host.id])):
            failures.append(StepFailure("Reach/kernel/identity", TITLE, host.id, error))
    if failures:
        raise OperationFailedError(
            f"Nothing was changed: not all hosts belong to the cluster with the id {identifier}", failures=failures
        )
    ours = {host: one for host, many in found.items() for one in many if one.id == identifier}
    if not ours:
        raise OperationFailedError("Nothing was changed: no host could be asked which cluster it belongs to")
    named = {host.address for host in hosts}
    roles = {host.address: host.roles for identity in ours.values() for host in identity.hosts}
    if missing := sorted(set(roles) - named):
        text = f"The cluster has further hosts: {', '.join(missing)}"
        if not force:
            raise RefusedError(
                text, remedy="Name them with -m and -n, too, or add --force to leave them behind as they are."
            )
        events.warn(f"{text}; they are left behind as they are")
    cleaned = tuple(replace(host, roles=roles.get(host.address, host.roles)) for host in hosts if host.id in ours)
    return Lost(next(iter(ours.values())), cleaned, asked.operation.spec)


def _answers(
    asked: Asked, events: EventStream, *, force: bool
) -> tuple[Mapping[str, Sequence[Identity]], Mapping[str, Sequence[str]], frozenset[str]]:
    """By host what it has of clusters with an id; names of those without one; and hosts that could not be asked."""
    root = shlex.quote(asked.operation.paths.data_root)
    found: dict[str, Sequence[Identity]] = {}
    unmarked: dict[str, Sequence[str]] = {}
    silent: set[str] = set()

    def ask(context: StepContext) -> None:
        host = context.host.id
        try:
            names, mark, files = context.query(f"{clusters_script(root)}\n{read_script(root)}").stdout.partition("==\n")
        except LEFT_BEHIND as error:
            if not force:
                raise
            silent.add(host)
            context.warn(f"left behind as it is: {error}")
            return
        lines = (cluster_line(line.removeprefix("cluster=")) for line in names.splitlines())
        unmarked[host] = [line[0] for line in lines if line and not line[1]]
        found[host] = identities(mark + files)

    on = Addresses(frozenset(host.id for host in asked.operation.hosts))
    builder = StageBuilder("identity")
    builder.add("Reach", KERNEL, [Step("identity", TITLE, on, ask, effect=Effect.QUERY, timeout=60)])
    try:
        around = replace(asked.surroundings(events), hosts_of=lambda planned: asked.operation.hosts)
        Executor(around, builder.build()).run()
    finally:
        asked.connections.close()
    return found, unmarked, frozenset(silent)


def _not_of(identifier: str, host: str, found: Sequence[Identity], unmarked: Sequence[str]) -> SealerError | None:
    """Why a host is not one of the cluster's."""
    if any(identity.id == identifier for identity in found):
        return None
    if found:
        others = ", ".join(f"'{identity.name}', id {identity.id}" for identity in found)
        return RefusedError(
            "This host belongs to another cluster",
            where=host,
            why=others,
            remedy="Check the id and the address. Hosts of several clusters are deleted cluster by cluster.",
        )
    if unmarked:
        return RefusedError(
            f"This host belongs to a cluster without an id: '{unmarked[0]}'",
            where=host,
            why="an earlier version of sealer made it, and gave none",
            remedy="Bring back its record, and delete it by its name.",
        )
    return RefusedError(
        "This host belongs to no cluster of sealer's",
        where=host,
        remedy="Leave it out. Where the cluster has another spec.dataRoot, name a Clusterfile that says so with -f.",
    )
