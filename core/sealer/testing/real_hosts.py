"""Hosts that are really booted, for the tests of plugins.

What makes them is another distribution's trade. It says so by the entry point `real-hosts` in the group
`sealer.testing`, which names a module with the functions of :class:`HostMaker`.
"""

from __future__ import annotations

import contextlib
import itertools
from types import TracebackType
from typing import Protocol, cast

from sealer.extension.entry_points import installed
from sealer.hosts import Host

GROUP, NAME = "sealer.testing", "real-hosts"
_numbers = itertools.count(1)


class HostMaker(Protocol):
    """What the entry point names."""

    def unavailable(self) -> str:
        """Why no host can be made on this machine; empty if it can."""

    def real_hosts(self, count: int, name: str, *, masters: int = 1) -> contextlib.AbstractContextManager[list[Host]]:
        """Boot `count` hosts with their logins, the first `masters` of them masters; at the end they are taken away.

        What a killed run left is cleared first.

        :param name: tells them from others of this process.
        """


def host_maker() -> HostMaker | None:
    """The installed one; the first by name of its distribution if there are several."""
    found = [one for one in installed(GROUP) if one.name == NAME]
    return cast("HostMaker", found[0].load()) if found else None


def why_no_hosts() -> str:
    """Why tests on real hosts cannot run here; empty if they can."""
    maker = host_maker()
    if maker is None:
        return "no distribution is installed that makes hosts for tests"
    return maker.unavailable()


class RealHosts:
    """Boots hosts when it is called, and takes all of them away at its end."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __call__(self, count: int = 1, *, masters: int = 1) -> list[Host]:
        """Boot so many hosts; each has its login with it, as root.

        :param masters: how many of them are masters; those come first.
        """
        maker = host_maker()
        assert maker, why_no_hosts()
        return self._stack.enter_context(maker.real_hosts(count, f"testing-{next(_numbers)}", masters=masters))

    def __enter__(self) -> RealHosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
