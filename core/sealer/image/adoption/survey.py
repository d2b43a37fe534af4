"""The layers of an image that somebody else built: what is in them, and what of it no rootfs may have as it is.

Inside a container `/` is the container's own root. A rootfs lies in a directory of a host, where a link to
`/bin/busybox` leads to the host's: links are written so that they lead where they lead in a container.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.image.expansion import Amount
from sealer.image.gathering.layers import is_gzipped, unpacked
from sealer.image.layer import LayerWriter
from sealer.image.links import LeadsOutError, resolve, stays_inside
from sealer.image.oci import Descriptor
from sealer.image.staging import Staging
from sealer.image.tarstream import Content, Hashed, Kind, Member, members
from sealer.image.tree import Tree

METADATA = "Metadata"  # of the original sealer's images: a JSON document
_LARGEST_METADATA = 64 * 1024

Changed = dict[tuple[int, Member], Member]
Drop = Callable[[int, Member, Content], bool]


@dataclass
class Survey:
    """What is in some layers.

    :param tree: all of them laid over each other, with links that stay inside.
    :param diff_ids: of each.
    :param zipped: whether each is compressed with gzip, as every host can unpack it.
    :param changed: members by what a rootfs has in their place, by number of the layer: symlinks with other targets,
        and what lies behind links under the names that it really has.
    :param metadata: the content of the file `Metadata`, if there is one.
    """

    tree: Tree = field(default_factory=Tree)
    diff_ids: list[str] = field(default_factory=list)
    zipped: list[bool] = field(default_factory=list)
    changed: Changed = field(default_factory=dict)
    metadata: bytes = b""
    _known: dict[Path, tuple[int, list[Member]]] = field(default_factory=dict)
    _amount: Amount = field(default_factory=Amount)

    def add(self, path: Path) -> None:
        """Read one more layer to its end.

        :raises ImageError: it is damaged, compressed in a way that is not known, or holds what no layer may.
        """
        number = len(self.diff_ids)
        self.zipped.append(is_gzipped(path))
        self.tree.begin()
        if path in self._known:  # an image may name one layer many times
            self._add_again(number, path)
            return
        found: list[Member] = []
        self._amount.begin(path.stat().st_size)
        with unpacked(path) as tar:
            stream = Hashed(tar)
            for member, content in members(stream):
                self.tree.add(self._contained(number, member))
                self._amount.add(member.size)
                found.append(member)
                if member.path == METADATA and member.kind is Kind.FILE and member.size <= _LARGEST_METADATA:
                    self.metadata = b"".join(content.chunks())
            self.diff_ids.append(stream.digest)
        self.tree.end()
        self._known[path] = (number, found)

    def _add_again(self, number: int, path: Path) -> None:
        before, found = self._known[path]
        for member in found:
            self.tree.add(self._contained(number, member))
            self._amount.add(member.size)
        self.diff_ids.append(self.diff_ids[before])
        self.tree.end()

    def _contained(self, number: int, member: Member) -> Member:
        found = member
        with suppress(LeadsOutError):
            path = resolve(member.path, self.tree.readlink, last=False)
            link = member.link
            if member.kind is Kind.SYMLINK:
                link = contained(path, link)
            elif member.kind is Kind.HARDLINK:
                link = resolve(link, self.tree.readlink, last=False)
            if (path, link) != (member.path, member.link):
                self.changed[number, member] = found = replace(member, path=path, link=link)
        return found


def contained(path: str, target: str) -> str:
    """The target of a symlink at `path`, so that it leads in a directory where it leads in a container.

    There `/` is the rootfs, and `..` leads no higher.
    """
    if stays_inside(path, target):
        return target
    here = path.split("/")[:-1]
    there = [] if target.startswith("/") else list(here)
    for part in target.split("/"):
        if part == "..":
            del there[-1:]
        elif part not in ("", "."):
            there.append(part)
    same = 0
    while same < min(len(here), len(there)) and here[same] == there[same]:
        same += 1
    return "/".join([".."] * (len(here) - same) + there[same:]) or "."


def rewritten(staging: Staging, path: Path, number: int, changed: Changed, drop: Drop) -> tuple[Descriptor, str]:
    """Write a layer again with some members changed, and without others; its descriptor and diff id are returned.

    :param drop: says of each member whether it is left out, and may take its content.
    """
    with unpacked(path) as stream, LayerWriter(staging) as layer:
        for member, content in members(stream):
            found = changed.get((number, member), member)
            if found.path and not drop(number, found, content):
                layer.add(found, content.chunks())
        return layer.finish()
