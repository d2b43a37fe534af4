"""The cluster's authorities: made once on this machine, kept among the cluster's credentials, given to each master."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from sealer.cluster.files import make_private_directory, write_atomically
from sealer.errors import SealerError
from sealer_plugin_kubeadm.pki import encryption
from sealer_plugin_kubeadm.pki.x509 import Pair, authority, public_half, signing_key

DIRECTORY = "pki"
# Common names as kubeadm gives them.
_NAMES = {"ca": "kubernetes", "etcd-ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"}
_SIGNING_KEY = "sa.key"
_SECRETS_KEY = "encryption.key"


@dataclass(frozen=True)
class Authorities:
    """What signs everything else, and what encrypts the cluster's secrets.

    :param kubernetes, etcd, front_proxy: kubeadm's three authorities.
    :param tokens: private key for tokens of service accounts, PEM.
    :param secrets: key by which secrets are encrypted in etcd, in base64; empty: this cluster was made without.
    """

    kubernetes: Pair
    etcd: Pair
    front_proxy: Pair
    tokens: bytes
    secrets: bytes = b""

    def __repr__(self) -> str:
        return "Authorities(...)"

    @property
    def tokens_public(self) -> bytes:
        """The public half of `tokens`."""
        return public_half(self.tokens)


def make(credentials: Path, validity: datetime.timedelta, *, encrypt_secrets: bool = False) -> None:
    """Make those that are not there yet; what is there stays.

    A key is written before its certificate, so that one without the other was never given to anybody.

    :param encrypt_secrets: make a key for the cluster's secrets, too. Of a cluster that is there it would open nothing.
    :raises SealerError: they cannot be written.
    """
    directory = make_private_directory(make_private_directory(credentials) / DIRECTORY)
    for file, name in _NAMES.items():
        if not (directory / f"{file}.crt").exists():
            made = authority(name, validity)
            write_atomically(directory / f"{file}.key", made.key)
            write_atomically(directory / f"{file}.crt", made.certificate)
    if not (directory / _SIGNING_KEY).exists():
        write_atomically(directory / _SIGNING_KEY, signing_key()[0])
    if encrypt_secrets and not (directory / _SECRETS_KEY).exists():
        write_atomically(directory / _SECRETS_KEY, encryption.new_key())


def certificate(credentials: Path) -> bytes:
    """What the cluster is known by; empty where it was never made, or is lost."""
    try:
        return (credentials / DIRECTORY / "ca.crt").read_bytes()
    except OSError:
        return b""


def load(credentials: Path) -> Authorities:
    """The cluster's authorities.

    :raises SealerError: they are not here.
    """
    directory = credentials / DIRECTORY
    try:
        pairs = {
            file: Pair((directory / f"{file}.crt").read_bytes(), (directory / f"{file}.key").read_bytes())
            for file in _NAMES
        }
        tokens = (directory / _SIGNING_KEY).read_bytes()
        key = directory / _SECRETS_KEY
        secrets = key.read_bytes() if key.exists() else b""
    except OSError as error:
        raise SealerError(
            "The keys of the cluster's certificates cannot be read",
            where=str(error.filename),
            why=error.strerror or str(error),
            remedy="Without them no host can join. Bring back this directory from a backup, or from a master's "
            "/etc/kubernetes/pki.",
        ) from error
    return Authorities(pairs["ca"], pairs["etcd-ca"], pairs["front-proxy-ca"], tokens, secrets)
