"""All that a step may touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from sealer.hosts import Host
from sealer.image.model import Layer

if TYPE_CHECKING:
    from sealer.extension.operation import Node, Operation
    from sealer.extension.steps import Fact

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """What a script gave.

    :param status: exit status.
    :param stdout: of `query`: all of it. Of `sh`: the last 64 KiB of what it printed, both streams in their order.
    :param stderr: of `query` alone.
    """

    status: int
    stdout: str
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is 0."""
        return self.status == 0


class StepContext(Protocol):
    """One step on one host. Every call checks the step's deadline and whether the run was cancelled.

    Scripts run as root under `/bin/sh`, in a shell that is no login shell, with the host's environment exported
    (SPEC: image ENV, cluster, host, `-e`, reserved names). Neither script, environment nor stdin appears on a command
    line. For a step on the operator, `host.address` is empty, and only `get`, `give`, `progress`, `log` and `warn` may
    be called.
    """

    @property
    def operation(self) -> Operation:
        """What is being done to which cluster."""
        ...

    @property
    def host(self) -> Host:
        """The host this call is about."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What is exported to scripts on this host."""
        ...

    def sh(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Do something on the host.

        The script survives a broken connection and the end of this process: the host keeps a receipt of it, by which
        a later run attaches to it or takes its outcome. In a QUERY step this is the same as :meth:`query`.

        :param env: exported in addition.
        :param check: raise when the status is not 0.
        :raises CommandError: with the last lines printed.
        """
        ...

    def query(
        self,
        script: str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        cwd: str = "/",
        check: bool = True,
    ) -> Result:
        """Read something from the host, or do what needs no receipt: the script ends with the connection."""
        ...

    def send(self, blob: Layer, to: str) -> None:
        """Bring a blob of the local store to the path `to`.

        It is resumed where it broke off, verified by digest, and renamed last. Nothing is sent when the host has it.
        """
        ...

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        """Write a small file on the host atomically: never half of it."""
        ...

    def forward(self, port: int) -> tuple[str, int]:
        """A local address that leads to the host's `port` for as long as the step runs."""
        ...

    def nodes(self) -> Sequence[Node]:
        """The nodes as the cluster itself sees them, by its runtime; on a master, where the API answers."""
        ...

    def kubectl(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> Result:
        """Run the runtime's kubectl on this host, a master. It leaves no receipt: it must bear being run again.

        :param check: raise when its status is not 0.
        :raises CommandError: it failed, or the runtime has no kubectl.
        """
        ...

    def get(self, fact: Fact[T], host: Host | None = None) -> T:
        """A fact that the step declares in `needs`; of a per-host one, this host's or `host`'s value."""
        ...

    def give(self, fact: Fact[T], value: T) -> None:
        """A fact that the step declares in `gives`."""
        ...

    def progress(self, done: int, total: int | None = None) -> None:
        """Bytes done so far, and of how many."""
        ...

    def log(self, message: str) -> None:
        """One line for whoever watches."""
        ...

    def warn(self, message: str) -> None:
        """One line that whoever watches should not miss."""
        ...
