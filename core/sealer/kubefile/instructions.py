"""One reader for each instruction: from a logical line to what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from sealer.kubefile.applications import (
    read_app,
    read_appcmds,
    read_appenv,
    read_cmds,
    read_kubeversion,
    read_launch,
)
from sealer.kubefile.copying import NO_STAGES, read_copy
from sealer.kubefile.heredocs import shell_text
from sealer.kubefile.model import Arg, Cmd, Env, From, Instruction, Label, Run, Word
from sealer.kubefile.pairs import need_name, read_pairs
from sealer.kubefile.reader import InstructionError, Reader, without_nul
from sealer.kubefile.run_flags import read_run_flags

AUTHORS = "org.opencontainers.image.authors"
_HEREDOC = re.compile(r"\d*<<-?[\"']?[A-Za-z_]\w*[\"']?$")


def _command(reader: Reader, words: list[tuple[str, int]]) -> str:
    """RUN and CMD: what the shell is to get."""
    if not words:
        raise InstructionError(f"{reader.name} needs a command", 0)
    begin = words[0][1]
    listed = reader.json_list(begin)
    if listed is not None:
        if not listed or not listed[0]:
            raise InstructionError(f"{reader.name} needs a command", begin)
        return without_nul(shlex.join(listed), begin)
    for text, offset in words:
        if reader.name == "CMD" and _HEREDOC.fullmatch(text):
            raise InstructionError(
                "here-documents are for RUN, COPY and ADD: COPY a script, and run it with CMD", offset
            )
    return without_nul(shell_text(reader.line.text[begin:], reader.line.documents), begin)


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
        reader.warnings.append((words[1][1], f"a name for the stage is of no use: {NO_STAGES}"))
    platform = reader.word(*flags["platform"]) if "platform" in flags else None
    return From(reader.position, reader.title, reader.word(*words[0]), platform)


def read_arg(reader: Reader) -> Instruction:
    """`ARG name[=default] ...`."""
    reader.need_rest("a name")
    names: list[tuple[str, Word | None]] = []
    for text, offset in reader.words():
        name, equals, default = text.partition("=")
        need_name(name, offset)
        names.append((name, reader.word(default, offset + len(name) + 1) if equals else None))
    return Arg(reader.position, reader.title, tuple(names))


def read_env(reader: Reader) -> Instruction:
    """`ENV name=value ...`, or the old `ENV name value`."""
    pairs = []
    for name, begin, value, offset in read_pairs(reader):
        need_name(name, begin)
        pairs.append((name, reader.word(value, offset)))
    return Env(reader.position, reader.title, tuple(pairs))


def read_label(reader: Reader) -> Instruction:
    """`LABEL name=value ...`, or the old `LABEL name value`."""
    pairs = [
        (reader.word(name, begin), reader.word(value, offset)) for name, begin, value, offset in read_pairs(reader)
    ]
    return Label(reader.position, reader.title, tuple(pairs))


def read_maintainer(reader: Reader) -> Instruction:
    """`MAINTAINER name`, the old way to write a label."""
    reader.need_rest("a name")
    reader.warnings.append((0, f"write it as LABEL {AUTHORS}=..."))
    begin = reader.words()[0][1]
    name, value = Word(AUTHORS, reader.line.at(0)), reader.plain(reader.line.text[begin:], begin)
    return Label(reader.position, reader.title, ((name, value),))


READERS: dict[str, Callable[[Reader], Instruction]] = {
    "FROM": read_from,
    "RUN": read_run,
    "CMD": read_cmd,
    "CMDS": read_cmds,
    "COPY": read_copy,
    "ADD": read_copy,
    "ARG": read_arg,
    "ENV": read_env,
    "LABEL": read_label,
    "APP": read_app,
    "CNI": read_app,
    "CSI": read_app,
    "APPCMDS": read_appcmds,
    "APPENV": read_appenv,
    "LAUNCH": read_launch,
    "KUBEVERSION": read_kubeversion,
    "MAINTAINER": read_maintainer,
}
OF_DOCKERFILES = {
    "ENTRYPOINT": "use CMD: it runs on the first master when the cluster is up",
    "EXPOSE": "a cluster image has no ports",
    "HEALTHCHECK": "a plugin of type CLUSTERCHECK waits for the cluster",
    "ONBUILD": "put it into the Kubefile that is built",
    "SHELL": "commands run under /bin/sh; name another shell in the command itself",
    "STOPSIGNAL": "a cluster image is no process",
    "USER": "commands run as root",
    "VOLUME": "a cluster image is no container",
    "WORKDIR": "commands run in the rootfs; begin them with 'cd DIRECTORY &&'",
}
