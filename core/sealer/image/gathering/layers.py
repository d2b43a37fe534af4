"""Layers as archives have them, plain or compressed in some way, made into layers that every host can unpack."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealer.image.compressed import GZIP, ZSTD, opened, unzstd
from sealer.image.expansion import Readable, require_sane
from sealer.image.oci import DOCKER_LAYER, Descriptor
from sealer.image.staging import BlobWriter, Staging
from sealer.image.storage import storage_errors
from sealer.image.tarstream import CHUNK, gunzip, named

_FASTEST = 1
_GZIP_WINDOW = 31  # zlib's window bits for a gzip container


def stage_layer(chunks: Iterator[bytes], staging: Staging) -> tuple[Descriptor, str]:
    """Stage a layer, compressed with gzip the same way each time; one that is already stays as it is.

    :returns: its descriptor and its diff id.
    :raises ImageError: it is damaged.
    """
    from isal import isal_zlib  # only when there is something to compress

    first = next(chunks, b"")
    if first.startswith(GZIP):
        layer = staging.add(_again(first, chunks), DOCKER_LAYER)
        digest = hashlib.sha256()
        with gunzip(staging.blobs / layer.digest.removeprefix("sha256:")) as stream:
            while piece := stream.read(CHUNK):
                digest.update(piece)
        return layer, f"sha256:{digest.hexdigest()}"
    if first.startswith(ZSTD):
        chunks = unzstd(_again(first, chunks))
        first = next(chunks, b"")
    plain, count = hashlib.sha256(), 0
    gzip = isal_zlib.compressobj(_FASTEST, isal_zlib.DEFLATED, _GZIP_WINDOW)
    with BlobWriter(staging.blobs) as writer:
        for piece in _again(first, chunks):
            plain.update(piece)
            count += len(piece)
            writer.write(gzip.compress(piece))
            require_sane(count, writer.size)
        writer.write(gzip.flush())
        return Descriptor(DOCKER_LAYER, writer.finish(), writer.size), f"sha256:{plain.hexdigest()}"


def is_gzipped(layer: Path) -> bool:
    """Whether a layer is compressed as every host can unpack it."""
    return _head(layer).startswith(GZIP)


@contextmanager
def unpacked(layer: Path) -> Iterator[Readable]:
    """The tar of a layer, plain or compressed with gzip or zstd.

    :raises ImageError: it cannot be read, is damaged, or unpacks to too much.
    """
    if is_gzipped(layer):
        with gunzip(layer) as stream:
            yield stream
    elif _head(layer).startswith(ZSTD):
        with named(layer), opened(layer, what="layer") as stream:
            yield stream
    else:
        with named(layer), storage_errors("a layer cannot be read", layer), layer.open("rb") as file:
            yield file


def pieces(stream: Readable) -> Iterator[bytes]:
    """The bytes of a stream, 1 MiB at a time."""
    while chunk := stream.read(CHUNK):
        yield chunk


def _head(layer: Path) -> bytes:
    with storage_errors("a layer cannot be read", layer), layer.open("rb") as file:
        return file.read(len(ZSTD))


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
