"""The images that a store's `index.json` names: looking them up, naming them, taking names away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sealer.errors import InputError, UnknownImageError
from sealer.image.oci import REF_NAME, Descriptor
from sealer.image.reference import SHORT_ID, Reference
from sealer.suggestions import close_matches


@dataclass(frozen=True)
class StoredImage:
    """One line of `sealer images`.

    :param reference: its name; empty if it has none.
    :param size: bytes of all its blobs, each counted once.
    :param platforms: `linux/amd64`, ...
    :param created: when it entered this store (RFC 3339).
    :param problem: why it cannot be used; empty if it can.
    """

    reference: str
    digest: str
    size: int
    platforms: tuple[str, ...]
    created: str
    problem: str = ""


@dataclass(frozen=True)
class Removal:
    """What a removal did.

    :param names: the names that are gone.
    :param digest: of the image, if it is gone too; else empty.
    :param blobs: digests of the blobs that were deleted.
    """

    names: tuple[str, ...]
    digest: str
    blobs: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """The entries of `index.json`: one for each name, and one for each image without a name."""

    entries: tuple[Descriptor, ...]

    def sorted(self) -> tuple[Descriptor, ...]:
        """By name, those without one last."""
        return tuple(sorted(self.entries, key=lambda entry: (_name(entry) == "", _name(entry), entry.digest)))

    @property
    def digests(self) -> frozenset[str]:
        """Of all images."""
        return frozenset(entry.digest for entry in self.entries)

    def names(self, digest: str) -> tuple[str, ...]:
        """All names of an image."""
        return tuple(_name(entry) for entry in self.sorted() if entry.digest == digest and _name(entry))

    def is_name(self, reference: str) -> bool:
        """Whether it is the name of an image here (and not a digest)."""
        return self._by_name(reference) is not None

    def is_named(self, name: str, digest: str) -> bool:
        """Whether an image is here, and under that name if one is given."""
        return any(entry.digest == digest and name in ("", _name(entry)) for entry in self.entries)

    def find(self, reference: str) -> Descriptor:
        """Look an image up by name, digest, or beginning of a digest.

        :raises ImageNotFoundError: there is none.
        :raises InputError: it cannot be the name of an image.
        """
        found = self._by_name(reference) or self._by_digest(reference)
        if found is None:
            raise UnknownImageError(f"no image '{reference}' in the local store", remedy=self.advice(reference))
        return found

    def with_image(self, image: Descriptor, names: Sequence[str]) -> Catalogue:
        """Name an image; an image that thereby loses its last name stays, without one."""
        kept = [entry for entry in self.entries if _name(entry) not in names or not _name(entry)]
        own = {key: text for key, text in image.annotations.items() if key != REF_NAME}
        added = [replace(image, annotations={**own, REF_NAME: name}) for name in dict.fromkeys(names)]
        named = {entry.digest for entry in (*kept, *added) if _name(entry)}
        orphans = [_nameless(entry) for entry in self.entries] + ([] if names else [_nameless(image)])
        nameless = {entry.digest: entry for entry in orphans if entry.digest not in named}
        return Catalogue((*(entry for entry in (*kept, *added) if _name(entry)), *nameless.values()))

    def other(self, name: str, digest: str) -> str:
        """The digest of the image that has a name, if it is another one than `digest`; else empty."""
        return next((entry.digest for entry in self.entries if _name(entry) == name and entry.digest != digest), "")

    def without_name(self, name: str) -> Catalogue:
        """Take one name away; the image goes with its last."""
        return Catalogue(tuple(entry for entry in self.entries if _name(entry) != name))

    def without_digest(self, digest: str) -> Catalogue:
        """Take an image away, whatever its names."""
        return Catalogue(tuple(entry for entry in self.entries if entry.digest != digest))

    def _by_name(self, reference: str) -> Descriptor | None:
        try:
            parsed = Reference.parse(reference)
        except InputError:
            if SHORT_ID.fullmatch(reference):
                return None
            raise
        for entry in self.entries:
            if _name(entry) == parsed.tagged and parsed.digest in ("", entry.digest):
                return entry
        return None

    def _by_digest(self, reference: str) -> Descriptor | None:
        name, _, digest = reference.rpartition("@")
        if not SHORT_ID.fullmatch(digest):
            return None
        wanted = digest.removeprefix("sha256:")
        found = {
            entry.digest: entry for entry in self.entries if entry.digest.removeprefix("sha256:").startswith(wanted)
        }
        if len(found) > 1:
            raise InputError(f"'{reference}' is the beginning of {len(found)} digests", remedy="give more digits of it")
        entry = next(iter(found.values()), None)
        if entry is None or not name:
            return entry
        repository = Reference.parse(name).name
        names = self.names(entry.digest)
        return entry if not names or any(Reference.parse(other).name == repository for other in names) else None

    def advice(self, reference: str) -> str:
        """What to do where there is no image of a name: the nearest names."""
        names = [_name(entry) for entry in self.sorted() if _name(entry)]
        if not names:
            return "the store is empty: `sealer build`, `sealer load` or `sealer pull` an image first"
        repository = reference.rpartition("/")[2].partition("@")[0].partition(":")[0]
        same = [name for name in names if name.rpartition("/")[2].partition(":")[0] == repository]
        untagged = {name.rpartition("/")[2].partition(":")[0]: name for name in reversed(names)}
        alike = close_matches(reference, names, n=3, cutoff=0.6)
        alike += [untagged[name] for name in close_matches(repository, untagged, n=2, cutoff=0.6)]
        near = list(dict.fromkeys([*same, *alike]))[:5]
        return f"did you mean {' or '.join(near)}?" if near else "`sealer images` lists what there is"


def _name(entry: Descriptor) -> str:
    return entry.annotations.get(REF_NAME, "")


def _nameless(entry: Descriptor) -> Descriptor:
    return replace(entry, annotations={key: text for key, text in entry.annotations.items() if key != REF_NAME})


def tell_moved(named: Iterable[tuple[str, str]], moved: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Say which names are another image's from now on.

    :param named: name and digest of each image.
    :param moved: what the names stood for before.
    """
    for name, digest in named:
        if name in moved:
            warn(f"{name} is now {digest}; it was {moved[name]}")
