"""Private keys, however they are given."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import paramiko  # noqa: TID253  # this module is imported by a running connection only
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sealer.errors import AuthenticationError
from sealer.redaction import Secret

DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
LARGEST = 1 << 20  # bytes of a key file that are read
_CERTIFICATE = "-cert-v01@openssh.com"


def load(given: str, passphrase: Secret | None, where: str) -> list[tuple[str, paramiko.PKey]]:
    """The key that a user named or pasted, and what to call it in messages; first with the certificate beside it.

    :param given: a path, or the key itself in PEM or OpenSSH format.
    :param where: the host it is for.
    :raises AuthenticationError: it cannot be used; says why.
    """
    if "-----BEGIN" in given:
        Secret(given)  # from now on no output shows a line of it
        name = "the given private key"
        return [(name, _parse(given.strip().encode() + b"\n", passphrase, name, where))]
    name = f"private key {given}"
    try:
        path = Path(given).expanduser()
        with path.open("rb") as stream:
            content = stream.read(LARGEST)
    except (OSError, RuntimeError, ValueError) as error:  # the latter: nobody's home, a name that no file can have
        raise AuthenticationError(
            f"{name} cannot be read",
            where=where,
            why=getattr(error, "strerror", None) or str(error),
            remedy="name an existing file and that this user may read",
        ) from error
    key = _parse(content, passphrase, name, where)
    certified = _certified(key, path.with_name(path.name + "-cert.pub"))
    return [*((f"{name} with its certificate", one) for one in certified), (name, key)]


def load_defaults() -> list[tuple[str, paramiko.PKey]]:
    """The keys under `~/.ssh` that need no passphrase; others are left to the agent."""
    found = []
    for name in DEFAULT_NAMES:
        path = Path.home() / ".ssh" / name
        if path.is_file() and os.access(path, os.R_OK):
            try:
                found.extend(load(str(path), None, ""))
            except AuthenticationError:
                continue
    return found


class Agent(Protocol):
    """What holds keys."""

    def get_keys(self) -> Sequence[paramiko.AgentKey]:
        """The keys."""

    def close(self) -> None:
        """End the conversation."""


class AgentAt(paramiko.agent.AgentSSH):
    """The agent behind a socket; where none answers, one without keys."""

    def __init__(self, path: str) -> None:
        super().__init__()
        if path == "none":
            return
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException):
            connection.close()

    def close(self) -> None:
        """End the conversation."""
        self._close()  # type: ignore[attr-defined]


def public_halves(files: Sequence[str]) -> frozenset[bytes]:
    """The public keys that belong to files of keys, as far as they are known: in `FILE.pub`, or in the file itself."""
    found = set()
    for file in filter(None, files):
        for name in (f"{file}.pub", file):
            with contextlib.suppress(OSError, ValueError, IndexError):
                found.add(base64.b64decode(Path(name).expanduser().read_text().split()[1], validate=True))
    return frozenset(found)


def of_agent(agent: Agent, only: frozenset[bytes] | None = None) -> list[tuple[str, paramiko.PKey]]:
    """The keys that an agent holds, certificates among them.

    :param only: the public keys that count, without certificates; None: all.
    """
    found: list[tuple[str, paramiko.PKey]] = []
    for key in agent.get_keys():
        if only is not None and key.asbytes() not in only:
            continue
        if key.get_name().endswith(_CERTIFICATE):
            # paramiko would show the plain key under the certificate's name, and have that one sign.
            key.inner_key = None  # type: ignore[attr-defined]
        found.append((f"agent key {key.comment or key.get_name()}", key))
    return found


def _certified(key: paramiko.PKey, certificate: Path) -> list[paramiko.PKey]:
    """The key with its certificate, if that is there and whole; like ssh, one goes on without one that is not."""
    with_certificate = copy.copy(key)
    try:
        certificate.read_bytes()
        with_certificate.load_certificate(str(certificate))
    except (OSError, ValueError):
        return []
    return [with_certificate]


def _parse(content: bytes, passphrase: Secret | None, name: str, where: str) -> paramiko.PKey:
    if content.startswith(b"PuTTY-User-Key-File"):
        raise AuthenticationError(
            f"{name} is in PuTTY's format",
            where=where,
            remedy="convert it: puttygen KEY.ppk -O private-openssh -o KEY",
        )
    if b"-----BEGIN" not in content:
        raise AuthenticationError(
            f"{name} is no private key",
            where=where,
            remedy="name the private key, not the .pub file" if content.startswith((b"ssh-", b"ecdsa-")) else "",
        )
    secret = passphrase.reveal().encode() if passphrase else None
    try:
        return _convert(_decrypt(content, secret), name, where)
    except TypeError as error:
        if secret is not None:  # a passphrase was given, the key has none: fine
            return _convert(_decrypt(content, None), name, where)
        raise AuthenticationError(
            f"{name} is encrypted and no passphrase was given",
            where=where,
            remedy="give it (--pk-passwd, or pkPasswd in the Clusterfile), or load the key into ssh-agent",
        ) from error
    except UnsupportedAlgorithm as error:
        raise AuthenticationError(f"{name} has an unknown key type", where=where, why=str(error)) from error
    except ValueError as error:
        if (secret is not None and b"ENCRYPTED" in content) or _is_encrypted(content):
            raise AuthenticationError(
                f"the passphrase of {name} is wrong", where=where, remedy="check --pk-passwd or pkPasswd"
            ) from error
        raise AuthenticationError(f"{name} is damaged", where=where, why=str(error).splitlines()[0]) from error


def _is_encrypted(content: bytes) -> bool:
    try:
        _decrypt(content, None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False


def _decrypt(content: bytes, secret: bytes | None) -> object:
    if b"BEGIN OPENSSH" in content:
        return serialization.load_ssh_private_key(content, secret)
    return serialization.load_pem_private_key(content, secret)


def _convert(key: object, name: str, where: str) -> paramiko.PKey:
    kinds: tuple[tuple[type, type[paramiko.PKey]], ...] = (
        (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key),
        (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey),
        (rsa.RSAPrivateKey, paramiko.RSAKey),
    )
    for kind, target in kinds:
        if isinstance(key, kind):
            text = key.private_bytes(  # type: ignore[attr-defined]
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ).decode()
            return target.from_private_key(io.StringIO(text))
    raise AuthenticationError(f"{name} has an unsupported key type", where=where, remedy="use ed25519, ECDSA or RSA")
