"""The ranges of pods and services: each one right, right together, and right for the hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sealer.clusterfile.networks import Network, canonical_cidrs, parse_cidrs, wrong_cidrs
from sealer.events import Json
from sealer_plugin_kubeadm.documents.trees import get
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

DEFAULT_PODS = "100.64.0.0/10"
DEFAULT_SERVICES = "10.96.0.0/22"
_LEAST_SERVICES = 16  # addresses; kubeadm asks for 10, and the next power of two is this
_MOST_SERVICE_BITS = 20
_NODE_MASK = {4: 24, 6: 64}
_MOST_NODE_BITS = 16
DUAL_STACK_GATE = "IPv6DualStack"
_DUAL_STACK, _DUAL_STACK_BY_ITSELF = 16, 21  # minor versions of Kubernetes


@dataclass(frozen=True)
class Given:
    """A range, or one of each family with a comma between, and who to tell when it is wrong.

    :param name: what a message about another range calls it.
    :param complain: called with what is wrong.
    """

    text: str
    name: str
    complain: Callable[[str], None]

    @property
    def networks(self) -> tuple[Network, ...]:
        """The ranges; none where they cannot be understood."""
        return () if wrong_cidrs(self.text) else parse_cidrs(self.text)

    @property
    def families(self) -> tuple[int, ...]:
        """4 and 6, in the order given."""
        return tuple(network.version for network in self.networks)


def same(one: str, other: str) -> bool:
    """Whether two texts name the same ranges in the same order."""
    if wrong_cidrs(one) or wrong_cidrs(other):
        return one == other
    return canonical_cidrs(one) == canonical_cidrs(other)


def check(
    pods: Given, services: Given, hosts: Sequence[str], kubernetes: KubernetesVersion, node_masks: dict[int, int]
) -> None:
    """See that pods, services and hosts can have their addresses at the same time, and that kubeadm takes the ranges.

    :param hosts: addresses of all hosts, the first master's first.
    :param node_masks: by family, the length of the prefix of each node's part of the pods' range, where it was given.
    """
    wrong = False
    for given in (pods, services):
        if message := wrong_cidrs(given.text):
            given.complain(message)
            wrong = True
    if wrong:
        return
    _check_overlaps(pods, services, hosts)
    _check_families(pods, services, hosts, kubernetes)
    _check_sizes(pods, services, {**_NODE_MASK, **node_masks})


def ranges(cluster: Mapping[str, Json]) -> tuple[str, str]:
    """The ranges of pods and services of a ClusterConfiguration."""
    pods, services = (get(cluster, f"networking.{name}") for name in ("podSubnet", "serviceSubnet"))
    return (pods if isinstance(pods, str) else "", services if isinstance(services, str) else "")


def needs_dual_stack_gate(cluster: Mapping[str, Json], kubernetes: KubernetesVersion) -> bool:
    """Whether a ClusterConfiguration has ranges of two families, and Kubernetes takes them behind a feature gate."""
    both = any("," in text for text in ranges(cluster))
    return both and _DUAL_STACK <= kubernetes.minor < _DUAL_STACK_BY_ITSELF


def _check_overlaps(pods: Given, services: Given, hosts: Sequence[str]) -> None:
    for pod in pods.networks:
        for service in services.networks:
            if pod.version == service.version and pod.overlaps(service):
                pods.complain(f"{pod} overlaps {services.name} {service}; take another range for one of them")
    for given in (pods, services):
        for network in given.networks:
            inside = next((host for host in hosts if ipaddress.ip_address(host) in network), "")
            if inside:
                given.complain(f"{network} has the address of host {inside} in it; take another range")


def _check_families(pods: Given, services: Given, hosts: Sequence[str], kubernetes: KubernetesVersion) -> None:
    if pods.families != services.families and set(pods.families) != set(services.families):
        theirs = f"{services.name} {services.text} is {_families(services.families)}"
        pods.complain(f"{pods.text} is {_families(pods.families)}, and {theirs}; give both of the same kind")
    elif pods.families != services.families:
        pods.complain(f"{services.name} has its families in the other order; the first is the cluster's own")
    if len(pods.families) > 1 and kubernetes.minor < _DUAL_STACK:
        pods.complain(f"Kubernetes {kubernetes} knows one family of addresses alone")
    first = ipaddress.ip_address(hosts[0]).version if hosts else services.families[0]
    if first != services.families[0]:
        services.complain(
            f"{services.text} begins with IPv{services.families[0]}, and host {hosts[0]} has an IPv{first} address"
        )


def _check_sizes(pods: Given, services: Given, node_masks: dict[int, int]) -> None:
    for network in services.networks:
        bits = network.max_prefixlen - network.prefixlen
        if network.num_addresses < _LEAST_SERVICES:
            services.complain(f"{network} is too small for services; /{network.max_prefixlen - 4} is the least")
        elif bits > _MOST_SERVICE_BITS:
            services.complain(
                f"{network} is too large for services; /{network.max_prefixlen - _MOST_SERVICE_BITS} is the most"
            )
    for network in pods.networks:
        mask = node_masks[network.version]
        if network.prefixlen > mask:
            pods.complain(f"{network} is smaller than the /{mask} that each node takes of it")
        elif mask - network.prefixlen > _MOST_NODE_BITS:
            pods.complain(f"{network} is too large for /{mask} a node; /{mask - _MOST_NODE_BITS} is the most")


def _families(families: Sequence[int]) -> str:
    return " and ".join(f"IPv{family}" for family in families)
