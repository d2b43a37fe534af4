"""Finds every container image that the files of a tree mention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sealer.errors import ImageError
from sealer.image.discovery.files import Files, head, is_binary
from sealer.image.discovery.model import Collection, Discovery, Mention, UnresolvedReference
from sealer.image.files import LARGEST_FILE
from sealer.image.ignore import Ignore

IGNORE_FILE = ".sealerignore"
_DATA_ENDS = (".yaml", ".yml", ".json", ".tmpl")

Read = Callable[[str, bytes, Files], Sequence[Mention]]


@dataclass(frozen=True)
class DiscoveryRequest:
    """What is looked for, and what is not.

    :param ignore: files that are not read, besides those that the tree's own `.sealerignore` names.
    :param ignored_images: normalised references that are left out.
    :param given: images that were named outside of the tree, each with the file that names them.
    """

    ignore: Ignore = field(default_factory=Ignore)
    ignored_images: frozenset[str] = frozenset()
    given: tuple[tuple[str, Sequence[Mention]], ...] = ()


def discover(files: Files, read: Read, request: DiscoveryRequest | None = None) -> Discovery:
    """Read every file of a tree that is text or a gzip archive, and collect the images.

    The `.sealerignore` at the top of the tree names files that are not read.

    :param read: gives what one file mentions: what all plugins answer to the hook `image_references`.
    :raises PluginError: a reader failed.
    :raises ImageError: a file cannot be read.
    :raises InputError: the `.sealerignore` is wrong.
    """
    request = request or DiscoveryRequest()
    found = Collection()
    own = own_ignore(files)
    wanted = [path for path in files.paths() if not request.ignore.ignores(path)]
    kept = _Kept(files, [path for path in wanted if not own.ignores(path)])
    for path in kept.paths():
        content = _content(kept, path)
        if isinstance(content, bytes):
            found.add(path, read(path, content, kept))
        elif content is not None:
            found.add(path, [content])
    for file, mentions in request.given:
        found.add(file, mentions)
    passed_over = len(wanted) - len(kept.paths())
    return replace(found.discovery(request.ignored_images), passed_over=passed_over)


def own_ignore(files: Files) -> Ignore:
    """The `.sealerignore` that a tree has at its top."""
    if IGNORE_FILE not in files.paths():
        return Ignore()
    return Ignore.parse(files.read(IGNORE_FILE).decode("utf-8", "replace"))


class _Kept:
    """Files without those that are ignored: no reader sees these."""

    def __init__(self, files: Files, paths: Sequence[str]) -> None:
        self._files = files
        self._paths = paths

    def paths(self) -> Sequence[str]:
        return self._paths

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        return self._files.read(path, limit)

    def head(self, path: str) -> bytes:
        return head(self._files, path)


def _content(files: _Kept, path: str) -> bytes | Mention | None:
    """The content of a file that a reader may understand; None: there is none."""
    if is_binary(files.head(path)):
        return None
    try:
        return files.read(path)
    except ImageError as error:
        if error.what != "a file is too large to be read":
            raise
        if not path.endswith(_DATA_ENDS):
            return None
        return UnresolvedReference(path, f"more than {LARGEST_FILE} bytes are not read", 0, "too-large")
