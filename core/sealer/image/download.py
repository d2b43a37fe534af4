"""Fetching a URL, as for an ADD: streamed, bounded in size, time and attempts.

The standard library alone, with no handler for files, FTP or data: a redirect cannot lead to this machine's files. A
redirect may go to the same scheme, or from http to https; name and password of the URL go to its own server alone.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import sealer
from sealer.errors import BuildError, RegistryError
from sealer.image.deadline import Deadline
from sealer.image.registry.proxies import proxy_authorization, proxy_for
from sealer.image.storage import storage_errors
from sealer.image.tarstream import CHUNK
from sealer.kubefile.urls import is_remote, without_login
from sealer.redaction import Secret

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Limits:
    """What one download may take.

    :param size: bytes.
    :param seconds: for all attempts together.
    :param silence: seconds without a byte.
    :param attempts: how often it is tried.
    :param pause: seconds before the second attempt; doubled before each further one.
    :param longest_pause: seconds; a server that wants more patience than that is not waited for.
    """

    size: int = 16 * 1024**3
    seconds: float = 3600
    silence: float = 60
    attempts: int = 4
    pause: float = 1
    longest_pause: float = 60


USUAL = Limits()


class _AttemptError(Exception):
    """An attempt failed.

    :param why: for the user.
    :param again: whether another attempt may do better.
    :param pause: seconds that the server asks for.
    :param useless: whether what the file holds is no beginning of the content.
    """

    def __init__(self, why: str, *, again: bool = True, pause: float = 0, useless: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.again = again
        self.pause = pause
        self.useless = useless


def file_name(url: str) -> str:
    """The name that a downloaded file gets in a directory; empty if the URL gives it none."""
    try:
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""
    return "" if name in (".", "..") or "/" in name or "\0" in name else name


def download(
    url: str,
    target: Path,
    limits: Limits = USUAL,
    *,
    resume: bool = False,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Fetch a URL into a file; the content's `sha256:<hex>` is returned.

    :param resume: True: what the file holds is the beginning of the content, as an earlier attempt left it. That may
        be wrong: whoever asks for it knows the digest.
    :param told: is called with the bytes that are there, and how many there will be; 0: nobody knows.
    :raises BuildError: it could not be fetched within the limits.
    """
    address, login = _split_login(url)
    deadline = time.monotonic() + limits.seconds
    pause = limits.pause
    for attempt in range(1, limits.attempts + 1):
        try:
            silence = min(limits.silence, max(deadline - time.monotonic(), 0.001))
            begun = _size(target) if resume else 0
            with (
                Deadline(deadline) as end,
                _attempt_errors(),
                _opened(address, login, silence, begun, end) as response,
            ):
                return _store(response, target, limits, deadline, begun=begun, told=told)
        except _AttemptError as failed:
            late = time.monotonic() >= deadline
            error = _AttemptError(f"it took longer than {limits.seconds:g} seconds", again=False) if late else failed
            wait = max(pause, error.pause)
            patient = wait <= limits.longest_pause and time.monotonic() + wait < deadline
            if error.useless:
                target.unlink(missing_ok=True)
            if not error.again or attempt == limits.attempts or not patient:
                more = f" (attempt {attempt})" if attempt > 1 else ""
                raise BuildError(f"{without_login(url)} could not be fetched", why=f"{error.why}{more}") from None
        threading.Event().wait(wait)
        pause *= 2
    raise AssertionError("the last attempt returns or raises")


def _split_login(url: str) -> tuple[str, str]:
    """The URL without user and password, and the header's value that has them."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BuildError(f"{without_login(url)} is no URL", why=without_login(str(error))) from None
    if not parts.hostname:
        raise BuildError(f"{without_login(url)} is no URL", why="it names no host")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = urllib.parse.quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    login, at, host = parts.netloc.rpartition("@")
    address = urllib.parse.urlunsplit((parts.scheme.lower(), host, path, query, ""))
    if not at:
        return address, ""
    user, _, password = login.partition(":")
    secret = Secret(urllib.parse.unquote(password or user))  # a token is often given as the user
    text = f"{urllib.parse.unquote(user)}:{secret.reveal() if password else ''}"
    return address, f"Basic {base64.b64encode(text.encode()).decode()}"


@contextmanager
def _opened(address: str, login: str, silence: float, begun: int, end: Deadline) -> Iterator[http.client.HTTPResponse]:
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Proxies(),
        urllib.request.UnknownHandler(),
        *end.handlers(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    headers = {"User-Agent": f"sealer/{sealer.__version__}", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the opener knows http and https alone
    if login:
        request.add_unredirected_header("Authorization", login)
    with opener.open(request, timeout=silence) as response:
        yield response


class _Proxies(urllib.request.BaseHandler):
    """The proxy that the environment names for a request, chosen as for registries."""

    handler_order = 100  # before those that connect

    def http_open(self, req: urllib.request.Request) -> None:
        """Lead a request to its proxy, if it has one; the next handler connects."""
        parts = urllib.parse.urlsplit(f"//{req.host}")
        try:
            proxy = proxy_for(req.type, parts.hostname or "", parts.port or _PORTS.get(req.type, 0))
        except RegistryError as error:
            raise BuildError(error.what, why=error.why) from error
        if proxy is not None:
            if authorization := proxy_authorization(proxy):
                req.add_unredirected_header("Proxy-Authorization", authorization)
            req.set_proxy(f"{proxy.hostname}:{proxy.port or _PORTS['http']}", "http")

    https_open = http_open


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917  # the library's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old = urllib.parse.urlsplit(req.full_url)
        address, _ = _split_login(newurl)
        new = urllib.parse.urlsplit(address)
        if new.scheme not in (old.scheme, "https"):
            fp.close()
            what = "from https to http" if is_remote(address) else "which is not fetched"
            raise _AttemptError(f"it redirects to {without_login(newurl)}, {what}", again=False)
        request = super().redirect_request(req, fp, code, msg, headers, address)
        if request is not None and _origin(old) == _origin(new) and (login := req.get_header("Authorization")):
            request.add_unredirected_header("Authorization", login)
        return request


def _origin(parts: urllib.parse.SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


@contextmanager
def _attempt_errors() -> Iterator[None]:
    """Turn what the library raises into what went wrong, and whether it may go better."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _http_error(error) from None
    except urllib.error.URLError as error:
        raise _network_error(error.reason) from None
    except http.client.InvalidURL as error:
        raise _AttemptError(without_login(str(error)), again=False) from None
    except (OSError, http.client.HTTPException) as error:
        raise _network_error(error) from None


def _http_error(error: urllib.error.HTTPError) -> _AttemptError:
    location = error.headers.get("Location", "")
    if 300 <= error.code < 400 and location:
        target = urllib.parse.urljoin(error.url or "", location)
        if not is_remote(target):
            return _AttemptError(f"it redirects to {without_login(target)}, which is not fetched", again=False)
        return _AttemptError("it redirects too often", again=False)
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _AttemptError("the server has nothing behind what is there already", useless=True)
    text = error.headers.get("Retry-After", "")
    pause = float(text) if text.isascii() and text.isdigit() else 0.0
    reason = " ".join(f"the server answered {error.code} {error.reason}".split())
    return _AttemptError(reason, again=error.code in _TRY_AGAIN, pause=pause)


def _network_error(error: object) -> _AttemptError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _AttemptError(f"the server's certificate is not trusted: {error.verify_message}", again=False)
    if isinstance(error, socket.gaierror):
        return _AttemptError(f"the server's name is not known: {error.strerror}", again=error.errno == socket.EAI_AGAIN)
    if isinstance(error, TimeoutError):
        return _AttemptError("the server stopped answering")
    if isinstance(error, OSError):
        return _AttemptError(error.strerror or str(error) or type(error).__name__)
    return _AttemptError(str(error) or type(error).__name__)


def _store(
    response: http.client.HTTPResponse,
    target: Path,
    limits: Limits,
    deadline: float,
    *,
    begun: int,
    told: Callable[[int, int], None],
) -> str:
    size = _offset(response, begun)
    length = response.headers.get("Content-Length", "")
    expected = size + int(length) if length.isascii() and length.isdigit() else -1
    if expected > limits.size:
        raise _AttemptError(f"it has {expected:,} bytes, more than {limits.size:,}", again=False)
    with storage_errors("a download could not be written", target), target.open("r+b" if size else "wb") as file:
        digest = _hash_of(file, size)
        while data := _read(response):
            size += len(data)
            if size > limits.size:
                raise _AttemptError(f"it has more than {limits.size:,} bytes", again=False)
            digest.update(data)
            file.write(data)
            told(size, max(expected, 0))
    if time.monotonic() >= deadline:  # what looks like the end may be that of our patience
        raise _AttemptError("it takes too long", again=False)
    if 0 <= expected != size:
        raise _AttemptError(f"the connection ended after {size:,} of {expected:,} bytes")
    return f"sha256:{digest.hexdigest()}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _offset(response: http.client.HTTPResponse, begun: int) -> int:
    """Where in the content the answer begins; a server that knows no ranges sends all of it."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    text = response.headers.get("Content-Range", "")
    if not text.startswith(f"bytes {begun}-"):
        raise _AttemptError(f"the server answered with the range '{text}'", useless=True)
    return begun


def _hash_of(file: IO[bytes], size: int) -> hashlib._Hash:
    """The hash of the first bytes of a file, behind which it is then cut off."""
    digest = hashlib.sha256()
    left = size
    while left and (data := file.read(min(left, CHUNK))):
        digest.update(data)
        left -= len(data)
    file.truncate(size)
    return digest


def _read(response: http.client.HTTPResponse) -> bytes:
    """What comes next; an error of the network is none of the disk."""
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _network_error(error) from None
