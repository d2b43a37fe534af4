"""What a Clusterfile says, once it is understood: every form of it becomes these records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealer.errors import Position, Problem
from sealer.events import Json
from sealer.hosts import Host, Ssh
from sealer.phases import Phase
from sealer.redaction import Secret
from sealer.settings import DEFAULT_CLUSTER_NAME, DEFAULT_DATA_ROOT

NOWHERE = Position("")
_NO_LOGIN = Ssh()


@dataclass(frozen=True)
class DriverChoice:
    """A driver by name, with the driver's own fields: `spec.provider: NSPAWN` or `{name: NSPAWN, release: bookworm}`.

    :param name: lower case; empty means the default.
    :param options: the driver's own fields, checked by the driver's schema.
    :param position: where the name stands.
    """

    name: str = ""
    options: Mapping[str, Json] = field(default_factory=dict)
    position: Position = NOWHERE


@dataclass(frozen=True)
class HostGroup:
    """Hosts that a provider is to make: `count` of them, of one role and size.

    :param cpu: number of cores; 0: the provider's default.
    :param memory: MiB; 0: the provider's default.
    :param system_disk: GiB; 0: the provider's default.
    :param data_disks: GiB each.
    """

    role: str
    count: int
    cpu: int = 0
    memory: int = 0
    system_disk: int = 0
    data_disks: tuple[int, ...] = ()


@dataclass(frozen=True)
class HostAlias:
    """Further names of an address in every host's hosts file."""

    ip: str
    hostnames: tuple[str, ...]


@dataclass(frozen=True)
class LocalRegistry:
    """`spec.registry.localRegistry`: the private registry on the hosts."""

    domain: str = "sea.hub"
    port: int = 5000
    username: str = ""
    password: Secret | None = None
    ha: bool = False
    insecure: bool = False
    cert_dns_names: tuple[str, ...] = ()
    cert_ips: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExternalRegistry:
    """`spec.registry.externalRegistry`: one that exists already."""

    domain: str
    port: int = 0
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True)
class RegistrySpec:
    """`spec.registry`."""

    driver: str = ""
    local: LocalRegistry = LocalRegistry()
    external: ExternalRegistry | None = None
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """`kind: Cluster`, whichever form it was written in.

    :param hosts: those with an address, masters first in the order written.
    :param groups: those a provider is to make.
    :param env: exported everywhere; a list in the document is joined with blanks.
    :param ssh: filled into each of `hosts` already; kept for hosts still to be made.
    :param runtime: empty name: the image's label decides.
    :param pod_cidr: IPv4, IPv6 or both, comma-separated; empty: the runtime's default.
    :param cmd: replaces the image's own CMDs.
    :param cmd_args: over the image's ARGs.
    :param app_names: the applications that are installed; None: those of the image's LAUNCH.
    :param on_this_machine: no host was named, so that `hosts` is this machine; whoever changes it asks first.
    :param authorize_key: whether sealer puts a key of its own on the hosts at create.
    :param positions: where each field that is not about single hosts stands, by its path (`spec.runtime.name`).
    """

    name: str = DEFAULT_CLUSTER_NAME
    image: str = ""
    hosts: tuple[Host, ...] = ()
    groups: tuple[HostGroup, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ssh: Ssh = _NO_LOGIN
    provider: DriverChoice = DriverChoice()
    transport: DriverChoice = DriverChoice()
    runtime: DriverChoice = DriverChoice()
    registry: RegistrySpec = RegistrySpec()
    pod_cidr: str = ""
    service_cidr: str = ""
    cert_sans: tuple[str, ...] = ()
    container_runtime: str = ""
    host_aliases: tuple[HostAlias, ...] = ()
    data_root: str = DEFAULT_DATA_ROOT
    cmd: tuple[str, ...] = ()
    cmd_args: tuple[str, ...] = ()
    app_names: tuple[str, ...] | None = None
    on_this_machine: bool = field(default=False, compare=False)
    authorize_key: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    def at(self, path: str) -> Position:
        """Where a field stands; where that is not known, what it stands in."""
        return _nearest(self.positions, path, Position("Clusterfile"))

    @property
    def masters(self) -> tuple[Host, ...]:
        """The hosts of the control plane."""
        return tuple(host for host in self.hosts if host.is_master)


@dataclass(frozen=True)
class PluginDocument:
    """`kind: Plugin`.

    :param name: `metadata.name`.
    :param type: upper case.
    :param phases: from `spec.action`; empty: the type's default phases.
    :param on: as written; empty: all hosts.
    :param data: the type's own text, or structured data where a type takes that.
    :param position: of the document.
    :param data_position: of the first line of `data`, so that a parser can name the line of a mistake: the line of a
        block scalar's first text line; `column` is where its text starts.
    :param source: `Clusterfile`, or the path of a file in the image.
    """

    name: str
    type: str
    phases: tuple[Phase, ...] = ()
    on: str = ""
    data: Json = ""
    position: Position = NOWHERE
    data_position: Position = NOWHERE
    source: str = "Clusterfile"

    def at(self, line: int, column: int = 1) -> Position:
        """Where line `line` and column `column` (from 1) of a text in `data` stand in the file."""
        start = self.data_position
        return Position(start.file, start.line + line - 1, start.column + column - 1)

    def problem(self, message: str, line: int = 1, column: int = 1) -> Problem:
        """A mistake in `data`, for a type's parser to raise in an :class:`~sealer.errors.InputError`."""
        return Problem(self.at(line, column), f"Plugin {self.name}: spec.data", message)


@dataclass(frozen=True)
class ConfigDocument:
    """`kind: Config`: what becomes of a file in the rootfs.

    :param path: relative to the rootfs.
    :param data: text, or a mapping.
    :param strategy: `overwrite` or `merge`.
    :param process: steps of the pipe: `value`, `toJson`, `toBase64`, `toSecret`.
    """

    name: str
    path: str
    data: Json
    strategy: str = "overwrite"
    process: tuple[str, ...] = ()
    position: Position = NOWHERE


@dataclass(frozen=True)
class KubeadmDocument:
    """A document of kubeadm, kubelet or kube-proxy, as written.

    :param position: of the document.
    :param positions: of each field, by its path (`networking.podSubnet`, `taints[0].key`).
    """

    api_version: str
    kind: str
    content: Mapping[str, Json]
    position: Position = NOWHERE
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    def at(self, path: str) -> Position:
        """Where a field stands; where that is not known, what it stands in."""
        return _nearest(self.positions, path, self.position)


@dataclass(frozen=True)
class Clusterfile:
    """All documents of a Clusterfile.

    :param cluster: None where the file has only other kinds.
    :param warnings: what was understood in spite of how it was written.
    :param text: what was read, with secrets; never written anywhere.
    """

    cluster: Cluster | None = None
    plugins: tuple[PluginDocument, ...] = ()
    configs: tuple[ConfigDocument, ...] = ()
    kubeadm: tuple[KubeadmDocument, ...] = ()
    warnings: tuple[Problem, ...] = ()
    text: str = field(default="", repr=False)


def _nearest(positions: Mapping[str, Position], path: str, default: Position) -> Position:
    """Where a field stands, or else the nearest that it stands in."""
    while path and path not in positions:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return positions.get(path, default)
