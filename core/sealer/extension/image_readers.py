"""The kernel's own readers of images, a plugin like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sealer.extension.manager import PluginManager
from sealer.extension.marker import hookimpl
from sealer.image.discovery.discover import DiscoveryRequest, discover
from sealer.image.discovery.files import Files
from sealer.image.discovery.model import Discovery, Mention
from sealer.image.discovery.readers import Readers

NAME = "image-readers"
Find = Callable[[Files, Readers, DiscoveryRequest], Discovery]


class ImageReaders:
    """Answers the hook `image_references`.

    :ivar readers: do the work.
    """

    def __init__(self) -> None:
        self.readers = Readers()

    @hookimpl
    def image_references(self, path: str, content: bytes, files: Files) -> Sequence[Mention]:
        """What the kernel's own rules find in a file."""
        return self.readers.read(path, content, files)


def image_finder(plugins: PluginManager) -> Find:
    """What finds the images of a tree by every plugin's rules, the kernel's own first; for as many trees as there are.

    :param plugins: the kernel's readers are registered there, so that this may be asked for once.
    """
    own = ImageReaders()
    plugins.register(own, NAME)

    def find(files: Files, readers: Readers, request: DiscoveryRequest) -> Discovery:
        own.readers = readers
        return discover(files, plugins.image_references, request)

    return find
