"""Images that other programs than sealer build, made by hand: any layers, any platforms, in an OCI layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealer.image.oci import CONFIG, INDEX, LAYER, MANIFEST

PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"


def tar_of(*members: str | tuple[str, bytes]) -> bytes:
    """A tar: `name=text` is a file, `name/` a directory, `a -> b` a symlink; a pair is a file with these bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            if isinstance(member, str) and " -> " in member:
                name, _, link = member.partition(" -> ")
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, link
                tar.addfile(info)
                continue
            name, content = member if isinstance(member, tuple) else _pair(member)
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode, info.size, info.mtime = 0o644, len(content), 1_500_000_000
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def _pair(text: str) -> tuple[str, bytes]:
    name, _, content = text.partition("=")
    return name, content.encode()


def tar_of_directory(directory: Path, prefix: str) -> bytes:
    """A directory with all it holds, below `prefix`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(directory, prefix)
    return raw.getvalue()


@dataclass(frozen=True)
class Variant:
    """What an image has for one platform.

    :param layers: tars.
    :param platform: as an index has it.
    :param settings: the `config` of its config.
    :param zipped: False: the layers are not compressed.
    :param config: in place of the usual one.
    :param config_type: its media type.
    :param untold: the index does not say which platform it is for.
    """

    layers: Sequence[bytes]
    platform: Mapping[str, str] = field(default_factory=lambda: {"os": "linux", "architecture": "amd64"})
    settings: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    zipped: bool = True
    config: Mapping[str, object] | None = None
    config_type: str = CONFIG
    untold: bool = False


def write_layout(directory: Path, variants: Sequence[Variant], *, indexed: bool = False) -> tuple[str, list[str]]:
    """Write an OCI layout with one image, called `x:1`; the digests of its root and of its manifests are returned.

    :param indexed: an index also for one platform.
    """
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    entries: list[dict[str, object]] = []
    for one in variants:
        diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in one.layers]
        usual = {**one.platform, "config": dict(one.settings), "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        kind = LAYER if one.zipped else PLAIN_LAYER
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(json.dumps(one.config or usual, indent=1).encode(), one.config_type),
            "layers": [blob(gzip.compress(it, mtime=0) if one.zipped else it, kind) for it in one.layers],
        }
        if one.annotations:
            document["annotations"] = dict(one.annotations)
        entry = blob(json.dumps(document, indent=2).encode(), MANIFEST)
        entries.append(entry if one.untold else {**entry, "platform": dict(one.platform)})
    manifests = [str(entry["digest"]) for entry in entries]
    root = {key: value for key, value in entries[0].items() if key != "platform"}
    if indexed or len(variants) > 1:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        root = blob(json.dumps(index, indent=2).encode(), INDEX)
    named = {**root, "annotations": {"org.opencontainers.image.ref.name": "x:1"}}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return str(root["digest"]), manifests
