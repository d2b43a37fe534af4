"""What a command line asks of a cluster, in the kernel's terms."""

from __future__ import annotations

from dataclasses import replace

from sealer.cli.app import App
from sealer.cli.clusterfiles import read_clusterfile, resolver
from sealer.cli.fetching import Fetch
from sealer.cli.passwords import expanded
from sealer.cluster import state
from sealer.cluster.cancellation import Cancellation
from sealer.cluster.desired import Flags, desired, given_options, hosts_of_flags
from sealer.cluster.home import ClusterHome
from sealer.cluster.lifecycle import Lifecycle
from sealer.cluster.lost import Lost
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.clusterfile.secret_references import all_resolved
from sealer.errors import InputError
from sealer.extension.operation import Recorded
from sealer.hosts import Host, Resolve, Ssh, is_this_machine, parse_hosts
from sealer.image.model import APP_INSTALLER
from sealer.image.store import Store
from sealer.settings import DEFAULT_CLUSTER_NAME


def existing(app: App, cancellation: Cancellation | None = None, parallel: int | None = None) -> Lifecycle:
    """The clusters, to look something up; not to change one, for which the installed plugins are needed."""
    from sealer.extension.manager import PluginManager  # noqa: PLC0415  # stays out of `sealer --help`

    settings = replace(app.settings, parallel_hosts=parallel) if parallel else app.settings
    return Lifecycle(settings, PluginManager(settings), app.events, cancellation)


def cluster_request(app: App, clusterfile: str, flags: Flags, fetch: Fetch) -> Clusterfile:
    """The Clusterfile, if one is named, with the command line merged in; its image is in the store then.

    :param fetch: brings it there.
    :raises InputError: with every mistake.
    """
    base = None
    if clusterfile:
        read = read_clusterfile(app, clusterfile, given_options(flags), flags.ssh.config)
        base = all_resolved(read, app.resolve_secret)
    if base is not None and base.cluster is None and not flags.image:
        raise InputError("there is no document of kind Cluster", where=clusterfile)
    flags = _with_default_provider(app, base, flags)
    found = _with_default_login(app, desired(base, flags, existing(app).makes_hosts, resolver(app)))
    cluster = found.cluster or Cluster()
    if flags.image or flags.kubeconfig or not _goes_on(app, cluster.name):
        fetch(cluster.image)
    if base or flags.name or flags.kubeconfig:
        return found
    name = _only_cluster(app, flags.image)
    return replace(found, cluster=replace(cluster, name=name)) if name else found


def _with_default_provider(app: App, base: Clusterfile | None, flags: Flags) -> Flags:
    """The default provider makes hosts that are given by count; it says nothing of those given by address."""
    cluster = base.cluster if base else None
    if flags.provider or (cluster and cluster.provider.name) or flags.kubeconfig:
        return flags
    counted = bool(cluster and cluster.groups) or any(text.isdigit() for text in (flags.masters, flags.nodes))
    return replace(flags, provider=app.settings.provider) if counted else flags


def _with_default_login(app: App, found: Clusterfile) -> Clusterfile:
    """The default user and key, for a cluster that is new: one that is recorded keeps the login it was made with.

    This machine, reached through no network, has none.
    """
    cluster, settings = found.cluster, app.settings
    if cluster is None or not (settings.user or settings.key):
        return found
    if cluster.transport.name or ClusterHome.of(settings.clusters, cluster.name).exists:
        return found
    key = str(expanded(settings.key).absolute()) if settings.key else ""
    default = Ssh(user=settings.user, private_key=key)
    hosts = tuple(
        replace(host, ssh=host.ssh.filled_from(cluster.ssh).filled_from(default))
        if host.has_login or not is_this_machine(host.address)
        else host
        for host in cluster.hosts
    )
    ssh = cluster.ssh.filled_from(default) if cluster.groups else cluster.ssh
    return replace(found, cluster=replace(cluster, hosts=hosts, ssh=ssh))


def _goes_on(app: App, name: str) -> bool:
    """Whether a cluster is there, with an image that it keeps."""
    recorded = state.load(ClusterHome.of(app.settings.clusters, name))
    return recorded is not None and recorded.status != "creating"


def _only_cluster(app: App, image: str) -> str:
    """`sealer run redis:5.0` means the cluster that runs, if there is just one; empty: it is no such image."""
    if not image or Store(app.settings.images).find(image).first.type != APP_INSTALLER:
        return ""
    return chosen_cluster(existing(app), "")


def chosen_cluster(lifecycle: Lifecycle, name: str) -> str:
    """The cluster that a command without a Clusterfile is about: the one named, or the only one there is.

    :raises InputError: none is named, and there is not exactly one.
    """
    if name:
        return name
    names = lifecycle.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError(
            "there is no cluster",
            why=f"no cluster is recorded in {lifecycle.settings.clusters}",
            remedy="'sealer run IMAGE' makes one",
        )
    raise InputError("which cluster?", why=f"there are {', '.join(names)}", remedy="Name one with --name.")


def cluster_name(request: Clusterfile) -> str:
    """The cluster that a request is about."""
    return request.cluster.name if request.cluster else DEFAULT_CLUSTER_NAME


def named_by_file(app: App, clusterfile: str, name: str, ssh_config: str = "") -> tuple[str, Clusterfile | None]:
    """The name of the cluster, by a Clusterfile or by `--name`; both must agree. Empty: by neither.

    :param ssh_config: the command line's choice of ssh's configuration.
    :returns: with the Clusterfile, for its logins.
    :raises InputError: they do not.
    """
    if not clusterfile:
        return name, None
    given = all_resolved(read_clusterfile(app, clusterfile, ssh_config=ssh_config), app.resolve_secret)
    found = cluster_name(given)
    if name and name != found:
        raise InputError(
            f"--name {name}", why=f"{clusterfile} is about the cluster '{found}'", remedy="leave one of the two out"
        )
    return found, given


def lost_cluster(app: App, identifier: str, clusterfile: str, flags: Flags, *, force: bool) -> Lost:
    """The cluster with an id whose record is lost, by the hosts that are named, or those of a Clusterfile.

    :raises InputError: no host is named, or that is no id.
    """
    _, given = named_by_file(app, clusterfile, "", flags.ssh.config)
    base = (given.cluster if given else None) or Cluster()
    named = hosts_of_flags(flags, resolver(app)) or base.hosts
    if not named:
        raise InputError(
            f"--cluster-id {identifier}", why="no host is named", remedy="Name all hosts of the cluster with -m and -n."
        )
    hosts = tuple(replace(host, ssh=host.ssh.filled_from(flags.ssh).filled_from(base.ssh)) for host in named)
    return existing(app).lost(identifier, hosts, base, force=force)


def further_hosts(
    lifecycle: Lifecycle, name: str, flags: Flags, resolve: Resolve | None = None
) -> tuple[tuple[Host, ...], tuple[int, int]]:
    """What to add to a cluster: hosts by address, or with a provider that makes hosts how many masters and nodes.

    :param resolve: finds the addresses of hosts that are named.

    :raises InputError: neither, or an address where a count is needed.
    """
    if not flags.masters and not flags.nodes:
        raise InputError("no hosts given", remedy="Give hosts with --masters or --nodes.")
    cluster = lifecycle.recorded(name).clusterfile.cluster or Cluster(name=name)
    makes = lifecycle.makes_hosts(cluster.provider.name)
    if not (bool(cluster.groups) if makes is None else makes):
        return hosts_of_flags(flags, resolve), (0, 0)
    return (), (_count("--masters", flags.masters, cluster), _count("--nodes", flags.nodes, cluster))


def picked_hosts(
    recorded: Recorded, roles: str, hosts: str, ssh: Ssh, resolve: Resolve | None = None
) -> tuple[Host, ...]:
    """The hosts of a cluster that have one of `roles` and are among `hosts`; an empty text leaves none out.

    :param ssh: over what is recorded of how to log in.
    :param resolve: finds the addresses of hosts that are named otherwise than they were.
    :raises InputError: a host is not in the cluster, or no host is left.
    """
    wanted = {role.strip() for role in roles.split(",") if role.strip()}
    named = set(host_names(hosts, recorded, resolve)) if hosts else None
    known = {name for entry in recorded.hosts for name in (entry.host.address, entry.host.placeholder) if name}
    if named and named - known:
        raise InputError(
            f"{', '.join(sorted(named - known))}: not in the cluster '{recorded.name}'",
            remedy=f"`sealer status --name {recorded.name}` lists its hosts",
        )
    found = [
        replace(entry.host, ssh=ssh.filled_from(entry.host.ssh))
        for entry in recorded.hosts
        if entry.host.address
        and (not wanted or wanted & set(entry.host.roles))
        and (named is None or named & {entry.host.address, entry.host.placeholder})
    ]
    if not found:
        asked = [f"{flag} {text}" for flag, text in (("--roles", roles), ("--hosts", hosts)) if text]
        raise InputError(
            f"no host in cluster '{recorded.name}' matches {' '.join(asked) or 'the command'}",
            remedy=f"`sealer status --name {recorded.name}` lists its hosts",
        )
    return tuple(found)


def leaving_hosts(recorded: Recorded, masters: str, nodes: str, resolve: Resolve | None = None) -> list[str]:
    """The hosts that are to leave a cluster.

    :param masters, nodes: addresses, ranges and names; each under the role that it has.
    :param resolve: finds the addresses of hosts that are named otherwise than they were.
    :raises InputError: a host is named under the other role.
    """
    is_master = {
        name: entry.host.is_master for entry in recorded.hosts for name in (entry.host.address, entry.host.placeholder)
    }
    found = {"-m": host_names(masters, recorded, resolve), "-n": host_names(nodes, recorded, resolve)}
    for flag, other, wanted in (("-m", "-n", True), ("-n", "-m", False)):
        wrong = [name for name in found[flag] if is_master.get(name, wanted) != wanted]
        if wrong:
            raise InputError(
                f"{flag} {','.join(wrong)}",
                why=f"in the cluster '{recorded.name}' {'these are' if len(wrong) > 1 else 'this is a'} "
                f"{'node' if wanted else 'master'}{'s' if len(wrong) > 1 else ''}",
                remedy=f"Name {'them' if len(wrong) > 1 else 'it'} with {other}.",
            )
    return [*found["-m"], *found["-n"]]


def host_names(text: str, recorded: Recorded, resolve: Resolve | None = None) -> list[str]:
    """The addresses, and the names of hosts that a provider made, that a text of addresses, ranges and names means.

    :param resolve: finds the addresses of names by which no host of the cluster was named; None: they are a mistake.

    :raises InputError: one is neither.
    """
    found: list[str] = []
    aliases = {entry.host.ssh.alias: entry.host.address for entry in recorded.hosts if entry.host.ssh.alias}
    placeholders = {entry.host.placeholder for entry in recorded.hosts}
    for item in filter(None, text.split(",")):
        word = item.strip()
        if word in aliases and word not in placeholders:
            found.append(aliases[word])
            continue
        if word.startswith(("master-", "node-")):  # how hosts are called that a provider made
            found.append(word)
            continue
        try:
            found += [named.address for named in parse_hosts(word, resolve)]
        except ValueError as error:
            raise InputError(item, why=str(error)) from None
    return found


def _count(flag: str, text: str, cluster: Cluster) -> int:
    if not text:
        return 0
    if not text.isdigit():
        raise InputError(f"{flag} {text}", why=f"the provider {cluster.provider.name} makes hosts: say how many to add")
    return int(text)
