"""Loading the archives that `sealer save` writes: as a stream, each blob checked while it enters the staging area."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.archive_errors import ForeignArchiveError, blamed
from sealer.image.catalogue import tell_moved
from sealer.image.compressed import opened
from sealer.image.expansion import Readable
from sealer.image.files import check_layers
from sealer.image.oci import LARGEST_DOCUMENT, REF_NAME, Descriptor, decode, items, undated
from sealer.image.oci_image import NoClusterImageError, read_cluster_image
from sealer.image.reference import Reference
from sealer.image.staged import StagedStore
from sealer.image.staging import Staging
from sealer.image.store import Store
from sealer.image.tarstream import Content, Kind, Member, members, refused

MOST_MEMBERS = 200_000
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")


def load_cluster_images(
    store: Store, source: Path, name: str = "", warn: Callable[[str], None] = lambda _: None
) -> tuple[tuple[str, str], ...]:
    """Take the cluster images of an OCI archive into the store, all of them or none.

    :param name: what the user knows the archive as; empty: by its path.
    :param warn: is told of each name that another image had.
    :returns: name (empty: none) and digest of each image.
    :raises ForeignArchiveError: it is an archive of another kind.
    :raises ImageError: it is damaged, or holds what no image may; the store is as before.
    """
    with store.stage() as staging, blamed(source, name):
        with opened(source, staging.directory) as file:
            index = _stage_members(staging, file)
        entries = [Descriptor.from_json(entry, "index.json") for entry in items(index.get("manifests"))]
        if not entries:
            raise ImageError("the archive holds no image", where=str(source))
        staged = StagedStore(store, staging)
        for entry in entries:
            try:
                require_cluster_image(staged, entry)
            except NoClusterImageError as error:
                raise ForeignArchiveError(error.what, where=error.where, why=error.why, remedy=error.remedy) from error
        names = [name_of(entry) for entry in entries]
        pairs = zip(entries, names, strict=True)
        moved = store.commit_all(staging, [(undated(entry), [name] if name else []) for entry, name in pairs])
    loaded = tuple((name, entry.digest) for entry, name in zip(entries, names, strict=True))
    tell_moved(loaded, moved, warn)
    return loaded


def name_of(entry: Descriptor) -> str:
    """The name that an archive gives to a cluster image; empty: none.

    :raises ImageError: it cannot be the name of an image.
    """
    name = entry.annotations.get(REF_NAME, "")
    try:
        return Reference.parse(name).tagged if name else ""
    except InputError as error:
        raise ImageError("an image in it has no usable name", where=entry.digest, why=str(error)) from error


def require_cluster_image(staged: StagedStore, entry: Descriptor) -> None:
    """Refuse an image that is not whole, or that has what no host may unpack.

    :raises NoClusterImageError: it is something else.
    :raises ImageError: it is.
    """
    image = read_cluster_image(staged, entry.annotations.get(REF_NAME, "") or entry.digest, entry)
    staged.require(entry)
    check_layers(image)


def _stage_members(staging: Staging, file: Readable) -> dict[str, Json]:
    """Stage the blobs; what `index.json` says is returned."""
    documents: dict[str, dict[str, Json]] = {}
    seen: set[str] = set()
    for member, content in members(file):
        if member.kind is Kind.DIRECTORY:
            continue
        if member.kind is not Kind.FILE:
            raise ForeignArchiveError("not an image archive", why=f"it holds a {member.kind}, {member.path[:100]!a}")
        if member.path in seen:
            raise refused(member.path, "a second member of that name")
        seen.add(member.path)
        if len(seen) > MOST_MEMBERS:
            raise ImageError("the archive is refused", why=f"more than {MOST_MEMBERS} members")
        if blob := _BLOB.fullmatch(member.path):
            staging.add(content.chunks(), "", digest=f"sha256:{blob[1]}", size=member.size)
        elif member.path in ("index.json", "oci-layout"):
            documents[member.path] = _document(member, content)
        elif member.path != "manifest.json":  # for docker's eyes; some programs add it
            raise _foreign(member.path)
    if "index.json" not in documents or "oci-layout" not in documents:
        raise _foreign("")
    return documents["index.json"]


def _document(member: Member, content: Content) -> dict[str, Json]:
    if member.size > LARGEST_DOCUMENT:
        raise ImageError("not an image archive", why=f"its {member.path} has {member.size} bytes")
    return decode(b"".join(content.chunks()), member.path)


def _foreign(path: str) -> ImageError:
    found = f"it holds {path[:100]!a}" if path else "index.json or oci-layout is missing"
    remedy = "`sealer load` reads what `sealer save`, `docker save`, skopeo, buildah and podman write"
    return ForeignArchiveError("not an image archive", why=found, remedy=remedy)
