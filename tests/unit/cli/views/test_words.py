from __future__ import annotations

import pytest

from sealer.cli.views.words import about_host, duration, one_line, size
from sealer.events import Event, State


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (0.44, "0.4s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"), (3720, "1h02m")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (99_600_000, "100 MB"), (5e15, "5000 TB")],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain\n", "plain"),
        ("10%\r20%\r30%\r\n", "30%"),
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("bell\x07 null\x00 c1\x9b", "bell null c1"),
        ("a\tb", "a b"),
        ("über 東京", "über 東京"),
    ],
)
def test_what_a_host_prints_cannot_move_the_cursor(printed: str, shown: str) -> None:
    assert one_line(printed) == shown


def test_the_host_is_not_named_twice() -> None:
    assert about_host(Event(State.FAILED, host="10.0.0.2", message="10.0.0.2: refused")) == "refused"
