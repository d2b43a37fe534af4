"""How far a transfer has come, told as events a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from sealer.events import EventStream, Json, State
from sealer.image.oci import CONTAINER_REFERENCE, Descriptor, platform_text
from sealer.image.registry.documents import Document

INTERVAL = 0.2  # seconds between two events
_WORTH_A_RATE = 1_000_000  # bytes


class Progress:
    """One step `pull`, `push` or `fetch` of the event stream; use it in a `with`, whose end is the step's end.

    Told are the sum, and each blob that moves for longer than a moment.

    :param step: its id.
    :param title: what it does.
    """

    def __init__(self, events: EventStream, step: str, title: str) -> None:
        self._events = events
        self._step = step
        self._title = title
        self._lock = threading.Lock()
        self._total = 0
        self._settled = 0
        self._moving: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._owners: dict[str, str] = {}
        self._told_of: dict[str, float] = {}
        self._shown: set[str] = set()
        self._begun = time.monotonic()
        self._blobs = [0, 0]
        self._told = 0.0
        self.moved = 0
        self.message = ""

    def __enter__(self) -> Progress:
        self._emit(State.STARTED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._tell()
            self._emit(State.DONE, message=self.message, bytes=self.moved, rate=self._rate())
        else:
            failed = isinstance(error, Exception)
            self._emit(State.FAILED if failed else State.CANCELLED, message=str(error) if failed else "")

    def expect(self, blobs: Iterable[Descriptor], owners: Mapping[str, str] | None = None) -> None:
        """There is more to move.

        :param owners: which image a blob is of, by its digest, where that is known.
        """
        with self._lock:
            self._owners.update(owners or {})
            for blob in blobs:
                self._total += blob.size
                self._sizes[blob.digest] = blob.size
                self._blobs[1] += 1

    def at(self, digest: str, position: int) -> None:
        """A blob has come that far."""
        with self._lock:
            self.moved += max(0, position - self._moving.get(digest, 0))
            self._moving[digest] = position
            now = time.monotonic()
            told = now - self._told >= INTERVAL
            self._told = now if told else self._told
            shown = now - self._told_of.setdefault(digest, now) >= INTERVAL
            if shown:
                self._told_of[digest] = now
                self._shown.add(digest)
        if told:
            self._tell()
        if shown:
            self._tell_of(digest, position)

    def resumed(self, digest: str, position: int) -> None:
        """That much of a blob was there already."""
        with self._lock:
            self._moving[digest] = position

    def settled(self, blob: Descriptor) -> None:
        """A blob is where it should be, moved or not."""
        with self._lock:
            self._moving.pop(blob.digest, None)
            self._settled += blob.size
            self._blobs[0] += 1
            shown = blob.digest in self._shown
        if shown:
            self._tell_of(blob.digest, blob.size)

    def retrying(self, why: str) -> None:
        """An attempt failed, and another follows."""
        self._events.emit(State.RETRYING, step=self._step, title=self._title, message=why)

    def warn(self, message: str) -> None:
        """Something the user should know."""
        self._events.warn(message, step=self._step)

    def _tell(self) -> None:
        with self._lock:
            done, total = self._settled + sum(self._moving.values()), self._total
            blobs, of = self._blobs
        if total:
            self._emit(State.PROGRESS, done=done, total=total, blobs=blobs, totalBlobs=of)

    def _tell_of(self, digest: str, position: int) -> None:
        owner, size = self._owners.get(digest, ""), self._sizes.get(digest, position)
        self._emit(State.PROGRESS, part=digest, of=owner, done=position, total=size)

    def _rate(self) -> int:
        """Bytes a second over all of it; 0 for a few bytes."""
        seconds = time.monotonic() - self._begun
        return round(self.moved / seconds) if self.moved >= _WORTH_A_RATE and seconds > 0 else 0

    def _emit(self, state: State, message: str = "", **data: Json) -> None:
        self._events.emit(state, step=self._step, title=self._title, message=message, data=data)


def owners(parts: Sequence[Descriptor], manifests: Sequence[Document]) -> dict[str, str]:
    """Which image each blob of a cluster image is of, by its digest: a container image by its name, or the rootfs.

    :param manifests: of `parts`, in the same order.
    """
    found: dict[str, str] = {}
    for part, manifest in zip(parts, manifests, strict=False):
        own = f"rootfs {platform_text(part.platform)}" if part.platform else ""
        for blob in manifest.children():
            found.setdefault(blob.digest, part.annotations.get(CONTAINER_REFERENCE, own))
    return found
