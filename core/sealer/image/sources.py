"""What ADD, COPY and APP take their files from: the build context, URLs, and texts of the Kubefile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.errors import BuildError, Position
from sealer.image.copy import Made
from sealer.image.download import USUAL, Limits, download, file_name
from sealer.image.storage import remove_tree, storage_errors
from sealer.image.variables import Variables
from sealer.kubefile.applications import LOCAL, wrong_source
from sealer.kubefile.copying import CHECKSUM
from sealer.kubefile.model import App, Copy, HereFile, Instruction, Word
from sealer.kubefile.urls import is_remote, refused, without_login

DOWNLOADED = 0o600  # as with Docker
READABLE = 0o644


@contextmanager
def working_directory(path: Path) -> Iterator[Path]:
    """A directory that lives as long as one instruction."""
    with storage_errors("a directory could not be made", path):
        path.mkdir()
    try:
        yield path
    finally:
        remove_tree(path)


def copy_sources(copy: Copy, variables: Variables) -> list[str]:
    """The sources of a COPY or ADD by name: paths and URLs.

    :raises InputError: one is none.
    """
    return [_copy_source(word, copy, variables) for word in copy.sources]


def _copy_source(word: Word, copy: Copy, variables: Variables) -> str:
    source = variables.expand(word)
    if not source:
        raise variables.wrong(word, "the name of a source is empty")
    if message := refused(source):
        raise variables.wrong(word, message)
    if is_remote(source) and not copy.unpack:
        raise variables.wrong(word, "COPY takes files of the build context; ADD fetches a URL")
    if copy.checksum and not is_remote(source):
        raise variables.wrong(copy.checksum, "--checksum is for a URL")
    return source


def checksum_of(copy: Copy, variables: Variables) -> str:
    """What an ADD's URL must hold, `sha256:<hex>`; empty: anything.

    :raises InputError: it is none.
    """
    if copy.checksum is None:
        return ""
    checksum = variables.expand(copy.checksum)
    if not CHECKSUM.fullmatch(checksum):
        raise variables.wrong(copy.checksum, "--checksum takes sha256: and 64 digits of 0-9a-f")
    return checksum


def app_sources(app: App, variables: Variables) -> list[str]:
    """The sources of an application by name: `local://path` and URLs.

    :raises InputError: one is none.
    """
    sources = [(word, variables.expand(word)) for word in app.sources]
    for word, source in sources:
        if message := wrong_source(source):
            raise variables.wrong(word, message)
    return [source for _, source in sources]


def place_of(source: str, instruction: Instruction, variables: Variables) -> Position:
    """Where an instruction names a source; the instruction's own place, if it does not."""
    words = instruction.sources if isinstance(instruction, Copy | App) else ()
    found = (word for word in words if variables.expand(word).removeprefix(LOCAL) == source)
    return next((word.position for word in found), instruction.position)


class Sources:
    """The sources of one instruction.

    :param directory: gets the files that the context does not have.
    """

    def __init__(self, directory: Path, variables: Variables, limits: Limits = USUAL) -> None:
        self._directory = directory
        self._variables = variables
        self._limits = limits
        self._count = 0

    def of_copy(self, copy: Copy) -> list[str | Made]:
        """Those of COPY and ADD: paths of the context, and files that were made.

        :raises InputError: one is none.
        :raises BuildError: one could not be fetched.
        """
        checksum = checksum_of(copy, self._variables)
        found = [
            self._fetch(source, DOWNLOADED, checksum) if is_remote(source) else source
            for source in copy_sources(copy, self._variables)
        ]
        return [*found, *(self._written(file) for file in copy.files)]

    def of_app(self, app: App) -> list[str | Made]:
        """Those of an application. For the errors see :meth:`of_copy`."""
        return [
            self._fetch(source, READABLE) if is_remote(source) else source[len(LOCAL) :]
            for source in app_sources(app, self._variables)
        ]

    def _fetch(self, url: str, mode: int, checksum: str = "") -> Made:
        """The file that a URL leads to; one whose checksum is known is fetched only if it is really wanted."""
        target = self._next()

        def fetch() -> None:
            self._fetch_checked(url, target, checksum)

        digest = checksum or download(url, target, self._limits)
        return Made(target, file_name(url), without_login(url), digest, mode, fetch if checksum else None)

    def _fetch_checked(self, url: str, target: Path, checksum: str) -> None:
        digest = download(url, target, self._limits)
        if digest != checksum:
            raise BuildError(
                f"{without_login(url)} is not what it should be",
                why=f"its checksum is {digest}, not {checksum}",
                remedy="find out who changed it before you change the checksum",
            )

    def _written(self, file: HereFile) -> Made:
        target = self._next()
        expand = self._variables.expand_document
        content = expand(file.content) if file.expand else file.content.text
        data = content.encode("utf-8", "surrogateescape")
        with storage_errors("a file could not be written", target):
            target.write_bytes(data)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return Made(target, file.name, f"the here-document {file.name}", digest, READABLE)

    def _next(self) -> Path:
        self._count += 1
        return self._directory / f"made-{self._count}"
