from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from sealer.cli.passwords import password
from sealer.errors import InputError
from sealer.events import Event, EventStream
from sealer.redaction import redactor


def revealed(typed: str | None = None, file: str | None = None, ask: bool = False) -> str | None:
    found = password(typed, file, ask, EventStream())
    return found.reveal() if found else None


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEALER_PASSWD", raising=False)


def test_none_given() -> None:
    assert revealed() is None


def test_typed_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALER_PASSWD", "aus-der-umgebung")
    assert revealed("getippt") == "getippt"


def test_the_variable_is_taken_away_from_programs_we_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALER_PASSWD", "aus-der-umgebung")
    assert revealed() == "aus-der-umgebung"
    assert "SEALER_PASSWD" not in os.environ
    assert redactor("it is aus-der-umgebung") == "it is ******"


@pytest.mark.parametrize("content", ["mit Leer zeichen", "mit Leer zeichen\n", "mit Leer zeichen\r\n"])
def test_a_file_has_it_with_or_without_a_line_end(tmp_path: Path, content: str) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content.encode())
    path.chmod(0o600)
    assert revealed(file=str(path)) == "mit Leer zeichen"


def test_stdin_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"aus-stdin\n")))
    assert revealed(file="-") == "aus-stdin"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"x" * 5000, b"\xff\xfe"])
def test_what_is_no_password_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content)
    with pytest.raises(InputError):
        revealed(file=str(path))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="/not/there"):
        revealed(file="/not/there")


def test_others_who_can_read_the_file_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("offen\n")
    path.chmod(0o644)
    events, seen = EventStream(), list[Event]()
    events.subscribe(seen.append)
    password(None, str(path), False, events)
    assert [event.message for event in seen] == [
        f"others can read the password in {path}; 'chmod 600 {path}' prevents that"
    ]


def test_two_ways_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--passwd and --ask-passwd exclude each other"):
        revealed("a", ask=True)


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(InputError, match="no terminal"):
        revealed(ask=True)
