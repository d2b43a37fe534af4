"""A program: each event as one line of JSON on stdout."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext

import click

from sealer.events import Event


class JsonLinesView:
    """Prints :meth:`sealer.events.Event.as_json`."""

    def __enter__(self) -> JsonLinesView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def paused(self) -> AbstractContextManager[None]:
        """Nothing to leave: what is printed stays."""
        return nullcontext()

    def __call__(self, event: Event) -> None:
        """Print `event`."""
        click.echo(json.dumps(event.as_json()))
