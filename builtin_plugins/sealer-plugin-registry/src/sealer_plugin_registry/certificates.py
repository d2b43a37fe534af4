"""The CA of a cluster's registry and the certificates of the hosts it runs on (RFC 5280)."""

from __future__ import annotations

import datetime
import ipaddress
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = datetime.timedelta(days=36500)  # as users of the original expect: a site is set up once
_KEEPING = threading.Lock()  # steps on several hosts may keep the same file
_EARLIER = datetime.timedelta(days=1)  # clocks of hosts differ


class Authority:
    """A CA that lives in two files of a directory; made when it is not there.

    :param directory: only its owner may read it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def certificate(self) -> Path:
        """The file that hosts trust."""
        return self._directory / "ca.crt"

    @property
    def _key(self) -> Path:
        return self._directory / "ca.key"

    def make(self, name: str) -> None:
        """Make the CA; one that is there stays."""
        if self.certificate.exists() and self._key.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _builder(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        # The key first: a certificate without one would be found, and could sign nothing.
        keep(self._key, _key_bytes(key))
        keep(self.certificate, made.public_bytes(serialization.Encoding.PEM))

    def issue(self, names: Sequence[str], addresses: Sequence[str]) -> tuple[bytes, bytes]:
        """A server's certificate and its key, PEM.

        :param names: DNS names; the first is the subject.
        """
        ca = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        ca_key = serialization.load_pem_private_key(self._key.read_bytes(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        made = (
            _builder(subject, ca.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(list(_alternatives(names, addresses))), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM), _key_bytes(key)


def keep(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with _KEEPING:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + VALID)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Iterable[str], addresses: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in dict.fromkeys(names):
        yield x509.DNSName(name)
    for address in dict.fromkeys(addresses):
        yield x509.IPAddress(ipaddress.ip_address(address))


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
