"""Whose Kubernetes it is on a host: the cluster's id, and its certificate authorities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sealer.errors import RefusedError, SealerError
from sealer.extension import StepContext
from sealer_plugin_kubeadm.delivery import deliver, fetch
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.bundle import Issuer
from sealer_plugin_kubeadm.pki.x509 import same_certificate
from sealer_plugin_kubeadm.places import IDENTITY, KUBERNETES, PKI

CA = f"{PKI}/ca.crt"
AUTHORITIES = (CA, f"{PKI}/etcd/ca.crt", f"{PKI}/front-proxy-ca.crt")


def own(context: StepContext) -> None:
    """Write the cluster's id to /etc/kubernetes, before anything else of it is there.

    :raises RefusedError: another cluster's is there.
    """
    wanted = context.operation.cluster_id
    found = fetch(context, [IDENTITY, CA])
    present = identity_in(found)
    if present and present != wanted and CA in found:  # without an authority it is what a cluster left behind
        raise _other(context, f"{IDENTITY} has the id {present}, that of '{context.operation.cluster}' is {wanted}")
    if present != wanted:
        deliver(context, {IDENTITY: f"{wanted}\n".encode()})


def refuse_other_authorities(context: StepContext, issuer: Issuer, present: Mapping[str, bytes]) -> None:
    """See that no certificate would be replaced by one of another authority.

    :param present: what the host has of :data:`AUTHORITIES` and of the certificates that may be made anew.
    :raises RefusedError: the host has an authority that is not the cluster's, or certificates of one without it.
    """
    wrong = issuer.of_others(present)
    if wrong:
        raise _other(context, f"{', '.join(wrong)}: not of the certificate authority of '{context.operation.cluster}'")


def is_own(context: StepContext, credentials: Path) -> bool:
    """Whether what runs of Kubernetes on a host that leaves is the cluster's.

    The certificate authority says it: `kubeadm reset` leaves an id behind. Where the record has none any more, the id
    does, or what the scripts of the image wrote, which have refused a host with a kubelet.
    """
    data = context.operation.paths.data
    began = f"{data}/before/kubelet/changes"
    present = fetch(context, [IDENTITY, CA, began])
    found = identity_in(present)
    if found and found != context.operation.cluster_id:
        return False
    if CA in present:
        try:
            return same_certificate(present[CA], authorities.load(credentials).kubernetes.certificate)
        except SealerError:
            return bool(found) or began in present
    # Without an authority there is nobody else's cluster; and nothing of ours where nothing was ever sent.
    return began in present or context.query(f"[ -e {data}/rootfs ]", check=False).ok


def identity_in(present: Mapping[str, bytes]) -> str:
    """The id among the contents of files; empty: there is none."""
    return present.get(IDENTITY, b"").decode("ascii", "replace").strip()


def _other(context: StepContext, why: str) -> RefusedError:
    return RefusedError(
        f"{KUBERNETES} on this host is of another cluster",
        where=context.host.id,
        why=why,
        remedy="Nothing was changed in it. Take the host out of that cluster first, or name another host.",
    )
