"""The local store: an OCI image layout in which a crash at any moment leaves everything valid.

Blobs are made in a staging area, made durable, renamed into `blobs/sha256`, and only then does `index.json` name them,
all under a lock that is held for moments. A blob that no image names is harmless and goes with the next removal.

Whoever reads an image for longer says so in a staging area of its own (:meth:`Store.using`): until it ends, however it
ends, no removal takes a blob of that image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sealer.errors import ImageError, RefusedError
from sealer.events import Json
from sealer.image.catalogue import Catalogue, Removal, StoredImage
from sealer.image.downloads import Downloads
from sealer.image.oci import (
    CREATED,
    INDEX,
    INDEXES,
    LARGEST_DOCUMENT,
    MANIFESTS,
    REF_NAME,
    SOURCE,
    Descriptor,
    children,
    decode,
    digest_of,
    encode,
    items,
    platform_text,
)
from sealer.image.reference import Reference
from sealer.image.staging import Staging, dead_stagings, living_uses, open_staging, take
from sealer.image.storage import make_directories, storage_errors, sync_directory, write_durably
from sealer.image.store_lock import locked

if TYPE_CHECKING:
    from sealer.image.model import ClusterImage

LAYOUT = {"imageLayoutVersion": "1.0.0"}

_AFRESH = "move that directory away, then load, pull or build the images again"

Users = Callable[[], Mapping[str, Sequence[str]]]


class StoreDamagedError(ImageError):
    """Nothing can be said of any image."""


class Store:
    """An OCI image layout. Reading needs no lock; nothing is created before the first write.

    :param root: the layout's directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"

    # Reading

    def find(self, reference: str) -> ClusterImage:
        """The image of that name, digest, or beginning of a digest.

        :raises ImageNotFoundError: there is none; the remedy has the nearest names.
        :raises InputError: it cannot be the name of an image.
        :raises ImageError: it is in the store, but not whole.
        """
        return self._read(reference, self.descriptor(reference))

    def descriptor(self, reference: str) -> Descriptor:
        """What `index.json` says about an image; for the errors see :meth:`find`."""
        return self.catalogue().find(reference)

    def _read(self, reference: str, entry: Descriptor) -> ClusterImage:
        from sealer.image.oci_image import read_cluster_image  # noqa: PLC0415  # 10 ms that a push or pull need not wait for

        return read_cluster_image(self, reference, entry)

    def list(self) -> tuple[StoredImage, ...]:
        """All images, by name; those without a name last."""
        return tuple(self._summary(entry) for entry in self.catalogue().sorted())

    def catalogue(self) -> Catalogue:
        """What `index.json` holds at this moment."""
        path = self.root / "index.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Catalogue(())
        except OSError as error:
            raise StoreDamagedError(
                "the image store cannot be read", where=str(path), why=error.strerror or "", remedy=_AFRESH
            ) from error
        try:
            entries = items(decode(content, str(path)).get("manifests"))
            return Catalogue(tuple(Descriptor.from_json(entry, str(path)) for entry in entries))
        except ImageError as error:
            raise StoreDamagedError(
                "the list of the store's images is damaged",
                where=str(path),
                why=f"{error.what}: {error.why}",
                remedy=_AFRESH,
            ) from error

    def path(self, digest: str) -> Path:
        """The file of a blob, whether it is there or not."""
        return self.blobs / digest.removeprefix("sha256:")

    def read(self, descriptor: Descriptor) -> bytes:
        """A document's bytes, verified.

        :raises ImageError: it is missing, damaged, or too large to be a document.
        """
        path = self.path(descriptor.digest)
        if descriptor.size > LARGEST_DOCUMENT:
            raise ImageError(
                "a document in the image store is too large", where=str(path), why=f"{descriptor.size} bytes"
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ImageError(
                "a blob of the image is missing",
                where=str(path),
                why=error.strerror or "",
                remedy="load or build it again",
            ) from error
        if len(content) != descriptor.size or digest_of(content) != descriptor.digest:
            raise ImageError(
                "a document in the image store is damaged",
                where=str(path),
                remedy="remove the image, load or build it again",
            )
        return content

    def closure(self, *roots: Descriptor) -> dict[str, Descriptor]:
        """Every blob that these lead to, themselves included, by digest.

        :raises ImageError: a document on the way is missing or damaged.
        """
        found: dict[str, Descriptor] = {}
        read: set[str] = set()
        open_ends = list(reversed(roots))
        while open_ends:
            descriptor = open_ends.pop()
            found.setdefault(descriptor.digest, descriptor)
            if descriptor.digest in read or descriptor.media_type not in (*INDEXES, *MANIFESTS):
                continue
            read.add(descriptor.digest)
            document = decode(self.read(descriptor), descriptor.digest)
            parts = list(children(descriptor.media_type, document, descriptor.digest))
            if descriptor.media_type in INDEXES:
                open_ends.extend(reversed(parts))
            else:  # layers and config are bytes, also where a layer is an index that an image was pinned by
                found |= {part.digest: part for part in parts if part.digest not in found}
        return found

    def _summary(self, entry: Descriptor) -> StoredImage:
        platforms: list[str] = []
        try:
            size = sum(part.size for part in self.closure(entry).values())
            if entry.media_type in INDEXES:
                document = decode(self.read(entry), entry.digest)
                parts = children(entry.media_type, document, entry.digest)
                platforms = [platform_text(part.platform) for part in parts if part.platform]
        except ImageError as error:
            return StoredImage(
                entry.annotations.get(REF_NAME, ""), entry.digest, 0, (), entry.annotations.get(CREATED, ""), str(error)
            )
        return StoredImage(
            reference=entry.annotations.get(REF_NAME, ""),
            digest=entry.digest,
            size=size,
            platforms=tuple(dict.fromkeys(platforms)),
            created=entry.annotations.get(CREATED, ""),
        )

    # Writing

    @contextmanager
    def stage(self) -> Iterator[Staging]:
        """A place for new blobs; what dead processes left behind is removed first."""
        with self._locked(), storage_errors("the image store cannot be used", self.root):
            dead = dead_stagings(self._temporary)
            staging = open_staging(self._temporary)
        try:
            for area in dead:
                area.close()
            self._forget([image for area in dead for image in area.uses])
            yield staging
        finally:
            staging.close()
            self._forget(staging.uses)

    def use(self, staging: Staging, reference: str) -> ClusterImage:
        """Find an image, and keep its blobs until the staging area is closed. For the errors see :meth:`find`."""
        with self._locked():
            entry = self.descriptor(reference)
            image = self._read(reference, entry)
            with storage_errors("the image store cannot be used", self.root):
                staging.use(entry)
        return image

    @contextmanager
    def using(self, *references: str) -> Iterator[None]:
        """Keep images whole while they are read. For the errors see :meth:`find`."""
        with self.stage() as staging:
            for reference in references:
                self.use(staging, reference)
            yield

    def commit(self, staging: Staging, image: Descriptor, names: Sequence[str] = ()) -> Descriptor:
        """Take over the staged blobs and name the image, which is kept until the staging area is closed.

        :param image: its index, staged or already here.
        :param names: may be empty: the image can then be found by its digest.
        :raises ImageError: a blob that the image leads to is neither staged nor here.
        """
        self.commit_all(staging, [(image, names)])
        return image

    def commit_all(self, staging: Staging, images: Sequence[tuple[Descriptor, Sequence[str]]]) -> Mapping[str, str]:
        """The same for several images: all of them are named, or none.

        :returns: the names that another image had, with the digest of that one.
        """
        created = {CREATED: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        added = [(_noted(image, created), [Reference.parse(name).tagged for name in names]) for image, names in images]
        with self._locked():
            catalogue = self.catalogue()
            moved = {tag: old for entry, tags in added for tag in tags if (old := catalogue.other(tag, entry.digest))}
            with storage_errors("the image could not be stored", self.root):
                taken = take(staging, self.blobs)
                for entry, tags in added:
                    self._require(entry)
                    staging.use(entry)
                    catalogue = catalogue.with_image(entry, tags)
            self._write(catalogue)
            Downloads(self.downloads).forget(taken)
        return moved

    def tag(self, source: str, names: Sequence[str]) -> str:
        """Give an image more names; its digest is returned. For the errors see :meth:`find`."""
        tags = [Reference.to_give(name).tagged for name in names]
        with self._locked():
            catalogue = self.catalogue()
            entry = catalogue.find(source)
            self._write(catalogue.with_image(entry, tags))
        return entry.digest

    def remove(self, *references: str, force: bool = False, users: Users = dict) -> tuple[Removal, ...]:
        """Take names away; with its last name goes the image, with its last image each blob. All of them, or none.

        :param force: remove an image that is used, and one given by digest that has several names.
        :param users: who needs an image, in words, by its digest; asked under the store's lock.
        :raises ImageNotFoundError: there is no such image.
        :raises RefusedError: it would be removed with `force` only.
        :raises ImageError: another image is damaged: the names are gone, and all blobs are there.
        """
        with self._locked():
            before = remaining = self.catalogue()
            planned: list[tuple[tuple[str, ...], str, Catalogue]] = []
            for reference in references:
                entry = before.find(reference)
                if entry not in remaining.entries:
                    continue  # named twice
                names = remaining.names(entry.digest)
                if before.is_name(reference):
                    names = (entry.annotations[REF_NAME],)
                    remaining = remaining.without_name(names[0])
                elif len(names) > 1 and not force:
                    raise RefusedError(
                        f"'{reference}' has {len(names)} names: {', '.join(names)}",
                        remedy="remove it by name, or all of them at once with --force",
                    )
                else:
                    remaining = remaining.without_digest(entry.digest)
                gone = "" if entry.digest in remaining.digests else entry.digest
                planned.append((names, gone, remaining))
                if gone and not force:
                    self._refuse_used(reference, gone, users)
            return self._remove(planned)

    def remove_nameless(self, users: Users = dict) -> tuple[Removal, ...]:
        """Remove every image that has no name and that nobody needs. For the rest see :meth:`remove`.

        All under one lock: an image that just gets a name again is not taken for one without.
        """
        with self._locked():
            remaining = self.catalogue()
            planned: list[tuple[tuple[str, ...], str, Catalogue]] = []
            for entry in remaining.entries:
                if entry.annotations.get(REF_NAME):
                    continue
                try:
                    self._refuse_used(entry.digest, entry.digest, users)
                except RefusedError:
                    continue
                remaining = remaining.without_digest(entry.digest)
                planned.append(((), entry.digest, remaining))
            return self._remove(planned)

    def prune(self) -> tuple[str, ...]:
        """Delete the blobs that no image leads to, and what transfers left behind that nobody is busy with.

        :returns: the blobs' digests.
        :raises ImageError: an image is damaged, so that nobody knows what it needs; the remedy names it.
        """
        with self.stage():
            pass  # what dead processes left in the staging area goes with that
        with self._locked():
            for leftovers in (self.downloads, self.uploads):
                Downloads(leftovers).sweep(age=0)
            try:
                return self._sweep(self.catalogue())
            except StoreDamagedError:
                raise
            except ImageError as error:
                raise ImageError(
                    "unused blobs are kept",
                    why=f"it is unknown which of them a damaged image needs: {error}",
                    remedy=self._without_damaged(),
                ) from error

    def _remove(self, planned: Sequence[tuple[tuple[str, ...], str, Catalogue]]) -> tuple[Removal, ...]:
        done: list[Removal] = []
        left: ImageError | None = None
        for names, gone, remaining in planned:
            self._write(remaining)
            deleted: tuple[str, ...] = ()
            try:
                deleted, left = self._sweep(remaining), None
            except ImageError as error:
                left = error
            done.append(Removal(names, gone, deleted))
        if left:
            raise ImageError(
                "the image is untagged, but its blobs are kept",
                why=f"it is unknown which of them other images need: {left}",
                remedy=self._without_damaged(),
            ) from left
        return tuple(done)

    def _without_damaged(self) -> str:
        damaged = [image.reference or image.digest for image in self.list() if image.problem]
        return f"remove it as well, and all unused blobs go: `sealer rmi {' '.join(damaged)}`"

    def _refuse_used(self, reference: str, digest: str, users: Users) -> None:
        processes = [f"process {use.process}" for use in living_uses(self._temporary) if use.image.digest == digest]
        if found := [*users().get(digest, ()), *processes]:
            raise RefusedError(
                f"'{reference}' is in use by {', '.join(found)}",
                remedy="wait for a process to end, or delete the cluster; --force removes the image anyway",
            )

    def _forget(self, used: Sequence[Descriptor]) -> None:
        """Delete the blobs of images that were removed while they were used."""
        with suppress(ImageError), self._locked():  # with a document unread they stay until the next removal
            catalogue = self.catalogue()
            if any(image.digest not in catalogue.digests for image in used):
                self._sweep(catalogue)

    @property
    def downloads(self) -> Path:
        """Where blobs lie while they are fetched; see :mod:`sealer.image.downloads`."""
        return self.root / "downloads"

    @property
    def uploads(self) -> Path:
        """Where the addresses of uploads are kept that have not ended."""
        return self.root / "uploads"

    @property
    def _temporary(self) -> Path:
        return self.root / "tmp"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with storage_errors("the image store cannot be used", self.root):
            make_directories(self.root)
            self.blobs.mkdir(parents=True, exist_ok=True)
        with locked(self.root):
            with storage_errors("the image store cannot be used", self.root):
                self._lay_out()
            yield

    def _lay_out(self) -> None:
        if not (self.root / "oci-layout").exists():
            write_durably(self.root / "oci-layout", encode(LAYOUT))
        if not (self.root / "index.json").exists():
            self._write(Catalogue(()))

    def _write(self, catalogue: Catalogue) -> None:
        document: dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [entry.as_json() for entry in catalogue.entries],
        }
        with storage_errors("the image store could not be written", self.root):
            write_durably(self.root / "index.json", encode(document))

    def _require(self, image: Descriptor) -> None:
        for digest, descriptor in self.closure(image).items():
            path = self.path(digest)
            if not path.is_file() or path.stat().st_size != descriptor.size:
                raise ImageError("a blob of the image is missing", where=digest, remedy="run the same command again")

    def _sweep(self, catalogue: Catalogue) -> tuple[str, ...]:
        for leftovers in (self.downloads, self.uploads):
            Downloads(leftovers).sweep()
        used = [use.image for use in living_uses(self._temporary)]
        needed = {self.path(digest).name for digest in self.closure(*catalogue.entries, *used)}
        from sealer.image.cache import trim  # noqa: PLC0415  # only removals need it

        deleted = []
        with storage_errors("unused blobs could not be deleted", self.blobs):
            for path in sorted(self.blobs.iterdir()):
                if path.name not in needed:
                    path.unlink()
                    deleted.append(f"sha256:{path.name}")
            sync_directory(self.blobs)
            trim(self.root)
        return tuple(deleted)


def _noted(image: Descriptor, created: Mapping[str, str]) -> Descriptor:
    """The entry of an image: when it came, and where from, if a registry gave it."""
    source = {SOURCE: image.annotations[SOURCE]} if SOURCE in image.annotations else {}
    return replace(image, annotations={**created, **source})
