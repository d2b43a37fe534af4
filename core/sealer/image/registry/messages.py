"""What goes over the wire and comes back: a request, an answer, and what a broken connection is called."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealer.errors import RegistryError
from sealer.image.registry.limits import AgainError

LARGEST_MESSAGE = 64 * 1024  # of an error, from an answer's body
_NO_WAY = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
_OF_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA")  # the alerts of RFC 8446, 6.2


@dataclass(frozen=True)
class FileBody:
    """A part of a file, to be sent.

    :param sent: told how far in the file the sending has come.
    """

    path: Path
    offset: int
    size: int
    sent: Callable[[int], None] = lambda _: None


@dataclass(frozen=True)
class Request:
    """What is asked; `url` is absolute, and `headers` may hold secrets."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileBody | None = None


class Answer:
    """A status, headers, and a body still to be read. Use it in a `with`, which frees its connection."""

    def __init__(self, response: http.client.HTTPResponse, url: str, done: Callable[[bool], None]) -> None:
        self._response = response
        self._done: Callable[[bool], None] | None = done
        self.url = url
        self.status = response.status

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def header(self, name: str) -> str:
        """A header's value; empty if it is not there."""
        return self._response.headers.get(name, "")

    def headers(self, name: str) -> list[str]:
        """All values of a header that may be there several times."""
        return self._response.headers.get_all(name, [])

    @property
    def length(self) -> int:
        """Bytes of the body that are still to come; -1: not known."""
        return -1 if self._response.length is None else self._response.length

    def read(self, limit: int) -> bytes:
        """The body, if it is no longer than that; else `limit` + 1 bytes of it.

        :raises AgainError: the connection broke.
        """
        with broken_off():
            content = self._response.read(limit + 1)
        if len(content) <= limit and self.length > 0:
            raise AgainError("the connection was closed in the middle of an answer")
        return content

    def next(self, limit: int) -> bytes:
        """The next bytes of the body, as they come; empty at its end.

        One read of the socket each: a server that sends a byte a minute must not be waited for until a buffer is full.

        :raises AgainError: the connection broke.
        """
        with broken_off():
            return self._response.read1(limit)

    def close(self) -> None:
        """Give the connection back if it can be used again, or close it."""
        done, self._done = self._done, None
        if done is None:
            return
        if 0 <= self.length <= LARGEST_MESSAGE:
            try:
                self._response.read()
            except (OSError, http.client.HTTPException):
                done(False)
                return
        whole = self._response.isclosed()
        self._response.close()
        done(whole and not self._response.will_close)


class broken_off:  # noqa: N801  # reads as a statement
    """Turns what the operating system and `http.client` say about a broken connection into one error."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case ssl.SSLCertVerificationError():
                raise RegistryError(
                    "the registry's certificate is not trusted",
                    why=error.verify_message,
                    remedy="give its CA in registries.yaml or in /etc/docker/certs.d/HOST/ca.crt",
                ) from error
            case ssl.SSLError() if _wants_certificate(error):
                raise RegistryError(
                    "the registry wants a client's certificate, or another one",
                    why=error.reason.replace("_", " ").lower(),
                    remedy="put client.cert and client.key into /etc/containers/certs.d/HOST:PORT",
                ) from error
            case ssl.SSLError():
                why = f"TLS failed ({error.reason or error}); a registry without it needs --plain-http"
                raise AgainError(why) from error
            case TimeoutError():
                raise AgainError("nothing was heard for too long") from error
            case http.client.IncompleteRead():
                raise AgainError("the connection was closed in the middle of an answer") from error
            case http.client.RemoteDisconnected():
                raise AgainError("the connection was closed without an answer") from error
            case http.client.HTTPException() | ValueError():
                raise AgainError(f"what came is not HTTP ({type(error).__name__})") from error
            case socket.gaierror():
                raise AgainError(f"the host name cannot be resolved ({error.strerror})", absent=True) from error
            case OSError():
                raise AgainError(error.strerror or str(error), absent=error.errno in _NO_WAY) from error


def _wants_certificate(error: ssl.SSLError) -> bool:
    """Whether a server's alert is about the certificate that was, or was not, shown to it."""
    reason = error.reason or ""
    return "ALERT" in reason and any(word in reason for word in _OF_CERTIFICATES)
