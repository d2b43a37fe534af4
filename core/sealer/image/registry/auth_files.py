"""`login` and `logout`: what is written, where, and how it cannot be lost."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.errors import InputError
from sealer.events import Json
from sealer.image.registry import helpers
from sealer.image.registry.credentials import AuthFile, Credential, helper_of, matching, member, server_key


def remember(file: AuthFile, registry: str, credential: Credential) -> str:
    """Keep a credential for a registry, in the store that the file names, else in the file.

    :returns: where it is kept, in words.
    :raises InputError: the file cannot be read or written.
    :raises RegistryError: the credential helper failed.
    """
    with _locked(file) as document:
        auths = dict(member(document, "auths"))
        for key in matching(document, registry):
            del auths[key]
        token = credential.identity_token
        if helper := helper_of(document, registry):
            secret = token or credential.password
            helpers.store(helper, server_key(registry), "<token>" if token else credential.username, secret)
            entry: dict[str, Json] = {}
        else:
            pair = f"{credential.username}:{credential.password.reveal()}"
            entry = {"auth": base64.b64encode(pair.encode()).decode()}
            entry |= {"identitytoken": token.reveal()} if token else {}
        auths[server_key(registry)] = entry
        _replace(file.path, {**document, "auths": auths})
    return f"the credential helper '{helper}'" if helper else str(file.path)


def forget(file: AuthFile, registry: str) -> bool:
    """Remove what is kept for a registry; False: there was nothing. For the errors see :func:`remember`."""
    with _locked(file) as document:
        keys = matching(document, registry)
        erased = False
        if helper := helper_of(document, registry):
            erased = helpers.get(helper, server_key(registry)) is not None
            helpers.erase(helper, server_key(registry))
        if keys:
            auths = {key: value for key, value in member(document, "auths").items() if key not in keys}
            _replace(file.path, {**document, "auths": auths})
    return bool(keys) or erased


@contextmanager
def _locked(file: AuthFile) -> Iterator[dict[str, Json]]:
    """The file's content, while no other sealer changes it."""
    directory = _real(file.path).parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(file.path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield file.read()
    finally:
        os.close(lock)


def _replace(path: Path, document: dict[str, Json]) -> None:
    """Write it beside the old one, for its owner only, and put it in its place in one step."""
    real = _real(path)  # a link stays a link: dotfiles are often kept elsewhere
    partial = ""
    try:
        descriptor, partial = tempfile.mkstemp(prefix=f".{real.name}-", dir=real.parent)  # 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(json.dumps(document, indent="\t", ensure_ascii=False) + "\n")
            new.flush()
            os.fsync(new.fileno())
        Path(partial).replace(real)
    except OSError as error:
        if partial:
            Path(partial).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        "the credential cannot be kept", where=str(path), why=error.strerror or str(error), remedy="use --authfile"
    )
