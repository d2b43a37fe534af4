"""What is exported to every script on a host."""

from __future__ import annotations

from collections.abc import Mapping

from sealer.clusterfile.environment import shell_name
from sealer.extension.operation import Operation
from sealer.hosts import Host

# The Clusterfile's fields that what is exported is made of.
FIELDS = frozenset({"spec.env", "spec.hosts.env"})
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(operation: Operation, host: Host, host_name: str, of_runtime: Mapping[str, str]) -> Mapping[str, str]:
    """The runtime's, image ENV, the cluster's, the host's, then reserved names; illegal names in both spellings.

    :param host_name: the name that the host has, or will be given.
    :param of_runtime: what the runtime wants exported on this host.
    """
    spec = operation.spec
    image = operation.image.first.env if operation.image else {}
    given = {**of_runtime, **image, **spec.env, **host.env}
    spelled = {**given, **{shell_name(key): value for key, value in given.items()}}
    path = {"PATH": f"{operation.paths.rootfs}/bin:{SYSTEM_PATH}"}
    return {**path, **spelled, **reserved(operation, host, host_name)}


def reserved(operation: Operation, host: Host, host_name: str) -> Mapping[str, str]:
    """The names that nobody can override."""
    before = [recorded.host for recorded in operation.recorded.hosts if recorded.member] if operation.recorded else []
    registry = operation.spec.registry.local
    return {
        "ClusterName": operation.cluster,
        "HostIP": host.address,
        "HostName": host_name,
        "HostRole": host.roles[0] if host.roles else "",
        "MasterIPs": " ".join(master.address for master in operation.masters),
        "NodeIPs": " ".join(node.address for node in operation.nodes),
        "PreviousMasterIPs": " ".join(other.address for other in before if other.is_master),
        "PreviousNodeIPs": " ".join(other.address for other in before if not other.is_master),
        "SealerOperation": operation.kind,
        "RegistryDomain": registry.domain,
        "RegistryPort": str(registry.port),
        "RegistryURL": f"{registry.domain}:{registry.port}",
    }
