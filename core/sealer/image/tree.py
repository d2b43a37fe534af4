"""The merged view of layers, from their members alone: nothing is unpacked, and everything is checked.

The same walk says what a host has to delete before it unpacks each layer with a plain `tar`, which knows nothing of
whiteouts and stumbles over a directory that became a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sealer.image.layer import OPAQUE, WHITEOUT
from sealer.image.links import LeadsOutError, resolve, stays_inside
from sealer.image.model import Layer
from sealer.image.tarstream import Kind, Member, gunzip, members, refused

MOST_MEMBERS = 2_000_000


@dataclass(slots=True)
class Node:
    """One name in the tree.

    :param member: what it is.
    :param layer: number of the layer that brought it, from 0.
    :param origin: layer and member that have its content: its own, or what a hard link leads to.
    :param children: of a directory; shared and empty for all else.
    """

    member: Member
    layer: int
    origin: tuple[int, Member]
    children: dict[str, Node]


_NO_CHILDREN: dict[str, Node] = {}


class Tree:
    """Layers laid over each other, one member at a time.

    A layer is begun with :meth:`begin`, its members follow, and the next layer's begin ends it.
    """

    def __init__(self) -> None:
        self._layer = -1
        self._members = 0
        self.root = _directory(-1)
        self.removals: list[tuple[str, ...]] = []
        self.hidden: list[str] = []  # removed by the last members; whoever keeps a copy on disk empties it
        self._removed: set[str] = set()
        self._needed: dict[str, str] = {}  # names the present layer must not remove, each with a member that needs it
        self._hard: set[str] = set()  # files that hard links of the present layer lead to

    def lay(self, layer: Layer) -> None:
        """Lay a whole layer over what is there.

        :raises ImageError: it is damaged, or holds what no layer may.
        """
        self.begin()
        with gunzip(layer.path) as stream:
            for member, _ in members(stream):
                self.add(member)
        self.end()

    def begin(self) -> None:
        """The members that follow belong to the next layer."""
        self.end()
        self._layer += 1
        self._removed = set()
        self._needed = {}
        self._hard = set()

    def end(self) -> None:
        """The last layer is whole."""
        if self._layer >= len(self.removals):
            self.removals.append(tuple(sorted(self._removed)))

    def get(self, path: str) -> Node | None:
        """What lies at a path; links are not followed."""
        node: Node | None = self.root
        for part in path.split("/") if path else ():
            node = node.children.get(part) if node else None
        return node

    def readlink(self, path: str) -> str | None:
        """Target of a symlink; None for anything else."""
        node = self.get(path)
        return node.member.link if node and node.member.kind is Kind.SYMLINK else None

    def follow(self, path: str) -> str:
        """The path with all its symlinks followed.

        :raises LeadsOutError: they lead out.
        """
        return resolve(path, self.readlink, last=True)

    def files(self) -> Iterator[tuple[str, Node]]:
        """Every file (links that are symlinks left out) with its path, sorted."""
        waiting = [("", self.root)]
        while waiting:
            path, node = waiting.pop()
            if node.member.kind in (Kind.FILE, Kind.HARDLINK):
                yield path, node
            for name in sorted(node.children, reverse=True):
                waiting.append((f"{path}/{name}" if path else name, node.children[name]))

    def add(self, member: Member) -> str:
        """Lay one member of the present layer over what is there.

        :returns: where it really lies, its directory's links followed; empty for a whiteout.
        :raises ImageError: it would be written through a link that leads out, or is one; or `tar` would not find on a
            host what is found here.
        """
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise refused(member.path, f"more than {MOST_MEMBERS:,} members")
        if not member.path:
            return ""
        try:
            path = resolve(member.path, self.readlink, last=False)
        except LeadsOutError:
            raise refused(member.path, "it would be written through a link that leads out of the rootfs") from None
        directory, _, name = path.rpartition("/")
        if WHITEOUT in directory and any(part.startswith(WHITEOUT) for part in directory.split("/")):
            raise refused(member.path, f"it lies below a name with '{WHITEOUT}', which means a deletion")
        if path != member.path:
            self._check_walk(member.path, member)
        if name == OPAQUE:
            self._hide_children(directory)
        elif name.startswith(WHITEOUT):
            self._hide(f"{directory}/{name[len(WHITEOUT) :]}".lstrip("/"), member)
        else:
            self._put(path, member)
            return path
        return ""

    def _hide_children(self, directory: str) -> None:
        node = self.get(directory)
        for name, child in list(node.children.items() if node else ()):
            self._hide_lower(f"{directory}/{name}".lstrip("/"), child)

    def _hide_lower(self, path: str, node: Node) -> None:
        """Hide what lower layers brought; what the present layer brought already stays (members come in any order)."""
        if node.layer < self._layer and not self._has_own(node):
            self._remove(path)
            return
        if node.layer < self._layer or node.member.kind is Kind.DIRECTORY:
            for name, child in list(node.children.items()):
                self._hide_lower(f"{path}/{name}", child)

    def _has_own(self, node: Node) -> bool:
        return any(child.layer == self._layer or self._has_own(child) for child in node.children.values())

    def _hide(self, path: str, member: Member) -> None:
        name = path.rpartition("/")[2]
        if name in ("", ".", "..") or name.startswith(WHITEOUT):
            raise refused(member.path, "a whiteout of nothing")
        node = self.get(path)
        if node is not None:
            self._hide_lower(path, node)

    def _check_walk(self, path: str, member: Member) -> None:
        """Refuse to go through links that `tar` makes late or not at all, or that lead to no directory yet."""

        def readlink(at: str) -> str | None:
            node = self.get(at)
            if node is None or node.member.kind is not Kind.SYMLINK:
                return None
            if node.layer == self._layer:
                raise refused(member.path, f"it would be written through {at[:200]}, a link of the same layer")
            self._need(at, member)
            return node.member.link

        directory = self.get(resolve(path, readlink, last=False).rpartition("/")[0])
        if directory is None or directory.member.kind is not Kind.DIRECTORY:
            raise refused(member.path, "it would be written through a link that leads to no directory")

    def _need(self, path: str, member: Member) -> None:
        while path and path not in self._needed:
            self._needed[path] = member.path
            path = path.rpartition("/")[0]

    def _remove(self, path: str) -> None:
        if path in self._needed:
            raise refused(self._needed[path], f"the same layer removes {path[:200]}, which it leads through")
        directory, _, name = path.rpartition("/")
        parent = self.get(directory)
        if parent is not None and parent.children.pop(name, None) is not None:
            self._removed.add(path)
            self.hidden.append(path)

    def _put(self, path: str, member: Member) -> None:
        if member.kind is Kind.SYMLINK and not stays_inside(path, member.link):
            raise refused(member.path, f"a link that leads out of the rootfs, to {member.link[:200]}")
        origin = self._linked(member) if member.kind is Kind.HARDLINK else (self._layer, member)
        old = self.get(path)
        if old is not None and old.layer == self._layer:
            if _sort(old.member) != _sort(member):
                raise refused(member.path, "it is twice in one layer, as different things")
            if member.kind is Kind.SYMLINK and member != old.member:
                raise refused(member.path, "it is twice in one layer, as different links")
            if path in self._hard:
                raise refused(member.path, "it is twice in one layer, and a hard link leads to one of them")
        if old is not None and old.layer < self._layer and _sort(old.member) != _sort(member):
            if self._has_own(old):
                raise refused(member.path, "both a directory and a file in one layer")
            self._remove(path)
            old = None
        parent = self._parent(path.rpartition("/")[0])
        node = Node(member, self._layer, origin, {} if member.kind is Kind.DIRECTORY else _NO_CHILDREN)
        if old is not None and member.kind is Kind.DIRECTORY:
            node.children = old.children
        parent.children[path.rpartition("/")[2]] = node

    def _linked(self, member: Member) -> tuple[int, Member]:
        node, path = None, ""
        with contextlib.suppress(LeadsOutError):
            path = resolve(member.link, self.readlink, last=False)
            node = self.get(path)
            if path != member.link:
                self._check_walk(member.link, member)
        if node is None or node.member.kind not in (Kind.FILE, Kind.HARDLINK):
            raise refused(member.path, f"a hard link to {member.link[:200]}, which is no file of the rootfs")
        self._hard.add(path)
        self._need(path, member)
        return node.origin

    def _parent(self, directory: str) -> Node:
        node, walked = self.root, ""
        for part in directory.split("/") if directory else ():
            walked = f"{walked}/{part}".lstrip("/")
            child = node.children.get(part)
            if child is not None and child.member.kind is not Kind.DIRECTORY:
                if child.layer == self._layer:
                    raise refused(walked, "both a directory and a file in one layer")
                self._remove(walked)
                child = None
            if child is None:
                child = node.children[part] = _directory(self._layer)
            node = child
        return node


def _sort(member: Member) -> Kind:
    return Kind.FILE if member.kind is Kind.HARDLINK else member.kind


def _directory(layer: int) -> Node:
    member = Member("", Kind.DIRECTORY, 0o755)
    return Node(member, layer, (layer, member), {})
