"""Servers that cannot be reached; real ones refuse in `tests/integration/registry`, unknown names need a resolver."""

from __future__ import annotations

import errno
import socket
import time

import pytest

from sealer.errors import RegistryError
from sealer.image.registry.absences import Absences
from sealer.image.registry.limits import AgainError, Limits, Patience
from sealer.image.registry.messages import broken_off

QUICK = Limits(attempts=5, first_delay=0.001, longest_delay=0.002)
NO_WAY = [
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    OSError(errno.ENETUNREACH, "no route"),
    OSError(errno.EHOSTUNREACH, "no host"),
    socket.gaierror(socket.EAI_NONAME, "unknown"),
    socket.gaierror(socket.EAI_AGAIN, "no name server"),
]
PASSING = [ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError(), OSError(errno.EPIPE, "broken")]


def attempts(absences: Absences, error: OSError, *, begun: float | None = None) -> int:
    """How often a server is tried that always fails so."""
    calls = 0

    def attempt() -> None:
        nonlocal calls
        absences.check("r.io")
        calls += 1
        try:
            with broken_off():
                raise error
        except AgainError as failed:
            absences.failed("r.io", failed, time.monotonic() if begun is None else begun)
            raise

    with pytest.raises(RegistryError, match="cannot be reached"):
        Patience(QUICK).persist(attempt, "r.io")
    return calls


@pytest.mark.parametrize("error", NO_WAY, ids=str)
def test_a_server_to_which_there_is_no_way_is_given_up_soon(error: OSError) -> None:
    absences = Absences(QUICK)
    assert attempts(absences, error) == 2
    assert attempts(absences, error) == 0  # nor is it asked for the next image


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_gets_all_the_patience(error: OSError) -> None:
    absences = Absences(QUICK)
    assert attempts(absences, error) == 5
    assert attempts(absences, error) == 5


def test_a_server_that_has_answered_may_come_back() -> None:
    absences = Absences(QUICK)
    absences.answered("r.io")
    assert attempts(absences, NO_WAY[0]) == 5


def test_a_resolver_that_takes_its_time_is_not_asked_twice() -> None:
    assert attempts(Absences(QUICK), NO_WAY[4], begun=time.monotonic() - 5) == 1
