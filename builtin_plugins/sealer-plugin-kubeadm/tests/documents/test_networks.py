"""Ranges of pods and services that cannot be right."""

from __future__ import annotations

import dataclasses

import pytest

from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError, Position
from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, init_documents, prepare

NEEDS = ClusterNeeds(
    "v1.20.2", masters=("198.18.0.11",), nodes=("198.18.0.12",), at=lambda path: Position("Clusterfile", 1, 1)
)
V6 = ClusterNeeds("v1.20.2", masters=("fd12::1",))
HEAD = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nnetworking:\n"
PODS, SERVICES = "spec.network.podCIDR", "spec.network.svcCIDR"

WRONG = [
    (NEEDS, "  podSubnet: 10.0.0.0", "my.yml:4:3: ClusterConfiguration.networking.podSubnet: '10.0.0.0' is no CIDR"),
    (NEEDS, "  podSubnet: ' '", "my.yml:4:3: ClusterConfiguration.networking.podSubnet: '' is no CIDR"),
    (NEEDS, "  serviceSubnet: 10.96.0.1/22", "did you mean '10.96.0.0/22'?"),
    (NEEDS, "  podSubnet: 10.96.0.0/16", "10.96.0.0/16 overlaps the default range of services 10.96.0.0/22"),
    (
        NEEDS,
        "  serviceSubnet: 100.64.0.0/22",
        f"Clusterfile:1:1: {PODS}: 100.64.0.0/10 overlaps networking.serviceSubnet",
    ),
    (NEEDS, "  podSubnet: 198.18.0.0/16", "198.18.0.0/16 has the address of host 198.18.0.11 in it"),
    (NEEDS, "  serviceSubnet: 10.96.0.0/30", "10.96.0.0/30 is too small for services; /28 is the least"),
    (NEEDS, "  serviceSubnet: 11.0.0.0/8", "11.0.0.0/8 is too large for services; /12 is the most"),
    (NEEDS, "  podSubnet: 10.244.0.0/26", "10.244.0.0/26 is smaller than the /24 that each node takes of it"),
    (NEEDS, "  podSubnet: 32.0.0.0/7", "32.0.0.0/7 is too large for /24 a node; /8 is the most"),
    (NEEDS, "  podSubnet: fd00::/48", "fd00::/48 is IPv6, and the default range of services 10.96.0.0/22 is IPv4"),
    (NEEDS, "  podSubnet: 10.244.0.0/16,fd00::/48", "is IPv4 and IPv6, and the default range of services"),
    (NEEDS, "  podSubnet: 10.244.0.0/16,10.245.0.0/16", "has two ranges of IPv4"),
    (NEEDS, "  podSubnet: 10.244.0.0/16,fd00::/48\n  serviceSubnet: fd01::/112,10.96.0.0/22", "in the other order"),
    (
        NEEDS,
        "  podSubnet: fd00::/48\n  serviceSubnet: fd01::/112",
        "begins with IPv6, and host 198.18.0.11 has an IPv4 address",
    ),
    (
        V6,
        "  dnsDomain: a.b",
        f"Clusterfile: {SERVICES}: 10.96.0.0/22 begins with IPv4, and host fd12::1 has an IPv6 address",
    ),
    (
        dataclasses.replace(NEEDS, pod_cidr="10.1.0.0/16"),
        "  podSubnet: 10.2.0.0/16",
        f"10.2.0.0/16 differs from {PODS}, 10.1.0.0/16",
    ),
    (
        dataclasses.replace(NEEDS, masters=("100.64.3.1",)),
        "  dnsDomain: a.b",
        f"Clusterfile:1:1: {PODS}: 100.64.0.0/10 has the address of host 100.64.3.1 in it; "
        f"take another range (the default range of pods; {PODS} gives another)",
    ),
    (
        dataclasses.replace(NEEDS, kubernetes_version="v1.15.0"),
        "  podSubnet: 10.244.0.0/16,fd00::/48\n  serviceSubnet: 10.96.0.0/22,fd01::/112",
        "knows one family of addresses alone",
    ),
]


def text(needs: ClusterNeeds, lines: str) -> str:
    prepared = prepare(read_kubeadm(f"{HEAD}{lines}\n", "my.yml"), (), needs)
    return init_documents(prepared, NodeNeeds("n", needs.masters[0], "/a")).text


@pytest.mark.parametrize(("needs", "lines", "message"), WRONG)
def test_a_range_that_cannot_be_right_is_refused(needs: ClusterNeeds, lines: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        text(needs, lines)
    assert message in "\n".join(str(problem) for problem in caught.value.problems)


def test_the_same_range_may_be_given_twice() -> None:
    needs = dataclasses.replace(NEEDS, pod_cidr="10.1.0.0/16")
    assert 'podSubnet: "10.1.0.0/16"' in text(needs, "  podSubnet: 10.1.0.0/16")


def test_a_nodes_part_of_the_range_is_what_the_controller_manager_is_told() -> None:
    lines = "  podSubnet: 10.244.0.0/26\ncontrollerManager: {extraArgs: {node-cidr-mask-size: 28}}"
    assert "10.244.0.0/26" in text(NEEDS, lines)


BOTH = "  podSubnet: 10.244.0.0/16,fd00::/48\n  serviceSubnet: 10.96.0.0/22,fd01::/112"


@pytest.mark.parametrize(("kubernetes", "gated"), [("v1.16.0", True), ("v1.20.2", True), ("v1.21.0", False)])
def test_two_families_need_a_gate_in_some_versions(kubernetes: str, gated: bool) -> None:
    needs = dataclasses.replace(NEEDS, kubernetes_version=kubernetes)
    assert ("IPv6DualStack: true" in text(needs, BOTH)) == gated


def test_two_families_without_their_gate_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"my.yml:6:16: ClusterConfiguration.featureGates.IPv6DualStack: ranges of two"
    ):
        text(NEEDS, f"{BOTH}\nfeatureGates: {{IPv6DualStack: false}}")


def test_ipv6_alone_is_right_on_hosts_that_have_it() -> None:
    lines = "  podSubnet: fd00::/48\n  serviceSubnet: fd01::/112"
    assert "node-ip: fd12::1" in text(V6, lines)
