"""COPY and ADD as they are written."""

from __future__ import annotations

import re

from sealer.errors import Position
from sealer.kubefile.expansion import ExpansionError, check
from sealer.kubefile.heredocs import HereDocument
from sealer.kubefile.model import Copy, HereFile, Instruction, Word
from sealer.kubefile.reader import InstructionError, Reader, without_nul
from sealer.kubefile.urls import is_remote, refused

NO_STAGES = "a Kubefile has one stage"
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_ROOT = re.compile(r"(root|0)?(:(root|0))?")


def read_copy(reader: Reader) -> Instruction:
    """`COPY [--chmod=mode] source... destination`, the same with ADD, which has `--checksum` too."""
    adds = reader.name == "ADD"
    flags, words = reader.flags(
        {
            "chmod": "",
            "chown": "",
            "checksum": "" if adds else "only ADD fetches URLs",
            "from": NO_STAGES,
            "link": "every COPY is a layer of its own anyway",
            "parents": "name the directory in the destination",
            "exclude": "name the files in .sealerignore",
            "keep-git-dir": "no git repositories are fetched",
            "unpack": "archives of the context are unpacked, fetched ones are not",
        }
    )
    pieces = _words(reader, words)
    if len(pieces) < 2:
        raise InstructionError(f"{reader.name} needs at least one source and a destination", 0)
    if "chown" in flags:
        _check_owner(*flags["chown"])
    documents = {document.offset: document for document in reader.line.documents}
    if pieces[-1][1] in documents:
        raise InstructionError("the destination is missing after the here-document", pieces[-1][1])
    sources = [piece for piece in pieces[:-1] if piece[1] not in documents]
    for text, offset in sources:
        _check_url(text, offset, adds=adds)
    return Copy(
        reader.position,
        reader.title,
        tuple(reader.word(*source) for source in sources),
        reader.word(*pieces[-1]),
        adds,
        _mode(*flags["chmod"]) if "chmod" in flags else None,
        tuple(_here_file(reader, document) for document in reader.line.documents),
        _checksum(reader, *flags["checksum"], sources) if "checksum" in flags else None,
    )


def _words(reader: Reader, words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    if not words:
        return []
    begin = words[0][1]
    listed = reader.json_list(begin)
    return words if listed is None else [(without_nul(text, begin), begin) for text in listed]


def _mode(text: str, offset: int) -> int:
    if not re.fullmatch(r"[0-7]{3,4}", text):
        raise InstructionError(f"'{text}' is no mode: --chmod takes an octal number such as 755", offset)
    return int(text, 8)


def _check_owner(text: str, offset: int) -> None:
    if not _ROOT.fullmatch(text):
        raise InstructionError("--chown takes root alone: all files of a rootfs belong to root on the hosts", offset)


def _check_url(text: str, offset: int, *, adds: bool) -> None:
    if is_remote(text) and not adds:
        raise InstructionError("COPY takes files of the build context; ADD fetches a URL", offset)
    if message := refused(text):
        raise InstructionError(message, offset)


def _checksum(reader: Reader, text: str, offset: int, sources: list[tuple[str, int]]) -> Word:
    if len(sources) != 1 or reader.line.documents:
        raise InstructionError("--checksum is for an ADD of one URL", offset)
    if not is_remote(sources[0][0]) and "$" not in sources[0][0]:
        raise InstructionError("--checksum is for a URL", offset)
    if "$" not in text and not CHECKSUM.fullmatch(text):
        raise InstructionError("--checksum takes sha256: and 64 digits of 0-9a-f", offset)
    return reader.word(text, offset + len("--checksum="))


def _here_file(reader: Reader, document: HereDocument) -> HereFile:
    position, pieces = reader.line.at(document.offset), document.pieces
    if pieces:
        position = Position(position.file, *pieces[0][1:])
    word = Word(without_nul(document.content, document.offset), position, pieces[1:])
    if document.expand:
        try:
            check(word, reader.escape, document=True)
        except ExpansionError as error:
            raise InstructionError(error.message, document.offset, word.at(error.offset)) from None
    return HereFile(document.name, word, document.expand)
