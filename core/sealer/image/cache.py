"""The build cache: which layer an instruction gave the last time.

`cache/layers` in the store has a small file for each key: a digest of the instruction, of all layers below it, and of
what else decides about its layer but the content of files. It lists the layers that were made, each with a digest of
that content. The layers are blobs as all others: a removal takes those that no image leads to, and a record whose blob
is gone, or that cannot be read, is a miss. `cache/members` has the names in each layer, so that a COPY need not read
the layers below to know what its destination is; `cache/capabilities` those of the programs that lost theirs in it;
`cache/silent` names the layers in which no file may mention an image.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import sealer
from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.layer import Entry
from sealer.image.model import Layer
from sealer.image.oci import LAYER, Descriptor, decode, digest_of, encode, items
from sealer.image.storage import storage_errors
from sealer.image.tarstream import READING, Kind, Member, gunzip
from sealer.image.tarstream import members as read_members
from sealer.image.tree import Tree

DIRECTORY = "cache"
_LAYERS = "layers"
_MEMBERS = "members"
_CAPABILITIES = "capabilities"
_SILENT = "silent"
_PARTIAL = ".partial-"
_LONGEST_WRITE = 3600.0  # seconds; what is unfinished for longer was left by a build that died
_MOST_LAYERS = 8  # a key
_MOST_RECORDS = 4096  # a directory


class BuildCache:
    """The cache as one build uses it.

    :param root: of the store.
    :param staged: where the build's blobs are, on the same file system.
    :param reading: False to find nothing: everything is executed, and recorded.
    """

    def __init__(self, root: Path, staged: Path, *, reading: bool = True) -> None:
        self._records = root / DIRECTORY / _LAYERS
        self._members = root / DIRECTORY / _MEMBERS
        self._capabilities = root / DIRECTORY / _CAPABILITIES
        self._silent = root / DIRECTORY / _SILENT
        self._blobs = root / "blobs" / "sha256"
        self._staged = staged
        self._reading = reading

    def key(self, below: Sequence[Layer], *inputs: Json) -> str:
        """The name of what an instruction does to the layers below it, and of what writes the layer."""
        import isal

        digests: list[Json] = [layer.digest for layer in below]  # not diff ids: those are only said by a config
        maker: list[Json] = [sealer.__version__, isal.__version__, isal.ISAL_VERSION]
        return digest_of(encode({"maker": maker, "below": digests, "inputs": list(inputs)})).removeprefix("sha256:")

    def find(self, key: str, content: Callable[[], str] = str) -> Layer | None:
        """The layer that was made for a key and this content of the files, staged; None: there is none.

        :param content: its digest; it is asked for only where a layer may be found by it.
        """
        if not self._reading:
            return None
        known = self._read(key)
        wanted = content() if known else ""
        for of_content, layer in known:
            if of_content == wanted and self._hold(layer):
                with contextlib.suppress(OSError):
                    os.utime(self._records / key)  # the records that are not used go first
                return layer
        return None

    def keep(self, key: str, layer: Layer, content: str = "") -> None:
        """Remember a staged layer; from now on it is in the store, also when the build fails later."""
        name = layer.path.name
        with storage_errors("a layer could not be kept", self._blobs):
            with contextlib.suppress(FileExistsError):
                (self._blobs / name).hardlink_to(self._staged / name)
        known = [(content, layer), *(pair for pair in self._read(key) if pair[0] != content)]
        document: dict[str, Json] = {
            "layers": [
                {
                    **Descriptor(LAYER, layer.digest, layer.size).as_json(),
                    "diffId": layer.diff_id,
                    "content": of_content,
                }
                for of_content, layer in known[:_MOST_LAYERS]
            ]
        }
        replace_file(self._records / key, encode(document))

    def lay(self, tree: Tree, layer: Layer) -> None:
        """Lay a layer over a tree, with no sizes in it.

        :raises ImageError: it is damaged, or holds what no layer may.
        """
        members = self._known_members(layer)
        if members is not None:
            tree.begin()
            for member in members:
                tree.add(member)
            tree.end()
            return
        tree.begin()
        rows = []
        with gunzip(layer.path) as stream:
            for member, _ in read_members(stream):
                tree.add(member)
                rows.append(_row(member.path, member.kind, member.mode, member.link))
        tree.end()
        self._keep_members(layer, rows)

    def keep_members(self, layer: Layer, entries: Iterable[Entry | Member]) -> None:
        """Remember what is in a layer that was just made, or read."""
        self._keep_members(layer, [_row(entry.path, entry.kind, entry.mode, entry.link) for entry in entries])

    def keep_capabilities(self, layer: Layer, paths: Sequence[str]) -> None:
        """Remember which programs of a layer that was just made had file capabilities; no layer has them."""
        path = self._capabilities / layer.digest.removeprefix("sha256:")
        if paths:
            replace_file(path, json.dumps({"paths": list(paths)}).encode())
        else:
            path.unlink(missing_ok=True)

    def capabilities(self, layer: Layer) -> list[str]:
        """What :meth:`keep_capabilities` was told of a layer."""
        try:
            document = decode((self._capabilities / layer.digest.removeprefix("sha256:")).read_bytes(), DIRECTORY)
            return [str(path) for path in items(document["paths"])]
        except (OSError, ImageError, KeyError):
            return []

    def keep_silent(self, layer: Layer, found: Iterable[Member]) -> None:
        """Remember that a layer has these members, and none of them is a file that a reader could understand."""
        self.keep_members(layer, found)
        replace_file(self._silent / layer.digest.removeprefix("sha256:"), sealer.__version__.encode())

    def is_silent(self, layer: Layer) -> bool:
        """Whether it is known that a layer has no such file; what is one may change with sealer's version."""
        try:
            known = (self._silent / layer.digest.removeprefix("sha256:")).read_bytes()
        except OSError:
            return False
        return self._reading and known == sealer.__version__.encode()

    def _keep_members(self, layer: Layer, rows: list[Json]) -> None:
        replace_file(self._members / layer.digest.removeprefix("sha256:"), encode({"members": rows, "by": READING}))

    def _known_members(self, layer: Layer) -> list[Member] | None:
        try:
            document = decode((self._members / layer.digest.removeprefix("sha256:")).read_bytes(), DIRECTORY)
            return [_member(row) for row in items(document["members"])] if document["by"] == READING else None
        except (OSError, ImageError, KeyError, TypeError, ValueError):
            return None

    def holds(self, key: str) -> bool:
        """Whether a layer that was made for a key is there."""
        return any(layer.path.is_file() for _, layer in self._read(key))

    def _read(self, key: str) -> list[tuple[str, Layer]]:
        try:
            document = decode((self._records / key).read_bytes(), key)
            return [self._layer(item) for item in items(document.get("layers"))]
        except (OSError, ImageError):
            return []

    def _layer(self, item: Json) -> tuple[str, Layer]:
        descriptor = Descriptor.from_json(item, DIRECTORY)
        assert isinstance(item, dict), "a descriptor is an object"
        path = self._staged / descriptor.digest.removeprefix("sha256:")
        layer = Layer(descriptor.digest, descriptor.size, str(item.get("diffId", "")), path)
        return str(item.get("content", "")), layer

    def _hold(self, layer: Layer) -> bool:
        """Give the blob a second name among the staged ones, so that no removal takes it from this build."""
        try:
            with contextlib.suppress(FileExistsError):
                layer.path.hardlink_to(self._blobs / layer.path.name)
            return layer.path.stat().st_size == layer.size
        except OSError:
            return False


def _record(content: str, layer: Layer) -> Json:
    return {**Descriptor(LAYER, layer.digest, layer.size).as_json(), "diffId": layer.diff_id, "content": content}


def _row(path: str, kind: Kind, mode: int, link: str) -> Json:
    return [path, kind.value, mode, link]


def _member(row: Json) -> Member:
    path, kind, mode, link = items(row)
    if not (isinstance(path, str) and isinstance(kind, str) and isinstance(mode, int) and isinstance(link, str)):
        raise TypeError
    return Member(path, Kind(kind), mode, link=link)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file of the cache: whole or not at all. A power loss may lose it, and nothing else."""
    with storage_errors("the build cache could not be written", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise


def trim(root: Path) -> None:
    """Forget layers that are gone, what was not used for longest, and what killed builds left behind.

    The caller holds the store's lock; builds go on meanwhile.
    """
    records = BuildCache(root, root / "blobs" / "sha256")
    long_ago = time.time() - _LONGEST_WRITE
    for directory in (root / DIRECTORY).glob("*"):
        used: list[tuple[float, Path]] = []
        for path in directory.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a build has just replaced it
                at = path.stat().st_mtime
                partial = path.name.startswith(_PARTIAL)
                lost = not partial and directory.name == _LAYERS and not records.holds(path.name)
                if lost or (partial and at < long_ago):
                    path.unlink()
                elif not partial:
                    used.append((at, path))
        for _, path in sorted(used)[: max(0, len(used) - _MOST_RECORDS)]:
            path.unlink(missing_ok=True)
