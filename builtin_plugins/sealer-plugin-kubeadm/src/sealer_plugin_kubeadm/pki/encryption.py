"""How API servers encrypt secrets before etcd has them."""

from __future__ import annotations

import base64
import secrets

import yaml

_NAME = "key1"
_BYTES = 32  # what secretbox takes


def new_key() -> bytes:
    """A new key, in base64."""
    return base64.b64encode(secrets.token_bytes(_BYTES))


def configuration(key: bytes) -> bytes:
    """What API servers read: secrets are written encrypted; those that are not encrypted can still be read.

    :param key: as :func:`new_key` makes it.
    """
    named = {"name": _NAME, "secret": key.decode().strip()}
    content = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"secretbox": {"keys": [named]}}, {"identity": {}}]}],
    }
    return yaml.safe_dump(content, sort_keys=False).encode()
