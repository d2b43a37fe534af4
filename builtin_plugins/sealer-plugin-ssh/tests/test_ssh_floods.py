"""A host that prints without end costs this machine a bounded amount of memory, and nonsense ends in an error."""

import hashlib
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.cluster.cancellation import Cancellation
from sealer.cluster.connections import Connections
from sealer.cluster.context import HostContext, RunningStep
from sealer.cluster.facts import Facts
from sealer.cluster.plan import PlannedStep
from sealer.cluster.receipts import Receipt
from sealer.errors import CommandError, CommandRefusedError, HostError
from sealer.events import EventStream
from sealer.extension import ALL, Effect, Step
from sealer.image.model import Layer
from sealer.settings import Settings
from sealer.testing import make_operation
from sealer.testing.sshd import LoopbackSshd
from sealer_plugin_ssh.transport import SshTransport

Contexts = Callable[..., HostContext]
ORDINARY = 'eval "$SSH_ORIGINAL_COMMAND"'
FLOOD = 400 << 20  # bytes
ROOM = 120 << 20  # bytes that a process may grow by: what a query may print at most, and then some


@pytest.fixture
def context(start_sshd: Callable[..., LoopbackSshd], tmp_path: Path) -> Contexts:
    """A step on a host that does something else with commands that have a word in them."""

    def make(word: str, instead: str) -> HostContext:
        script = tmp_path / "shell"
        script.write_text(
            f'case $SSH_ORIGINAL_COMMAND in *{word}*) {instead} ;; *) eval "$SSH_ORIGINAL_COMMAND" ;; esac'
        )
        host = start_sshd(f"ForceCommand /bin/sh {script}").host
        transport = SshTransport(Settings(home=tmp_path / "home"), EventStream(), {})
        step = Step("flood", "Flood", ALL, lambda context: None, effect=Effect.QUERY)
        running = RunningStep(
            PlannedStep("flood", "PreInit", "test", step), make_operation(hosts=[host]), Facts(),
            Connections(lambda host: transport), EventStream(), Cancellation(), lambda host: {},
        )  # fmt: skip
        return HostContext(running, host, "attempt")

    return make


@pytest.fixture
def growth() -> Callable[[], int]:
    """Bytes by which the most memory of this process has grown."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return lambda: (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    path = tmp_path / "blob"
    path.write_bytes(b"layer" * 1000)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return Layer(digest, path.stat().st_size, digest, path)


def test_stderr_instead_of_taking_a_layer(
    context: Contexts, layer: Layer, growth: Callable[[], int], tmp_path: Path
) -> None:
    with pytest.raises(CommandRefusedError) as caught:
        context("mv", f"head -c {FLOOD} /dev/zero >&2; exit 1").send(layer, str(tmp_path / "host/blob"))
    assert growth() < ROOM
    assert len("".join(caught.value.output)) < 1 << 20


def test_stderr_while_a_layer_is_sent(
    context: Contexts, layer: Layer, growth: Callable[[], int], tmp_path: Path
) -> None:
    program = tmp_path / "bin/sha256sum"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nhead -c {FLOOD} /dev/zero >&2; echo the end >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(CommandError) as caught:
        context("mv", f"PATH={program.parent}:$PATH; {ORDINARY}").send(layer, str(tmp_path / "host/blob"))
    assert growth() < ROOM
    assert "".join(caught.value.output).endswith("the end")


def test_stdout_and_stderr_of_a_query(context: Contexts, growth: Callable[[], int]) -> None:
    there = context("never-there", "exit")
    assert there.query(f"head -c {FLOOD} /dev/zero >&2; echo end >&2; echo out").stdout == "out\n"
    assert growth() < ROOM
    with pytest.raises(HostError, match="printed more than 64 MiB"):
        there.query("cat /dev/zero")


def test_a_start_up_file_without_end(
    context: Contexts, growth: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealer_plugin_ssh.connection.START_TIMEOUT", 3.0)
    with pytest.raises(CommandRefusedError):
        context("exec", "yes & yes >&2").query("true")
    assert growth() < ROOM


@pytest.mark.parametrize("size", ["-5", "abc", "", "²", "9" * 5000, "1 2"])
def test_a_size_that_is_no_number(size: str, context: Contexts, layer: Layer, tmp_path: Path) -> None:
    program = tmp_path / "bin/stat"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{size}'\n")
    program.chmod(0o755)
    lying = context("never-there", "exit")
    lying.step.environment_of = lambda host: {"PATH": f"{program.parent}:/usr/bin:/bin"}
    with pytest.raises(HostError, match="is no number"):
        lying.send(layer, str(tmp_path / "host/blob"))


def test_a_receipt_that_is_none() -> None:
    for line in (b"sealer done 0 x 0\n", b"sealer done -1 0 0\n", b"sealer done 0 0 \xff\n", b"sealer done 0 0\n", b""):
        assert Receipt.parse(line) is None
