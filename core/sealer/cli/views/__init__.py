"""How events are shown: live on a terminal, as plain lines in a pipe, as JSON lines for a program."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from sealer.events import Event

if TYPE_CHECKING:
    from sealer.cli.app import App


class View(Protocol):
    """What shows events: entered before the first, left after the last."""

    def __call__(self, event: Event) -> None:
        """Show `event`, if it is worth it."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to someone else, as to a question."""


def choose_view(app: App) -> AbstractContextManager[View]:
    """The view that suits who is looking."""
    if app.output == "json":
        from sealer.cli.views.jsonlines import JsonLinesView  # noqa: PLC0415

        return JsonLinesView()
    if not app.options.quiet and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from sealer.cli.views.live import LiveView  # noqa: PLC0415

        return LiveView(app.options.color)
    from sealer.cli.views.plain import PlainView  # noqa: PLC0415

    return PlainView(quiet=app.options.quiet)
