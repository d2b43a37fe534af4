"""`save` and `load`: images as one file or directory, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from sealer.errors import ImageError, InputError
from sealer.image.archive_errors import ForeignArchiveError
from sealer.image.docker_saving import require_docker, write_docker_archive
from sealer.image.oci import Descriptor
from sealer.image.oci_loading import load_cluster_images
from sealer.image.output import output_errors, written_directory, written_file
from sealer.image.saving import write_oci_archive, write_oci_directory
from sealer.image.storage import storage_errors
from sealer.image.store import Store
from sealer.image.tarstream import CHUNK

ArchiveFormat = Literal["oci-archive", "oci-dir", "docker-archive"]
FORMATS: tuple[ArchiveFormat, ...] = get_args(ArchiveFormat)
_HEAD = 512  # bytes: as many as a tar's first header has
_NO_TEXT = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]")
STANDARD_INPUT = "standard input"
STANDARD_OUTPUT = "standard output"


def save(
    store: Store, references: Sequence[str], target: Path | BinaryIO, form: ArchiveFormat = "oci-archive"
) -> tuple[Descriptor, ...]:
    """Write images to an archive; the same images give the same bytes.

    :param target: a file, a directory for `oci-dir`, or a stream.
    :returns: what was written, one for each reference.
    :raises ImageNotFoundError: an image is not in the store; nothing is written.
    :raises InputError: the images cannot have that form, or something is in the way.
    :raises ImageError: the store or the target failed; a file that was there before is still the old one.
    """
    with store.using(*references):
        found = [store.descriptor(reference) for reference in references]
        if form == "oci-dir":
            if not isinstance(target, Path):
                raise InputError("a directory cannot be written to a stream", remedy="name it with -o")
            with written_directory(target) as directory:
                write_oci_directory(store, found, directory)
            return tuple(found)
        images = require_docker(store, references, found) if form == "docker-archive" else []

        def write(file: BinaryIO) -> None:
            if form == "docker-archive":
                write_docker_archive(store, images, found, file)
            else:
                write_oci_archive(store, found, file)

        if isinstance(target, Path):
            with written_file(target) as file:
                write(file)
        else:
            with output_errors(STANDARD_OUTPUT):
                write(target)
    return tuple(found)


def load(
    store: Store, source: Path | BinaryIO, warn: Callable[[str], None] = lambda _: None
) -> tuple[tuple[str, str], ...]:
    """Take the images of an archive into the store, all of them or none. Every digest is checked.

    An image that is no cluster image becomes one: its files are the rootfs.

    :param source: a file, the directory of an OCI layout, or a stream, which is first copied beside the store.
    :param warn: is told of what of an image that sealer did not build cannot come along.
    :returns: name (empty: none) and digest of each image.
    :raises ImageError: it is no such archive, is damaged, or holds what no image may; the store is as before.
    """
    if not isinstance(source, Path):
        return _load_stream(store, source, STANDARD_INPUT, warn)
    if source.is_fifo() or source.is_char_device():  # `-i <(ssh site cat x.tar)`: it can be read once
        with source.open("rb") as stream:
            return _load_stream(store, stream, str(source), warn)
    return _load(store, source, "", warn)


def _load_stream(store: Store, stream: BinaryIO, name: str, warn: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    with store.stage() as staging:
        copy = staging.directory / "archive"
        with storage_errors("the archive could not be copied into the store", copy), copy.open("xb") as file:
            while chunk := stream.read(CHUNK):
                file.write(chunk)
        return _load(store, copy, name, warn)


def _load(store: Store, source: Path, name: str, warn: Callable[[str], None]) -> tuple[tuple[str, str], ...]:
    _refuse_text(source, name)
    try:
        if not source.is_dir():
            return load_cluster_images(store, source, name, warn)
    except ForeignArchiveError:
        from sealer.image.gathering.foreign_loading import load_foreign  # noqa: PLC0415  # most archives are our own

        if loaded := load_foreign(store, source, name, warn):
            return loaded
        raise
    from sealer.image.gathering.foreign_loading import load_foreign  # noqa: PLC0415

    if loaded := load_foreign(store, source, name, warn):
        return loaded
    raise ImageError(
        "not an image archive",
        where=str(source),
        why="the directory has neither index.json and oci-layout nor manifest.json",
        remedy="name the directory of an OCI layout, or a file",
    )


def _refuse_text(source: Path, name: str) -> None:
    """Say of a text file that it is one: a tar and all compressed forms have bytes in their head that no text has.

    :raises ImageError: it is one.
    """
    if not source.is_file():
        return
    with storage_errors("the archive cannot be read", source), source.open("rb") as file:
        head = file.read(_HEAD)
    if head and not _NO_TEXT.search(head):
        raise ImageError(
            "not an image archive",
            where=name or str(source),
            why="it is a text file",
            remedy="name the file that `sealer save`, `docker save` or `skopeo copy` wrote",
        )
