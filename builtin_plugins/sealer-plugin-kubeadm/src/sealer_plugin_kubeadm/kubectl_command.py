"""`sealer kubectl`: the cluster's own kubectl, on a master that answers."""

from __future__ import annotations

import codecs
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from sealer.cli import cluster_options as options
from sealer.cli.app import App, pass_app
from sealer.cli.examples import epilog
from sealer.cli.typed import as_text

if TYPE_CHECKING:
    from sealer.cluster.cancellation import Cancellation
    from sealer.cluster.lifecycle import Lifecycle
    from sealer.extension import Connection
    from sealer.hosts import Host

EXAMPLES = (
    "sealer kubectl get nodes",
    "sealer kubectl -- get pods --all-namespaces",
    "sealer kubectl --name prod -- apply -f - < app.yaml",
)
_BLOCK = 1 << 16
_PATIENCE = 10.0  # seconds that a master may take to say that it answers
_READS = frozenset({"-", "-i", "-it", "-ti", "--stdin", "--stdin=true"})


@click.command("kubectl", epilog=epilog(EXAMPLES))
@click.argument("words", nargs=-1, required=True, metavar="ARGUMENTS...", callback=as_text, type=click.UNPROCESSED)
@options.name_option
@options.login_options
@pass_app
def command(app: App, /, words: tuple[str, ...], name: str, **login: Any) -> None:
    """Run kubectl on a master of a cluster, as its administrator.

    Write -- before options of kubectl: sealer kubectl -- get pods --all-namespaces. kubectl runs on the master: pass a
    file of this machine on standard input, as in sealer kubectl -- apply -f - < app.yaml. The exit status is that of
    kubectl.
    """
    from sealer.cli.interrupts import interrupts  # noqa: PLC0415  # 100 ms that `--help` need not wait for
    from sealer.cli.requests import chosen_cluster, existing, picked_hosts  # noqa: PLC0415
    from sealer.cluster.cancellation import Cancellation  # noqa: PLC0415

    cancellation = Cancellation()
    lifecycle = existing(app, cancellation)
    cluster = chosen_cluster(lifecycle, name)
    _refuse_without_kubernetes(lifecycle, cluster)
    login_given = options.ssh(app, options.login(login))
    masters = picked_hosts(lifecycle.recorded(cluster), "master", "", login_given)
    with interrupts(cancellation.request, app.events):
        status = _on_one(lifecycle, cluster, masters, words, cancellation)
    raise SystemExit(status)


def _refuse_without_kubernetes(lifecycle: Lifecycle, cluster: str) -> None:
    """See that the cluster has an API for kubectl.

    :raises InputError: its runtime keeps no nodes.
    """
    from sealer.errors import InputError, PluginError  # noqa: PLC0415
    from sealer.extension.loading import driver_class  # noqa: PLC0415
    from sealer_plugin_kubeadm.external.looking import RUNTIME  # noqa: PLC0415

    runtime = lifecycle.recorded(cluster).runtime
    if runtime == RUNTIME:  # it keeps no nodes, and they are there
        return
    try:
        found = driver_class("runtime", runtime, lifecycle.settings) if runtime else None
    except (InputError, PluginError):  # a runtime that is not installed any more: kubectl may be there all the same
        return
    if found is not None and not getattr(found, "keeps_nodes", True):
        raise InputError(
            f"the cluster '{cluster}' has no Kubernetes",
            why=f"its runtime is {runtime}",
            remedy=f"`sealer exec --name {cluster} -- COMMAND` runs a command on its hosts",
        )


def _on_one(
    lifecycle: Lifecycle, cluster: str, masters: Sequence[Host], words: Sequence[str], cancellation: Cancellation
) -> int:
    """Run it on the first master whose API server answers; on the last one even if that does not."""
    from sealer.errors import ConnectionLostError, HostError  # noqa: PLC0415
    from sealer_plugin_kubeadm.external.looking import RUNTIME  # noqa: PLC0415
    from sealer_plugin_kubeadm.external.runtime import kubectl_words  # noqa: PLC0415
    from sealer_plugin_kubeadm.places import ADMIN, program  # noqa: PLC0415

    recorded = lifecycle.recorded(cluster).clusterfile.cluster
    assert recorded is not None  # it has hosts
    from sealer.extension import HostPaths  # noqa: PLC0415

    paths = HostPaths(recorded.data_root, cluster)
    kubectl = f"KUBECONFIG={ADMIN} {shlex.quote(program(paths, 'kubectl'))}"
    if recorded.runtime.name == RUNTIME:
        kubectl = kubectl_words(paths)
    for master in masters:
        last = master is masters[-1]
        try:
            with lifecycle.connected(cluster, master) as connection:
                if last or _answers(connection, kubectl):
                    return _run(connection, f"{kubectl} {shlex.join(words)}", words, cancellation)
        except ConnectionLostError:
            raise
        except HostError:
            if last:
                raise
    raise AssertionError("a cluster has a master")


def _answers(connection: Connection, kubectl: str) -> bool:
    from sealer.errors import StepTimeoutError  # noqa: PLC0415

    try:
        return connection.execute(f"{kubectl} --request-timeout=5s get --raw /readyz", timeout=_PATIENCE).status == 0
    except StepTimeoutError:
        return False


def _run(connection: Connection, line: str, words: Sequence[str], cancellation: Cancellation) -> int:
    stdin = _blocks(sys.stdin.buffer) if _reads(words) and not sys.stdin.isatty() else None
    ended = connection.execute(
        line,
        stdin=stdin,
        stdout=_writer(sys.stdout),
        stderr=_writer(sys.stderr),
        cancelled=cancellation.stop,
    )
    return ended.status


def _reads(words: Sequence[str]) -> bool:
    """Whether kubectl would read from standard input: what it does not read stays for whoever reads next."""
    return any(word in _READS or word.endswith("=-") for word in words)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)  # as it comes, not when a block is full
    while block := read(_BLOCK):
        yield block


def _writer(stream: TextIO) -> Callable[[bytes], None]:
    """Passes on what kubectl prints as it comes: byte by byte, or to a terminal as text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(block: bytes) -> None:
        if stream.isatty():  # containers print what they like
            stream.write(decoder.decode(block))
        else:
            stream.buffer.write(block)
        stream.flush()

    return write
