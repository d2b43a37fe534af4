"""One reader for each instruction: from a logical line to what it says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sealer.errors import Position
from sealer.kubefile.expansion import ExpansionError, check
from sealer.kubefile.lines import LogicalLine
from sealer.kubefile.model import Arg, Cmd, Copy, Env, From, Instruction, Label, Run, Word
from sealer.kubefile.run_flags import read_run_flags

_LOOKS_LIKE_JSON = re.compile(r"\[\s*[\"'\]]|\[[\"']")
_HEREDOC = re.compile(r"\d*<<-?[\"']?[A-Za-z_]\w*[\"']?$")
_NO_STAGES = "a Kubefile has one stage"


class InstructionError(Exception):
    """An instruction is wrong. `offset` counts characters of the logical line."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass
class Reader:
    """What is being read.

    :param start: offset of the first character after the instruction's name.
    :param warnings: gets offsets and messages.
    """

    line: LogicalLine
    name: str
    start: int
    escape: str
    warnings: list[tuple[int, str]] = field(default_factory=list)

    @property
    def rest(self) -> str:
        """What follows the instruction's name."""
        return self.line.text[self.start :]

    @property
    def position(self) -> Position:
        """Where the instruction begins."""
        return self.line.at(0)

    @property
    def title(self) -> str:
        """The instruction in one line."""
        return f"{self.name} {' '.join(self.rest.split())}".strip()

    def need_rest(self, what: str) -> None:
        """Refuse an instruction without arguments."""
        if not self.rest.strip():
            raise InstructionError(f"{self.name} needs {what}", 0)

    def word(self, text: str, offset: int) -> Word:
        """A word, checked for quotes and braces."""
        word = Word(text, self.line.at(offset))
        try:
            check(word, self.escape)
        except ExpansionError as error:
            raise InstructionError(error.message, min(offset + error.offset, len(self.line.text))) from None
        return word

    def words(self) -> list[tuple[str, int]]:
        """The pieces between blanks, quotes and escapes respected, with their offsets."""
        found: list[tuple[str, int]] = []
        begin, quote, skip = -1, "", False
        for offset in range(self.start, len(self.line.text)):
            char = self.line.text[offset]
            if skip:
                skip = False
            elif char == self.escape and quote != "'":
                skip = True
            elif quote:
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char in " \t":
                if begin >= 0:
                    found.append((self.line.text[begin:offset], begin))
                begin = -1
                continue
            begin = offset if begin < 0 else begin
        if begin >= 0:
            found.append((self.line.text[begin:], begin))
        return found

    def flags(self, known: Mapping[str, str]) -> tuple[dict[str, tuple[str, int]], list[tuple[str, int]]]:
        """Split off leading `--name=value` words.

        :param known: names, each with the reason why it is refused, or an empty text if it is not.
        """
        words = self.words()
        flags: dict[str, tuple[str, int]] = {}
        while words and words[0][0].startswith("--"):
            text, offset = words.pop(0)
            name, _, value = text[2:].partition("=")
            if name not in known:
                raise InstructionError(f"{self.name} does not know the flag '--{name}'", offset)
            if known[name]:
                raise InstructionError(f"--{name} is not supported: {known[name]}", offset)
            if not value:
                raise InstructionError(f"--{name} needs a value: --{name}=...", offset)
            flags[name] = (value, offset)
        return flags, words

    def json_list(self, begin: int) -> list[str] | None:
        """The JSON form's strings, or None where the text is not meant as one."""
        text = self.line.text[begin:].strip()
        if not text.startswith("["):
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            if not all(map(_is_text, value)):
                raise InstructionError("half of a surrogate pair, which is no character", begin)
            return value
        if _LOOKS_LIKE_JSON.match(text):
            raise InstructionError("neither a JSON list of strings in double quotes, nor a command", begin)
        return None


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON lets one name half a character."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _command(reader: Reader, words: list[tuple[str, int]]) -> str:
    """RUN and CMD: what the shell is to get."""
    if not words:
        raise InstructionError(f"{reader.name} needs a command", 0)
    begin = words[0][1]
    listed = reader.json_list(begin)
    if listed is not None:
        if not listed or not listed[0]:
            raise InstructionError(f"{reader.name} needs a command", begin)
        return _without_nul(shlex.join(listed), begin)
    for text, offset in words:
        if _HEREDOC.fullmatch(text):
            raise InstructionError(
                "here-documents are not supported: COPY a file, or continue lines with a backslash", offset
            )
    return _without_nul(reader.line.text[begin:], begin)


def _without_nul(text: str, offset: int) -> str:
    if "\0" in text:
        raise InstructionError("a NUL character, which no command may hold", offset)
    return text


def read_run(reader: Reader) -> Instruction:
    """`RUN [--mount=...] [--network=...] command` or `RUN ["program", "argument"]`."""
    reader.need_rest("a command")
    secrets, network, words = read_run_flags(reader.words(), InstructionError)
    return Run(reader.position, reader.title, _command(reader, words), secrets, network)


def read_cmd(reader: Reader) -> Instruction:
    """`CMD command` or `CMD ["program", "argument"]`."""
    reader.need_rest("a command")
    return Cmd(reader.position, reader.title, _command(reader, reader.words()))


def read_from(reader: Reader) -> Instruction:
    """`FROM [--platform=p] image [AS name]`."""
    flags, words = reader.flags({"platform": ""})
    if not words:
        raise InstructionError("FROM needs an image, or 'scratch'", 0)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1][0].upper() != "AS"):
        raise InstructionError("FROM takes one image", words[1][1])
    if len(words) == 3:
        reader.warnings.append((words[1][1], f"a name for the stage is of no use: {_NO_STAGES}"))
    platform = reader.word(*flags["platform"]) if "platform" in flags else None
    return From(reader.position, reader.title, reader.word(*words[0]), platform)


def read_copy(reader: Reader) -> Instruction:
    """`COPY [--chmod=mode] source... destination`, the same with ADD."""
    flags, words = reader.flags(
        {
            "chmod": "",
            "chown": "all files of a rootfs belong to root on the hosts",
            "from": _NO_STAGES,
            "link": "every COPY is a layer of its own anyway",
            "parents": "name the directory in the destination",
            "exclude": "name the files in .dockerignore",
            "checksum": "sources are local files",
            "keep-git-dir": "sources are local files",
        }
    )
    pieces = _copy_words(reader, words)
    if len(pieces) < 2:
        raise InstructionError(f"{reader.name} needs at least one source and a destination", 0)
    for text, offset in pieces:
        if _HEREDOC.fullmatch(text):
            raise InstructionError("here-documents are not supported: put the text into a file", offset)
        if re.match(r"(https?|ftp|git|ssh)://|git@", text) and (text, offset) != pieces[-1]:
            raise InstructionError(f"{reader.name} of a URL is not supported yet: fetch it with RUN", offset)
    chmod = _mode(*flags["chmod"]) if "chmod" in flags else None
    *sources, destination = (reader.word(*piece) for piece in pieces)
    return Copy(reader.position, reader.title, tuple(sources), destination, reader.name == "ADD", chmod)


def _copy_words(reader: Reader, words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    if not words:
        return []
    begin = words[0][1]
    listed = reader.json_list(begin)
    return words if listed is None else [(_without_nul(text, begin), begin) for text in listed]


def _mode(text: str, offset: int) -> int:
    if not re.fullmatch(r"[0-7]{3,4}", text):
        raise InstructionError(f"'{text}' is no mode: --chmod takes an octal number such as 755", offset)
    return int(text, 8)


def read_arg(reader: Reader) -> Instruction:
    """`ARG name[=default] ...`."""
    reader.need_rest("a name")
    names: list[tuple[str, Word | None]] = []
    for text, offset in reader.words():
        name, equals, default = text.partition("=")
        _need_name(name, offset)
        names.append((name, reader.word(default, offset + len(name) + 1) if equals else None))
    return Arg(reader.position, reader.title, tuple(names))


def read_env(reader: Reader) -> Instruction:
    """`ENV name=value ...`, or the old `ENV name value`."""
    pairs = []
    for name, begin, value, offset in _pairs(reader):
        _need_name(name, begin)
        pairs.append((name, reader.word(value, offset)))
    return Env(reader.position, reader.title, tuple(pairs))


def read_label(reader: Reader) -> Instruction:
    """`LABEL name=value ...`, or the old `LABEL name value`."""
    pairs = [(reader.word(name, begin), reader.word(value, offset)) for name, begin, value, offset in _pairs(reader)]
    return Label(reader.position, reader.title, tuple(pairs))


def _pairs(reader: Reader) -> list[tuple[str, int, str, int]]:
    reader.need_rest("name=value")
    words = reader.words()
    first, begin = words[0]
    if "=" not in first:
        if len(words) < 2:
            raise InstructionError(f"{reader.name} {first} has no value: {reader.name} {first}=...", begin)
        reader.warnings.append((begin, f"write it as {reader.name} {first}=..."))
        return [(first, begin, reader.line.text[words[1][1] :], words[1][1])]
    pairs = []
    for text, offset in words:
        name, equals, value = text.partition("=")
        if not equals:
            raise InstructionError(f"'{text}' is not of the form name=value; quote a value that has blanks", offset)
        if not name:
            raise InstructionError("the name before '=' is missing", offset)
        pairs.append((name, offset, value, offset + len(name) + 1))
    return pairs


def _need_name(name: str, offset: int) -> None:
    if not re.fullmatch(r"[^\s\"'$=\\\0]+", name):
        raise InstructionError(f"'{name}' is no name of a variable", offset)


READERS: dict[str, Callable[[Reader], Instruction]] = {
    "FROM": read_from,
    "RUN": read_run,
    "CMD": read_cmd,
    "COPY": read_copy,
    "ADD": read_copy,
    "ARG": read_arg,
    "ENV": read_env,
    "LABEL": read_label,
}
LATER_DIALECT = ("APP", "APPCMDS", "APPENV", "LAUNCH", "CMDS", "CNI", "CSI", "KUBEVERSION")
OF_DOCKERFILES = {
    "ENTRYPOINT": "use CMD: it runs on the first master when the cluster is up",
    "EXPOSE": "a cluster image has no ports",
    "HEALTHCHECK": "a plugin of type CLUSTERCHECK waits for the cluster",
    "MAINTAINER": "use LABEL org.opencontainers.image.authors=...",
    "ONBUILD": "put it into the Kubefile that is built",
    "SHELL": "commands run under /bin/sh; name another shell in the command itself",
    "STOPSIGNAL": "a cluster image is no process",
    "USER": "commands run as root",
    "VOLUME": "a cluster image is no container",
    "WORKDIR": "commands run in the rootfs; begin them with 'cd DIRECTORY &&'",
}
