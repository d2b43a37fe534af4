"""How long is waited, and how often something is tried again: never without a bound."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sealer.errors import RegistryError

T = TypeVar("T")

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Limits:
    """The bounds of one command.

    :param attempts: how often one request is made before its failure is final.
    :param first_delay: seconds before the second attempt; each further delay is twice as long.
    :param longest_delay: seconds.
    :param longest_retry_after: seconds; a registry that wants to be left alone for longer ends the command.
    :param connect_timeout: seconds until there is a connection.
    :param silence: seconds in which not one byte comes or goes.
    :param workers: blobs, or documents, that move at once.
    :param slow: bytes a second; a stream that is slower than that for `silence` seconds counts as broken.
    :param absent_attempts: how often a server is tried to which there is no way, and that has not answered before.
    :param absent_seconds: of trying, after which there is no further attempt.
    """

    attempts: int = 5
    first_delay: float = 0.5
    longest_delay: float = 15.0
    longest_retry_after: float = 120.0
    connect_timeout: float = 15.0
    silence: float = 60.0
    workers: int = 6
    slow: int = 512
    absent_attempts: int = 2
    absent_seconds: float = 1.0

    def delay(self, attempt: int) -> float:
        """Seconds after the failed attempt of that number, counted from 0; a third of it is left to chance."""
        whole = min(self.longest_delay, self.first_delay * 2.0**attempt)
        return whole * random.uniform(0.67, 1.0)  # noqa: S311  # spreads clients, hides nothing


class AgainError(Exception):
    """This attempt failed in a way that another one may not.

    :param retry_after: seconds the registry asked for; None: it did not.
    :param status: the HTTP status, if there was one.
    :ivar absent: whether there is no way to the server at all, so that patience is of little use.
    :ivar last: whether patience is at its end.
    """

    def __init__(self, why: str, retry_after: float | None = None, status: int = 0, *, absent: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after
        self.status = status
        self.absent = absent
        self.last = False


class StoppedError(Exception):
    """Another part of the same command failed, or the user pressed Ctrl-C: nothing is tried again."""


class Patience:
    """Makes attempts within the limits.

    :param notify: told of each failed attempt that another one follows.
    """

    def __init__(self, limits: Limits, notify: Callable[[str], None] = lambda _: None) -> None:
        self.limits = limits
        self.notify = notify
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let all that waits, or asks, end with :class:`StoppedError`."""
        self._stop.set()

    def check(self) -> None:
        """Raise :class:`StoppedError` after :meth:`stop`."""
        if self._stop.is_set():
            raise StoppedError

    def wait(self, failed: AgainError, attempt: int, where: str) -> None:
        """Sit out the time before the next attempt.

        :param attempt: number of the one that failed, from 0.
        :raises RegistryError: it was the last one, or the registry wants to be left alone for too long.
        :raises StoppedError: all is to end.
        """
        self.check()  # the connection may have been broken by us
        asked = failed.retry_after
        too_long = asked is not None and asked > self.limits.longest_retry_after
        if attempt + 1 >= self.limits.attempts or too_long or failed.last:
            later = f"it asks to be left alone for {asked:.0f} seconds" if asked is not None and too_long else ""
            raise RegistryError(
                "the registry fails" if failed.status else "the registry cannot be reached",
                status=failed.status,
                where=where,
                why="; ".join(filter(None, [failed.why, later])),
                remedy="" if too_long else _remedy(failed, attempt + 1),
            )
        delay = self.limits.delay(attempt) if asked is None else asked
        self.notify(f"{where}: {failed.why}; trying again in {delay:.1f} s")
        if self._stop.wait(delay):
            raise StoppedError

    def persist(self, action: Callable[[], T], where: str) -> T:
        """Do something until it does not raise :class:`AgainError`, within the limits."""
        attempt = 0
        while True:
            self.check()
            try:
                return action()
            except AgainError as failed:
                self.wait(failed, attempt, where)
            attempt += 1


def _remedy(failed: AgainError, attempts: int) -> str:
    if failed.absent:
        return "check the host name and the network route; or name a mirror in registries.yaml"
    return f"{attempts} attempts failed; run the same command again: it continues"


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
