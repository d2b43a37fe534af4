"""From the text of a Kubefile to its instructions, or to everything that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

from sealer.errors import InputError, Position, Problem
from sealer.kubefile.consistency import contradictions, unknown_names
from sealer.kubefile.instructions import OF_DOCKERFILES, READERS
from sealer.kubefile.lines import LogicalLine, split
from sealer.kubefile.model import Arg, From, Instruction, Kubefile, Word
from sealer.kubefile.reader import InstructionError, Reader
from sealer.suggestions import close_matches

LARGEST = 4 * 1024 * 1024
SCRATCH = "scratch"
_APPLICATIONS = ("APP", "CNI", "CSI")


def read(path: Path) -> Kubefile:
    """Read and parse a file.

    :raises InputError: it cannot be read, or is wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(
            "the Kubefile cannot be read",
            where=str(path),
            why=error.strerror or str(error),
            remedy="create a Kubefile, or name one with --file",
        ) from error
    if len(content) > LARGEST:
        raise InputError("the Kubefile is too large", where=str(path), why=f"more than {LARGEST} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        problem = Problem(Position(str(path), line, column), "", "not UTF-8 text")
        raise InputError("the Kubefile is wrong", where=str(path), problems=[problem]) from None
    return parse(text, str(path))


def parse(text: str, file: str = "Kubefile") -> Kubefile:
    """Parse a Kubefile.

    :param file: the name for messages.
    :raises InputError: with every problem, in the order of the text.
    """
    return _Parser(file).parse(text)


class _Parser:
    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self._unread_applications = False

    def parse(self, text: str) -> Kubefile:
        source = split(text, self._file)
        if source.bad_escape:
            self._problems.append(
                Problem(source.bad_escape, "escape", "the escape character is a backslash or a backtick")
            )
        read = [instruction for line in source.lines if (instruction := self._instruction(line, source.escape))]
        arguments, base, body = self._order(read, empty=not source.lines)
        self._problems += contradictions(body)
        if base is not None and base.image.text.lower() == SCRATCH and not self._unread_applications:
            self._problems += unknown_names(body, ())
        if self._problems or base is None:
            raise InputError("the Kubefile is wrong", where=self._file, problems=sorted(self._problems, key=_place))
        return Kubefile(self._file, arguments, base, body, source.escape, tuple(self._warnings))

    def _instruction(self, line: LogicalLine, escape: str) -> Instruction | None:
        written = re.match(r"\S+", line.text)
        assert written is not None, "a logical line is never empty"
        name = written[0].upper()
        if name not in READERS:
            self._problems.append(Problem(line.at(0), "", _unknown(written[0], name)))
            return None
        reader = Reader(line, name, written.end(), escape)
        try:
            for document in line.documents:
                if not document.closed:
                    message = f"the here-document has no end: a line that says {document.name} alone"
                    raise InstructionError(message, document.offset)
            return READERS[name](reader)
        except InstructionError as error:
            path = "" if error.message.startswith(f"{name} ") else name
            self._problems.append(Problem(error.position or line.at(error.offset), path, error.message))
            self._unread_applications |= name in _APPLICATIONS
            return _placeholder(line, name)
        finally:
            self._warnings += [Problem(line.at(offset), name, message) for offset, message in reader.warnings]

    def _order(
        self, read: list[Instruction], *, empty: bool
    ) -> tuple[tuple[Arg, ...], From | None, tuple[Instruction, ...]]:
        arguments: list[Arg] = []
        body: list[Instruction] = []
        base: From | None = None
        early = False
        for instruction in read:
            if isinstance(instruction, From):
                if base is not None:
                    self._complain(instruction.position, "", "a second FROM: a Kubefile has one stage")
                base = base or instruction
            elif base is not None:
                body.append(instruction)
            elif isinstance(instruction, Arg):
                arguments.append(instruction)
            elif not early:
                early = True
                self._complain(
                    instruction.position, "", "FROM must be the first instruction; only ARG may come before it"
                )
        if base is None and not early:
            self._complain(
                Position(self._file, 1, 1),
                "",
                "the Kubefile is empty" if empty else "there is no FROM; 'FROM scratch' is one",
            )
        return tuple(arguments), base, tuple(body)

    def _complain(self, position: Position, path: str, message: str) -> None:
        self._problems.append(Problem(position, path, message))


def _place(problem: Problem) -> Position:
    return problem.position


def _placeholder(line: LogicalLine, name: str) -> Instruction | None:
    """Something in a wrong FROM's place, so that its absence is not reported too."""
    return From(line.at(0), name, Word("?", line.at(0))) if name == "FROM" else Instruction(line.at(0), name)


def _unknown(written: str, name: str) -> str:
    shown = ascii(written[:60])
    if name in OF_DOCKERFILES:
        return f"{name} has no meaning in a cluster image: {OF_DOCKERFILES[name]}"
    near = close_matches(name[:60], READERS, n=1, cutoff=0.6)
    return f"unknown instruction {shown}; did you mean {near[0]}?" if near else f"unknown instruction {shown}"
