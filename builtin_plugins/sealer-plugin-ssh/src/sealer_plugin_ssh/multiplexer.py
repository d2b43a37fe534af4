"""The paramiko transport that carries our channels."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import paramiko  # noqa: TID253  # this module is imported by a running connection only

from sealer_plugin_ssh.channel import Channel
from sealer_plugin_ssh.dial import SILENCE, HostSocket
from sealer_plugin_ssh.packets import StreamPacketizer

# aes-gcm first: with it a stream runs at OpenSSH's own speed; paramiko by itself would take aes128-ctr and a MAC.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
# Host keys that are proved by a signature with SHA-1. Which of them paramiko offers depends on its version.
SHA1 = frozenset({"ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "ssh-dss", "ssh-dss-cert-v01@openssh.com"})

# paramiko logs an ordinary end of a connection as an error with a traceback: only for those who have set up logging.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class BrokenError(Exception):
    """A packet could not be sent."""


@contextlib.contextmanager
def _broken() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, paramiko.SSHException) as error:
        raise BrokenError from error


def _to_method(name: str) -> Callable[[Any, paramiko.Message], None]:
    return lambda channel, message: getattr(channel, name)(message)


class Multiplexer(paramiko.Transport):
    """paramiko's transport, with :class:`Channel` for its channels.

    It relies on names that paramiko does not promise (`_channels`, `_next_channel`, `_send_user_message`, the handler
    table); the contract tests run all of them, and the version of paramiko is pinned to its major number.
    """

    _channel_handler_table = {  # noqa: RUF012  # paramiko's own name, typed by it
        number: _to_method(handler.__name__)
        for number, handler in paramiko.Transport._channel_handler_table.items()  # type: ignore[attr-defined]
    }

    packetizer: StreamPacketizer

    def __init__(self, sock: HostSocket, host_key_types: Sequence[str] = ()) -> None:
        """Take over a connected socket.

        :param host_key_types: key types to ask for first: those by which the host is known already.
        """
        super().__init__(sock, packetizer_class=StreamPacketizer)
        self.host_socket = sock
        self.abandoned: list[Channel] = []  # opened by the host after their user gave up
        options = self.get_security_options()
        options.ciphers = tuple(name for name in CIPHERS if name in options.ciphers)
        # What old servers lack of these they make up for: OpenSSH has had hmac-sha2 since 5.9, ECDH since 5.7, and
        # rsa-sha2 since 7.2; before that ECDSA keys.
        options.digests = tuple(name for name in options.digests if "sha2" in name)
        options.kex = tuple(name for name in options.kex if not name.endswith("sha1"))
        signed = [name for name in options.key_types if name not in SHA1]
        wanted = [name for name in signed if _plain(name) in host_key_types]
        options.key_types = (*wanted, *(name for name in signed if name not in wanted))

    def new_channel(self) -> Channel:
        """A channel that is not open yet."""
        abandoned, self.abandoned = self.abandoned, []
        for channel in abandoned:
            channel.leave()
        with self.lock:
            number = self._next_channel()  # type: ignore[attr-defined]
            channel = Channel(self, number)
            self._channels.put(number, channel)  # type: ignore[attr-defined]
            self.channels_seen[number] = True
        return channel

    def post(self, message: paramiko.Message) -> None:
        """Send one packet.

        :raises BrokenError: the connection is gone.
        """
        with _broken():
            self._send_user_message(message)  # type: ignore[attr-defined]

    def post_data(self, packets: Sequence[tuple[bytes, memoryview]]) -> bool:
        """Send data packets without waiting; False when that is not possible now.

        :raises BrokenError: the connection is gone.
        """
        with self.clear_to_send_lock, _broken():
            if not self.is_active():
                raise EOFError
            return self.clear_to_send.is_set() and self.packetizer.send_packets(packets)  # not during a key exchange

    def flush(self) -> bool:
        """Whether all data that was posted has left for the host.

        :raises BrokenError: the connection is gone.
        """
        with _broken():
            return self.packetizer.flush()

    @property
    def end(self) -> str:
        """Why the connection is gone, as far as that is known."""
        cause = self.saved_exception
        if self.host_socket.fell_silent:
            return f"the host did not answer for {SILENCE} seconds"
        if isinstance(cause, (OSError, paramiko.SSHException)):
            return str(getattr(cause, "strerror", None) or cause)
        return "the host closed it"

    def close(self) -> None:
        """End the connection, at once: paramiko's thread would only look every tenth of a second."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        super().close()

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        number = message.get_int()
        message.get_int()
        channel = self._channels.get(number)  # type: ignore[attr-defined]
        if channel is not None:
            channel._refused(message.get_text())


def _plain(name: str) -> str:
    """The type of key that a host key algorithm uses."""
    return "ssh-rsa" if name.startswith("rsa-sha2-") else name
