from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.cli.views.board import Board
from sealer.cli.views.drawing import ASCII, Symbols, draw
from sealer.cli.views.lasting import OUTPUT_LINES, Lasting, finished
from sealer.events import Event, Json, State


def event(state: State, step: str, host: str = "", time: float = 100.0, **more: object) -> Event:
    return Event(state, step=step, title=f"Do {step}", host=host, phase="PreInit", time=time, **more)  # type: ignore[arg-type]


def board_of(*events: Event) -> Board:
    board = Board()
    for one in events:
        board.apply(one)
    return board


def drawn(board: Board, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain for line in draw(board, width, height, 110.0, ASCII)]


def test_a_running_step_and_its_hosts() -> None:
    board = board_of(
        event(State.STARTED, "a"),
        event(State.STARTED, "a", "10.0.0.2"),
        event(State.STARTED, "a", "10.0.0.13"),
        event(State.STARTED, "a", "10.0.0.4"),
        event(State.OUTPUT, "a", "10.0.0.2", message="unpacking"),
        event(State.DONE, "a", "10.0.0.4"),
        event(State.FAILED, "a", "10.0.0.13", message="10.0.0.13: no space left"),
    )
    assert drawn(board) == [
        "PreInit  0 steps done  10s",
        "| Do a  1/3 hosts  1 failed  10s",
        "  x 10.0.0.13  no space left",
        "  | 10.0.0.2      10s  unpacking",
    ]


def test_progress_has_amount_share_and_rate() -> None:
    board = board_of(
        event(State.STARTED, "a", "h"),
        event(State.PROGRESS, "a", "h", 100.0, data={"done": 0, "total": 500_000_000}),
        event(State.PROGRESS, "a", "h", 102.0, data={"done": 100_000_000, "total": 500_000_000}),
    )
    assert drawn(board)[2] == "  | h     10s  100 MB of 500 MB  20%  50.0 MB/s"


def build_event(state: State, time: float, message: str = "", **data: Json) -> Event:
    numbers: dict[str, Json] = {} if state is State.PROGRESS else {"number": 2, "total": 3}
    return Event(state, "", "build/2", "[2/3] COPY a b", message=message, time=time, data={**numbers, **data})


def test_a_step_of_a_build_has_its_own_progress() -> None:
    board = board_of(
        build_event(State.STARTED, 100.0),
        build_event(State.PROGRESS, 101.0, done=0, total=200_000_000),
        build_event(State.PROGRESS, 102.0, done=100_000_000, total=200_000_000),
    )
    assert drawn(board)[1:] == ["| [2/3] COPY a b  10s", "    100 MB of 200 MB  50%  100 MB/s"]
    board.apply(build_event(State.OUTPUT, 102.0, message="unpacking"))
    assert drawn(board)[2] == "    100 MB of 200 MB  50%  100 MB/s  unpacking"


def transfer(state: State, time: float, message: str = "", **data: Json) -> Event:
    return Event(state, "", "fetch", "Fetch 2 container images", message=message, time=time, data=data)


def test_a_transfer_has_its_sum_and_what_moves() -> None:
    web = {"part": "sha256:" + "a" * 64, "of": "registry.example.com/team/web:v1"}
    files = {"part": "sha256:" + "b" * 64, "of": "rootfs linux/amd64"}
    board = board_of(
        transfer(State.STARTED, 100.0),
        transfer(State.PROGRESS, 101.0, done=0, total=300_000_000),
        transfer(State.PROGRESS, 101.0, **web, done=0, total=100_000_000),
        transfer(State.PROGRESS, 102.0, **web, done=50_000_000, total=100_000_000),
        transfer(State.PROGRESS, 102.0, **files, done=10_000_000, total=200_000_000),
        transfer(State.PROGRESS, 102.0, done=60_000_000, total=300_000_000),
    )
    assert drawn(board)[1:] == [
        "| Fetch 2 container images  10s",
        "    60.0 MB of 300 MB  20%  60.0 MB/s",
        "  | web:v1 aaaaaaaaaaaa                9.0s  50.0 MB of 100 MB  50%  50.0 MB/s",
        "  | rootfs linux/amd64 bbbbbbbbbbbb    8.0s  10.0 MB of 200 MB   5%",
    ]
    board.apply(transfer(State.PROGRESS, 103.0, **web, done=100_000_000, total=100_000_000))
    assert not [line for line in drawn(board) if "web" in line]
    board.apply(transfer(State.RETRYING, 103.0, "it answers 503; trying again"))
    assert drawn(board)[2] == "    60.0 MB of 300 MB  20%  60.0 MB/s  it answers 503; trying again"
    board.apply(transfer(State.PROGRESS, 104.0, done=70_000_000, total=300_000_000))
    assert drawn(board)[2].endswith("MB/s")
    for number in range(20):
        board.apply(transfer(State.PROGRESS, 104.0, part=f"sha256:{number:064}", done=1, total=9))
    assert drawn(board)[-1] == "    and 3 more blobs"


def test_what_stays_of_a_step_of_a_build() -> None:
    lasting, board = Lasting(ASCII), Board()

    def kept(*events: Event) -> list[str]:
        return [line.plain for one in events if (line := lasting.line(one, board.apply(one)))]

    done = build_event(State.DONE, 102.0, bytes=216_000_000, rate=108_000_000)
    assert kept(build_event(State.STARTED, 100.0), done) == ["+ [2/3] COPY a b  2.0s  216 MB  108 MB/s"]
    known = build_event(State.SKIPPED, 103.0, "CACHED", cached=True)
    assert kept(known) == ["- [2/3] COPY a b  CACHED"]


def test_progress_in_another_unit() -> None:
    board = board_of(event(State.PROGRESS, "a", "h", data={"done": 3, "total": 9, "unit": "images"}))
    assert drawn(board)[2].endswith("3/9 images")


def test_trouble_comes_first_and_ends_with_the_next_output() -> None:
    board = board_of(
        event(State.STARTED, "a", "h1"),
        event(State.STARTED, "a", "h2"),
        event(State.RETRYING, "a", "h2", message="connection lost"),
    )
    assert drawn(board)[2] == "  | h2     10s  retrying  connection lost"
    board.apply(event(State.OUTPUT, "a", "h2", message="back"))
    assert drawn(board)[3] == "  | h2     10s  back"


def test_the_number_of_steps_is_told_only_if_the_plan_was() -> None:
    board = board_of(event(State.PLANNED, "a"), event(State.PLANNED, "b"), event(State.DONE, "a"))
    assert drawn(board)[0] == "sealer  1 of 2 steps done  10s"


@pytest.mark.parametrize("height", [3, 5, 10, 24, 60])
@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_two_hundred_hosts_stay_within_the_screen(width: int, height: int) -> None:
    board = Board()
    for step in ("a", "b", "c"):
        for number in range(200):
            board.apply(event(State.STARTED, step, f"198.18.0.{number}"))
            board.apply(event(State.OUTPUT, step, f"198.18.0.{number}", message="long " * 50))
    lines = drawn(board, width, height)
    assert len(lines) <= max(2, height - 2)
    assert all(len(line) < width for line in lines)


def test_hosts_that_do_not_fit_are_counted() -> None:
    board = board_of(*(event(State.STARTED, "a", f"h{number}") for number in range(100)))
    lines = drawn(board, 80, 12)
    assert len(lines) == 10
    assert lines[-1] == "    and 93 more hosts"


def test_the_line_that_stays() -> None:
    board = board_of(
        event(State.STARTED, "a", time=100.0),
        event(State.DONE, "a", "h1"),
        event(State.DONE, "a", "h2"),
        event(State.DONE, "a", time=112.0),
    )
    assert finished(board.steps["a"], Symbols()).plain == "✓ PreInit  Do a  2 hosts  12s"
    board = board_of(event(State.STARTED, "a"), event(State.FAILED, "a", "h1"), event(State.FAILED, "a", time=101.0))
    assert finished(board.steps["a"], ASCII).plain == "x PreInit  Do a  failed  1.0s"
    board = board_of(event(State.SKIPPED, "a", message="done before"))
    assert finished(board.steps["a"], ASCII).plain == "- PreInit  Do a  skipped"
    assert finished(board.steps["a"], ASCII, "done before").plain == "- PreInit  Do a  done before"


def test_what_the_cmds_print_stays_but_not_without_end() -> None:
    lasting, board = Lasting(ASCII), Board()
    kept = []
    for number in range(200):
        said = Event(State.OUTPUT, step="Guest/kernel/cmd-0", host="h", phase="Guest", message=f"line {number}")
        kept.append(lasting.line(said, board.apply(said)))
    shown = [line.plain for line in kept if line]
    assert shown[0] == "  h | line 0"
    assert len(shown) == OUTPUT_LINES + 1


def test_the_runs_own_beginning_and_end_stay() -> None:
    lasting = Lasting(ASCII)
    begun = lasting.line(Event(State.STARTED, message="Creating cluster c on 3 hosts"), None)
    ended = lasting.line(Event(State.DONE, message="Cluster c created", data={"seconds": 63.2}), None)
    assert begun is not None
    assert ended is not None
    assert [begun.plain, ended.plain] == ["Creating cluster c on 3 hosts", "+ Cluster c created in 1m03s"]


EVENTS = st.builds(
    Event,
    state=st.sampled_from(State),
    step=st.sampled_from(["", "a", "b"]),
    host=st.sampled_from(["", "h1", "h2"]),
    message=st.text(max_size=30),
    time=st.floats(0, 1000),
    data=st.dictionaries(
        st.sampled_from(["done", "total", "unit", "hosts"]),
        st.one_of(st.none(), st.integers(-5, 10**12), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    ),
)


@given(st.lists(EVENTS, max_size=30), st.integers(1, 120), st.integers(1, 40))
def test_no_order_of_events_breaks_the_picture(events: list[Event], width: int, height: int) -> None:
    begun = time.process_time()
    board = board_of(*events)
    lines = draw(board, width, height, 500.0, ASCII)
    assert time.process_time() - begun < 1, "seconds of this process, however busy the machine is"
    for line in lines:
        assert "\n" not in line.plain
        assert line.cell_len <= max(1, width - 1)
