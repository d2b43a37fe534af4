"""The store as it would be with the blobs of a staging area."""

from __future__ import annotations

from pathlib import Path

from sealer.errors import ImageError
from sealer.image.oci import Descriptor
from sealer.image.staging import Staging
from sealer.image.store import Store


class StagedStore(Store):
    """Reads from the staging area alone: what comes from outside must be whole, whatever the store has."""

    def __init__(self, store: Store, staging: Staging) -> None:
        super().__init__(store.root)
        self._staged = staging.blobs

    def path(self, digest: str) -> Path:
        """The staged file of a blob."""
        return self._staged / digest.removeprefix("sha256:")

    def require(self, entry: Descriptor) -> None:
        """Refuse an image of which something is missing.

        :raises ImageError: a blob is not there, or has another size than it must have.
        """
        for digest, descriptor in self.closure(entry).items():
            path = self.path(digest)
            if not path.is_file() or path.stat().st_size != descriptor.size:
                raise ImageError("the archive is not complete", where=digest, why="this blob is missing or cut off")

    def drop_others(self, *entries: Descriptor) -> list[str]:
        """Remove what none of these images leads to, as what they were made from: the store must not get it.

        :returns: the hexadecimal digests of what was removed.
        """
        needed = {digest.removeprefix("sha256:") for digest in self.closure(*entries)}
        others = [blob for blob in self._staged.glob("[0-9a-f]*") if blob.name not in needed]
        for blob in others:
            blob.unlink()
        return [blob.name for blob in others]
