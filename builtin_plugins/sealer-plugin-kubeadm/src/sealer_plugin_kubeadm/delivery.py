"""Files for a host, all in one exchange; nothing of them is on a command line or in a receipt."""

from __future__ import annotations

import base64
import io
import shlex
import tarfile
from collections.abc import Iterable, Mapping

from sealer.extension import StepContext
from sealer_plugin_kubeadm.scripts import script

_OPEN = (".crt", ".pub", ".cfg")


def deliver(context: StepContext, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> None:
    """Put files in their places, each as a whole; those with keys in them only root can read.

    :param files: contents by absolute path.
    :param links: symbolic links, which are replaced, by absolute path: where they lead.
    """
    if not files and not links:
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), _mode(path)
            tar.addfile(member, io.BytesIO(content))
        for path, target in (links or {}).items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    context.query(script("receive"), stdin=buffer.getvalue())


def _mode(path: str) -> int:
    """What only root may read: all that may have a key in it."""
    return 0o644 if path.endswith(_OPEN) or path.startswith("/etc/systemd/") else 0o600


def fetch(context: StepContext, paths: Iterable[str]) -> Mapping[str, bytes]:
    """The contents of small files by path, without those that are not there."""
    words = " ".join(shlex.quote(path) for path in paths)
    printed = context.query(
        f'for file in {words}; do [ ! -e "$file" ] || echo "$file $(base64 <"$file" | tr -d "\\n")"; done'
    ).stdout
    pairs = (line.partition(" ") for line in printed.splitlines())
    return {path: base64.b64decode(content) for path, _, content in pairs}
