"""A container image out of a cluster image in a registry runs under containerd, which knows nothing of sealer."""

from __future__ import annotations

import io
import json
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from containerd import OBSTACLE, Containerd
from docker_registry import DockerRegistry
from image_archives import sha256, write_tar
from sample_images import MakeRegistries, skopeo

from sealer.events import EventStream
from sealer.image.build import BuildRequest, build
from sealer.image.discovery.discover import DiscoveryRequest, discover
from sealer.image.discovery.readers import Readers
from sealer.image.gathering.gather import ImageRequest
from sealer.image.registry.push import push
from sealer.image.store import Store

BUSYBOX = shutil.which("busybox")
NAME = "registry.example.com/team/greeter:1"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

pytestmark = [
    pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE),
    pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)"),
    pytest.mark.skipif(not BUSYBOX, reason="busybox is not installed (apt-get install busybox-static)"),
]


@pytest.fixture
def containerd() -> Iterator[Containerd]:
    # not in a test's usual directory: the path of a socket has 108 bytes at most
    with tempfile.TemporaryDirectory(prefix="sealer-containerd-") as directory, Containerd(Path(directory)) as started:
        yield started


def layer(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def greeter(path: Path) -> Path:
    """A docker-archive of two layers; the second takes back a file of the first."""
    assert BUSYBOX
    layers = [
        layer({"bin/busybox": Path(BUSYBOX).read_bytes(), "greeting": b"not this", "gone": b"x"}),
        layer({"greeting": b"good morning\n", ".wh.gone": b""}),
    ]
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {
            "Cmd": ["/bin/busybox", "sh", "-c", "busybox cat /greeting; busybox ls /; echo $OF"],
            "Env": ["OF=us", "PATH=/bin"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(one)}" for one in layers]},
    }
    entry = {"Config": "config.json", "RepoTags": [NAME], "Layers": ["0.tar", "1.tar"]}
    return write_tar(
        path,
        [
            *((f"{number}.tar", content) for number, content in enumerate(layers)),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps([entry]).encode()),
        ],
    )


def test_a_container_image_of_a_pushed_cluster_image_runs(
    tmp_path: Path,
    store: Store,
    registry: DockerRegistry,
    registries: MakeRegistries,
    containerd: Containerd,
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Kubefile").write_text("FROM scratch\nCOPY pod.yaml manifests/\n")
    (context / "pod.yaml").write_text(f"kind: Pod\nspec:\n  containers:\n  - image: {NAME}\n")
    request = ImageRequest(
        lambda files, env, installs: discover(files, Readers(variables=env).read, DiscoveryRequest()),
        registries,
        archives=(greeter(tmp_path / "greeter.tar"),),
    )
    name = f"{registry.address}/ns/site:v1"
    built = build(store, BuildRequest(context, names=(name,), images=request), EventStream())
    push(store, registries(), EventStream(), name)
    (inside,) = built.containers
    assert inside.reference == NAME

    archive = tmp_path / "copied.tar"
    source = f"docker://{registry.address}/ns/site@{inside.manifest.digest}"
    skopeo("copy", "--src-tls-verify=false", "--preserve-digests", source, f"oci-archive:{archive}:{NAME}")
    lines = containerd.run(containerd.take_in(archive)).split()
    assert lines[:2] == ["good", "morning"]
    assert lines[-1] == "us"
    assert "bin" in lines
    assert "gone" not in lines
