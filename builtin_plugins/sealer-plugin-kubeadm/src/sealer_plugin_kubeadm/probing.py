"""What is asked of each host before kubeadm is called there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealer.extension import Addresses, Effect, Fact, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm.places import API_SERVER
from sealer_plugin_kubeadm.scripts import script

HOST: Fact[dict[str, Any]] = Fact("kubeadm.host", dict, per_host=True)  # what `probe.sh` prints, by key
DEFAULT_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class HostFacts:
    """A host, as kubeadm has to know it.

    :param name: the node's.
    :param version: of the image's kubeadm; empty: it does not run.
    :param cgroup_driver: `systemd`, `cgroupfs`, or empty where the image does not say.
    :param conntrack_fixed: the host does not let kube-proxy set the size of its table of connections.
    :param no_metadata: no cloud answers a kubelet that asks for its credentials.
    :param network: whether the image brings a pod network.
    :param api: on a master: its API server is ready.
    :param api_server_files: on a master: names of our files that its API server reads.
    :param documents: the image's `etc/kubeadm.yml`, as rendered for this host.
    """

    name: str
    version: str
    cgroup_driver: str
    cri_socket: str
    crictl: bool
    ipvs: bool
    conntrack_fixed: bool
    no_metadata: bool
    network: bool
    api: bool
    api_server_files: frozenset[str]
    documents: str

    @classmethod
    def of(cls, fact: Mapping[str, Any]) -> HostFacts:
        """The fact's value."""
        return cls(
            name=fact.get("name", ""),
            version=fact.get("version", ""),
            cgroup_driver=fact.get("cgroup_driver", ""),
            cri_socket=fact.get("cri_socket", "").removeprefix("unix://") or DEFAULT_SOCKET,
            crictl="crictl" in fact,
            ipvs="ipvs" in fact,
            conntrack_fixed="conntrack_fixed" in fact,
            no_metadata="no_metadata" in fact,
            network="network" in fact,
            api="api" in fact,
            api_server_files=frozenset(fact.get("api_server_files", "").split()),
            documents=base64.b64decode(fact.get("documents", "")).decode("utf-8", "replace"),
        )


def facts_of(context: StepContext, host: Host | None = None) -> HostFacts:
    """What a host said: this one, or `host`."""
    fact: dict[str, Any] = context.get(HOST, host)
    return HostFacts.of(fact)


def probe(addresses: frozenset[str]) -> Step:
    """The step that asks."""

    def ask(context: StepContext) -> None:
        paths = context.operation.paths
        env = {"SEALER_DATA": paths.data, "SEALER_ROOTFS": f"{paths.data}/rootfs", "SEALER_API_SERVER": API_SERVER}
        printed = context.query(script("probe"), env=env).stdout
        pairs = (line.partition("=") for line in printed.splitlines())
        context.give(HOST, {key: value for key, equals, value in pairs if equals})

    return Step(
        "hosts",
        "Probe the hosts",
        Addresses(addresses, "any"),
        ask,
        effect=Effect.QUERY,
        gives=frozenset({HOST}),
        # Of those that stay: those that come have been reached.
        unreachable="skip",
        timeout=60,
    )
