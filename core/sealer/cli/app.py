"""What every command gets: how to read its settings, and how to talk to the one who called it."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec, TextIO, TypeVar

import click

from sealer.cli.terminal import style
from sealer.cli.version import API_VERSION
from sealer.errors import RefusedError
from sealer.events import Event, EventStream, Json, State
from sealer.settings import EVERY_PLUGIN, Settings

if TYPE_CHECKING:
    from sealer.cli.views import View
    from sealer.cluster.host_names import HostNames
    from sealer.extension.manager import PluginManager
    from sealer.redaction import Secret

P = ParamSpec("P")
R = TypeVar("R")
Output = Literal["text", "json"]


@dataclasses.dataclass
class Options:
    """The global options; each may stand before or after the command's name."""

    output: Output = "text"
    debug: bool = False
    quiet: bool = False
    no_plugins: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    log_format: Literal["auto", "text", "json"] = "auto"
    format: str = ""  # of commands that list something


class App:
    """One call of the command line.

    :ivar options: the global options, complete when a command's body runs.
    :ivar events: what happens; warnings go to stderr unless a view shows them.
    :ivar rows: the field of the result that `--format` is applied to.
    """

    def __init__(self) -> None:
        self.options = Options()
        self.events = EventStream()
        self.rows = ""
        self._view: View | None = None
        self._asking = threading.Lock()  # one question at a time
        self._showing = threading.Lock()
        self._unseen: list[Event] | None = None  # what came while a question is on the terminal
        self.events.subscribe(self._warn)

    @property
    def output(self) -> Output:
        """`text` for a person, `json` for a program."""
        return self.options.output

    @property
    def settings(self) -> Settings:
        """The environment, and what the options given so far make of it.

        :raises InputError: a `SEALER_*` variable is wrong.
        """
        settings = self._environment
        if not self.options.no_plugins:
            return settings
        return dataclasses.replace(settings, disabled_plugins=frozenset({EVERY_PLUGIN}), disabled_by="--no-plugins")

    @cached_property
    def _environment(self) -> Settings:
        return Settings.from_environment()

    @cached_property
    def plugins(self) -> PluginManager:
        """The installed plugins; the first use loads them."""
        from sealer.extension.manager import PluginManager  # noqa: PLC0415  # loading them costs 100 ms

        return PluginManager.load(self.settings, self.events)

    @cached_property
    def host_names(self) -> HostNames:
        """The addresses of hosts that are named; each name is asked for once."""
        from sealer.cluster.host_names import HostNames  # noqa: PLC0415  # `--help` does without

        return HostNames.of(self.settings, self.events)

    def resolve_secret(self, reference: str) -> Secret | None:
        """The secret that a reference stands for; None: no plugin knows it. The first one loads the plugins."""
        return self.plugins.resolve_secret(reference)

    def show(self, value: Mapping[str, Json], text: str | Callable[[], str]) -> None:
        """Print the result: `text` for a person, `value` as one line of JSON for a program.

        :param value: without `apiVersion`, which is added.
        """
        if self.output == "json":
            import json  # noqa: PLC0415

            click.echo(json.dumps({"apiVersion": API_VERSION, **value}))
            return
        if self.options.format not in ("", "table"):
            from sealer.cli.formats import formatted  # noqa: PLC0415

            shown = formatted({"apiVersion": API_VERSION, **value}, self.options.format, self.rows)
        else:
            shown = text if isinstance(text, str) else text()
        if shown:
            click.echo(shown, color=True)  # whether there are colours is for the stream to know

    def tell(self, text: str) -> None:
        """Print something for a person to stderr."""
        with suppress(OSError):  # nobody reads it, or its disk is full: the exit status tells all the same
            click.echo(text, err=True, color=True)

    def confirm(self, question: str, stop: threading.Event) -> bool:
        """Ask a yes-or-no question; no is the default.

        :raises RefusedError: there is nobody to ask.
        :raises InterruptedRunError: `stop` was set.
        """
        if not sys.stdin.isatty() or self.output == "json":
            raise RefusedError(question, why="no terminal to confirm on", remedy="add --yes")
        return self.choose(f"{question} [y/N]", ("no", "yes"), stop) == "yes"

    def choose(self, question: str, answers: Sequence[str], stop: threading.Event) -> str:
        """Ask on the terminal, from any thread; what happens meanwhile is shown after the answer.

        :param answers: the first is what an empty line means.
        :raises InterruptedRunError: `stop` was set.
        """
        from sealer.cli.questions import choose  # noqa: PLC0415

        with self._asking, self._terminal_for_us():
            return choose(question, answers, stop)

    @contextmanager
    def watch(self, *, plugins: bool = True) -> Iterator[None]:
        """Show every event while the body runs, live, as plain lines or as JSON lines; tell the plugins too.

        :param plugins: False where nothing else needs them: to load them takes as long as a push with little to send.
        """
        from sealer.cli.views import choose_view  # noqa: PLC0415

        with ExitStack() as stack:
            if plugins:
                stack.callback(self.events.subscribe(self.plugins.event))
            view = stack.enter_context(choose_view(self))

            stack.callback(self.events.subscribe(self._show))
            stack.callback(setattr, self, "_view", None)
            self._view = view
            yield

    def prepare(self) -> None:
        """Make ready for a command's body, when all options are known."""
        from sealer.cli import logs  # noqa: PLC0415  # `sealer --help` does without

        logs.configure(self.options.log_format, self.options.debug)
        if self.options.format:
            from sealer.cli.formats import check_format  # noqa: PLC0415

            check_format(self)

    def _show(self, event: Event) -> None:
        with self._showing:
            if self._unseen is None:
                self._view_event(event)
            else:
                self._unseen.append(event)

    def _view_event(self, event: Event) -> None:
        try:
            if self._view:
                self._view(event)
        except BrokenPipeError:  # `| head` has seen enough; that must not end a run in the middle
            abandon(sys.stdout)
        except OSError as error:  # nor must a full disk below the log that stdout goes to
            abandon(sys.stdout)
            self.tell(f"sealer: warning: what happens is no longer printed: {error.strerror or error}")

    @contextmanager
    def _terminal_for_us(self) -> Iterator[None]:
        with self._showing:
            self._unseen = []
        try:
            with self._view.paused() if self._view else nullcontext():
                yield
        finally:
            with self._showing:
                for event in self._unseen:
                    self._view_event(event)
                self._unseen = None

    def _warn(self, event: Event) -> None:
        if event.state is State.WARNING and self._view is None:
            where = f"{event.host}: " if event.host else ""
            self.tell(style("sealer: warning:", "yellow") + f" {where}{event.message}")


def abandon(stream: TextIO) -> None:
    """Whoever read our output has left: let all further output, and what is still buffered, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def pass_app(function: Callable[Concatenate[App, P], R]) -> Callable[P, R]:
    """Call a command's body with the :class:`App` as its first argument."""

    @wraps(function)
    def with_app(*args: P.args, **kwargs: P.kwargs) -> R:
        app = click.get_current_context().ensure_object(App)
        app.prepare()
        return function(app, *args, **kwargs)

    return with_app
