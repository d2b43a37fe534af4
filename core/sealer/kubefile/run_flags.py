"""The flags of RUN: `--mount=type=secret,...` and `--network=...`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from sealer.kubefile.model import SecretMount

SECRETS = "/run/secrets"
_NETWORKS = {"host": "host", "default": "", "none": "none"}
_REFUSED = {
    "security": "RUN is contained, but no container",
    "device": "RUN is contained, but no container",
}
_NO_PLACES = ("/rootfs/", "/proc/", "/sys/", "/dev/")
_KNOWN = ("type", "id", "target", "dst", "destination", "required")

Complain = Callable[[str, int], Exception]


def read_run_flags(
    words: list[tuple[str, int]], complain: Complain
) -> tuple[tuple[SecretMount, ...], str, list[tuple[str, int]]]:
    """Split leading flags off: the secrets, the network, and the words that are left.

    :param words: each with its offset.
    :param complain: makes the error for a message and an offset.
    """
    secrets: list[SecretMount] = []
    network = ""
    rest = list(words)
    while rest and rest[0][0].startswith("--"):
        text, offset = rest.pop(0)
        name, _, value = text[2:].partition("=")
        if name in _REFUSED:
            raise complain(f"--{name} is not supported: {_REFUSED[name]}", offset)
        if name not in ("mount", "network"):
            raise complain(f"RUN does not know the flag '--{name}'", offset)
        if not value:
            raise complain(f"--{name} needs a value: --{name}=...", offset)
        if name == "mount":
            secrets.append(_secret(value, offset, complain))
        elif value in _NETWORKS:
            network = _NETWORKS[value]
        else:
            raise complain(f"'{value}' is no network: it is host or none", offset)
    targets = [secret.target for secret in secrets]
    if len(set(targets)) < len(targets):
        raise complain("two secrets have one target", words[0][1])
    return tuple(secrets), network, rest


def _secret(text: str, offset: int, complain: Complain) -> SecretMount:
    options = {}
    for option in text.split(","):
        name, equals, value = option.partition("=")
        if name not in _KNOWN:
            raise complain(f"--mount does not know '{name}': it is type=secret,id=NAME[,target=PATH]", offset)
        options[name] = value if equals else "true"
    if options.get("type") != "secret":
        raise complain("--mount is not supported but for type=secret: RUN sees the whole rootfs anyway", offset)
    target = options.get("target") or options.get("dst") or options.get("destination") or ""
    name = options.get("id") or posixpath.basename(target)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise complain("--mount=type=secret needs an id: letters, digits, '_', '.' and '-'", offset)
    target = target or f"{SECRETS}/{name}"
    path = posixpath.normpath("/" + target.lstrip("/"))
    if not target.startswith("/") or path == "/" or f"{path}/".startswith(_NO_PLACES):
        raise complain(f"the target '{target}' must be an absolute path outside of the rootfs", offset)
    if options.get("required", "true") not in ("true", "false"):
        raise complain("required is true or false", offset)
    return SecretMount(name, path, options.get("required", "true") == "true")
