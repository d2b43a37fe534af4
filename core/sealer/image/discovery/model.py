"""What is found: by a reader in one file, and by all readers in a whole tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sealer.errors import ImageError, InputError, Position
from sealer.image.discovery.names import normalised


@dataclass(frozen=True)
class ImageReference:
    """A container image that a file mentions.

    :param image: as written.
    :param line: where, from 1; 0 if unknown.
    :param rule: name of the rule that found it.
    :param file: relative to the rootfs, where it is another file than the one that was read (a template of a chart).
    :param guess: True: the file does not say it outright, and what runs may be another image.
    """

    image: str
    line: int = 0
    rule: str = ""
    file: str = ""
    guess: bool = False


@dataclass(frozen=True)
class UnresolvedReference:
    """A mention of a container image that does not say which image it is.

    :param text: as written.
    :param why: what keeps it from being known.
    :param line: where, from 1; 0 if unknown.
    :param rule: name of the rule that found it.
    :param file: as for :class:`ImageReference`.
    """

    text: str
    why: str
    line: int = 0
    rule: str = ""
    file: str = ""


Mention = ImageReference | UnresolvedReference
MOST_LINES = 20  # of an error


@dataclass(frozen=True, order=True)
class Place:
    """Where an image is mentioned, and by which rule that was seen."""

    file: str
    line: int
    rule: str

    def __str__(self) -> str:
        return str(Position(self.file, self.line))


@dataclass(frozen=True)
class FoundImage:
    """One image of a tree.

    :param image: normalised: `docker.io/library/nginx:latest`.
    :param found: every place, sorted.
    :param guess: True: all of its places only suggest it.
    """

    image: str
    found: tuple[Place, ...]
    guess: bool = False


@dataclass(frozen=True, order=True)
class Unresolved:
    """A place that mentions an image and does not say which one."""

    place: Place
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}: {self.why}"


@dataclass(frozen=True)
class Discovery:
    """The container images of a tree.

    :param images: sorted by reference, each once.
    :param unresolved: sorted by place.
    :param ignored: found as well, and on an ignored-image list.
    :param passed_over: how many files were not read because the tree's own `.sealerignore` names them.
    """

    images: tuple[FoundImage, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    ignored: tuple[FoundImage, ...] = ()
    passed_over: int = 0

    def require_resolved(self, *, shown: bool = False) -> None:
        """What `--strict` asks for.

        :param shown: the user has seen all of them already.
        :raises ImageError: something could not be resolved; `output` has a line for each.
        """
        if self.unresolved:
            count = len(self.unresolved)
            what = "1 mention of an image" if count == 1 else f"{count} mentions of images"
            lines = [str(one) for one in self.unresolved[:MOST_LINES]]
            if count > MOST_LINES:
                lines.append(f"and {count - MOST_LINES} more")
            raise ImageError(
                f"{what} could not be resolved",
                where=str(self.unresolved[0].place),
                why=self.unresolved[0].why if count == 1 else f"the first: {self.unresolved[0].why}",
                output=[] if shown else lines,
                remedy="say which images these are in a file for --image-list, and name the files that mention them in "
                "the .sealerignore at the top of their tree; or leave out --strict",
            )


class Collection:
    """Takes in mentions, and becomes a :class:`Discovery`."""

    def __init__(self) -> None:
        self._found: dict[str, dict[Place, bool]] = {}
        self._unresolved: set[Unresolved] = set()

    def add(self, file: str, mentions: Sequence[Mention]) -> None:
        """Take in what a reader found in `file`. A name that cannot be that of an image is unresolved."""
        for mention in mentions:
            place = Place(mention.file or file, mention.line, mention.rule)
            if isinstance(mention, UnresolvedReference):
                self._unresolved.add(Unresolved(place, _shown(mention.text), mention.why))
                continue
            try:
                image = normalised(mention.image)
            except InputError as error:
                self._unresolved.add(Unresolved(place, _shown(mention.image), error.why))
                continue
            places = self._found.setdefault(image, {})
            places[place] = places.get(place, True) and mention.guess

    def discovery(self, ignored: frozenset[str]) -> Discovery:
        """Everything taken in, without the images in `ignored` (normalised)."""
        found = [
            FoundImage(image, tuple(sorted(places)), all(places.values())) for image, places in self._found.items()
        ]
        found.sort(key=lambda one: one.image)
        return Discovery(
            tuple(one for one in found if one.image not in ignored),
            tuple(sorted(self._unresolved)),
            tuple(one for one in found if one.image in ignored),
        )


def _shown(text: str) -> str:
    """A text on one line, and not endless."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
