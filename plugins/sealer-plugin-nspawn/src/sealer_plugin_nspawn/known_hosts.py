"""The file in which the ssh transport looks a host's key up: plain OpenSSH lines, `address keytype key`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from sealer_plugin_nspawn.locks import exclusive
from sealer_plugin_nspawn.record import write_file

_MARKED = re.compile(r"^@\S+\s+")


def record_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Make `keys`, by address, the only ones known for those addresses."""
    _rewrite(path, keys)


def forget_keys(path: Path, addresses: Collection[str]) -> None:
    """Remove every line about one of the addresses, as `ssh-keygen -R` does."""
    if path.exists():
        _rewrite(path, dict.fromkeys(addresses, ""))


def _rewrite(path: Path, keys: Mapping[str, str]) -> None:
    with exclusive(path.with_name(f"{path.name}.lock")):
        old = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in old if not _is_about(line, keys)]
        lines = [*kept, *(f"{address} {key}" for address, key in keys.items() if key)]
        if lines != old:
            write_file(path, "".join(f"{line}\n" for line in lines), 0o600)


def _is_about(line: str, addresses: Collection[str]) -> bool:
    if not line.strip() or line.startswith("#"):
        return False
    names = _MARKED.sub("", line).split(maxsplit=1)[0].split(",")
    return any(_names(name, address) for name in names for address in addresses)


def _names(name: str, address: str) -> bool:
    if not name.startswith("|1|"):
        return name in (address, f"[{address}]:22")
    salt, _, digest = name[3:].partition("|")
    try:
        wanted = hmac.new(base64.b64decode(salt), address.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(wanted, base64.b64decode(digest))
    except ValueError:
        return False  # not by OpenSSH's rules: another's business
