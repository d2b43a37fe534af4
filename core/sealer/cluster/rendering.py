"""Templates, Config and Plugin documents: what a rootfs holds on one host alone."""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from sealer.extension.context import StepContext
from sealer.extension.steps import Retry, Step
from sealer.extension.targets import KEPT, Targets

FilesOf = Callable[[str], Mapping[str, bytes | None]]  # by host id: path in the rootfs -> content; None: no such file


def render(hosts: Sequence[str], files_of: FilesOf, rootfs: str, on: Targets, *, covers: frozenset[str]) -> list[Step]:
    """Write each host's own files into its rootfs, each of them atomically.

    Everything is rendered here, when the step is planned: a mistake in a template is found before a host is touched.

    :param hosts: ids of the hosts it is for.
    :param covers: the Clusterfile fields that this makes true.
    """
    contents = {host: dict(sorted(files_of(host).items())) for host in hosts}
    if not any(contents.values()):
        return []

    def write(context: StepContext) -> None:
        files = {path: content for path, content in contents[context.host.id].items() if content is not None}
        gone = " ".join(shlex.quote(f"./{path}") for path in contents[context.host.id] if path not in files)
        script = f"""set -e
umask 022
cd {shlex.quote(rootfs)}
rm -rf .sealer-new {gone}
mkdir .sealer-new
tar -xf - -C .sealer-new --no-same-owner
for path in {" ".join(map(shlex.quote, files))}; do
    mkdir -p "$(dirname "./$path")"
    if [ -e "./$path" ]; then chmod --reference="./$path" ".sealer-new/$path"; fi
    mv -f ".sealer-new/$path" "./$path"
done
rm -rf .sealer-new
"""
        context.sh(script, stdin=_archive(files))

    inputs = {host: _digest(files) for host, files in contents.items()}
    # A host that stays and is out of reach must not keep others from coming; it is told when it is back.
    unreachable: Literal["fail", "skip"] = "skip" if on == KEPT else "fail"
    title = "Write each host's files"
    return [Step("files", title, on, write, inputs, retry=Retry(3), unreachable=unreachable, covers=covers)]


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _digest(files: Mapping[str, bytes | None]) -> str:
    whole = hashlib.sha256()
    for path, content in files.items():
        whole.update(f"{path}\0{'gone' if content is None else len(content)}\0".encode())
        whole.update(content or b"")
    return whole.hexdigest()
