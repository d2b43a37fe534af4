"""Lists of images that people write: `imageList` files, and those named on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError, Position, Problem
from sealer.image.discovery.documents import decoded, lines
from sealer.image.discovery.model import ImageReference, Mention
from sealer.image.discovery.names import is_valid, normalised
from sealer.image.discovery.nodes import Listing, Node, Table, Text, UnreadableError, is_nothing, parse
from sealer.image.reference import Reference
from sealer.redaction import Secret

IMAGE_LIST, GIVEN = "image-list", "given"
_NAME = re.compile(r"image[-_]?list(?:default)?(?:\.(?:txt|list))?", re.IGNORECASE)
_LONGEST = 4 * 1024 * 1024


def is_image_list(path: str) -> bool:
    """Whether a file is a list of images by its name: `imageList`, `imageListDefault`."""
    return bool(_NAME.fullmatch(path.rpartition("/")[2]))


def read_image_list(content: bytes) -> list[Mention]:
    """One reference a line; `#` begins a comment, and a line may be an item of a YAML list."""
    return [ImageReference(text, number, IMAGE_LIST) for number, text in _entries(decoded(content))]


def _entries(text: str) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(lines(text), start=1):
        entry = re.sub(r"(?:^|\s)#.*", "", line).strip().removeprefix("- ").strip().strip("\"'")
        if entry and entry != "---":
            found.append((number, entry))
    return found


@dataclass(frozen=True)
class RegistryImages:
    """Images with the credentials that their registry wants.

    :param registry: with its port.
    :param images: normalised.
    """

    registry: str
    username: str
    password: Secret
    images: tuple[str, ...]
    position: Position


def given_images(file: Path) -> tuple[Mention, ...]:
    """What a file for `--image-list` lists; every line must be right.

    :raises InputError: with every line that is no image.
    """
    found = [(number, entry) for number, entry in _entries(_text(file))]
    _all_valid(file, found)
    return tuple(ImageReference(entry, number, GIVEN) for number, entry in found)


def ignored_images(file: Path) -> frozenset[str]:
    """The normalised references of a file for `--ignored-image-list`.

    :raises InputError: with every line that is no image.
    """
    found = _entries(_text(file))
    _all_valid(file, found)
    return frozenset(normalised(entry) for _, entry in found)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LONGEST + 1)
    except OSError as error:
        raise InputError("the list of images cannot be read", where=str(file), why=error.strerror or "") from error
    if len(content) > _LONGEST:
        raise InputError("the list of images is too long", where=str(file), why=f"at most {_LONGEST} bytes are read")
    return decoded(content)


def _all_valid(file: Path, entries: Sequence[tuple[int, str]]) -> None:
    problems = [
        Problem(Position(str(file), number), "", f"'{entry}' is not the name of an image")
        for number, entry in entries
        if not is_valid(entry)
    ]
    if problems:
        raise InputError("the list of images is not right", where=str(file), problems=problems)


def images_with_auth(file: Path) -> tuple[RegistryImages, ...]:
    """Read a file for `--image-list-with-auth`::

        - registry: registry.example.com:5000
          username: builder
          password: secret
          images:
            - registry.example.com:5000/team/app:v1
            - team/tool:v2        # without a registry: of this one

    :raises InputError: with everything that is wrong.
    """
    reader = _AuthReader(str(file))
    try:
        roots = list(parse(_text(file)))
    except UnreadableError as error:
        problem = Problem(Position(str(file), error.line), "", f"invalid YAML: {error}")
        raise InputError("the list of images is not right", where=str(file), problems=[problem]) from None
    found = tuple(entry for root in roots for entry in reader.entries(root))
    if reader.problems:
        raise InputError("the list of images is not right", where=str(file), problems=reader.problems)
    return found


class _AuthReader:
    FIELDS = ("registry", "username", "password", "images")

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []

    def entries(self, root: Node) -> list[RegistryImages]:
        if not isinstance(root, Listing):
            self._wrong(root, "", "a list is needed, an item a registry")
            return []
        found = []
        for number, item in enumerate(root.items):
            if isinstance(item, Table):
                found.append(self._entry(item, f"[{number}]"))
            else:
                self._wrong(item, f"[{number}]", f"a mapping with {', '.join(self.FIELDS)} is needed")
        return found

    def _entry(self, table: Table, path: str) -> RegistryImages:
        for key, _ in table.pairs:
            if key.text not in self.FIELDS:
                self._wrong(key, f"{path}.{key.text}", f"there is no such field; there are {', '.join(self.FIELDS)}")
        texts = {name: self._word(table, name, path) for name in self.FIELDS[:3]}
        if bool(texts["username"]) != bool(texts["password"]):
            self._wrong(table, path, "a username needs a password, and a password a username")
        images = table.get("images")
        if not isinstance(images, Listing) or not images.items:
            self._wrong(images or table, f"{path}.images", "a list of images is needed")
        registry = self._registry(table, texts["registry"], path)
        names = [
            self._image(registry, item, f"{path}.images[{number}]")
            for number, item in enumerate(images.items if isinstance(images, Listing) else ())
        ]
        return RegistryImages(
            registry,
            texts["username"],
            Secret(texts["password"]),
            tuple(name for name in names if name),
            Position(self._file, table.line),
        )

    def _registry(self, table: Table, registry: str, path: str) -> str:
        if registry and not is_valid(f"{registry}/x"):
            self._wrong(table.get("registry") or table, f"{path}.registry", f"'{registry}' is no registry's name")
            return ""
        return registry

    def _word(self, table: Table, name: str, path: str) -> str:
        value = table.get(name)
        if value is None or (isinstance(value, Text) and (is_nothing(value) or not value.text)):
            if name == "registry":
                self._wrong(value or table, f"{path}.{name}", "it is needed")
            return ""
        if not isinstance(value, Text):
            self._wrong(value, f"{path}.{name}", "a text is needed")
            return ""
        return value.text

    def _image(self, registry: str, item: Node, path: str) -> str:
        if not isinstance(item, Text) or not item.text or not is_valid(item.text):
            shown = f"'{item.text}' is not the name of an image" if isinstance(item, Text) else "a text is needed"
            self._wrong(item, path, shown)
            return ""
        reference = Reference.parse(item.text)
        return normalised(item.text if reference.domain or not registry else f"{registry}/{item.text}")

    def _wrong(self, node: Node, path: str, message: str) -> None:
        self.problems.append(Problem(Position(self._file, node.line), path, message))


def images_of(entries: Sequence[RegistryImages]) -> tuple[Mention, ...]:
    """The images of :func:`images_with_auth` as any other mention."""
    return tuple(ImageReference(image, entry.position.line, GIVEN) for entry in entries for image in entry.images)
