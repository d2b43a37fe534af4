"""What is said of an archive: which one it is, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.errors import ImageError
from sealer.image.store import StoreDamagedError

_AGAIN = "copy the archive again, or make it again where it came from; nothing was loaded"


class ForeignArchiveError(ImageError):
    """It is an archive of another kind."""


@contextmanager
def blamed(source: Path, name: str = "") -> Iterator[None]:
    """Say of every error which archive it is about, and what to do.

    :param source: the file or directory.
    :param name: what the user knows it as; empty: by its path.
    """
    shown = name or str(source)
    try:
        yield
    except StoreDamagedError:
        raise
    except ImageError as error:
        if error.where == shown and error.remedy:
            raise
        places = (error.where if error.where not in (str(source), shown) else "", error.why)
        kind = ForeignArchiveError if isinstance(error, ForeignArchiveError) else ImageError
        why = ": ".join(filter(None, places))
        raise kind(error.what, where=shown, why=why, remedy=error.remedy or _AGAIN, output=error.output) from error
