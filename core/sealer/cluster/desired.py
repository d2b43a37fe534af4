"""What the cluster is to be: a Clusterfile, the command line, or both."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sealer.clusterfile.driver_choices import option_of
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, HostGroup
from sealer.clusterfile.secrets import is_key_itself, is_secret
from sealer.errors import InputError, Position
from sealer.events import Json
from sealer.extension.operation import Recorded
from sealer.hosts import MASTER, NODE, Host, NamedHost, Resolve, Ssh, parse_hosts
from sealer.settings import DEFAULT_FOREIGN_RUNTIME, DEFAULT_PROVIDER, normalised

_OptionKind = Literal["provider", "runtime", "transport"]


@dataclass(frozen=True)
class Flags:
    """What the command line says about a cluster.

    :param masters, nodes: addresses and ranges, or counts with a provider that makes hosts.
    :param env: `K=V` each, over the hosts' env.
    :param cmds: replace the image's CMDs.
    :param apps: names of applications, in place of those of the image's LAUNCH; None: nothing is said.
    :param provider, transport: names of drivers; where it is the file's own, that one's fields stay.
    :param provider_options, runtime_options, transport_options: `KEY=VALUE` each, over the driver's fields.
    :param kubeconfig: path of the one of a cluster that sealer did not make.
    """

    image: str = ""
    name: str = ""
    masters: str = ""
    nodes: str = ""
    ssh: Ssh = field(default_factory=Ssh)
    env: tuple[str, ...] = ()
    provider: str = ""
    cmds: tuple[str, ...] = ()
    cmd_args: tuple[str, ...] = ()
    apps: tuple[str, ...] | None = None
    provider_options: tuple[str, ...] = ()
    runtime_options: tuple[str, ...] = ()
    transport: str = ""
    transport_options: tuple[str, ...] = ()
    kubeconfig: str = ""


def desired(
    base: Clusterfile | None,
    flags: Flags,
    makes_hosts: Callable[[str], bool | None],
    resolve: Resolve | None = None,
) -> Clusterfile:
    """The Clusterfile with the command line merged in: hosts are added, everything else is over the file's.

    :param makes_hosts: whether a provider makes hosts by count; None: nobody knows, and the hosts tell.
    :param resolve: finds the addresses of hosts that are named; None: names are a mistake.
    :raises InputError: a flag cannot be understood, or a host is named twice.
    """
    base = base or Clusterfile()
    cluster = base.cluster or Cluster()
    cluster = replace(
        cluster,
        image=flags.image or cluster.image,
        name=flags.name or cluster.name,
        provider=_chosen(cluster.provider, flags.provider),
        transport=_chosen(cluster.transport, flags.transport),
        cmd=flags.cmds or cluster.cmd,
        cmd_args=flags.cmd_args or cluster.cmd_args,
        app_names=cluster.app_names if flags.apps is None else flags.apps,
        ssh=flags.ssh.filled_from(cluster.ssh),
    )
    makes = makes_hosts(cluster.provider.name)
    if makes is None:
        makes = bool(cluster.groups) or (flags.masters or flags.nodes).isdigit()
    if flags.kubeconfig:
        if makes:
            raise InputError(
                f"--kubeconfig {flags.kubeconfig}",
                why=f"the provider '{cluster.provider.name}' makes hosts for a new cluster",
            )
        runtime = DriverChoice(DEFAULT_FOREIGN_RUNTIME, {"kubeconfig": flags.kubeconfig})
        cluster = replace(cluster, runtime=runtime)
    cluster = _with_options(cluster, "provider", flags.provider_options)
    cluster = _with_options(cluster, "runtime", flags.runtime_options)
    cluster = _with_options(cluster, "transport", flags.transport_options)
    cluster = _with_counts(cluster, flags) if makes else _with_addresses(cluster, flags, resolve)
    if not cluster.hosts and not cluster.groups and not flags.kubeconfig:
        cluster = replace(cluster, hosts=(this_machine(),), on_this_machine=True)
    else:
        cluster = replace(cluster, hosts=tuple(replace(h, ssh=flags.ssh.filled_from(h.ssh)) for h in cluster.hosts))
    return replace(base, cluster=_with_env(cluster, flags.env))


def hosts_of_flags(flags: Flags, resolve: Resolve | None = None) -> tuple[Host, ...]:
    """The hosts that `--masters` and `--nodes` name by address or name, masters first.

    :param resolve: finds the addresses of names; None: names are a mistake.
    :raises InputError: an address cannot be understood, or a host is named twice.
    """
    hosts = [
        Host(named.address, (role,), named.login(flags.ssh))
        for flag, role, text in (("--masters", MASTER, flags.masters), ("--nodes", NODE, flags.nodes))
        for named in _named(flag, text, resolve, flags.ssh.config)
    ]
    _refuse_twice(hosts)
    return tuple(hosts)


def this_machine() -> Host:
    """This machine as the only master: its address towards the network, or the loopback's when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent, only a route is chosen
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    return Host(address, (MASTER,))


def placeholders(groups: Sequence[HostGroup], taken: Sequence[Host], ssh: Ssh) -> tuple[Host, ...]:
    """The hosts that groups ask for: those of `taken` that stay, with new names for what is missing.

    :param taken: hosts that the cluster has, with their placeholders.
    """
    wanted: list[Host] = []
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.role] += group.count
    for role, count in counts.items():
        have = sorted((host for host in taken if host.roles[:1] == (role,)), key=_number)
        used = {host.placeholder for host in have}
        free = (name for number in range(len(used) + count) if (name := f"{role}-{number}") not in used)
        stay = have[:count]
        wanted += stay
        wanted += [Host("", (role,), ssh, placeholder=next(free)) for _ in range(count - len(stay))]
    return tuple(wanted)


def _number(host: Host) -> tuple[int, str]:
    digits = host.placeholder.rpartition("-")[2]
    return (int(digits) if digits.isdigit() else 0, host.placeholder)


def recorded_ssh(host: Host, recorded: Recorded | None) -> Host:
    """`host` with what is known of how to log in: what was recorded fills what is not given."""
    for other in recorded.hosts if recorded else ():
        if other.host.address and other.host.address == host.address:
            return replace(host, ssh=host.ssh.filled_from(other.host.ssh))
    return host


def corrected(host: Host, given: Ssh, before: Ssh) -> Host:
    """A host that a provider made, with the login that is given now.

    :param given: the cluster's login; secrets are over what is recorded, as they never are.
    :param before: the one given when the host was recorded: what differs from it was corrected since, and what does
        not, the provider may have said better.
    """
    key = given.private_key
    unclear = is_key_itself(key) and not before.private_key  # it may be the same: keys are not recorded
    changed = Ssh(
        user=given.user if given.user != before.user else "",
        password=given.password,
        private_key=key if key != before.private_key and not unclear else "",
        private_key_password=given.private_key_password,
        port=given.port if given.port != before.port else 0,
    )
    return replace(host, ssh=changed.filled_from(host.ssh).filled_from(given))


def without_logins(clusterfile: Clusterfile) -> Clusterfile:
    """A Clusterfile without the ways to log in: they may be corrected, and what is to be done stays the same."""
    cluster = clusterfile.cluster
    if cluster is None:
        return clusterfile
    hosts = tuple(replace(host, ssh=Ssh()) for host in cluster.hosts)
    return replace(clusterfile, cluster=replace(cluster, ssh=Ssh(), hosts=hosts))


def with_logins(clusterfile: Clusterfile, given: Clusterfile) -> Clusterfile:
    """A Clusterfile with the logins of another, where that has any for the same hosts."""
    cluster, other = clusterfile.cluster, given.cluster
    if cluster is None or other is None:
        return clusterfile
    logins = {host.address: host.ssh for host in other.hosts}
    hosts = tuple(
        replace(host, ssh=logins.get(host.address, other.ssh).filled_from(host.ssh)) for host in cluster.hosts
    )
    return replace(clusterfile, cluster=replace(cluster, ssh=other.ssh.filled_from(cluster.ssh), hosts=hosts))


def login_in(given: Clusterfile | None, host: Host, before: Ssh) -> Ssh:
    """How to log in to a recorded host, by a Clusterfile: by the host's own entry there, else by the cluster's login.

    :param before: the cluster's login as recorded; see :func:`corrected`.
    """
    cluster = given.cluster if given else None
    if cluster is None:
        return host.ssh
    if host.placeholder:
        return corrected(host, cluster.ssh, before).ssh
    named = next((other.ssh for other in cluster.hosts if other.address == host.address), cluster.ssh)
    return named.filled_from(host.ssh)


def _with_counts(cluster: Cluster, flags: Flags) -> Cluster:
    groups = list(cluster.groups)
    for flag, role, text in (("--masters", MASTER, flags.masters), ("--nodes", NODE, flags.nodes)):
        if not text:
            continue
        if not text.isdigit():
            raise InputError(
                f"{flag} {text}", why=f"the provider {cluster.provider.name} makes hosts: give their count"
            )
        # A count on the command line is the count; it does not add to the file's. What they are like, the file says.
        like = next((group for group in groups if group.role == role), HostGroup(role, 0))
        groups = [group for group in groups if group.role != role]
        groups.append(replace(like, count=int(text)))
    if not sum(group.count for group in groups if group.role == MASTER):
        raise InputError("No master", why=f"the provider {cluster.provider.name} needs `--masters COUNT`")
    return replace(cluster, groups=tuple(sorted(groups, key=lambda group: group.role != MASTER)))


def _with_addresses(cluster: Cluster, flags: Flags, resolve: Resolve | None) -> Cluster:
    if cluster.groups:
        raise InputError(
            "Host counts need a provider",
            why=f"the provider is '{cluster.provider.name or DEFAULT_PROVIDER}'",
            remedy="Name the hosts by address, or a provider with `--provider` or spec.provider.",
        )
    hosts = (*cluster.hosts, *hosts_of_flags(flags, resolve))
    _refuse_twice(hosts)
    if hosts and not any(host.is_master for host in hosts):
        raise InputError("No master", why="only nodes are named", remedy="Name one with `--masters`.")
    return replace(cluster, hosts=hosts)


def _named(flag: str, text: str, resolve: Resolve | None, config: str) -> list[NamedHost]:
    try:
        return parse_hosts(text, resolve, config)
    except ValueError as error:
        remedy = "give addresses; counts are for a provider that makes hosts, --provider" if text.isdigit() else ""
        raise InputError(f"{flag} {text}", why=str(error), remedy=remedy) from None


def _refuse_twice(hosts: Sequence[Host]) -> None:
    for address, times in Counter(host.address for host in hosts).items():
        if times > 1:
            raise InputError(
                f"The host {address}{_names_of(hosts, address)} is named {times} times",
                remedy="name it once: the command line's hosts are added to those of the Clusterfile",
            )


def _names_of(hosts: Sequence[Host], address: str) -> str:
    names = dict.fromkeys(host.ssh.alias for host in hosts if host.address == address and host.ssh.alias)
    return f" ({', '.join(names)})" if names else ""


def _chosen(choice: DriverChoice, name: str) -> DriverChoice:
    """The driver that the command line names; fields in the file are for the one that the file names."""
    if not name:
        return choice
    same = choice.name and normalised(choice.name) == normalised(name)
    return choice if same else DriverChoice(name.lower())


def given_options(flags: Flags) -> dict[str, dict[str, Json]]:
    """The fields of drivers that the command line gives, by the kind of driver."""
    return {
        "provider": options_of("provider", flags.provider_options),
        "runtime": options_of("runtime", flags.runtime_options),
        "transport": options_of("transport", flags.transport_options),
    }


def options_of(kind: _OptionKind, given: Sequence[str]) -> dict[str, Json]:
    """Fields of a driver, as the command line gives them.

    :raises InputError: one is no `KEY=VALUE`.
    """
    return dict(option_of(text, f"--{kind}-option") for text in given)


def _with_options(cluster: Cluster, kind: _OptionKind, given: Sequence[str]) -> Cluster:
    if not given:
        return cluster
    choice: DriverChoice = getattr(cluster, kind)
    flag, positions = f"--{kind}-option", dict(cluster.positions)
    options = options_of(kind, given)
    for text, key in zip(given, (option_of(text, flag)[0] for text in given), strict=True):
        field = f"spec.{kind}.{key}"
        positions = {path: at for path, at in positions.items() if not path.startswith(f"{field}[")}
        positions[field] = Position(f"{flag} {key}=..." if is_secret(key) else f"{flag} {text}")
    changed = replace(choice, options={**choice.options, **options})
    return replace(cluster, **{kind: changed, "positions": positions})  # type: ignore[arg-type]  # a field of each kind


def _with_env(cluster: Cluster, env: Sequence[str]) -> Cluster:
    if not env:
        return cluster
    pairs: dict[str, str] = {}
    for item in env:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise InputError(f"-e {item}", why="an environment variable is given as KEY=VALUE")
        pairs[key.strip()] = value
    hosts = tuple(replace(host, env={**host.env, **pairs}) for host in cluster.hosts)
    return replace(cluster, env={**cluster.env, **pairs}, hosts=hosts)
