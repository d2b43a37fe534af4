"""The lines that stay on a terminal: what has ended, what went wrong, what the image's commands print."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sealer.cli.views.board import StepRow
from sealer.cli.views.drawing import Symbols
from sealer.cli.views.words import about_host, duration, written
from sealer.events import Event, State

if TYPE_CHECKING:
    from rich.text import Text

GUEST = "Guest"  # the phase of the image's CMDs: what they print is what the user came for
OUTPUT_LINES = 50
_ENDS = frozenset({State.DONE, State.FAILED, State.SKIPPED, State.CANCELLED})
_STYLE = {State.DONE: "green", State.FAILED: "bold red", State.SKIPPED: "dim", State.CANCELLED: "yellow"}


class Lasting:
    """Tells which line stays of an event.

    Of what a step prints, the first 50 lines stay: a command that prints 100 MB must not flood the terminal.
    """

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._printed: Counter[str] = Counter()

    def line(self, event: Event, step: StepRow | None) -> Text | None:
        """The line that stays of `event`; None: there is none."""
        if event.state in (State.WARNING, State.INFO):
            return self._said(event)
        if step is None:
            return self._of_run(event)
        if event.state is State.OUTPUT:
            return self._output(event)
        if event.host:
            return self._host_failed(event, step) if event.state is State.FAILED else None
        if event.state not in _ENDS:
            return None
        line = finished(step, self._symbols, about_host(event))
        for word in written(event):
            line.append(f"  {word}", "dim")
        return line

    def _said(self, event: Event) -> Text:
        from rich.text import Text

        mark = (f"{self._symbols.warning} ", "bold yellow") if event.state is State.WARNING else ("  ", "")
        return Text.assemble(mark, _where(event), about_host(event))

    def _of_run(self, event: Event) -> Text | None:
        from rich.text import Text

        if event.state is State.STARTED:
            return Text(about_host(event), "bold")
        if event.state is not State.DONE:
            return None  # the error that follows says more
        seconds = event.data.get("seconds")
        took = f" in {duration(seconds)}" if isinstance(seconds, int | float) else ""
        return Text(f"{self._symbols.done} {about_host(event)}{took}", "bold green")

    def _output(self, event: Event) -> Text | None:
        from rich.text import Text

        if event.phase != GUEST:
            return None
        self._printed[event.step] += 1
        if self._printed[event.step] > OUTPUT_LINES + 1:
            return None
        shown = about_host(event) if self._printed[event.step] <= OUTPUT_LINES else "(more output is not shown here)"
        return Text.assemble((f"  {event.host} | ", "dim"), shown)

    def _host_failed(self, event: Event, step: StepRow) -> Text:
        from rich.text import Text

        said = f": {about_host(event)}" if event.message else ""
        return Text.assemble((f"{self._symbols.failed} ", "bold red"), f"{_where(event)}{step.title}{said}")


def finished(step: StepRow, symbols: Symbols, why: str = "") -> Text:
    """The line that stays when a step has ended.

    :param why: it was skipped or cancelled.
    """
    from rich.text import Text

    mark = {State.DONE: symbols.done, State.FAILED: symbols.failed}.get(step.state, symbols.skipped)
    line = Text.assemble((f"{mark} ", _STYLE.get(step.state, "")))
    line.append(f"{step.phase}  " if step.phase else "", "dim")
    line.append(step.title)
    failed = step.count(State.FAILED)
    if step.state is State.FAILED:
        line.append(f"  failed on {failed} of {step.total} hosts" if step.total > 1 else "  failed", "red")
    elif step.state is State.DONE:
        line.append(f"  {step.total} hosts" if step.total > 1 else "", "dim")
    else:
        line.append(f"  {why or step.state}", "dim")
    if step.started and step.ended and step.state is not State.SKIPPED:
        line.append(f"  {duration(step.ended - step.started)}", "dim")
    return line


def _where(event: Event) -> str:
    return f"{event.host}: " if event.host else ""
