"""The files of a rootfs, read from its layers without unpacking them."""

from __future__ import annotations

from collections.abc import Iterable

from sealer.errors import ImageError
from sealer.image.expansion import Amount
from sealer.image.links import LeadsOutError
from sealer.image.model import ClusterImage, Layer, Rootfs
from sealer.image.tarstream import Content, Hashed, Kind, Member, gunzip, members
from sealer.image.tree import Tree

LARGEST_FILE = 16 * 1024 * 1024
LARGEST_KEPT_FILE = 64 * 1024
LARGEST_CACHE = 16 * 1024 * 1024


class RootfsFiles:
    """A merged view of a rootfs: the layers are read once, when the first question is asked.

    Small files are kept while that happens (64 KiB each, 16 MiB in all); a larger one is looked up when it is read.

    :param rootfs: of an image in the local store.
    """

    def __init__(self, rootfs: Rootfs) -> None:
        self._layers = rootfs.layers
        self._tree: Tree | None = None
        self._kept: dict[tuple[int, Member], bytes] = {}

    def paths(self) -> list[str]:
        """Every file, relative, sorted. Directories and symlinks are left out."""
        return [path for path, _ in self.tree.files()]

    def read(self, path: str, limit: int = LARGEST_FILE) -> bytes:
        """The content of a file; symlinks within the rootfs are followed.

        :param limit: bytes; a larger file is an error.
        :raises ImageError: there is no such file, or it is too large.
        """
        try:
            node = self.tree.get(self.tree.follow(path))
        except LeadsOutError:
            node = None
        if node is None or node.member.kind not in (Kind.FILE, Kind.HARDLINK):
            raise ImageError("no such file in the image", where=path)
        layer, member = node.origin
        if member.size > limit:
            raise ImageError("a file of the image is too large to be read", where=path, why=f"{member.size} bytes")
        kept = self._kept.get(node.origin)
        return _content(self._layers[layer], member) if kept is None else kept

    @property
    def removals(self) -> tuple[tuple[str, ...], ...]:
        """For each layer, lowest first, what a host has to delete before it unpacks that layer with a plain
        `tar --exclude='.wh.*'`: relative paths, sorted, each with all that lies below it."""
        return tuple(self.tree.removals)

    @property
    def tree(self) -> Tree:
        """All layers laid over each other.

        :raises ImageError: a layer is damaged, or holds what no layer may.
        """
        if self._tree is None:
            self._tree = lay_over(self._layers, self._kept)
        return self._tree


def lay_over(
    layers: Iterable[Layer], kept: dict[tuple[int, Member], bytes] | None = None, *, verify: bool = False
) -> Tree:
    """Read layers, check all their members, and lay them over each other.

    :param kept: gets the content of small files, by number of the layer and member.
    :param verify: see that each is what its diff id says.
    :raises ImageError: a layer is damaged, or holds what no layer may.
    """
    tree = Tree()
    room = LARGEST_CACHE if kept is not None else 0
    amount = Amount()
    known: dict[tuple[str, str], list[Member]] = {}  # an image may name one layer many times
    for number, layer in enumerate(layers):
        tree.begin()
        again = known.get((layer.digest, layer.diff_id))
        for member in again or ():
            tree.add(member)
            amount.add(member.size)
        if again is not None:
            continue
        found = known.setdefault((layer.digest, layer.diff_id), [])
        amount.begin(layer.size)
        with gunzip(layer.path) as unpacked:
            stream = Hashed(unpacked) if verify else unpacked
            for member, content in members(stream):
                tree.add(member)
                amount.add(member.size)
                found.append(member)
                if kept is not None and member.kind is Kind.FILE and member.size <= min(room, LARGEST_KEPT_FILE):
                    kept[number, member] = _join(content)
                    room -= member.size
            if isinstance(stream, Hashed) and stream.digest != layer.diff_id:
                raise ImageError(
                    "a layer is not what the config says", where=layer.digest, why=f"it is {stream.digest}"
                )
    tree.end()
    return tree


def check_layers(image: ClusterImage) -> None:
    """Refuse an image that has what no host may unpack: a host unpacks layers without looking.

    :raises ImageError: a layer is damaged, or holds what no layer may.
    """
    for rootfs in image.rootfs:
        lay_over(rootfs.layers, verify=True)


def _content(layer: Layer, wanted: Member) -> bytes:
    found = None
    with gunzip(layer.path) as stream:
        for member, content in members(stream):
            if member == wanted:
                found = _join(content)  # the last of that name counts, as for tar
    if found is None:
        raise ImageError("a layer changed while it was read", where=str(layer.path))
    return found


def _join(content: Content) -> bytes:
    return b"".join(content.chunks())
