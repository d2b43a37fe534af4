from __future__ import annotations

import email.utils
import threading
import time

import pytest

from sealer.errors import RegistryError
from sealer.image.registry.limits import AgainError, Limits, Patience, StoppedError, retry_after

QUICK = Limits(attempts=3, first_delay=0.001, longest_delay=0.002, longest_retry_after=5)


def test_delays_grow_to_a_bound() -> None:
    limits = Limits(first_delay=1, longest_delay=10)
    for attempt, most in enumerate([1, 2, 4, 8, 10, 10]):
        assert most * 0.67 <= limits.delay(attempt) <= most


def test_attempts_are_counted() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise AgainError("it answers 503", status=503)

    told: list[str] = []
    with pytest.raises(RegistryError, match="the registry fails: it answers 503") as caught:
        Patience(QUICK, told.append).persist(fail, "r.io")
    assert caught.value.status == 503
    assert len(calls) == 3
    assert len(told) == 2


def test_what_succeeds_late_succeeds() -> None:
    answers = iter([AgainError("no"), AgainError("no"), None])

    def attempt() -> str:
        if error := next(answers):
            raise error
        return "done"

    assert Patience(QUICK).persist(attempt, "r.io") == "done"


def test_a_long_rest_is_not_taken() -> None:
    def fail() -> None:
        raise AgainError("it answers 429", retry_after=6, status=429)

    with pytest.raises(RegistryError, match="left alone for 6 seconds"):
        Patience(QUICK).persist(fail, "r.io")


def test_a_rest_ends_when_all_is_called_off() -> None:
    patience = Patience(Limits(first_delay=100, longest_delay=100))

    def fail() -> None:
        threading.Timer(0.01, patience.stop).start()
        raise AgainError("no")

    with pytest.raises(StoppedError):
        patience.persist(fail, "r.io")
    with pytest.raises(StoppedError):
        patience.persist(lambda: None, "r.io")


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after("120") == 120
    assert retry_after(None) is None
    assert retry_after("soon") is None
    soon = retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))
    assert soon is not None
    assert 90 < soon <= 100
    assert retry_after(email.utils.formatdate(time.time() - 100, usegmt=True)) == 0
