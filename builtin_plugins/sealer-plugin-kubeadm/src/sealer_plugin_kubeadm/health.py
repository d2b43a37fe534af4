"""What `sealer check` asks of hosts beside what the cluster's API says of them."""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from sealer.errors import HostError
from sealer.extension import Addresses, Effect, Operation, Step, StepContext
from sealer_plugin_kubeadm.places import ADMIN, KUBELET, MANIFESTS, PKI
from sealer_plugin_kubeadm.scripts import script

WARNING, URGENT = 30, 7  # days that a certificate has left
_DAY = 86_400.0
_OF_NODES = (KUBELET, f"{PKI}/ca.crt")
_OF_MASTERS = (*_OF_NODES, ADMIN, f"{PKI}/apiserver.crt", f"{MANIFESTS}/kube-apiserver.yaml")
# The kubelet renews the first by itself; the second is made when the host joins.
_KUBELETS_CLIENT, _KUBELETS_SERVING = "kubelet-client-current.pem", "/var/lib/kubelet/pki/kubelet.crt"


@dataclass(frozen=True)
class Found:
    """What `health.sh` printed.

    :param services: state of each service, as systemd has it.
    :param missing: files that a member has, and this host lacks.
    :param ends: by path when each certificate ends, in seconds since the epoch.
    """

    services: Mapping[str, str]
    missing: tuple[str, ...]
    ends: Mapping[str, float]

    @classmethod
    def of(cls, printed: str) -> Found:
        """Read the lines; what is no certificate has no end."""
        pairs = [line.partition("=")[::2] for line in printed.splitlines()]
        ends: dict[str, float] = {}
        for key, value in pairs:
            path, _, text = value.partition(" ")
            if key == "certificate" and (end := _end(text)) is not None:
                ends[path] = end
        services = {key: value for key, value in pairs if key in ("kubelet", "containerd")}
        return cls(services, tuple(value for key, value in pairs if key == "missing"), ends)


def _end(text: str) -> float | None:
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(text)).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def steps(operation: Operation) -> Sequence[Step]:
    """Each member has its files, its services run, and its certificates do not end soon.

    Of a service that was stopped the API says for 40 seconds more that its node is ready; of files that are gone it
    says nothing while the old processes live.
    """
    recorded = operation.recorded.hosts if operation.recorded else ()
    members = frozenset(entry.host.address for entry in recorded if entry.member)
    if not members:
        return []

    known: dict[str, Found] = {}  # by host: the checks run side by side, and ask once

    def ask(context: StepContext) -> Found:
        return known.get(context.host.id) or known.setdefault(context.host.id, _found(context))

    def files(context: StepContext) -> None:
        if missing := ask(context).missing:
            raise HostError(
                "Files of Kubernetes are missing on this host",
                where=context.host.id,
                why=", ".join(missing),
                remedy=_replace(context),
            )

    def kubelet(context: StepContext) -> None:
        found = ask(context)
        if KUBELET not in found.missing:  # without it the kubelet cannot run: that is said already
            _refuse_stopped(context, found, "kubelet", "kubelet")

    def runtime(context: StepContext) -> None:
        found = ask(context)
        if "containerd" in found.services:
            _refuse_stopped(context, found, "containerd", "container runtime")

    def certificates(context: StepContext) -> None:
        judge(context, ask(context).ends, time.time())

    on = Addresses(members)
    return [
        Step("files", "Its files of Kubernetes are there", on, files, effect=Effect.QUERY),
        Step("kubelet", "The kubelet is running", on, kubelet, effect=Effect.QUERY),
        Step("runtime", "Its container runtime runs", on, runtime, effect=Effect.QUERY),
        Step("certificates", f"Its certificates are valid for {WARNING} days", on, certificates, effect=Effect.QUERY),
    ]


def judge(context: StepContext, ends: Mapping[str, float], now: float) -> None:
    """See that no certificate ends soon.

    :param ends: when each ends, by path, in seconds since the epoch, as is `now`.
    :raises HostError: one has ended, or does so within a week.
    """
    soon = sorted((end, path) for path, end in ends.items() if end - now < WARNING * _DAY)
    if not soon:
        return
    words = ", ".join(f"{path} {_when(end, now)}" for end, path in soon)
    if soon[0][0] - now >= URGENT * _DAY:
        context.warn(f"certificates end soon: {words}. {_renewal(context, [path for _, path in soon])}")
        return
    ended = soon[0][0] <= now
    raise HostError(
        "Certificates of this host have expired" if ended else "Certificates of this host are about to expire",
        where=context.host.id,
        why=words,
        remedy=_renewal(context, [path for _, path in soon]),
    )


def _when(end: float, now: float) -> str:
    date = datetime.datetime.fromtimestamp(end, datetime.UTC).strftime("%Y-%m-%d")
    left = end - now
    if left <= 0:
        return f"expired on {date}"
    if left < 2 * _DAY:
        return f"expires in {max(1, round(left / 3600))} h"
    return f"expires in {left / _DAY:.0f} days ({date})"


def _renewal(context: StepContext, paths: Sequence[str]) -> str:
    """What helps: kubeadm renews those of the control plane, the kubelet its own."""
    kubelets = [path for path in paths if path.endswith(_KUBELETS_CLIENT)]
    serving = [path for path in paths if path == _KUBELETS_SERVING]
    words = []
    if len(paths) > len(kubelets) + len(serving):
        words.append(
            "On the host, run `kubeadm certs renew all` (before v1.20: `kubeadm alpha certs renew all`), then restart "
            "the control plane: move the files out of /etc/kubernetes/manifests for 20 seconds and back."
            if context.host.is_master
            else _replace(context)
        )
    if kubelets:
        words.append("The kubelet renews its certificate: `journalctl -u kubelet` on the host says why it has not.")
    if serving and not (words and not context.host.is_master):
        words.append(_replace(context))
    return " ".join(words)


def _replace(context: StepContext) -> str:
    """Out of the cluster and in again, where another master is left that lets it in."""
    operation, host = context.operation, context.host
    masters = [it for it in operation.hosts if it.is_master]
    if host.is_master and len(masters) < 2:
        return "Restore /etc/kubernetes and /var/lib/kubelet from a backup of this host: it is the only master."
    option = f"{'-m' if host.is_master else '-n'} {host.address}"
    name = operation.cluster
    return (
        f"Remove the host and add it again: `sealer delete {option} --force --name {name}`, then "
        f"`sealer scale-up {option} --name {name}`."
    )


def _refuse_stopped(context: StepContext, found: Found, service: str, what: str) -> None:
    state = found.services.get(service, "")
    if state == "active":
        return
    raise HostError(
        f"The {what} on this host is not running",
        where=context.host.id,
        why=f"systemd says that {service} is {state or 'not there'}",
        remedy=f"`systemctl start {service}` on the host; `journalctl -u {service}` there says why it ended.",
    )


def _found(context: StepContext) -> Found:
    files = _OF_MASTERS if context.host.is_master else _OF_NODES
    env = {"SEALER_FILES": " ".join(files)}
    return Found.of(context.query(script("health"), env=env, check=False).stdout)
