"""What a plugin gives: one thing to be done on some hosts."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from sealer.events import Json
from sealer.extension.context import StepContext
from sealer.extension.targets import Targets

T = TypeVar("T")


class Effect(enum.Enum):
    """How a step's outcome is settled when the run ended before it was known."""

    QUERY = "query"  # only reads: never recorded as done, runs again when a pending step needs what it learns
    CONVERGE = "converge"  # the same end however often it runs: an unknown outcome is run again
    ONCE = "once"  # must not run twice: an unknown outcome is settled by the receipt the host keeps


@dataclass(frozen=True)
class Fact(Generic[T]):
    """Something one step learns and another needs.

    :param type: JSON-like (str, int, float, bool, list, dict): it is journaled.
    :param per_host: one value for each host the step ran on.
    :param secret: lives in memory only; the step that gives it runs again when a pending one needs it.
    """

    name: str
    type: type[T]
    per_host: bool = False
    secret: bool = False


@dataclass(frozen=True)
class Retry:
    """How often a step is tried again within one run after the *connection* failed; a script's failure is final.

    :param attempts: in all, the first included.
    :param delay: seconds before the second, doubled each time up to `most`.
    """

    attempts: int = 3
    delay: float = 1.0
    most: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"{self.attempts} attempts: the first is one, too")


@dataclass(frozen=True)
class Step:
    """One thing to be done on some hosts.

    :param id: unique among the steps its plugin gives in one phase; the kernel prefixes phase and plugin.
    :param title: what it does, for people.
    :param on: resolved when the step starts.
    :param run: called once a host, in a thread of its own; touches the host only through its context.
    :param inputs: all that decides what it does: its fingerprint. No token, no time, no made-up address.
    :param after: None: after the step before it in its list; else after exactly these ids of the same list, so that
        independent work overlaps (an empty set: as soon as the phase begins).
    :param needs: facts; whoever gives one runs before.
    :param order: over its hosts.
    :param unreachable: `skip`: a host that cannot be reached is passed over with a warning.
    :param timeout: seconds per host, checked at every call of the context.
    :param retry: of transport errors within one run; never for ONCE.
    :param covers: the Clusterfile fields it makes true, as `spec.env`; a changed field that no step covers is refused.
    :param size: bytes it will move to each host, for progress and forecast.
    :param diagnosis: a script that only reads and prints why the step failed on a host: the last lines of the logs
        that say so. It runs when the step failed there with an error of the host; where that error's `where` is
        another host of the cluster, on that one.
    """

    id: str
    title: str
    on: Targets
    run: Callable[[StepContext], None]
    inputs: Mapping[str, Json] = field(default_factory=dict)
    effect: Effect = Effect.CONVERGE
    after: frozenset[str] | None = None
    needs: frozenset[Fact[Any]] = frozenset()  # Any: facts of every type meet here
    gives: frozenset[Fact[Any]] = frozenset()
    order: Literal["parallel", "serial"] = "parallel"
    unreachable: Literal["fail", "skip"] = "fail"
    timeout: float = 600.0
    retry: Retry | None = None
    covers: frozenset[str] = frozenset()
    size: int | None = None
    diagnosis: str = ""

    def __post_init__(self) -> None:
        if self.effect is Effect.ONCE and self.retry:
            raise ValueError(f"step {self.id}: a step that must not run twice cannot be retried")
        if self.effect is Effect.ONCE and any(fact.secret for fact in self.gives):
            raise ValueError(f"step {self.id}: a secret fact must come from a step that may run again")
