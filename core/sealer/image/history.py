"""How the rootfs of an image was made: one step an instruction, as its config tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sealer.events import Json
from sealer.image.model import Layer, Rootfs
from sealer.image.oci import decode, items
from sealer.image.oci_image import read_config
from sealer.image.store import Store


@dataclass(frozen=True)
class HistoryStep:
    """An instruction, or a layer of which the config tells nothing.

    :param created_by: the instruction, as whoever made the image wrote it; empty: unknown.
    :param created: when (RFC 3339); empty: it does not say, as in every image that sealer makes.
    :param layer: what it made; None: nothing but settings.
    """

    created_by: str
    created: str = ""
    comment: str = ""
    layer: Layer | None = None


def read_steps(store: Store, rootfs: Rootfs) -> tuple[HistoryStep, ...]:
    """The steps, the first one first.

    A config may tell of fewer layers than there are, or of none: those are last, with nothing but themselves.

    :raises ImageError: a blob of the image is missing or damaged.
    """
    config = decode(read_config(store, rootfs.digest), rootfs.digest)
    return tuple(_steps(items(config.get("history")), rootfs))


def _steps(history: list[Json], rootfs: Rootfs) -> Iterator[HistoryStep]:
    layers = iter(rootfs.layers)
    for step in history:
        if isinstance(step, dict):
            layer = None if step.get("empty_layer") is True else next(layers, None)
            yield HistoryStep(_text(step, "created_by"), _text(step, "created"), _text(step, "comment"), layer)
    yield from (HistoryStep("", layer=layer) for layer in layers)


def _text(step: dict[str, Json], key: str) -> str:
    value = step.get(key)
    return value if isinstance(value, str) else ""
