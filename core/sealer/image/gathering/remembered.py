"""What was found in a rootfs the last time: the same layers, read by the same rules, mention the same images.

`cache/discoveries` in the store has a small file for each answer. One that cannot be read is no answer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sealer.errors import ImageError
from sealer.events import Json
from sealer.image.discovery.model import Discovery, FoundImage, Place, Unresolved
from sealer.image.oci import decode, digest_of, encode, items

DIRECTORY = ("cache", "discoveries")
MOST = 256  # answers that are kept
_PARTIAL = ".partial-"


class RememberedDiscoveries:
    """The answers of one store.

    :param root: of the store.
    """

    def __init__(self, root: Path) -> None:
        self._directory = root.joinpath(*DIRECTORY)

    def find(self, key: str) -> Discovery | None:
        """The answer that was kept under a key; None: there is none."""
        path = self._directory / key
        try:
            document = decode(path.read_bytes(), str(path))
            found = Discovery(
                tuple(_image(one) for one in items(document.get("images"))),
                tuple(_unresolved(one) for one in items(document.get("unresolved"))),
                tuple(_image(one) for one in items(document.get("ignored"))),
                _number(document.get("passedOver")),
            )
        except (OSError, ImageError, ValueError, TypeError):
            return None
        with suppress(OSError):
            os.utime(path)  # those that are not used go first
        return found

    def keep(self, key: str, found: Discovery) -> None:
        """Remember an answer; a disk that does not take it is no failure."""
        document: dict[str, Json] = {
            "images": [[one.image, _places(one.found), one.guess] for one in found.images],
            "unresolved": [[*_places([one.place]), one.text, one.why] for one in found.unresolved],
            "ignored": [[one.image, _places(one.found), one.guess] for one in found.ignored],
            "passedOver": found.passed_over,
        }
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor, partial = tempfile.mkstemp(prefix=_PARTIAL, dir=self._directory)
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(document))
            Path(partial).replace(self._directory / key)
            self._trim()

    def _trim(self) -> None:
        aged = sorted((path.stat().st_mtime, path) for path in self._directory.iterdir())
        for _, path in aged[:-MOST]:
            path.unlink(missing_ok=True)


def key_of(*inputs: Json) -> str:
    """The name of an answer, from all that it depends on."""
    return digest_of(encode({"inputs": list(inputs)})).removeprefix("sha256:")


def _places(places: Sequence[Place]) -> list[Json]:
    return [[place.file, place.line, place.rule] for place in places]


def _place(value: Json) -> Place:
    file, line, rule = _list(value, 3)
    return Place(str(file), _number(line), str(rule))


def _image(value: Json) -> FoundImage:
    image, found, guess = _list(value, 3)
    return FoundImage(str(image), tuple(_place(place) for place in items(found)), guess is True)


def _unresolved(value: Json) -> Unresolved:
    place, text, why = _list(value, 3)
    return Unresolved(_place(place), str(text), str(why))


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _list(value: Json, length: int) -> list[Json]:
    if not isinstance(value, list) or len(value) != length:
        raise ValueError
    return value
