"""How a host makes a rootfs of layers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sealer.cluster.distribution import layer_path, unpack_script
from sealer.events import EventStream
from sealer.extension.operation import HostPaths
from sealer.image.build import BuildRequest, build
from sealer.image.files import RootfsFiles
from sealer.image.model import Rootfs
from sealer.image.store import Store


def image(store: Store, directory: Path, name: str, *layers: dict[str, str]) -> Rootfs:
    """An image with a layer for each set of files."""
    context = directory / name
    for number, files in enumerate(layers):
        for path, text in files.items():
            (context / str(number) / path).parent.mkdir(parents=True, exist_ok=True)
            (context / str(number) / path).write_text(text)
    (context / "Kubefile").write_text("FROM scratch\n" + "".join(f"COPY {n} .\n" for n in range(len(layers))))
    return build(store, BuildRequest(context, names=(name,)), EventStream()).first


def tree(root: Path) -> dict[str, str] | None:
    """Its files; None: it is not there."""
    if not root.exists():
        return None
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    return HostPaths(str(tmp_path / "host"), "here")


def test_a_rootfs_is_whole_or_not_there_wherever_its_making_was_cut_off(tmp_path: Path, paths: HostPaths) -> None:
    store = Store(tmp_path / "images")
    before = image(store, tmp_path, "before", {"a/old": "1", "a/both": "1"})
    after = image(store, tmp_path, "after", {"a/both": "1", "b/new": "1"}, {"a/both": "2"})
    for layer in (*before.layers, *after.layers):
        place = Path(layer_path(paths, layer))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(layer.path, place)
    target = Path(paths.rootfs)

    def script(rootfs: Rootfs) -> str:
        return unpack_script(rootfs, paths, str(target), RootfsFiles(rootfs).removals)

    def run(text: str) -> None:
        subprocess.run(["/bin/sh", "-c", text], check=True)

    lines = script(after).splitlines(keepends=True)
    old, new = {"a/both": "1", "a/old": "1"}, {"a/both": "2", "b/new": "1"}
    seen = []
    for cut in range(len(lines) + 1):
        run(script(before))
        assert tree(target) == old
        run("".join(lines[:cut]))
        seen.append(tree(target))
        run(script(after))  # what the next run does, whatever it finds
        assert tree(target) == new
        assert sorted(path.name for path in target.parent.iterdir()) == ["rootfs"]
    assert [state for number, state in enumerate(seen) if not number or state != seen[number - 1]] == [old, None, new]
