"""The real skopeo reads what we write."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sealer.events import EventStream
from sealer.image.archive import load, save
from sealer.image.build import BuildRequest, build
from sealer.image.platforms import host_platform
from sealer.image.store import Store

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")

KUBEFILE = """\
FROM scratch
COPY Kubefile etc/
RUN echo x > x && rm etc/Kubefile
ENV A=b
CMD true
"""


def skopeo(*arguments: str | Path) -> str:
    result = subprocess.run(["skopeo", *map(str, arguments)], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def store(tmp_path: Path) -> Store:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Kubefile").write_text(KUBEFILE)
    store = Store(tmp_path / "images")
    build(store, BuildRequest(context, names=("app:v1", "r.io:5000/ns/app:v1")), EventStream())
    return store


@pytest.mark.parametrize("name", ["app:v1", "r.io:5000/ns/app:v1"])
def test_inspect(store: Store, name: str) -> None:
    image = store.find(name)
    seen = json.loads(skopeo("inspect", f"oci:{store.root}:{name}"))
    assert seen["Digest"] == image.digest
    assert f"{seen['Os']}/{seen['Architecture']}" == host_platform()
    assert seen["Layers"] == [layer.digest for layer in image.first.layers]
    assert seen["Env"] == ["A=b"]
    assert seen["Labels"]["io.sealer.cmds"] == '["true"]'
    raw = skopeo("inspect", "--raw", f"oci:{store.root}:{name}")
    assert json.loads(raw)["artifactType"] == "application/vnd.sealer.cluster-image.v1"
    config = json.loads(skopeo("inspect", "--config", f"oci:{store.root}:{name}"))
    assert config["rootfs"]["diff_ids"] == [layer.diff_id for layer in image.first.layers]


def test_copy_there_and_back(store: Store, tmp_path: Path) -> None:
    image = store.find("app:v1")
    skopeo("copy", "--all", "--preserve-digests", f"oci:{store.root}:app:v1", f"oci:{tmp_path / 'copy'}:app:v1")
    assert Store(tmp_path / "copy").find("app:v1").digest == image.digest
    skopeo("copy", "--all", f"oci:{store.root}:app:v1", f"oci-archive:{tmp_path / 'x.tar'}:app:v1")
    assert load(Store(tmp_path / "other"), tmp_path / "x.tar") == (("app:v1", image.digest),)
    save(store, ["app:v1"], tmp_path / "y.tar")
    assert json.loads(skopeo("inspect", f"oci-archive:{tmp_path / 'y.tar'}:app:v1"))["Digest"] == image.digest
