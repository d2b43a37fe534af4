"""Which master is asked, and what passes between it and the user; on real clusters in tests/kubernetes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from sealer.cluster.cancellation import Cancellation
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.errors import HostUnreachableError, StepTimeoutError
from sealer.extension import Exit
from sealer.hosts import Host
from sealer.testing import make_host
from sealer_plugin_kubeadm import kubectl_command

MASTERS = [make_host(number, "master") for number in (1, 2, 3)]


class Masters:
    """Doubles clusters whose masters are down in their several ways, which a real one is only at the cost of minutes.

    :param states: of each master: `up`, `off`, `hangs`, or `no api`.
    """

    def __init__(self, *states: str) -> None:
        self.states = dict(zip((host.address for host in MASTERS), states, strict=True))
        self.ran: list[tuple[str, str]] = []
        self.stdin = b""

    def recorded(self, name: str) -> Any:
        return SimpleNamespace(clusterfile=Clusterfile(cluster=Cluster(name=name)))

    @contextmanager
    def connected(self, name: str, host: Host) -> Iterator[Any]:
        if self.states[host.address] == "off":
            raise HostUnreachableError("nobody answers", where=host.address)
        yield SimpleNamespace(execute=lambda command, **more: self._execute(host.address, command, **more))

    def _execute(self, address: str, command: str, **more: Any) -> Exit:
        if "/readyz" in command:
            if self.states[address] == "hangs":
                raise StepTimeoutError("it took too long", where=address)
            return Exit(0 if self.states[address] == "up" else 1)
        self.ran.append((address, command))
        self.stdin = b"".join(more["stdin"] or ())
        more["stdout"](b"out\xff\n")
        more["stderr"](b"err\n")
        return Exit(7)


@pytest.fixture(autouse=True)
def stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(buffer=io.BytesIO(b"kind: Pod\n"), isatty=lambda: False)
    monkeypatch.setattr(kubectl_command.sys, "stdin", stream)


def run(masters: Masters, *words: str) -> int:
    return kubectl_command._on_one(masters, "c", MASTERS, words, Cancellation())  # type: ignore[arg-type]  # doubled


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (("up", "up", "up"), 0),
        (("off", "up", "up"), 1),
        (("no api", "hangs", "up"), 2),
        (("off", "no api", "no api"), 2),  # it says itself what is wrong
    ],
)
def test_the_first_master_that_answers_is_asked(states: tuple[str, ...], asked: int) -> None:
    masters = Masters(*states)
    assert run(masters, "get", "nodes") == 7
    assert [address for address, _ in masters.ran] == [MASTERS[asked].address]


def test_it_is_told_when_no_master_can_be_reached() -> None:
    with pytest.raises(HostUnreachableError):
        run(Masters("off", "off", "off"), "get", "nodes")


def test_output_errors_and_bytes_that_are_no_text_stay_what_they_are(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    run(Masters("up", "up", "up"), "get", "secret", "-o", "jsonpath={.data.a b}")
    assert capsysbinary.readouterr() == (b"out\xff\n", b"err\n")


def test_words_reach_kubectl_as_they_are() -> None:
    masters = Masters("up", "up", "up")
    run(masters, "get", "pods", "-l", "a in (b, c)", "$(id)")
    assert masters.ran[0][1].endswith("bin/kubectl get pods -l 'a in (b, c)' '$(id)'")
    assert masters.ran[0][1].startswith("KUBECONFIG=/etc/kubernetes/admin.conf ")


@pytest.mark.parametrize(
    ("words", "reads"),
    [
        (("apply", "-f", "-"), True),
        (("apply", "--filename=-"), True),
        (("exec", "-i", "pod", "--", "cat"), True),
        (("get", "nodes"), False),  # what kubectl does not read stays for whoever reads next
    ],
)
def test_input_is_passed_on_where_kubectl_reads_it(words: tuple[str, ...], reads: bool) -> None:
    masters = Masters("up", "up", "up")
    run(masters, *words)
    assert masters.stdin == (b"kind: Pod\n" if reads else b"")
