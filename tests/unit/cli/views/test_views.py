from __future__ import annotations

import io
import json
import stat
import threading
from pathlib import Path

import pytest

from sealer.cli.app import App
from sealer.cli.views.live import LiveView
from sealer.cli.views.plain import OUTPUT_LINES, PlainView
from sealer.cli.views.recording import Recording
from sealer.cli.views.words import clock
from sealer.events import Event, EventStream, Json, State
from sealer.redaction import Secret


def event(state: State, step: str = "a", host: str = "", time: float = 0.0, message: str = "") -> Event:
    return Event(state, step=step, title="Do it", host=host, phase="PreInit", time=time, message=message)


def plain(*events: Event, quiet: bool = False) -> PlainView:
    with PlainView(quiet) as view:
        for one in events:
            view(one)
    return view


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    plain(
        event(State.PLANNED),
        event(State.STARTED, time=1),
        event(State.STARTED, host="10.0.0.2", time=1),
        event(State.PROGRESS, host="10.0.0.2"),
        event(State.OUTPUT, host="10.0.0.2", time=2, message="\x1b[31mhello\x1b[0m"),
        event(State.FAILED, host="10.0.0.2", time=3, message="10.0.0.2: exit status 3"),
        event(State.FAILED, time=3),
        event(State.WARNING, step="", host="10.0.0.3", time=4, message="slow clock"),
    )
    assert capsys.readouterr().out.splitlines() == [
        f"{clock(1)} PreInit  Do it: started",
        f"{clock(2)} PreInit  10.0.0.2 | hello",
        f"{clock(3)} PreInit  10.0.0.2  Do it: failed (2.0s)",
        f"{clock(4)} PreInit  10.0.0.3  warning: slow clock",
    ]


def test_plain_lines_of_a_build(capsys: pytest.CaptureFixture[str]) -> None:
    def told(state: State, time: float, message: str = "", **data: Json) -> Event:
        of = {"number": 2, "total": 3, **data}
        return Event(state, step="build/2", title="[2/3] COPY a b", time=time, message=message, data=of)

    plain(
        told(State.STARTED, 1),
        told(State.OUTPUT, 2, "said"),
        told(State.DONE, 3, bytes=216_000_000, rate=108_000_000),
        told(State.SKIPPED, 4, "CACHED", cached=True),
    )
    assert capsys.readouterr().out.splitlines() == [
        f"{clock(1)} [2/3] COPY a b: started",
        f"{clock(2)} [2/3] | said",
        f"{clock(3)} [2/3] COPY a b: done (2.0s, 216 MB, 108 MB/s)",
        f"{clock(4)} [2/3] COPY a b: CACHED",
    ]


def test_plain_tells_the_end_of_a_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    plain(
        event(State.DONE, "a", host="10.0.0.2"),
        event(State.DONE, "a"),
        event(State.DONE, "b"),
    )
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "PreInit  10.0.0.2  Do it: done",
        "PreInit  Do it: done",
    ]


def test_plain_does_not_fill_a_log_with_what_a_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    plain(*(event(State.OUTPUT, host="h", message=f"line {number}") for number in range(10_000)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == OUTPUT_LINES + 1
    assert lines[-1].endswith("(more output is not shown here)")


def test_plain_and_quiet_shows_failures_only(capsys: pytest.CaptureFixture[str]) -> None:
    plain(event(State.STARTED), event(State.OUTPUT, host="h"), event(State.FAILED, host="h"), quiet=True)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_json_lines_and_the_result_after_them(capsys: pytest.CaptureFixture[str]) -> None:
    app = App()
    app.options.output = "json"
    with app.watch():
        app.events.emit(State.STARTED, step="a", message="with\nlines")
    app.show({"done": True}, "")
    first, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert list(first) == ["time", "run", "step", "host", "phase", "plugin", "state", "title", "message", "data"]
    assert first["state"] == "started"
    assert last == {"apiVersion": "sealer.io/cli/v1", "done": True}


def test_a_warning_that_no_view_shows_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    app = App()
    app.events.warn("odd", host="10.0.0.2")
    with app.watch():
        app.events.warn("shown by the view")
    captured = capsys.readouterr()
    assert captured.err == "sealer: warning: 10.0.0.2: odd\n"
    assert "shown by the view" in captured.out


def test_recording_is_private_complete_and_redacted(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r1" / "events.jsonl"
    stream = EventStream("r1")
    secret = Secret("geheimnis-4")
    with Recording(path) as record:
        stream.subscribe(record)
        stream.emit(State.OUTPUT, step="a", message=f"login {secret.reveal()}")
        stream.emit(State.DONE, step="a")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["state"] for line in lines] == ["output", "done"]
    assert lines[0]["message"] == "login ******"
    with Recording(path) as record:
        record(Event(State.INFO))
    assert len(path.read_text().splitlines()) == 3


def test_live_view_under_fire_from_many_threads() -> None:
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, height=15, color_system=None)
    stream = EventStream()

    def work(number: int) -> None:
        for count in range(30):
            stream.emit(State.OUTPUT, step="a", title="Do it", host=f"h{number}", message=f"line {count}")
        state = State.FAILED if number == 7 else State.DONE
        stream.emit(state, step="a", host=f"h{number}", message="it broke" if number == 7 else "")

    with LiveView(console=console) as view:
        stream.subscribe(view)
        stream.emit(State.STARTED, step="a", title="Do it", phase="PreInit")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with view.paused():
            stream.warn("asked in between")
        stream.emit(State.FAILED, step="a", title="Do it", phase="PreInit")
    shown = screen.getvalue()
    assert "h7: Do it: it broke" in shown
    assert "! asked in between" in shown
    assert "PreInit  Do it  failed on 1 of 40 hosts" in shown
    assert "\x1b[?25h" in shown[shown.rindex("\x1b[?25l") :]  # the cursor is back
