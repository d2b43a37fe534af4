"""One blob from the store to a registry: only if it lacks it, by a mount if it has it elsewhere, else streamed.

How far an upload has come is asked of the registry after a break, and after the process was killed: the address of the
upload is kept beside the store. docker-registry 2.8 forgets an upload that broke off in the middle of a request, and
gets the blob from its beginning; others go on.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.documents import DocumentError, load_json
from sealer.errors import ImageError, ImageNotFoundError, RegistryError
from sealer.image.oci import Descriptor
from sealer.image.registry.limits import AgainError
from sealer.image.registry.messages import FileBody
from sealer.image.registry.progress import Progress
from sealer.image.registry.repository import Repository, Session
from sealer.image.storage import storage_errors

_SOMEWHERE = 1024 * 1024
SMALL = 1024 * 1024  # such a blob goes in one request, and is sent anew after a break
LARGE = 32 * 1024 * 1024
# Of blobs that large so many are sent at once: what is on its way when the process dies is lost at docker-registry, and
# on a loopback two are as fast as six.
LARGE_AT_ONCE = 2


class Uploader:
    """Sends blobs to one repository; several threads may call it.

    :param path: the file of a blob.
    :param sources: names of other repositories of the same registry that may have a blob; the first is tried.
    :param sessions: directory that keeps the addresses of uploads.
    """

    def __init__(
        self,
        target: Repository,
        path: Callable[[str], Path],
        sources: Callable[[str], tuple[str, ...]],
        sessions: Path,
        progress: Progress,
    ) -> None:
        self._target = target
        self._path = path
        self._sources = sources
        self._sessions = sessions
        self._progress = progress
        self._lane = threading.Semaphore(LARGE_AT_ONCE)
        self.sent: list[str] = []
        self.mounted: list[str] = []

    def push(self, blob: Descriptor) -> None:
        """See to it that the registry has a blob.

        :raises RegistryError: it refuses it, or cannot be reached.
        """
        if not self._target.has_blob(blob):
            self._bring(blob)
        self._progress.settled(blob)

    def _bring(self, blob: Descriptor) -> None:
        kept = _Kept(self._sessions, self._target, blob.digest)
        with self._turn(blob):
            session = self._session(blob, kept)
            if session is None:
                self.mounted.append(blob.digest)
                return
            try:
                self._send(blob, session, kept)
            except RegistryError as error:
                if 400 <= error.status < 500:
                    kept.remove()  # it refused; after anything else the next process may go on
                raise
        kept.remove()
        self.sent.append(blob.digest)

    def _session(self, blob: Descriptor, kept: _Kept) -> Session | None:
        """An upload: one that an earlier process began, or a new one; None: a mount did it."""
        session = kept.read()
        if session := session and self._target.state(session):
            return session
        sources = self._sources(blob.digest)
        return self._target.mount(blob.digest, sources[0]) if sources else self._target.begin()

    @contextmanager
    def _turn(self, blob: Descriptor) -> Iterator[None]:
        """Wait until a large blob may go."""
        if blob.size < LARGE:
            yield
            return
        while not self._lane.acquire(timeout=0.2):
            self._target.client.patience.check()
        try:
            yield
        finally:
            self._lane.release()

    def _send(self, blob: Descriptor, session: Session, kept: _Kept) -> None:
        patience = self._target.client.patience
        attempt = 0
        while True:
            start = session.offset
            try:
                if blob.size <= SMALL and not start:
                    self._target.finish(session, blob.digest, self._rest(blob, 0))
                    return
                kept.write(session)
                if start < blob.size:
                    session = self._target.send(session, self._rest(blob, start))
                self._target.finish(session, blob.digest)
                return
            except (AgainError, ImageNotFoundError) as error:
                # 404: the registry has forgotten the upload
                failed = error if isinstance(error, AgainError) else AgainError(error.why, status=404)
                state = self._target.state(session)
                attempt = 0 if state and state.offset - start >= _SOMEWHERE else attempt
                patience.wait(failed, attempt, f"{self._target}@{blob.digest[:19]}")
                attempt += 1
                if self._target.has_blob(blob):
                    return  # it was the answer that got lost
                session = state or self._target.begin()
            except RegistryError as error:
                if error.status == 400:
                    self._check(blob)
                raise

    def _rest(self, blob: Descriptor, offset: int) -> FileBody:
        self._progress.resumed(blob.digest, offset)
        patience = self._target.client.patience

        def sent(position: int) -> None:
            patience.check()
            self._progress.at(blob.digest, position)

        return FileBody(self._path(blob.digest), offset, blob.size - offset, sent)

    def _check(self, blob: Descriptor) -> None:
        """The registry does not like the blob: is it damaged here?"""
        path = self._path(blob.digest)
        with storage_errors("a blob of the store cannot be read", path), path.open("rb", buffering=0) as file:
            if "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() != blob.digest:
                raise ImageError(
                    "a blob of the store is damaged", where=str(path), remedy="pull, load or build the image again"
                )


class _Kept:
    """The address of an upload, kept for the next process."""

    def __init__(self, directory: Path, target: Repository, digest: str) -> None:
        name = hashlib.sha256(f"{target} {digest}".encode()).hexdigest()
        self._path = directory / name

    def read(self) -> Session | None:
        try:
            location = load_json(self._path.read_bytes())
        except (OSError, DocumentError):
            return None
        return Session(location) if isinstance(location, str) else None

    def write(self, session: Session) -> None:
        with storage_errors("the state of an upload could not be written", self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.write_bytes(json.dumps(session.location).encode())

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
