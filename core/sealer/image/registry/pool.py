"""The one pool in which blobs and documents move: a few at once, the first failure ends all."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

from sealer.image.registry.limits import Patience, StoppedError
from sealer.image.registry.wire import Wire

A = TypeVar("A")
R = TypeVar("R")


class Pool:
    """Threads that share the wire; use it in a `with`, which ends them.

    A failure, or Ctrl-C, breaks all connections, so that nobody waits for a server that says nothing.
    """

    def __init__(self, wire: Wire, patience: Patience) -> None:
        self._wire = wire
        self._patience = patience
        self._threads = ThreadPoolExecutor(patience.limits.workers, thread_name_prefix="transfer")

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._patience.stop()
        self._wire.abort()
        self._threads.shutdown(cancel_futures=True)

    def map(self, function: Callable[[A], R], arguments: Iterable[A]) -> Sequence[R]:
        """Call `function` for each argument, some at once; the answers are in the arguments' order.

        :raises Exception: the first that one of them raised; the others are stopped and waited for.
        """
        futures = [self._threads.submit(contextvars.copy_context().run, function, argument) for argument in arguments]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in done if future.exception() is not None]
            if failed:
                self._abandon(futures)
                raise _telling(futures)
            return [future.result() for future in futures]
        except BaseException:
            self._abandon(futures)
            raise

    def _abandon(self, futures: Sequence[Future[R]]) -> None:
        self._patience.stop()
        for future in futures:
            future.cancel()
        self._wire.abort()
        wait(futures)


def _telling(futures: Iterable[Future[R]]) -> BaseException:
    """The error that is the reason for the others."""
    errors = [future.exception() for future in futures if not future.cancelled() and future.exception()]
    known = [error for error in errors if error is not None]
    return next((error for error in known if not isinstance(error, StoppedError)), known[0])
