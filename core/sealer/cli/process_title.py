"""Takes passwords out of what `ps` shows of this process."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence

# A lone `-p`, alone or behind flags without a value, and what is glued to it.
_SHORT = re.compile(rb"-[adqy]*p(?P<value>.*)", re.DOTALL)
_LONG = (b"--passwd", b"--pk-passwd")
# A driver's field that holds a secret, by its name; rather one too many than one too few.
_FIELDS = (b"--provider-option", b"--transport-option", b"--runtime-option")
_SECRET_FIELD = re.compile(rb"[^=]*(?:passw|passphrase|secret|token|key)[^=]*=", re.IGNORECASE)
_ENV = (b"-e", b"--env")
_VARIABLE = re.compile(rb"(?P<name>(?:-e|--env=)[^=]+)=.*", re.DOTALL)
_MASK = b"******"


def secret_spans(arguments: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where passwords stand in a command line.

    :returns: index of the argument, and the offset in it at which the secret begins; it goes to the argument's end.
    """
    expected = field = False
    for index, argument in enumerate(arguments):
        if expected:
            expected = False
            yield index, 0
        elif field:
            field = False
            if match := _SECRET_FIELD.match(argument):
                yield index, match.end()
        elif argument == b"--":
            return
        elif argument in _LONG:
            expected = True
        elif argument.startswith(b"--"):
            name, equals, value = argument.partition(b"=")
            field = not equals and name in _FIELDS
            if equals and name in _LONG:
                yield index, len(name) + 1
            elif name in _FIELDS and (match := _SECRET_FIELD.match(value)):
                yield index, len(name) + 1 + match.end()
        elif match := _SHORT.fullmatch(argument):
            if match["value"]:
                yield index, match.start("value")
            else:
                expected = True


def wipe_secrets() -> None:
    """Overwrite the passwords in this process's argument memory, so that `/proc/PID/cmdline` no longer has them.

    Does nothing where there is no such memory to find (another system than Linux) or no password on the command line.
    """
    if not sys.platform.startswith("linux") or not any(secret_spans([os.fsencode(word) for word in sys.argv[1:]])):
        return
    try:
        with open("/proc/self/cmdline", "rb") as file:  # noqa: PTH123  # pathlib would cost the start 10 ms
            memory = file.read()
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end: fields 48 and 49, see proc_pid_stat(5)
    if not start or end - start != len(memory):
        return
    import ctypes  # noqa: PLC0415  # 10 ms that only a command with a password pays

    for offset, length in _memory_spans(memory):
        ctypes.memmove(start + offset, _MASK[:length].ljust(length, b"\0"), length)


def _memory_spans(memory: bytes) -> Iterator[tuple[int, int]]:
    """Offset and length of every secret in the argument memory, whose words end in a zero byte each."""
    words = memory.split(b"\0")[:-1]
    for index, start in secret_spans(words):
        yield sum(len(word) + 1 for word in words[:index]) + start, len(words[index]) - start


def without_secrets(words: Sequence[str]) -> str:
    """A command line as it may be shown to others: without passwords, and without the values of `--env`."""
    shown = [os.fsencode(word) for word in words]
    for index, start in list(secret_spans(shown)):
        shown[index] = shown[index][:start] + _MASK
    masked = (_without_value(word, before) for before, word in zip((b"", *shown), shown, strict=False))
    return " ".join(os.fsdecode(word) for word in masked)


def _without_value(word: bytes, before: bytes) -> bytes:
    """`word`, if it gives a variable, with its value hidden."""
    if match := _VARIABLE.fullmatch(word if before not in _ENV else b"-e" + word):
        name = match["name"]
        return (name.removeprefix(b"-e") if before in _ENV else name) + b"=" + _MASK
    return word
