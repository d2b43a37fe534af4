"""What stands around an image: sibling keys in any case, and the tags, versions and registries of the levels above."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from sealer.image.discovery.nodes import Table, Text, is_nothing
from sealer.image.discovery.templated import OPEN

TAGS = ("tag", "imagetag", "defaultimageversion", "imageversion")
DEFAULT_REGISTRY = ("defaultimageregistry", "defaultregistry")
_PART = re.compile(
    r"image|repo|tag|version|registry|digest|sha|override|pullpolicy|^(?:name|newname|domain|address|url|host)$"
)
_TAG_LIKE = re.compile(r"[vV]?\d[\w.+-]*|latest|stable|edge[\w.-]*|sha256:[0-9a-f]{64}")
_REGISTRY_LIKE = re.compile(r"(?:localhost|[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:/[\w./-]+)?|[\w-]+:\d+(?:/[\w./-]+)?")


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """A key without case and separators: `redis_image_tag`, `redisImageTag` and `REDIS_IMAGE_TAG` are one."""
    return name.replace("_", "").replace("-", "").lower() if len(name) < 250 else ""


@lru_cache(maxsize=4096)
def _relevant(name: str) -> str:
    """A folded key that can be a part of an image; empty for all others, which are most."""
    key = folded(name)
    return key if _PART.search(key) else ""


def tag_like(text: str) -> str:
    """A version that can be a tag, or that a template puts out; else empty."""
    return text if _TAG_LIKE.fullmatch(text) or text.startswith(OPEN) else ""


def partners(name: str) -> Iterator[str]:
    """The folded names under which the tag of an image stands beside it.

    :param name: folded: `redisimage`, `workercontainerrepository`.
    """
    for word in ("tag", "version"):
        yield name + word
    place = name.removesuffix("repository").removesuffix("repo")
    if place in ("", "image"):
        yield from ("tag", "imagetag", "imageversion", "version")
    for stem in dict.fromkeys((place, place.removesuffix("image"))):
        if stem not in ("", "default", "defaultimage", name):
            yield from (stem + word for word in ("tag", "imagetag", "version", "imageversion"))


class Words:
    """The texts of a mapping by their folded keys; of two that fold to one, the first."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._texts: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for name, (_, value) in table.by_name.items():
            if not (key := _relevant(name)):
                continue
            self._names.setdefault(key, name)
            if isinstance(value, Text) and not value.tag and not is_nothing(value) and (text := value.text.strip()):
                self._texts.setdefault(key, text)

    def get(self, *names: str) -> str:
        """The first of these that has a text; else empty."""
        return next((self._texts[name] for name in names if name in self._texts), "")

    def has(self, *names: str) -> bool:
        """Whether one of these keys is there, even empty."""
        return any(name in self._names for name in names)

    def written(self, *names: str) -> set[str]:
        """These keys as they are written."""
        return {self._names[name] for name in names if name in self._names}

    def line(self, *names: str) -> int:
        """Where the first of these stands that has a text."""
        for name in names:
            if name in self._texts:
                return self.table.by_name[self._names[name]][1].line
        return self.table.line

    @property
    def known(self) -> bool:
        """Whether there is any key that can be a part of an image, other than a name."""
        return bool(self._names.keys() - {"name"})

    def items(self) -> Iterator[tuple[str, str]]:
        """Folded keys with their texts."""
        yield from self._texts.items()


@dataclass(frozen=True)
class Above:
    """What the levels above a mapping say about the images in it.

    :param tag: of the level right above.
    :param version: of the nearest level that has one; for `baseImage`.
    :param registry: of all images below a level: `defaultRegistry`, or `registry` with an `address`.
    :param repository: `defaultImageRepository`.
    :param default_tag: `defaultImageTag`.
    """

    tag: str = ""
    version: str = ""
    registry: str = ""
    repository: str = ""
    default_tag: str = ""

    def below(self, words: Words, key: str) -> Above:
        """The same for what stands below a key."""
        if not words.known:
            return self if not self.tag else replace(self, tag="")
        own = folded(key)
        version = tag_like(words.get("version"))
        tag = words.get(f"{own}tag", f"{own}version") or words.get("tag", "imagetag", "imageversion") or version
        registry = words.get(*DEFAULT_REGISTRY)
        if not registry and isinstance(held := words.table.get("registry"), Table):
            registry = Words(held).get("address", "url", "host")
        if not _REGISTRY_LIKE.fullmatch(registry):
            registry = ""
        return Above(
            tag,
            version or self.version,
            registry or self.registry,
            words.get("defaultimagerepository") or self.repository,
            words.get("defaultimagetag") or self.default_tag,
        )


NOTHING = Above()
