"""The instructions for applications: APP, CNI, CSI, APPCMDS, APPENV, LAUNCH, CMDS and KUBEVERSION."""

from __future__ import annotations

import re

from sealer.kubefile.expansion import ExpansionError, expand
from sealer.kubefile.kube_versions import wrong_constraint
from sealer.kubefile.model import App, AppCmds, AppEnv, Cmds, Instruction, KubeVersion, Launch, Word
from sealer.kubefile.pairs import split_pair
from sealer.kubefile.reader import InstructionError, Reader, without_nul
from sealer.kubefile.urls import is_remote, refused, scheme

LOCAL = "local://"
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,61}[A-Za-z0-9])?")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_app(reader: Reader) -> Instruction:
    """`APP name source...`, the same with CNI and CSI."""
    name, rest = _named(reader, "a name and at least one source: local://path, http://... or https://...")
    sources = _texts(reader, rest)
    if not sources:
        raise InstructionError(f"{reader.name} {name.text} has no source: local://path, http://... or https://...", 0)
    for text, offset in sources:
        if "$" not in text and (message := wrong_source(text)):
            raise InstructionError(message, offset)
    role = "" if reader.name == "APP" else reader.name.lower()
    return App(reader.position, reader.title, name, tuple(reader.word(*source) for source in sources), role)


def wrong_source(text: str) -> str:
    """Why a text is no source of an application; empty if it is one."""
    if message := refused(text.removeprefix(LOCAL) if scheme(text) == "local" else text):
        return message
    if scheme(text) == "local":
        return "" if text[len(LOCAL) :] else "'local://' without a path of the build context"
    return "" if is_remote(text) else f"'{text}' is no source; a file of the build context is {LOCAL}{text}"


def read_appcmds(reader: Reader) -> Instruction:
    """`APPCMDS name ["command", ...]`, or one command as it is."""
    name, rest = _named(reader, "a name and commands")
    return AppCmds(reader.position, reader.title, name, _commands(reader, rest, f"APPCMDS {name.text}"))


def read_cmds(reader: Reader) -> Instruction:
    """`CMDS ["command", ...]`, or one command as it is."""
    return Cmds(reader.position, reader.title, _commands(reader, reader.words(), "CMDS"))


def read_appenv(reader: Reader) -> Instruction:
    """`APPENV name key=value ...`."""
    name, rest = _named(reader, "a name and key=value")
    if not rest:
        raise InstructionError(f"APPENV {name.text} needs key=value", 0)
    pairs = []
    for word in rest:
        key, begin, value, offset = split_pair(*word)
        if not _SHELL_NAME.fullmatch(key):
            raise InstructionError(f"'{key}' is not a valid name of a shell variable", begin)
        pairs.append((key, reader.word(value, offset)))
    return AppEnv(reader.position, reader.title, name, tuple(pairs))


def read_launch(reader: Reader) -> Instruction:
    """`LAUNCH name ...`, or a JSON list."""
    reader.need_rest("names of applications")
    names = _texts(reader, reader.words())
    if not names:
        raise InstructionError("LAUNCH needs names of applications", 0)
    seen: set[str] = set()
    for text, offset in names:
        _check_name(text, offset)
        if text in seen:
            raise InstructionError(f"'{text}' is named twice", offset)
        seen.add(text)
    return Launch(reader.position, reader.title, tuple(reader.word(*name) for name in names))


def read_kubeversion(reader: Reader) -> Instruction:
    """`KUBEVERSION constraint`."""
    reader.need_rest('a constraint such as ">= 1.19.8, < 1.31"')
    begin = reader.words()[0][1]
    constraint = reader.word(reader.line.text[begin:], begin)
    if "$" not in constraint.text:
        try:
            text = expand(constraint, {}, reader.escape)
        except ExpansionError as error:
            raise InstructionError(error.message, begin + error.offset) from None
        if message := wrong_constraint(text):
            raise InstructionError(message, begin)
    return KubeVersion(reader.position, reader.title, constraint)


def _named(reader: Reader, what: str) -> tuple[Word, list[tuple[str, int]]]:
    """The name of the application, and the words after it."""
    reader.need_rest(what)
    (text, offset), *rest = reader.words()
    _check_name(text, offset)
    return reader.word(text, offset), rest


def _check_name(text: str, offset: int) -> None:
    if not _NAME.fullmatch(text):
        raise InstructionError(
            f"'{text}' is not a valid name of an application: use letters, digits, '-', '_', '.', at most 63", offset
        )


def _texts(reader: Reader, words: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Words, or the strings of a JSON list."""
    if not words:
        return []
    begin = words[0][1]
    listed = reader.json_list(begin, only=True)
    return words if listed is None else [(without_nul(text, begin), begin) for text in listed]


def _commands(reader: Reader, words: list[tuple[str, int]], title: str) -> tuple[str, ...]:
    if not words:
        raise InstructionError(f"{title} needs a command", 0)
    begin = words[0][1]
    listed = reader.json_list(begin, only=True)
    commands = [reader.line.text[begin:]] if listed is None else listed
    if not commands or not all(command.strip() for command in commands):
        raise InstructionError(f"{title} has an empty command", begin)
    return tuple(without_nul(command, begin) for command in commands)
