"""The instructions of a Kubefile, as written: nothing is expanded yet."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from sealer.errors import Position, Problem

Piece = tuple[int, int, int]  # offset in a text, and the line and column of the file where the text goes on from there


def place(file: str, pieces: tuple[Piece, ...], offset: int) -> Position:
    """Where a character of a text stands that comes from several lines of a file."""
    start, line, column = pieces[max(bisect_right(pieces, (offset, 1 << 60, 0)) - 1, 0)]
    return Position(file, line, column + offset - start)


@dataclass(frozen=True)
class Word:
    """A piece of an instruction with quotes, escapes and variables still in it.

    :param pieces: one for each further line of the file that it comes from.
    """

    text: str
    position: Position
    pieces: tuple[Piece, ...] = ()

    def at(self, offset: int) -> Position:
        """Where a character of the word stands in the file."""
        start = self.position
        return place(start.file, ((0, start.line, start.column), *self.pieces), offset)


@dataclass(frozen=True)
class HereFile:
    """A file whose content stands in the Kubefile.

    :param expand: whether variables in it count.
    """

    name: str
    content: Word
    expand: bool


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

    :param unpack: an ADD: archives among the sources are unpacked, and URLs are fetched.
    :param chmod: permission bits, or None.
    :param files: here-documents; they come after the sources.
    :param checksum: of the one URL, `sha256:<hex>`.
    """

    sources: tuple[Word, ...]
    destination: Word
    unpack: bool = False
    chmod: int | None = None
    files: tuple[HereFile, ...] = ()
    checksum: Word | None = None


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
class Cmds(Instruction):
    """`CMDS ["command", ...]`, each as shell text."""

    commands: tuple[str, ...]


@dataclass(frozen=True)
class App(Instruction):
    """`APP name source...`.

    :param role: `cni` or `csi` for an application that is the cluster's network or storage; else empty.
    """

    name: Word
    sources: tuple[Word, ...]
    role: str = ""


@dataclass(frozen=True)
class AppCmds(Instruction):
    """`APPCMDS name ["command", ...]`, each as shell text."""

    name: Word
    commands: tuple[str, ...]


@dataclass(frozen=True)
class AppEnv(Instruction):
    """`APPENV name key=value ...`."""

    name: Word
    pairs: tuple[tuple[str, Word], ...]


@dataclass(frozen=True)
class Launch(Instruction):
    """`LAUNCH name ...`: the applications that are installed, in this order."""

    names: tuple[Word, ...]


@dataclass(frozen=True)
class KubeVersion(Instruction):
    """`KUBEVERSION constraint`: the versions of Kubernetes that the image is made for."""

    constraint: Word


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
