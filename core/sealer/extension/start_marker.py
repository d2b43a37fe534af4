"""How one knows that a command has started, on a host whose shells do other things too.

Between a transport and a command stand programs of the host's own: the login shell with its start-up files, sshd's rc
file and forced commands, sudo and PAM. Each of them may print, read, end with status 0, or become another program.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from sealer.errors import CommandRefusedError
from sealer.extension.tail import Tail
from sealer.extension.transport import OutputObserver
from sealer.redaction import redactor

Blocks = Iterable[bytes | memoryview]

# A shell that a start-up file has started in our shell's place would take the input for commands: this ends any shell.
_END = "exit 125"
FIRST_LINE = _END.encode() + b"\n"
CHECK_INPUT = (
    f'read -r sealer;[ "$sealer" = "{_END}" ]||{{ echo "something on the host reads the input of the command">&2;'
    "exit 125;};"
)
EVAL = 'eval "set --;$1"'  # runs the shell's first argument, as the command that has none
_SMALL = 64 << 10
_LINES = 5


class StartMarker:
    """A random word that the shell of one command prints before the command starts, on stdout and on stderr.

    Whoever prints a command line or repeats one does not print it: there it stands in pieces.

    :param stdout: gets what comes after the marker.
    :param stderr: likewise; None: the marker is not printed there, which saves a packet.
    """

    def __init__(self, stdout: OutputObserver | None, stderr: OutputObserver | None) -> None:
        a, b, c = (secrets.token_hex(4) for _ in range(3))
        self._stdout = _FromMarker(f"{a}{b}{c}".encode(), stdout)
        self._stderr = _FromMarker(f"{c}{b}{a}".encode(), stderr)  # another: a start-up file may join the streams
        self._print = f"printf {a}%s{c} {b};"
        if stderr is not None:
            self._print = f"printf {c}%s{a} {b}>&2;{self._print}"

    def script(self, command: str, *, reads: bool) -> str:
        """Shell text that prints the marker, then runs `command`, itself shell text.

        It has neither a backslash, nor a newline, nor an exclamation mark, unless the command has.

        :param reads: whether the command's input comes through :func:`guarded`.
        """
        check = CHECK_INPUT if reads else ""
        return f"{check}{self._print}{command}"

    @property
    def observers(self) -> tuple[OutputObserver, OutputObserver]:
        """What all of stdout and all of stderr is to be given to."""
        return self._stdout.feed, self._stderr.feed

    @property
    def seen(self) -> bool:
        """Whether the command has started."""
        return self._stdout.seen

    def refused(self, where: str, why: str) -> CommandRefusedError:
        """The error for a command that has ended without being started.

        :param where: the host's address.
        """
        lines = redactor(f"{self._stdout.before.text}\n{self._stderr.before.text}").splitlines()
        return CommandRefusedError(
            "the host did not run the command",
            where=where,
            why=why,
            remedy="check for a start-up file that exits, waits, or starts another shell (~/.bashrc, ~/.profile, "
            "/etc/ssh/sshrc), and for a forced command (command= in authorized_keys, ForceCommand in sshd_config)",
            output=[line for line in lines if line.strip()][-_LINES:],
        )


class _FromMarker:
    """Passes a stream on from behind the marker; of what comes before, the end is kept for messages."""

    def __init__(self, word: bytes, observer: OutputObserver | None) -> None:
        self._word = word
        self._observer = observer
        self.before = Tail()
        self.seen = False

    def feed(self, block: bytes) -> None:
        if not self.seen:
            both = bytes(self.before) + block  # the marker may come in two parts
            found = both.find(self._word)
            if found < 0:
                self.before.feed(block)
                return
            self.seen = True
            block = both[found + len(self._word) :]
        if block and self._observer is not None:
            self._observer(block)


def guarded(blocks: Blocks, before: bytes = b"") -> Iterator[bytes | memoryview]:
    """The input of a command, behind the line that its script checks before anything else.

    :param before: what others read first.
    """
    first = before + FIRST_LINE
    for block in blocks:
        if first and len(block) < _SMALL:
            yield first + bytes(block)  # as one packet
        elif first:
            yield first
            yield block
        else:
            yield block
        first = b""
    if first:
        yield first
