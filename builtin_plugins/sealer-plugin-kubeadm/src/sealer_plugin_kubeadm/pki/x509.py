"""Keys, and certificates over them."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A host whose clock is behind must not take a new certificate for one that is not valid yet.
BACKDATED = datetime.timedelta(hours=1)
_NO_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_PRIVATE = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(...)"  # a key is nothing for a log


@dataclass(frozen=True)
class Names:
    """Subject alternative names: host names and addresses."""

    dns: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Names and addresses told apart."""
        given = [name for name in names if name]
        numbers = {name: _address(name) for name in given}
        return cls(
            frozenset(name for name in given if not numbers[name]),
            frozenset(number for number in numbers.values() if number),
        )

    def __or__(self, other: Names) -> Names:
        return Names(self.dns | other.dns, self.addresses | other.addresses)

    def __le__(self, other: Names) -> bool:
        return self.dns <= other.dns and self.addresses <= other.addresses

    def __bool__(self) -> bool:
        return bool(self.dns or self.addresses)


def _address(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return ""


def authority(name: str, validity: datetime.timedelta) -> Pair:
    """A certificate that signs others, and itself.

    Its key is of the curve P-256: all that reads it knows that, and it is made in no time.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _usage(key_cert_sign=True)
    builder = _builder(subject, subject, key.public_key(), validity, _NO_END)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _pair(builder.sign(key, hashes.SHA256()), key)


def signed(
    by: Pair,
    name: str,
    validity: datetime.timedelta,
    *,
    groups: Iterable[str] = (),
    usages: Iterable[x509.ObjectIdentifier] = (CLIENT,),
    names: Names = Names(),  # it is frozen
) -> Pair:
    """A certificate over a new key, by an authority; it ends no later than that.

    :param name: common name: to Kubernetes, the user's.
    :param groups: organisations: to Kubernetes, the user's groups.
    """
    issuer = x509.load_pem_x509_certificate(by.certificate)
    issuing = serialization.load_pem_private_key(by.key, None)
    assert isinstance(issuing, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, issuer.subject, key.public_key(), validity, issuer.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
    return _pair(builder.sign(issuing, hashes.SHA256()), key)


def signing_key() -> tuple[bytes, bytes]:
    """A key for tokens of service accounts, private and public, PEM: RSA, which everyone who checks tokens knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(*_PRIVATE), public_half(key.private_bytes(*_PRIVATE))


def public_half(private: bytes) -> bytes:
    """The public half of a private key, both PEM."""
    key = serialization.load_pem_private_key(private, None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def names_of(certificate: bytes) -> Names:
    """The alternative names of a certificate; none where it cannot be read."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        found = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return Names()
    return Names(
        frozenset(found.get_values_for_type(x509.DNSName)),
        frozenset(str(address) for address in found.get_values_for_type(x509.IPAddress)),
    )


def is_of(certificate: bytes, by: Pair) -> bool:
    """Whether a certificate is signed by an authority."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate)
        loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(by.certificate))
    except Exception:  # unreadable, another's, or a signature that is none: each is a reason for a new one
        return False
    return True


def same_certificate(one: bytes, other: bytes) -> bool:
    """Whether two texts hold the same certificate, first of all."""
    try:
        return x509.load_pem_x509_certificate(one) == x509.load_pem_x509_certificate(other)
    except ValueError:
        return False


def _general(names: Names) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(names.addresses)]
    return [*(x509.DNSName(name) for name in sorted(names.dns)), *addresses]


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    validity: datetime.timedelta,
    latest: datetime.datetime,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + validity, latest))
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(*_PRIVATE))
