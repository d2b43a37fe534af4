"""The instructions of a Kubefile, as written: nothing is expanded yet."""

from __future__ import annotations

from dataclasses import dataclass

from sealer.errors import Position, Problem


@dataclass(frozen=True)
class Word:
    """A piece of an instruction with quotes, escapes and variables still in it."""

    text: str
    position: Position


@dataclass(frozen=True)
class Instruction:
    """What all of them have.

    :param text: the instruction as a person wants to see it: one line, blanks collapsed.
    """

    position: Position
    text: str


@dataclass(frozen=True)
class From(Instruction):
    """`FROM [--platform=p] image`."""

    image: Word
    platform: Word | None = None


@dataclass(frozen=True)
class Copy(Instruction):
    """`COPY` or `ADD`.

    :param unpack: an ADD: archives among the sources are unpacked.
    :param chmod: permission bits, or None.
    """

    sources: tuple[Word, ...]
    destination: Word
    unpack: bool = False
    chmod: int | None = None


@dataclass(frozen=True)
class SecretMount:
    """`RUN --mount=type=secret,id=...`.

    :param id: the name that `--secret` gives it.
    :param target: absolute path where the command finds it.
    :param required: whether the build fails without it; else the command runs without it.
    """

    id: str
    target: str
    required: bool = True


@dataclass(frozen=True)
class Run(Instruction):
    """`RUN [--mount=...] [--network=...] command`, as shell text.

    :param network: `host`, `none`, or empty for what the build says.
    """

    command: str
    secrets: tuple[SecretMount, ...] = ()
    network: str = ""


@dataclass(frozen=True)
class Cmd(Instruction):
    """`CMD command`, as shell text."""

    command: str


@dataclass(frozen=True)
class Arg(Instruction):
    """`ARG name[=default] ...`: each name with its default, if it has one."""

    names: tuple[tuple[str, Word | None], ...]


@dataclass(frozen=True)
class Env(Instruction):
    """`ENV name=value ...`."""

    pairs: tuple[tuple[str, Word], ...]


@dataclass(frozen=True)
class Label(Instruction):
    """`LABEL name=value ...`: names may hold variables too."""

    pairs: tuple[tuple[Word, Word], ...]


@dataclass(frozen=True)
class Kubefile:
    """A parsed Kubefile.

    :param arguments: the ARGs before FROM.
    :param body: what follows FROM.
    :param escape: the character that takes the meaning from what follows.
    :param warnings: what was understood in spite of how it is written.
    """

    file: str
    arguments: tuple[Arg, ...]
    base: From
    body: tuple[Instruction, ...]
    escape: str = "\\"
    warnings: tuple[Problem, ...] = ()
