"""Fields of a Clusterfile that the chosen runtime does nothing with: said, and not passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sealer.clusterfile.model import Clusterfile
from sealer.errors import Position, Problem
from sealer.extension.drivers import KUBEADM_DOCUMENTS, Runtime

NETWORK = "spec.network"


def not_honoured(desired: Clusterfile, runtime: Runtime, name: str) -> tuple[Problem, ...]:
    """The fields that are given and have no effect, each where it stands.

    :param name: the runtime's.
    """
    honours = runtime.honours
    if honours is None:  # it does not say
        return ()
    rest = f"the runtime '{name}' does nothing with it"
    return tuple(Problem(position, path, rest) for field, path, position in _given(desired) if field not in honours)


def _given(desired: Clusterfile) -> Iterator[tuple[str, str, Position]]:
    """The fields that are for a runtime to honour: by their name in `honours`, and in the file, with their place."""
    if (cluster := desired.cluster) is not None:
        given: Mapping[str, object] = {
            "spec.network.podCIDR": cluster.pod_cidr,
            "spec.network.svcCIDR": cluster.service_cidr,
            "spec.certSANS": cluster.cert_sans,
            "spec.containerRuntime": cluster.container_runtime,
            "spec.hostAliases": cluster.host_aliases,
            "spec.hosts.labels": any(host.labels for host in cluster.hosts),
            "spec.hosts.taints": any(host.taints for host in cluster.hosts),
        }
        for path, value in given.items():
            if value:
                yield NETWORK if path.startswith(f"{NETWORK}.") else path, path, cluster.at(path)
    for document in desired.kubeadm:
        yield KUBEADM_DOCUMENTS, document.kind, document.position
