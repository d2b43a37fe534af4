"""What steps have learned in this operation."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeVar

from sealer.errors import PluginError
from sealer.extension.steps import Fact

T = TypeVar("T")


class Facts:
    """Facts by name, and by host where they are per host. Values are what JSON can hold, except of secret ones."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> frozenset[str]:
        """Names of the facts that have a value."""
        with self._lock:
            return frozenset(name for name, _ in self._values)

    def put(self, fact: Fact[T], host: str, value: T) -> None:
        """`value` is what `fact` says, of `host` if it is per host.

        :raises PluginError: the value is not of the fact's type.
        """
        if not isinstance(value, fact.type):
            raise PluginError(
                f"The fact '{fact.name}' is a {fact.type.__name__}, and was given a {type(value).__name__}"
            )
        with self._lock:
            self._values[fact.name, host if fact.per_host else ""] = value

    def restore(self, per_host: Mapping[str, bool], host: str, values: Mapping[str, Any]) -> None:
        """Take in what the journal has of an attempt on `host`; `per_host` says so for each name."""
        with self._lock:
            for name, value in values.items():
                self._values[name, host if per_host.get(name) else ""] = value

    def get(self, fact: Fact[T], host: str) -> T:
        """What the fact says.

        :raises PluginError: nobody gave it.
        """
        try:
            with self._lock:
                value: T = self._values[fact.name, host if fact.per_host else ""]
        except KeyError:
            of = f" of {host}" if fact.per_host else ""
            raise PluginError(f"The fact '{fact.name}'{of} is not known: the step that gives it did not") from None
        return value

    def per_host(self, fact: Fact[T]) -> dict[str, T]:
        """Every host's value."""
        with self._lock:
            return {host: value for (name, host), value in self._values.items() if name == fact.name}
