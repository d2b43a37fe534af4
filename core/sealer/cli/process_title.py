"""Takes passwords out of what `ps` shows of this process."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence

# A lone `-p` or `-e`, alone or behind flags without a value, and what is glued to it.
_SHORT = re.compile(rb"-[adqy]*(?P<option>[pe])(?P<value>.*)", re.DOTALL)
_NAMES = {b"p": b"--passwd", b"e": b"--env"}
_SECRETS = frozenset({b"--passwd", b"--pk-passwd", b"--cmd-args"})
_PAIRS = frozenset({b"--env", b"--build-arg"})  # of NAME=VALUE, of which the name stays
# A driver's field that holds a secret, by its name; rather one too many than one too few.
_FIELDS = frozenset({b"--provider-option", b"--transport-option", b"--runtime-option"})
_SECRET_FIELD = re.compile(rb"[^=]*(?:passw|passphrase|secret|token|key)[^=]*=", re.IGNORECASE)
_OPTIONS = _SECRETS | _PAIRS | _FIELDS
_MASK = b"******"


def secret_spans(arguments: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where passwords stand in a command line, and values that may hold some.

    :returns: index of the argument, and the offset in it at which the secret begins; it goes to the argument's end.
    """
    waiting = b""  # the option whose value is the next argument
    for index, argument in enumerate(arguments):
        name, start = waiting, 0
        if waiting:
            waiting = b""
        elif argument == b"--":
            return
        elif argument.startswith(b"--"):
            name, equals, _ = argument.partition(b"=")
            start = len(name) + 1
            if not equals:
                name, waiting = b"", name if name in _OPTIONS else b""
        elif match := _SHORT.fullmatch(argument):
            name, start = _NAMES[match["option"]], match.start("value")
            if not match["value"]:
                name, waiting = b"", name
        if (begin := _begin(name, argument, start)) is not None:
            yield index, begin


def _begin(option: bytes, argument: bytes, start: int) -> int | None:
    """Where the secret in the value of an option begins, whose value begins at `start`; None: it has none."""
    if option in _SECRETS:
        return start
    if option in _FIELDS:
        match = _SECRET_FIELD.match(argument, start)
        return match.end() if match else None
    equals = argument.find(b"=", start) if option in _PAIRS else -1
    return equals + 1 if equals >= 0 else None


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
    """A command line as it may be shown to others: without passwords, and without values that may hold some."""
    shown = [os.fsencode(word) for word in words]
    for index, start in list(secret_spans(shown)):
        shown[index] = shown[index][:start] + _MASK
    return " ".join(os.fsdecode(word) for word in shown)
