"""Programs that keep credentials for docker: `docker-credential-NAME get|store|erase`.

https://github.com/docker/docker-credential-helpers
"""

from __future__ import annotations

import json
import re

from sealer.documents import load_json
from sealer.errors import RegistryError
from sealer.redaction import Secret, redactor

SECONDS = 60  # it may ask the user to unlock a key ring
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNKNOWN = ("credentials not found", "no credentials server url", "no credentials username")


def get(helper: str, server: str) -> tuple[str, Secret] | None:
    """User name and secret for a server; None: the helper has none.

    :raises RegistryError: it failed.
    """
    said = _run(helper, "get", server)
    if said is None:
        return None
    try:
        answer = load_json(said)
        username, secret = answer["Username"], answer["Secret"]
        if not isinstance(username, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise _failed(helper, "what it printed is not the JSON that it must print") from None
    return username, Secret(secret)


def store(helper: str, server: str, username: str, secret: Secret) -> None:
    """Keep a credential; for the errors see :func:`get`."""
    _run(helper, "store", json.dumps({"ServerURL": server, "Username": username, "Secret": secret.reveal()}))


def erase(helper: str, server: str) -> bool:
    """Forget a credential; False: there was none. For the errors see :func:`get`."""
    return _run(helper, "erase", server) is not None


def _run(helper: str, action: str, told: str) -> str | None:
    if not _NAME.fullmatch(helper):
        raise _failed(helper, "that is no helper's name")
    import subprocess  # noqa: PLC0415  # for those who have a helper

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, action], input=told, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except FileNotFoundError:
        raise _failed(helper, f"there is no program {program} on PATH") from None
    except subprocess.TimeoutExpired:
        raise _failed(helper, f"it did not end within {SECONDS} seconds") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _failed(helper, str(error)) from None
    if done.returncode == 0:
        return done.stdout
    said = (done.stdout + done.stderr).strip()
    if any(text in said.lower() for text in _UNKNOWN):
        return None
    raise _failed(helper, redactor(said)[-300:] or f"it ended with status {done.returncode}")


def _failed(helper: str, why: str) -> RegistryError:
    return RegistryError(
        f"the credential helper '{helper}' failed",
        why=why,
        remedy="docker's configuration names it in credsStore or credHelpers",
    )
