"""`sealer exec`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, abandon, pass_app
from sealer.cli.terminal import unguarded
from sealer.cli.typed import as_text, filled

if TYPE_CHECKING:
    from sealer.cluster.ad_hoc import Answer
    from sealer.cluster.cancellation import Cancellation
    from sealer.hosts import Host


@click.command("exec")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", callback=as_text)
@options.name_option
@click.option(
    "-r",
    "--roles",
    multiple=True,
    metavar="ROLES",
    callback=filled,
    help="Only hosts with one of these roles: master,node.",
)
@click.option("--hosts", multiple=True, metavar="HOSTS", callback=filled, help="Only these: a,b,c-d.")
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Hosts worked on at once; default 32.")
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

    One word is a line for the shell: sealer exec 'df -h | grep /var'. Several are a program and its arguments, whose
    options stand behind --: sealer exec --roles master -- systemctl status --no-pager etcd.

    A host that is another machine than recorded, or belongs to another cluster by now, is refused: nothing runs there.
    """
    from sealer.cli.interrupts import interrupts  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import chosen_cluster, existing, picked_hosts  # noqa: PLC0415
    from sealer.cluster.cancellation import Cancellation  # noqa: PLC0415

    cancellation = Cancellation()
    lifecycle = existing(app, cancellation, parallel)
    cluster = chosen_cluster(lifecycle, name)
    chosen = picked_hosts(
        lifecycle.recorded(cluster),
        options.joined(roles),
        options.joined(hosts),
        options.ssh(app, options.login(login)),
    )
    line = words[0] if len(words) == 1 else shlex.join(words)
    heard = _Heard(app, len(chosen), cancellation)
    with interrupts(cancellation.request, app.events), heard.whoever_reads():
        answers = lifecycle.execute(cluster, line, chosen, heard)
    _finish(app, cluster, line, answers, heard.lines)


class _Heard:
    """What hosts print: shown at once to a person, kept for a program.

    :ivar lines: for a program, by host and stream.
    """

    def __init__(self, app: App, hosts: int, cancellation: Cancellation) -> None:
        self.lines: dict[tuple[str, str], list[str]] = {}
        self._app = app
        self._several = hosts > 1
        self._cancellation = cancellation
        self._unread: OSError | None = None

    def __call__(self, host: Host, stream: Literal["stdout", "stderr"], line: str) -> None:
        """Take a line."""
        if self._app.output == "json":
            self.lines.setdefault((host.id, stream), []).append(line)
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
    app: App, cluster: str, line: str, answers: tuple[Answer, ...], heard: dict[tuple[str, str], list[str]]
) -> None:
    from sealer.cluster.ad_hoc import TITLE  # noqa: PLC0415
    from sealer.errors import OperationFailedError, StepFailure  # noqa: PLC0415

    failed = [answer for answer in answers if answer.error]
    app.show(
        {
            "cluster": cluster,
            "command": line,
            "hosts": [
                {
                    "host": answer.host.id,
                    "status": answer.status,
                    "stdout": list(heard.get((answer.host.id, "stdout"), [])),
                    "stderr": list(heard.get((answer.host.id, "stderr"), [])),
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
