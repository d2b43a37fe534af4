"""The first master, further masters, and nodes: kubeadm is called on each."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sealer.events import Json
from sealer.extension import OPERATOR, Addresses, Operation, Step, StepContext
from sealer.hosts import Host
from sealer_plugin_kubeadm.configuration import Configuration, Given, configure, without_coredns
from sealer_plugin_kubeadm.delivery import deliver, fetch
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.ownership import AUTHORITIES, refuse_other_authorities
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.bundle import NAMED, Issuer, Recipient
from sealer_plugin_kubeadm.places import (
    AUDIT_LOGS,
    AUDIT_POLICY,
    DISCOVERY,
    DOCUMENTS,
    JOINED,
    KUBELET_CLIENT,
    KUBELET_DROP_IN,
    KUBELET_FIRST_CLIENT,
    NAME,
    PATCHES,
    PKI,
    server,
)
from sealer_plugin_kubeadm.probing import HOST, facts_of
from sealer_plugin_kubeadm.scripts import script

INIT_TIMEOUT = 900.0  # seconds; kubeadm gives up after half of it
_LAST_PHASES = ((22, "mark-control-plane"), (0, "update-status mark-control-plane"))
# kubeadm before v1.22 lets etcd ask for room on the disk. A kubelet that registered its node before it looked at the
# disk, as on a busy host, has none to give for ten seconds, and a static pod that it refused it never tries again: etcd
# waits for that member for ever, and has no majority without it.
_ASKS_FOR_DISK = range(20, 22)
_PATCHES = "--experimental-patches="
_NO_DISK = b"""spec:
  containers:
    - name: etcd
      resources:
        requests:
          ephemeral-storage: null
"""
NEEDS = frozenset({HOST})
_CERTIFICATES = (*AUTHORITIES, *(f"{PKI}/{name}.crt" for name in NAMED))
_NO_METADATA = b"""# By sealer: no cloud answers here, and a kubelet that asks one waits for it whenever it starts.
[Service]
Environment=AWS_EC2_METADATA_DISABLED=true
"""


@dataclass(frozen=True)
class Installation:
    """How hosts get into the cluster of an operation.

    :param credentials: the cluster's own keys on this machine.
    :param told: warnings that were given with the plan.
    """

    operation: Operation
    options: Options
    credentials: Path
    told: tuple[str, ...] = ()

    @property
    def inputs(self) -> Mapping[str, Json]:
        """What decides how kubeadm is called."""
        image = self.operation.image
        return {
            "image": image.digest if image else "",
            "masters": [host.address for host in self.operation.masters],
            "validity": self.options.validity_duration,
            "encrypt": self.options.encrypt_secrets,
            "skip": list(self.options.skip_phases),
            "ignore": list(self.options.ignore_preflight_errors),
        }

    # -- steps ---------------------------------------------------------------------------------------------------

    def keys(self) -> Step:
        """The cluster's authorities are on this machine."""

        def run(context: StepContext) -> None:
            first = self.operation.first_master
            if first in self.operation.added:
                encrypt = self.options.encrypt_secrets and self.operation.kind == "create"
                authorities.make(self.credentials, self.options.validity, encrypt_secrets=encrypt)
            else:  # new ones would not be those of the cluster that is there
                authorities.load(self.credentials)

        return Step("authorities", "Create the certificate authorities", OPERATOR, run, self.inputs)

    def certificates(self, hosts: Sequence[Host]) -> Step:
        """Hosts that come have their certificates and kubeconfigs."""

        def run(context: StepContext) -> None:
            present = fetch(context, [JOINED, *_CERTIFICATES])
            issuer, recipient = self._issuer(context), self._recipient(context)
            refuse_other_authorities(context, issuer, present)
            if JOINED in present:
                deliver(context, issuer.named_files(recipient, present) if context.host.is_master else {})
                return
            if context.host.is_master:
                names = self._api_server_files(context)
                files: Mapping[str, bytes] = {**issuer.master_files(recipient), **issuer.api_server_files(names)}
                if posixpath.basename(AUDIT_POLICY) in names:
                    context.query(f"mkdir -p {posixpath.dirname(AUDIT_LOGS)} && mkdir -p -m 700 {AUDIT_LOGS}")
            else:
                files = issuer.node_files(recipient)
            if facts_of(context).no_metadata:
                files = {**files, KUBELET_DROP_IN: _NO_METADATA}
            deliver(context, files, {KUBELET_CLIENT: KUBELET_FIRST_CLIENT})

        first = self.operation.first_master
        # A run that is continued when another master answers than before gives those that join another entrance.
        inputs: dict[str, Json] = {**self.inputs, "entrance": first.address if first else ""}
        on, title = _on(hosts), "Create the hosts' certificates"
        return Step("certificates", title, on, run, inputs, needs=NEEDS, timeout=60)

    def init(self, first: Host) -> Step:
        """The first master is up."""

        def run(context: StepContext) -> None:
            if without_coredns(self.operation):
                context.warn("the image brings no CoreDNS: names of services are not resolved until something does it")
            configuration = self._configuration(context)
            for problem in configuration.prepared.warnings:  # of the image's documents, which the plan does not know
                if str(problem) not in self.told:
                    context.warn(str(problem))
            given = configuration.init(context.host, facts_of(context))
            self._kubeadm(context, given, "init")
            context.query(f"rm -rf {DISCOVERY} {DOCUMENTS} {PATCHES}")

        return Step(
            "init",
            "Initialize the first master",
            _on([first]),
            run,
            self.inputs,
            needs=NEEDS,
            timeout=INIT_TIMEOUT,
            diagnosis=script("diagnose"),
        )

    def masters(self, hosts: Sequence[Host], after: frozenset[str]) -> Step:
        """Further masters are up, one after the other: etcd takes in one member at a time."""

        def run(context: StepContext) -> None:
            given = self._configuration(context).join(context.host, facts_of(context))
            self._kubeadm(context, given, "join-master")
            deliver(context, self._issuer(context).joined_files(self._recipient(context)))
            context.query(script("settle-master"), env=_SETTLING)

        return Step(
            "masters",
            "Join masters",
            _on(hosts),
            run,
            self.inputs,
            needs=NEEDS,
            after=after,
            order="serial",
            timeout=INIT_TIMEOUT,
            diagnosis=script("diagnose"),
        )

    def nodes(self, hosts: Sequence[Host], after: frozenset[str]) -> Step:
        """The other hosts are in the cluster."""

        def run(context: StepContext) -> None:
            given = self._configuration(context).join(context.host, facts_of(context))
            self._kubeadm(context, given, "join-node")
            context.query(f"rm -f {DOCUMENTS}")

        return Step(
            "nodes",
            "Join nodes",
            _on(hosts),
            run,
            self.inputs,
            needs=NEEDS,
            after=after,
            timeout=INIT_TIMEOUT,
            diagnosis=script("diagnose"),
        )

    def names(self, hosts: Sequence[Host]) -> Step:
        """Masters that stay have certificates with all names."""

        def run(context: StepContext) -> None:
            present, issuer = fetch(context, _CERTIFICATES), self._issuer(context)
            refuse_other_authorities(context, issuer, present)
            deliver(context, issuer.named_files(self._recipient(context), present))

        inputs: dict[str, Json] = {**self.inputs, "names": list(self.operation.spec.cert_sans)}
        covers = frozenset({"spec.certSANS"})
        title, on = "Renew certificates that lack a name", _on(hosts, "kept")
        moving = self.operation.added or self.operation.removed
        unreachable: Literal["fail", "skip"] = "skip" if moving else "fail"  # as in :func:`endpoint.settle`
        return Step("names", title, on, run, inputs, needs=NEEDS, timeout=60, covers=covers, unreachable=unreachable)

    # -- what they share -----------------------------------------------------------------------------------------

    def _configuration(self, context: StepContext) -> Configuration:
        own = facts_of(context)
        return configure(self.operation, self.options, facts_of(context, self.operation.first_master), own)

    def _issuer(self, context: StepContext) -> Issuer:
        known = authorities.load(self.credentials)
        return self._configuration(context).issuer(known, self.options, self.operation.masters)

    def _api_server_files(self, context: StepContext) -> frozenset[str]:
        """Names of what this master's API server is to read: as its documents have it where the cluster is made by
        them; and what the others read already, as the cluster itself keeps the flags that masters join with."""
        if self.operation.kind == "create":
            return frozenset(posixpath.basename(path) for path in self._configuration(context).prepared.files)
        masters = [host for host in self.operation.kept if host.is_master]
        reachable = [host for host in masters if host.id not in self.operation.unreachable]
        return frozenset().union(*(facts_of(context, host).api_server_files for host in reachable))

    def _recipient(self, context: StepContext) -> Recipient:
        operation, host = self.operation, context.host
        first = operation.first_master
        assert first is not None  # the kernel refuses a cluster without master
        joins = host in operation.added and host.address != first.address
        entrance = server(self._entrance(context, first).address) if joins else server(NAME)
        return Recipient(facts_of(context).name, host.address, server(NAME), entrance)

    def _entrance(self, context: StepContext, first: Host) -> Host:
        """The master that is asked by hosts that join: one whose API server is ready, where that is known of any."""
        staying = [host for host in self.operation.kept if host.is_master and host.id not in self.operation.unreachable]
        return next((host for host in staying if facts_of(context, host).api), first)

    def _kubeadm(self, context: StepContext, given: Given, name: str) -> None:
        facts = facts_of(context)
        context.write(DOCUMENTS, given.text.encode())
        arguments = list(given.arguments)
        # Where the user has patches, they are taken alone: kubeadm knows one directory.
        patched = any(argument.startswith(_PATCHES) for argument in arguments)
        if context.host.is_master and _minor(facts.version) in _ASKS_FOR_DISK and not patched:
            context.write(f"{PATCHES}/etcd+strategic.yaml", _NO_DISK)
            arguments.append(f"{_PATCHES}{PATCHES}")
        env = {
            "SEALER_NODE": facts.name,
            "SEALER_CONFIG": DOCUMENTS,
            "SEALER_ARGUMENTS": " ".join(arguments),
            "SEALER_JOINED": JOINED,
            "SEALER_DISCOVERY": DISCOVERY,
            "SEALER_SOCKET": facts.cri_socket,
            "SEALER_SERVER": server(context.host.address),
            "SEALER_PEER": f"{server(context.host.address, 2380)}",
            "SEALER_LAST_PHASES": next(phases for since, phases in _LAST_PHASES if _minor(facts.version) >= since),
        }
        context.sh(script("common", name), env=env)


_SETTLING = {"SEALER_JOINED": JOINED, "SEALER_LEFT": f"{DISCOVERY} {DOCUMENTS} {PATCHES}"}


def _minor(version: str) -> int:
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _on(hosts: Sequence[Host], within: str = "added") -> Addresses:
    return Addresses(frozenset(host.id for host in hosts), within)  # type: ignore[arg-type]  # one of its words
