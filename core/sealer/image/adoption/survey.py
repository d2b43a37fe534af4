"""The layers of an image that somebody else built: what is in them, and what of it no rootfs may have as it is.

Inside a container `/` is the container's own root. A rootfs lies in a directory of a host, where a link to
`/bin/busybox` leads to the host's: links are written so that they lead where they lead in a container.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.image.gathering.layers import is_gzipped, unpacked
from sealer.image.layer import LayerWriter
from sealer.image.links import LeadsOutError, resolve, stays_inside
from sealer.image.oci import Descriptor
from sealer.image.staging import Staging
from sealer.image.tarstream import Content, Hashed, Kind, Member, members
from sealer.image.tree import Tree

METADATA = "Metadata"  # of the original sealer's images: a JSON document
_LARGEST_METADATA = 64 * 1024

Drop = Callable[[int, Member, Content], bool]


@dataclass
class Survey:
    """What is in some layers.

    :param tree: all of them laid over each other, with links that stay inside.
    :param diff_ids: of each.
    :param zipped: whether each is compressed with gzip, as every host can unpack it.
    :param links: new targets of symlinks, by number of the layer and path of the member.
    :param metadata: the content of the file `Metadata`, if there is one.
    """

    tree: Tree = field(default_factory=Tree)
    diff_ids: list[str] = field(default_factory=list)
    zipped: list[bool] = field(default_factory=list)
    links: dict[tuple[int, str], str] = field(default_factory=dict)
    metadata: bytes = b""

    def add(self, path: Path) -> None:
        """Read one more layer to its end.

        :raises ImageError: it is damaged, compressed in a way that is not known, or holds what no layer may.
        """
        number = len(self.diff_ids)
        self.zipped.append(is_gzipped(path))
        self.tree.begin()
        with unpacked(path) as tar:
            stream = Hashed(tar)
            for member, content in members(stream):
                self.tree.add(self._contained(number, member))
                if member.path == METADATA and member.kind is Kind.FILE and member.size <= _LARGEST_METADATA:
                    self.metadata = b"".join(content.chunks())
            self.diff_ids.append(stream.digest)
        self.tree.end()

    def _contained(self, number: int, member: Member) -> Member:
        if member.kind is not Kind.SYMLINK:
            return member
        with suppress(LeadsOutError):
            path = resolve(member.path, self.tree.readlink, last=False)
            link = contained(path, member.link)
            if link != member.link:
                self.links[number, member.path] = link
                return replace(member, link=link)
        return member


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


def rewritten(
    staging: Staging, path: Path, number: int, links: dict[tuple[int, str], str], drop: Drop
) -> tuple[Descriptor, str]:
    """Write a layer again with other links, and without some members; its descriptor and diff id are returned.

    :param drop: says of each member whether it is left out, and may take its content.
    """
    with unpacked(path) as stream, LayerWriter(staging) as layer:
        for member, content in members(stream):
            if not member.path or drop(number, member, content):
                continue
            layer.add(replace(member, link=links.get((number, member.path), member.link)), content.chunks())
        return layer.finish()
