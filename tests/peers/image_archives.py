"""Archives of container images as other programs write them, made by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.image.oci import INDEX, MANIFEST


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def layer(text: str) -> bytes:
    """A plain tar with one file."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("file")
        info.size = len(text.encode())
        tar.addfile(info, io.BytesIO(text.encode()))
    return raw.getvalue()


def config(layers: Sequence[bytes], architecture: str = "amd64") -> bytes:
    diff_ids = [f"sha256:{sha256(one)}" for one in layers]
    document = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    return json.dumps(document, indent=1).encode()


Member = tuple[str, bytes | str]  # a text is a symlink's target


def write_tar(path: Path, members: Sequence[Member]) -> Path:
    """A tar of files and symlinks."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def docker_members(
    tags: Sequence[str], layers: Sequence[bytes], *, architecture: str = "amd64", zipped: bool = False
) -> list[Member]:
    """What `docker save` before version 25 writes: a directory a layer; one that occurs twice is a symlink."""
    settings = config(layers, architecture)
    members: list[Member] = []
    paths: list[str] = []
    first: dict[bytes, str] = {}
    for number, content in enumerate(layers):
        name = f"{number:064x}/layer.tar"
        members += [(f"{number:064x}/VERSION", b"1.0"), (f"{number:064x}/json", b"{}")]
        known = first.setdefault(content, name)
        stored: bytes | str = gzip.compress(content, mtime=0) if zipped else content
        members.append((name, stored if known == name else f"../{known}"))
        paths.append(name)
    entry = {"Config": f"{sha256(settings)}.json", "RepoTags": list(tags), "Layers": paths}
    members.append((f"{sha256(settings)}.json", settings))
    members.append(("manifest.json", json.dumps([entry]).encode()))
    members.append(("repositories", b"{}"))
    return members


@dataclass(frozen=True)
class OciImage:
    """An image of an OCI layout.

    :param root: digest of the index, or of the manifest where there is one platform and no index.
    :param manifests: digests by architecture.
    """

    root: str
    manifests: Mapping[str, str]
    blobs: Mapping[str, bytes]
    entry: Mapping[str, object]


def oci_image(name: str, architectures: Sequence[str] = ("amd64",), *, indexed: bool = False) -> OciImage:
    """An image with a layer a platform.

    :param indexed: whether there is an index also for one platform.
    """
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        blobs[sha256(content)] = content
        return {"mediaType": kind, "digest": f"sha256:{sha256(content)}", "size": len(content)}

    entries = []
    for architecture in architectures:
        plain = layer(f"{name} for {architecture}")
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(config([plain], architecture), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(gzip.compress(plain, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
        entry = blob(json.dumps(document, indent=2).encode(), MANIFEST)
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
    manifests = {entry["platform"]["architecture"]: str(entry["digest"]) for entry in entries}  # type: ignore[index]
    root: dict[str, object] = {key: value for key, value in entries[0].items() if key != "platform"}
    if indexed or len(architectures) > 1:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        root = blob(json.dumps(index, indent=2).encode(), INDEX)
    return OciImage(str(root["digest"]), manifests, blobs, root)


def oci_members(images: Sequence[tuple[OciImage, Mapping[str, str]]], extra: Sequence[Member] = ()) -> list[Member]:
    """An OCI archive; with each image go the annotations that name it."""
    entries = [{**image.entry, "annotations": dict(names)} for image, names in images]
    members: list[Member] = []
    for name, content in sorted(
        {name: content for image, _ in images for name, content in image.blobs.items()}.items()
    ):
        members.append((f"blobs/sha256/{name}", content))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    members.append(("index.json", json.dumps(index).encode()))
    members += extra
    members.append(("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))
    return members


def write_directory(path: Path, members: Sequence[Member]) -> Path:
    """The same as a directory."""
    for name, content in members:
        assert isinstance(content, bytes)
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path
