from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.events import Event, EventStream
from sealer.image.build import BuildRequest, build
from sealer.image.model import ClusterImage, Layer
from sealer.image.store import Store

MakeLayer = Callable[..., Layer]
Build = Callable[..., ClusterImage]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


@pytest.fixture
def events() -> tuple[EventStream, list[Event]]:
    seen: list[Event] = []
    stream = EventStream()
    stream.subscribe(seen.append)
    return stream, seen


@pytest.fixture
def build_image(store: Store, context: Path, events: tuple[EventStream, list[Event]]) -> Build:
    """Build a Kubefile's text in the context."""

    def run(text: str, **request: object) -> ClusterImage:
        (context.parent / "Kubefile").write_text(text)
        made = BuildRequest(context, context.parent / "Kubefile", names=("app:v1",))
        return build(store, dataclasses.replace(made, **request), events[0])  # type: ignore[arg-type]

    return run


@pytest.fixture
def make_layer(tmp_path: Path) -> MakeLayer:
    """A layer from members.

    `name=text` is a file, a name alone an empty one, a name with `/` at its end a directory, `a -> b` a symlink,
    `a => b` a hard link, and a TarInfo is itself.
    """

    def make(*members: str | tarfile.TarInfo) -> Layer:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for member in members:
                _add(tar, member)
        content = gzip.compress(raw.getvalue(), mtime=0)
        digest = hashlib.sha256(content).hexdigest()
        path = tmp_path / f"layer-{digest}"
        path.write_bytes(content)
        return Layer(f"sha256:{digest}", len(content), "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest(), path)

    return make


def _add(tar: tarfile.TarFile, member: str | tarfile.TarInfo) -> None:
    if isinstance(member, tarfile.TarInfo):
        tar.addfile(member)
        return
    for arrow, kind in ((" -> ", tarfile.SYMTYPE), (" => ", tarfile.LNKTYPE)):
        if arrow in member:
            info = tarfile.TarInfo(member.partition(arrow)[0])
            info.type, info.linkname = kind, member.partition(arrow)[2]
            tar.addfile(info)
            return
    name, _, text = member.partition("=")
    info = tarfile.TarInfo(name.rstrip("/") if name != "/" else name)
    info.mode = 0o644
    if name.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    info.size = len(text.encode())
    tar.addfile(info, io.BytesIO(text.encode()))
