"""Draws a :class:`Board` for a terminal of a given size: never wider, never higher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sealer.cli.views.board import Board, HostRow, StepRow
from sealer.cli.views.words import duration, size
from sealer.events import State

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Symbols:
    """The marks a terminal can show."""

    done: str = "✓"
    failed: str = "✗"
    skipped: str = "·"
    warning: str = "!"
    frames: str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    cut: Literal["ellipsis", "crop"] = "ellipsis"

    def spinner(self, now: float) -> str:
        """What turns, at the moment `now`."""
        return self.frames[int(now * 8) % len(self.frames)]


ASCII = Symbols(done="+", failed="x", skipped="-", frames="|/-\\", cut="crop")


def draw(board: Board, width: int, height: int, now: float, symbols: Symbols) -> list[Text]:
    """The lines of the live region.

    :param width, height: of the terminal, in cells.
    :param now: seconds since the epoch.
    """
    room = max(2, height - 2)
    lines = [_head(board, now)]
    steps = board.running
    shown = steps[: max(1, (room - 1) // 2)]
    rows = {step.id: _rows(step) for step in shown}
    budget = _share(room - 1 - len(shown) - (len(shown) < len(steps)), {key: len(value) for key, value in rows.items()})
    for step in shown:
        lines.append(_step_line(step, now, symbols))
        lines += _host_lines(step, rows[step.id], budget[step.id], now, symbols)
    if len(shown) < len(steps):
        lines.append(_text(f"  and {len(steps) - len(shown)} more steps", "dim"))
    for line in lines:
        line.no_wrap = True
        line.truncate(max(1, width - 1), overflow=symbols.cut)
    return lines[:room]


def _text(content: str, style: str = "") -> Text:
    from rich.text import Text  # 50 ms that only a terminal pays

    return Text(content, style="", end="\n") if not style else Text.assemble((content, style))


def _head(board: Board, now: float) -> Text:
    phases = list(dict.fromkeys(step.phase for step in board.running if step.phase))
    line = _text(" + ".join(phases) or "sealer", "bold")
    count = f"{board.finished} of {len(board.steps)}" if board.announced else f"{board.finished}"
    line.append(f"  {count} {'step' if count == '1' else 'steps'} done", "dim")
    line.append(f"  {duration(max(0.0, now - board.started))}" if board.started else "", "dim")
    return line


def _step_line(step: StepRow, now: float, symbols: Symbols) -> Text:
    line = _text(f"{symbols.spinner(now)} ", "cyan")
    line.append(step.title)
    if step.total > 1:
        line.append(f"  {step.count(State.DONE, State.SKIPPED)}/{step.total} hosts")
        if failed := step.count(State.FAILED):
            line.append(f"  {failed} failed", "bold red")
    line.append(f"  {duration(max(0.0, now - step.started))}", "dim")
    line.append(_together(step), "dim")
    return line


def _together(step: StepRow) -> str:
    """Progress over all hosts, where more than one reports any."""
    rows = [row for row in step.hosts.values() if row.done >= 0 and row.unit == "bytes"]
    if len(rows) < 2:
        return ""
    rate = sum(row.rate for row in rows if row.running)
    total = sum(row.total for row in rows) if all(row.total > 0 for row in rows) else 0
    whole = f" of {size(total)}" if total and len(rows) == step.total else ""
    return f"  {size(sum(row.done for row in rows))}{whole}" + (f"  {size(rate)}/s" if rate else "")


def _rows(step: StepRow) -> list[HostRow]:
    """What is worth a line: the step's own progress, then its hosts: failed ones, those in trouble, then those at work,
    the longest at work first."""
    own = [*([step.own] if step.own else []), *step.parts.values()]
    rows = [row for row in step.hosts.values() if row.running or row.state is State.FAILED]
    return own + sorted(rows, key=lambda row: (row.state is not State.FAILED, row.state is State.STARTED, row.started))


def _share(room: int, wanted: dict[str, int]) -> dict[str, int]:
    """Split `room` lines: everyone gets an equal share, and what one does not want goes to the next."""
    given: dict[str, int] = {}
    left = max(0, room)
    for index, (key, want) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        given[key] = min(want, left // (len(wanted) - index))
        left -= given[key]
    return given


def _host_lines(step: StepRow, rows: list[HostRow], budget: int, now: float, symbols: Symbols) -> list[Text]:
    if not rows or budget < 1:
        return []
    shown = rows if len(rows) <= budget else rows[: budget - 1]
    column = max((len(row.host) for row in shown), default=0)
    lines = [_host_line(row, column, now, symbols) for row in shown]
    if len(shown) < len(rows):
        what = "hosts" if step.hosts else "blobs"
        lines.append(_text(f"    and {len(rows) - len(shown)} more {what}", "dim"))
    return lines


def _host_line(row: HostRow, column: int, now: float, symbols: Symbols) -> Text:
    if not row.host:
        return _text(f"    {'  '.join(filter(None, [_amount(row).strip(), row.line]))}", "dim")
    failed = row.state is State.FAILED
    line = _text(f"  {symbols.failed if failed else symbols.spinner(now)} ", "bold red" if failed else "cyan")
    line.append(f"{row.host:<{column}}", "red" if failed else "")
    if not failed:
        line.append(f"  {duration(max(0.0, now - row.started)):>6}", "dim")
    if row.state in (State.RETRYING, State.ATTACHED):
        line.append(f"  {row.state}", "yellow")
    line.append(_amount(row))
    line.append(f"  {row.line}" if row.line else "", "" if failed else "dim")
    return line


def _amount(row: HostRow) -> str:
    if row.done < 0 or row.state is State.FAILED:
        return ""
    if row.unit != "bytes":
        return f"  {row.done:.0f}" + (f"/{row.total:.0f}" if row.total > 0 else "") + f" {row.unit}"
    whole = f" of {size(row.total)} {row.done / row.total:4.0%}" if row.total > 0 else ""
    return f"  {size(row.done)}{whole}" + (f"  {size(row.rate)}/s" if row.rate else "")
