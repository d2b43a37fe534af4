"""From an address to a socket behind which an SSH server has spoken."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sealer.errors import HostUnreachableError
from sealer_plugin_ssh.watch import TICK

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SILENCE = 25  # seconds after which a host that acknowledges nothing is given up
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 5, 5, 3
BANNER_TIMEOUT = 30.0  # seconds at least: sshd looks a client's name up first, and resolvers may be dead


class HostSocket(socket.socket):
    """A socket that remembers when the kernel gave the host up.

    paramiko takes that error for its own ticking, as both are a TimeoutError, and later reports a plain end-of-file.

    :ivar fell_silent: the host acknowledged nothing for :data:`SILENCE` seconds.
    """

    fell_silent = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As ever."""
        try:
            return super().recv(size, flags)
        except TimeoutError as error:
            self.fell_silent |= error.errno == errno.ETIMEDOUT
            raise

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """As ever."""
        try:
            return super().send(data, flags)
        except TimeoutError as error:
            self.fell_silent |= error.errno == errno.ETIMEDOUT
            raise


class DroppedError(Exception):
    """The server hung up before or while logging in, as sshd does with too many at once: worth another try."""


def dial(address: str, port: int, timeout: float, check: Callable[[], None]) -> HostSocket:
    """Connect, and wait for the server's first words, which stay unread.

    :param address: or a name, of a host on the way.

    :param timeout: seconds for the connection, and for the first words where that is more than `BANNER_TIMEOUT`.
    :param check: called several times a second while waiting; raises to give up.
    :raises HostUnreachableError: nobody there, or it is no SSH server.
    :raises DroppedError: accepted, then closed without a word.
    """
    connection = _connect(address, port, timeout, check)
    _tune(connection)
    return spoken(connection, address, port, timeout, check)


def spoken(connection: HostSocket, address: str, port: int, timeout: float, check: Callable[[], None]) -> HostSocket:
    """Wait for the server's first words on a connection, which is closed where they do not come.

    :raises HostUnreachableError, DroppedError: as :func:`dial`.
    """
    try:
        _await_banner(connection, address, port, max(timeout, BANNER_TIMEOUT), check)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(address: str, port: int, timeout: float, check: Callable[[], None]) -> HostSocket:
    family, target = _target(address, port)
    connection = HostSocket(family, socket.SOCK_STREAM)
    try:
        _await_connection(connection, target, time.monotonic() + timeout, check)
    except OSError as error:
        connection.close()
        raise HostUnreachableError(
            f"no connection to port {port}", where=address, why=_reason(error, timeout), remedy=_remedy(error)
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _target(address: str, port: int) -> tuple[int, tuple[object, ...]]:
    """What the kernel is asked for: with the zone of a link-local address, which the text alone would lose."""
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        zone = address.partition("%")[2]
        raise HostUnreachableError(
            f"no connection to port {port}",
            where=address,
            why=f"this machine has no network interface '{zone}'" if zone else f"the name has no address: {error}",
            remedy="`ip -6 address` lists the interfaces; the zone is the one on this machine"
            if zone
            else "check the name, and this machine's resolver",
        ) from error
    return family, target


def _await_connection(
    connection: socket.socket, target: tuple[object, ...], deadline: float, check: Callable[[], None]
) -> None:
    """Connect as `connect` does, but look up now and then."""
    connection.setblocking(False)
    code = connection.connect_ex(target)
    if code == errno.EINPROGRESS:
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        while not poll.poll(TICK * 1000):
            check()
            if time.monotonic() >= deadline:
                raise TimeoutError
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))  # of the class that fits the code


def _reason(error: OSError, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} seconds"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    return error.strerror or str(error)


def _remedy(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "check that sshd runs on the host, and on that port"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "check that the host is up and that this machine has a route to it"
    return "check that the host is up, and that no firewall is in between"


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # without it each exchange waits 40 ms
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
        ("TCP_USER_TIMEOUT", SILENCE * 1000),  # for data on its way, which keepalive does not watch
    ):
        if hasattr(socket, name):  # macOS lacks some
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _await_banner(
    connection: socket.socket, address: str, port: int, timeout: float, check: Callable[[], None]
) -> None:
    said = _first_words(connection, time.monotonic() + timeout, check)
    if said is None:
        raise HostUnreachableError(
            f"port {port} is open, but no SSH server speaks there",
            where=address,
            why=f"no SSH banner within {timeout:g} seconds",
            remedy="check whether that is sshd's port, and the host's load and resolvers; "
            "--transport-option connectTimeout=SECONDS waits longer",
        )
    if not said or b"MaxStartups" in said or b"Not allowed at this time" in said:
        raise DroppedError("it closed the connection without an SSH banner")
    if b"SSH-" not in said:
        text = said.decode(errors="replace").splitlines()[0][:80]
        raise HostUnreachableError(
            f"what answers on port {port} is no SSH server",
            where=address,
            why=f"it says {text!r}",
            remedy="see which port sshd listens on",
        )


def _first_words(connection: socket.socket, deadline: float, check: Callable[[], None]) -> bytes | None:
    """What the server says first, up to its SSH banner; empty if it hung up; None if it kept silent."""
    said = b""
    while (left := deadline - time.monotonic()) > 0:
        check()
        connection.settimeout(min(left, TICK))
        try:
            now = connection.recv(4096, socket.MSG_PEEK)
        except TimeoutError:
            continue
        except OSError:
            return b""
        if b"SSH-" in now or now == said:  # unchanged after a peek that returned at once: it hung up
            return now
        said = now
        time.sleep(0.05)
    return said or None
