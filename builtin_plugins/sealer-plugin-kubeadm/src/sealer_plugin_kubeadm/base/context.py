"""The build context of a base image: the package's `tree/`, with programs and the list of images put in."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sealer.image.storage import storage_errors
from sealer_plugin_kubeadm.base.control_plane import ImageList

NETWORKS = ("bridge", "none")
# Of the pod network alone.
_BRIDGE_FILES = frozenset(
    {"scripts/network.sh", "scripts/pod-network.sh", "etc/sealer-pod-network.service", "etc/10-sealer-bridge.conflist"}
)
_SOURCED = "scripts/changes.sh"


@dataclass(frozen=True)
class Plan:
    """What one base image is to be.

    :param kubernetes: with its v.
    :param architectures: `amd64`, ...
    :param network: `bridge` or `none`.
    :param archives: where the container images are, as far as they are not in registries.
    :param packages: whether there are packages of distributions.
    """

    kubernetes: str
    architectures: tuple[str, ...]
    network: str
    images: ImageList
    archives: tuple[Path, ...] = ()
    packages: bool = False

    @property
    def platforms(self) -> str:
        """As `sealer build --platform` takes them."""
        return ",".join(f"linux/{architecture}" for architecture in self.architectures)


def write_tree(directory: Path, plan: Plan) -> None:
    """Write all files but the programs."""
    values = {
        "@VERSION@": plan.kubernetes,
        "@PLATFORMS@": plan.platforms,
        "@NETWORK@": plan.network,
        "@ARCHIVES@": "".join(f"--image-archive {shlex.quote(str(path.absolute()))} " for path in plan.archives),
        "@PAUSE_IMAGE@": plan.images.pause,
        "@PACKAGES@": "\nCOPY packages/$ARCH packages" if plan.packages else "",
    }
    left_out = frozenset() if plan.network == "bridge" else _BRIDGE_FILES
    with storage_errors("the build context could not be written", directory):
        _copy(resources.files("sealer_plugin_kubeadm").joinpath("tree"), directory, "", left_out, values)
        manifests = directory / "manifests"
        manifests.mkdir()
        _write(manifests / "imageList", _image_list(plan), 0o644)


def _copy(source: Traversable, target: Path, path: str, left_out: frozenset[str], values: Mapping[str, str]) -> None:
    for entry in sorted(source.iterdir(), key=lambda one: one.name):
        below = f"{path}/{entry.name}".lstrip("/")
        if entry.is_dir():
            (target / entry.name).mkdir()
            (target / entry.name).chmod(0o755)
            _copy(entry, target / entry.name, below, left_out, values)
        elif below not in left_out:
            text = entry.read_text(encoding="utf-8")
            for mark, value in values.items():
                text = text.replace(mark, value)
            # An installer may have dropped the modes.
            _write(target / entry.name, text, 0o755 if below.endswith(".sh") and below != _SOURCED else 0o644)


def _image_list(plan: Plan) -> str:
    lines = [f"# The container images of Kubernetes {plan.kubernetes}.", *plan.images.references]
    lines += [f"# lacking: {text}" for _, text in plan.images.lacking]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def place(programs: Sequence[Path], directory: Path, *, link: bool) -> None:
    """Put programs into a directory, which is made, with mode 755.

    :param link: True to let two names share a file where that can be; for a directory that is ours alone.
    """
    with storage_errors("the build context could not be written", directory):
        directory.mkdir(parents=True, exist_ok=True)
        for program in programs:
            target = directory / program.name
            if not (link and _linked(program, target)):
                shutil.copyfile(program, target)
                target.chmod(0o755)


def _linked(program: Path, target: Path) -> bool:
    if program.is_symlink() or program.stat().st_mode & 0o777 != 0o755:
        return False
    try:
        os.link(program, target)
    except OSError:  # another file system
        return False
    return True
