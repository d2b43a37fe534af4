from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from sealer.cli.app import App
from sealer.errors import InterruptedRunError


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TextIO]:
    """What is written here is what a person types."""
    monkeypatch.setenv("SEALER_HOME", str(tmp_path))
    ours, theirs = os.pipe()
    with os.fdopen(ours) as stdin, os.fdopen(theirs, "w", buffering=1) as typed:
        monkeypatch.setattr("sys.stdin", stdin)
        yield typed


def test_what_happens_meanwhile_is_shown_after_the_answer(
    keyboard: TextIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stderr = tmp_path / "stderr"  # reading what pytest captured would lose what another thread writes at that moment
    with stderr.open("w", buffering=1) as file:
        monkeypatch.setattr("sys.stderr", file)
        meanwhile(keyboard, capsys, stderr)


def meanwhile(keyboard: TextIO, capsys: pytest.CaptureFixture[str], stderr: Path) -> None:
    app = App()
    answers: list[str] = []
    with app.watch():
        asking = threading.Thread(target=lambda: answers.append(app.choose("Well?", ("no", "yes"), threading.Event())))
        asking.start()
        deadline = time.monotonic() + 60
        while "Well?: " not in stderr.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        app.events.info("in between")
        assert "in between" not in capsys.readouterr().out
        keyboard.write("yes\n")
        asking.join()
        assert capsys.readouterr().out.endswith("in between\n")
    assert answers == ["yes"]


@pytest.mark.parametrize(("typed", "answer"), [("y\n", "yes"), (" YES \n", "yes"), ("\n", "no"), ("x\nye\n", "yes")])
def test_answers(keyboard: TextIO, typed: str, answer: str) -> None:
    keyboard.write(typed)
    assert App().choose("Well?", ("no", "yes"), threading.Event()) == answer


def test_the_end_of_the_input_is_an_empty_line(keyboard: TextIO) -> None:
    keyboard.close()
    assert App().choose("Well?", ("no", "yes"), threading.Event()) == "no"


def test_a_request_to_stop_ends_the_question(keyboard: TextIO) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        App().choose("Well?", ("no", "yes"), stop)
