"""References that a mapping has in parts: registry, repository, tag, digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sealer.image.discovery import keys
from sealer.image.discovery.names import has_tag, is_plausible, is_registry, is_specific
from sealer.image.discovery.nodes import Table, Text
from sealer.image.discovery.templated import CLOSE, OPEN

MAP, BASE, KUSTOMIZE = "image-map", "base-version", "kustomize"

_TAGS = ("tag", "imageTag", "image_tag", "image-tag", "defaultImageVersion")
_DIGESTS = ("digest", "imageDigest", "image_digest", "sha", "sha256")
_REGISTRIES = ("registry", "imageRegistry", "image_registry", "registryUrl", "domain")
_REPOSITORIES = ("repository", "imageRepository", "image_repository")
_NAMES = ("imageName", "image_name")
_VERSIONS = ("version", "imageVersion", "image_version")
_HEX = re.compile(r"[0-9a-f]{64}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+\.[A-Za-z0-9.-]*[A-Za-z]{2,}(?::\d+)?/.+")
_TAG_KEY = re.compile(r"(?P<stem>.*?)(?P<gap>[_-]?)(?:[tT]ag|TAG)$")
_SIGN = re.compile(f"{OPEN}[0-9]+{CLOSE}")


@dataclass(frozen=True)
class Part:
    """One reference put together.

    :param text: empty: a part is missing, and `mention` says what is there.
    """

    text: str
    line: int
    rule: str
    mention: str = ""


@dataclass
class Composition:
    """What a mapping is made of, and the keys that are thereby understood."""

    parts: list[Part] = field(default_factory=list)
    understood: set[str] = field(default_factory=set)


def compose(table: Table, *, imagey: bool, item: bool) -> Composition:
    """Put the references of a mapping together.

    :param imagey: whether its own key says that it is an image.
    :param item: whether it is an item of a list of images.
    """
    found = Composition()
    if item and _kustomize(table, found):
        return found
    for rule in (_repository, _image_and_tag, _name_and_tag, _name_and_version):
        if rule(table, found, imagey or item):
            break
    _prefixed(table, found)
    _base(table, found)
    return found


def sha256(text: str) -> str:
    """A digest as references have it; empty if it is none."""
    if _HEX.fullmatch(text):
        return f"sha256:{text}"
    return text if text.startswith("sha256:") or text.startswith(OPEN) else ""


def joined(registry: str, name: str) -> str:
    """A name below its registry."""
    registry = registry.rstrip("/")
    return f"{registry}/{name.lstrip('/')}" if registry and not name.startswith(f"{registry}/") else name


def tagged(name: str, tag: str, digest: str) -> str:
    """A name with its tag and digest; a tag that is one with a digest already stays so."""
    if tag.startswith("sha256:"):
        tag, digest = "", tag
    elif "@" in tag:
        tag, _, digest = tag.partition("@")
    text = f"{name}:{tag}" if tag else name
    return f"{text}@{digest}" if digest else text


def _may_be(text: str) -> bool:
    """Plausible, whatever its variables may be."""
    return is_plausible(re.sub(r"\$\([^()]*\)|\$\{[^{}]*\}", "x", _SIGN.sub("x", text)))


def _line(table: Table, *names: str) -> int:
    for name in names:
        if name in table.by_name:
            return table.by_name[name][1].line
    return table.line


def _digest(table: Table) -> str:
    return sha256(table.word(*_DIGESTS))


def _kustomize(table: Table, found: Composition) -> bool:
    new_name, new_tag = table.word("newName"), table.word("newTag")
    name = new_name or table.word("name")
    if not name or not (new_name or new_tag or ("digest" in table.by_name and "repository" not in table.by_name)):
        return False
    text, line = tagged(name, new_tag, _digest(table)), _line(table, "newName", "name")
    complete = has_tag(text)
    # Without either it keeps the tag of the image it replaces, which stands in another file.
    found.parts.append(Part(text if complete else "", line, KUSTOMIZE, text))
    found.understood |= {"name", "newName", "newTag", "digest"}
    return True


def _repository(table: Table, found: Composition, imagey: bool) -> bool:
    names = (*_REPOSITORIES, "repo") if imagey else _REPOSITORIES
    repository = table.word(*names)
    if not repository or not _may_be(repository):
        return False
    tag, digest = table.word(*_TAGS), _digest(table)
    if repository == table.word("imageRepository", "image_repository") and not is_specific(repository):
        return False
    image, name = table.word("image"), repository
    own = table.word("name") if imagey else ""
    if own and not is_specific(own) and own != repository.rpartition("/")[2] and not has_tag(repository):
        name = f"{repository.rstrip('/')}/{own}"
    elif image and (not is_specific(image) or is_registry(repository)) and _may_be(image):
        name, names = f"{repository.rstrip('/')}/{image}", ("image", *names)
        found.understood.add("image")
    if is_registry(name):
        return False
    name = joined(table.word(*_REGISTRIES), name)
    if not tag and not digest and (imagey or "image" in found.understood or _DOMAIN.match(name)):
        tag = table.word(*_VERSIONS)
    line = _line(table, *names)
    text = tagged(name, tag, digest)
    if (
        not has_tag(text)
        and not imagey
        and not any(key in table.by_name for key in (*_TAGS, *_REGISTRIES, "pullPolicy"))
    ):
        return False  # the repository of something else
    found.parts.append(Part(text if has_tag(text) else "", line, MAP, text))
    found.understood |= set(names)
    return True


def _image_and_tag(table: Table, found: Composition, imagey: bool) -> bool:
    image = table.word("image")
    if not image or not _may_be(image) or has_tag(image):
        return False
    tag, digest, registry = table.word(*_TAGS), _digest(table), table.word("registry", "imageRegistry")
    if not tag and not digest and imagey:
        tag = table.word(*_VERSIONS)
    if not tag and not digest and not registry:
        return False
    text = tagged(joined(registry, image), tag, digest)
    found.parts.append(Part(text if has_tag(text) else "", _line(table, "image"), MAP, text))
    found.understood.add("image")
    return True


def _name_and_tag(table: Table, found: Composition, imagey: bool) -> bool:
    name = table.word("name")
    tag, digest = table.word(*_TAGS), _digest(table)
    if not imagey or not name or not (tag or digest or (has_tag(name) and is_specific(name))) or not _may_be(name):
        return False
    name = joined(table.word(*_REGISTRIES), name)
    found.parts.append(Part(tagged(name, tag, digest), _line(table, "name"), MAP))
    found.understood.add("name")
    return True


def _name_and_version(table: Table, found: Composition, imagey: bool) -> bool:
    """`image_name` and `image_version`."""
    name, tag = table.word(*_NAMES), table.word(*_TAGS[1:], *_VERSIONS[1:])
    if not name or not tag or has_tag(name) or not _may_be(name):
        return False
    found.parts.append(Part(tagged(name, tag, _digest(table)), _line(table, *_NAMES), MAP))
    found.understood |= set(_NAMES)
    return True


def _prefixed(table: Table, found: Composition) -> None:
    """`sidecarImage` and `sidecarImageTag`, `etcd_image_repo` and `etcd_image_tag`."""
    for key in table.by_name:
        match = _TAG_KEY.fullmatch(key) if key.endswith(("Tag", "tag", "TAG")) else None
        if not match or not match["stem"] or match["stem"] in ("image", "new"):
            continue
        for name in _partners(match["stem"], match["gap"]):
            text = table.word(name)
            if not text or name in found.understood or not _may_be(text) or has_tag(text):
                continue
            tag = table.word(key)
            if tag and (keys.is_image_like(name) or is_specific(_SIGN.sub("x", text))):
                found.parts.append(Part(tagged(text, tag, ""), _line(table, name), MAP))
                found.understood.add(name)
                break


def _partners(stem: str, gap: str) -> Iterator[str]:
    yield stem
    for word in ("image", "repository", "repo"):
        yield f"{stem}{gap}{word}" if gap else f"{stem}{word.title()}"


def _base(table: Table, found: Composition) -> None:
    for key, (_, value) in table.by_name.items():
        if key in found.understood or not isinstance(value, Text) or not keys.is_base_image(key):
            continue
        text = value.text.strip()
        if not value.is_text or not _may_be(text) or has_tag(text):
            continue
        whole = tagged(text, table.word(*_TAGS, *_VERSIONS), _digest(table))
        found.parts.append(Part(whole if has_tag(whole) else "", value.line, BASE, text))
        found.understood.add(key)
