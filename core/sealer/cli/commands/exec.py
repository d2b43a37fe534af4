"""`sealer exec`."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, abandon, pass_app
from sealer.cli.terminal import unguarded
from sealer.cli.typed import as_text

if TYPE_CHECKING:
    from sealer.cluster.ad_hoc import Answer
    from sealer.cluster.cancellation import Cancellation
    from sealer.hosts import Host

MOST_OF_STREAM = 16 << 20  # bytes of one stream of one host that are kept for JSON
MOST_OF_ALL = 64 << 20  # of all of them
LINE = 64  # bytes that a line takes in memory beside its characters
STREAMS = ("stdout", "stderr")


@click.command("exec")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", callback=as_text)
@options.name_option
@options.picking_options
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Hosts in parallel; default 32.")
@options.login_options
@pass_app
def command(  # noqa: PLR0917  # click passes them by name
    app: App,
    /,
    words: tuple[str, ...],
    name: str,
    roles: tuple[str, ...],
    hosts: tuple[str, ...],
    parallel: int | None,
    **login: Any,
) -> None:
    """Run a command on the hosts of a cluster, as root.

    A single argument is run by the shell: sealer exec 'df -h | grep /var'. Several arguments are a program and its
    arguments; write -- before them: sealer exec --roles master -- systemctl status --no-pager etcd.

    Nothing runs on a host that is not the machine that was recorded, or belongs to another cluster now.
    """
    from sealer.cli.clusterfiles import resolver  # noqa: PLC0415
    from sealer.cli.interrupts import interrupts  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import chosen_cluster, existing, picked_hosts  # noqa: PLC0415
    from sealer.cluster.cancellation import Cancellation  # noqa: PLC0415

    cancellation = Cancellation()
    lifecycle = existing(app, cancellation, parallel)
    cluster = chosen_cluster(lifecycle, name)
    ssh = options.ssh(app, options.login(login))
    chosen = picked_hosts(
        lifecycle.recorded(cluster),
        options.joined(roles),
        options.joined(hosts),
        ssh,
        resolver(app, ssh.config),
    )
    line = words[0] if len(words) == 1 else shlex.join(words)
    heard = _Heard(app, len(chosen), cancellation)
    with interrupts(cancellation.request, app.events), heard.whoever_reads():
        answers = lifecycle.execute(cluster, line, chosen, heard)
    _finish(app, cluster, line, answers, heard.kept)


class _Kept:
    """The last lines of a stream, and how many came before them.

    :param most: bytes of memory that they may take, about.
    """

    def __init__(self, most: int) -> None:
        self.lines: deque[str] = deque()
        self.omitted = 0
        self._left = most

    def add(self, line: str) -> None:
        """One more line."""
        self.lines.append(line)
        self._left -= len(line) + LINE
        while self._left < 0:
            self._left += len(self.lines.popleft()) + LINE
            self.omitted += 1


class _Heard:
    """What hosts print: shown at once to a person, kept for a program.

    :ivar kept: for a program, by host and stream.
    """

    def __init__(self, app: App, hosts: int, cancellation: Cancellation) -> None:
        self._most = min(MOST_OF_STREAM, MOST_OF_ALL // (2 * hosts))
        self.kept: defaultdict[tuple[str, str], _Kept] = defaultdict(lambda: _Kept(self._most))
        self._app = app
        self._several = hosts > 1
        self._cancellation = cancellation
        self._unread: OSError | None = None

    def __call__(self, host: Host, stream: Literal["stdout", "stderr"], line: str) -> None:
        """Take a line."""
        if self._app.output == "json":
            self.kept[host.id, stream].add(line)
        elif self._unread is None:
            try:
                place = unguarded(sys.stdout if stream == "stdout" else sys.stderr)
                click.echo(f"{host.id}  {line}" if self._several else line, file=place, color=True)
            except OSError as error:  # `| head` has seen enough, or a disk is full: the command need not go on
                self._unread = error
                abandon(sys.stdout if stream == "stdout" else sys.stderr)
                self._cancellation.request()

    @contextmanager
    def whoever_reads(self) -> Iterator[None]:
        """See to it that the command ends as one whose reader has left, when that is why it was stopped.

        :raises OSError: the output could not be written.
        """
        from sealer.errors import InterruptedRunError  # noqa: PLC0415

        try:
            yield
        except InterruptedRunError:
            if self._unread is None:
                raise
        if self._unread is not None:
            raise self._unread


def _finish(
    app: App, cluster: str, line: str, answers: tuple[Answer, ...], heard: defaultdict[tuple[str, str], _Kept]
) -> None:
    from sealer.cluster.ad_hoc import TITLE  # noqa: PLC0415
    from sealer.errors import OperationFailedError, StepFailure  # noqa: PLC0415

    failed = [answer for answer in answers if answer.error]
    for (host, stream), kept in heard.items():
        if kept.omitted:
            app.events.warn(
                f"{host}: the first {kept.omitted} lines of {stream} are left out, JSON has only the last; write the "
                "output to a file on the host, or run the command without --output json, which shows all of it"
            )
    app.show(
        {
            "cluster": cluster,
            "command": line,
            "hosts": [
                {
                    "host": answer.host.id,
                    "status": answer.status,
                    **{stream: list(heard[answer.host.id, stream].lines) for stream in STREAMS},
                    "omitted": {stream: heard[answer.host.id, stream].omitted for stream in STREAMS},
                }
                for answer in answers
            ],
        },
        "",
    )
    if failed:
        raise OperationFailedError(
            f"the command failed on {len(failed)} of {len(answers)} hosts",
            failures=[StepFailure("exec", TITLE, answer.host.id, answer.error) for answer in failed if answer.error],
        )
