"""Questions on a terminal, from any thread, that a request to stop ends."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Sequence

import click

from sealer.errors import InterruptedRunError

LOOK = 200  # milliseconds between two looks at whether to stop: a signal only wakes the main thread


def somebody_is_there() -> bool:
    """Whether a question would be seen, and could be answered."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose(question: str, answers: Sequence[str], stop: threading.Event) -> str:
    """Ask until one of `answers`, or the beginning of one, is given.

    :param answers: the first is what an empty line means.
    :raises InterruptedRunError: `stop` was set.
    """
    while True:
        click.echo(f"{question}: ", nl=False, err=True)
        given = _line(stop).strip().lower()
        if found := [answer for answer in answers if answer.startswith(given)]:
            return found[0]


def _line(stop: threading.Event) -> str:
    """What is typed up to the next line feed, or to the end of the input."""
    handle = sys.stdin.fileno()
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    typed = b""
    while not typed.endswith(b"\n"):
        if stop.is_set():
            click.echo(err=True)
            raise InterruptedRunError("Interrupted")
        if poll.poll(LOOK):
            block = os.read(handle, 1)  # what is typed ahead belongs to whoever asks next
            if not block:
                break
            typed += block
    return typed.decode(errors="replace")
