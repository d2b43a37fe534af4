"""Files as their publishers lay them out, and a directory as `--from` takes it; of programs only the first bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from image_archives import docker_members, layer, write_tar

from sealer_plugin_kubeadm.base.payload import NEEDED, NEEDED_PLUGINS
from sealer_plugin_kubeadm.base.releases import Release

MACHINES = {"amd64": 62, "arm64": 183}
IMAGES = (
    *(f"k8s.gcr.io/kube-{part}:v1.20.2" for part in ("apiserver", "controller-manager", "scheduler", "proxy")),
    *("k8s.gcr.io/pause:3.2", "k8s.gcr.io/etcd:3.4.13-0", "haproxy:2.6"),
)


def program(architecture: str, name: str) -> bytes:
    """The header of a program, and its name; it does not run."""
    return b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + MACHINES[architecture].to_bytes(2, "little") + name.encode()


def payload(directory: Path, architectures: Sequence[str] = ("amd64",), images: Sequence[str] = IMAGES) -> Path:
    """Everything of Kubernetes v1.20.2; of several architectures in a directory each."""
    for architecture in architectures:
        own = architecture if len(architectures) > 1 else ""
        for kind, names in (("bin", NEEDED), ("cni", NEEDED_PLUGINS)):
            place = directory / kind / own
            place.mkdir(parents=True)
            for name in names:
                (place / name).write_bytes(program(architecture, name))
                (place / name).chmod(0o755)
        (directory / "images").mkdir(exist_ok=True)
        for number, image in enumerate(images):
            members = docker_members([image], [layer(image)], architecture=architecture)
            write_tar(directory / "images" / f"{architecture}-{number}.tar", members)
    return directory


def publish(site: Path, releases: Sequence[Release], mirror: str, architecture: str) -> None:
    """Lay out published files with their checksums below a directory, as the mirror has them."""
    for release in releases:
        place = site / release.url.removeprefix(f"{mirror}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        content = _archive(release, architecture) if release.programs else program(architecture, release.name)
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        sums = site / release.sums.removeprefix(f"{mirror}/")
        alone = sums.name.startswith(("kube", "crictl"))
        sums.write_text(digest if alone else f"{'0' * 64}  other\n{digest}  {place.name}\n")


def _archive(release: Release, architecture: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name in (*release.programs, "LICENSE"):
            content = program(architecture, name)
            info = tarfile.TarInfo(f"./{name}" if release.into == "cni" else f"bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()
