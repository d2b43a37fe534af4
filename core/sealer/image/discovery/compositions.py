"""References that a mapping has in parts: registry, repository, tag, digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sealer.image.discovery import keys
from sealer.image.discovery.around import TAGS, Above, Words, folded, partners, tag_like
from sealer.image.discovery.names import has_tag, is_plausible, is_registry, is_specific
from sealer.image.discovery.templated import CLOSE, OPEN

MAP, BASE, KUSTOMIZE = "image-map", "base-version", "kustomize"

_DIGESTS = ("digest", "imagedigest", "sha", "sha256")
_REGISTRIES = ("registry", "imageregistry", "registryurl", "domain")
_REPOSITORIES = ("repository", "imagerepository")
_VERSIONS = ("version", "imageversion")
_PARTS = (*TAGS, *_DIGESTS, "registry", "version", "tagprefix", "pullpolicy")
_HEX = re.compile(r"[0-9a-f]{64}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+\.[A-Za-z0-9.-]*[A-Za-z]{2,}(?::\d+)?/.+")
_TAG_KEY = re.compile(r"(?P<stem>.*?)(?P<gap>[_-]?)(?:[tT]ag|TAG)$")
_FURTHER_VERSION = re.compile(r"default\w+imageversion")
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

    def add(self, text: str, line: int, rule: str) -> None:
        """Note one reference; what has neither tag nor digest is a mention."""
        self.parts.append(Part(text if has_tag(text) else "", line, rule, text))


def compose(words: Words, *, imagey: bool, item: bool, above: Above) -> Composition:
    """Put the references of a mapping together.

    :param imagey: whether its own key says that it is an image.
    :param item: whether it is an item of a list of images.
    :param above: what the levels above say.
    """
    found = Composition()
    if item and _kustomize(words, found):
        return found
    for rule in (_repository, _image_and_tag, _name_and_tag, _name_and_version):
        if rule(words, found, imagey or item, above):
            break
    _prefixed(words, found)
    _beside(words, found)
    _base(words, found, above)
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


def _digest(words: Words) -> str:
    """The digest that counts: with `useDigest: false` none does."""
    return "" if words.get("usedigest").lower() == "false" else sha256(words.get(*_DIGESTS))


def _kustomize(words: Words, found: Composition) -> bool:
    new_name, new_tag = words.get("newname"), words.get("newtag")
    name = new_name or words.get("name")
    if not name or not (new_name or new_tag or (words.has("digest") and not words.has("repository"))):
        return False
    # Without a tag or digest it keeps the tag of the image it replaces, which stands in another file.
    found.add(tagged(name, new_tag, _digest(words)), words.line("newname", "name"), KUSTOMIZE)
    found.understood |= {"name", "newName", "newTag", "digest"}
    return True


def _with_registry(words: Words, name: str, above: Above) -> str:
    """With its own registry, or with the one that counts for all images below a level."""
    registry = words.get(*_REGISTRIES)
    own = name.partition("/")[0]
    if not registry and "." not in own and ":" not in own and not own.startswith(OPEN):
        registry = above.registry
    return joined(registry, name)


def _from_above(words: Words, above: Above) -> str:
    """A tag of the levels above; one that the program puts something before is none."""
    return "" if words.has("tagprefix", "tagsuffix") else above.tag or above.default_tag


def _repository(words: Words, found: Composition, imagey: bool, above: Above) -> bool:
    names = (*_REPOSITORIES, "repo") if imagey else _REPOSITORIES
    repository = words.get(*names)
    if not repository or not _may_be(repository):
        return False
    override = words.get("override")
    if imagey and has_tag(override) and _may_be(override):
        found.add(override, words.line("override"), MAP)
        found.understood |= words.written(*names, "override")
        return True
    tag, digest = words.get(*TAGS), _digest(words)
    if repository == words.get("imagerepository") and not is_specific(repository):
        return False
    image, name = words.get("image"), repository
    own = words.get("name") if imagey else ""
    if own and not is_specific(own) and own != repository.rpartition("/")[2] and not has_tag(repository):
        name = f"{repository.rstrip('/')}/{own}"
    elif image and (not is_specific(image) or is_registry(repository)) and _may_be(image):
        name, names = f"{repository.rstrip('/')}/{image}", ("image", *names)
        found.understood |= words.written("image")
    if is_registry(name):
        return False
    two = "image" in names
    name = _with_registry(words, name, above) if imagey else joined(words.get(*_REGISTRIES), name)
    if not tag and not digest and (imagey or two or _DOMAIN.match(name)):
        tag = words.get(*_VERSIONS) or (_from_above(words, above) if imagey and not has_tag(name) else "")
    text = tagged(name, tag, digest)
    if not has_tag(text) and not imagey and not two and not words.has(*TAGS, *_REGISTRIES, "pullpolicy"):
        return False  # the repository of something else
    found.add(text, words.line(*names), MAP)
    found.understood |= words.written(*names)
    return True


def _image_and_tag(words: Words, found: Composition, imagey: bool, above: Above) -> bool:
    image = words.get("image")
    if not image or not _may_be(image) or (has_tag(image) and not image.endswith("@sha256")):
        return False
    tag, digest, registry = words.get(*TAGS), _digest(words), words.get("registry", "imageregistry")
    if not tag and not digest:
        tag = words.get(*_VERSIONS) if imagey else tag_like(words.get("version"))
    further = [text for name, text in words.items() if _FURTHER_VERSION.fullmatch(name)]
    if not tag and not digest and not registry and not further and not words.has(*TAGS, "version"):
        return False
    line, name = words.line("image"), joined(registry, image)
    if not further or tag:
        found.add(tagged(name, tag, digest), line, MAP)
    for version in further:
        found.add(tagged(name, version, ""), line, MAP)
    found.understood |= words.written("image")
    return True


def _name_and_tag(words: Words, found: Composition, imagey: bool, above: Above) -> bool:
    name = words.get("name")
    if not imagey or not name or not _may_be(name) or words.has("image"):
        return False
    tag, digest = words.get(*TAGS) or tag_like(words.get("version")), _digest(words)
    if above.registry and words.has("registry", "repository"):
        repository = words.get("repository") or above.repository
        name = _with_registry(words, f"{repository}/{name}".lstrip("/"), above)
        tag = tag or ("" if digest else _from_above(words, above))
    else:
        name = joined(words.get(*_REGISTRIES), name)
    known = tag or digest or (has_tag(name) and is_specific(name))
    if not known and not (words.has(*_PARTS) and (is_specific(name) or words.has("registry", "tagprefix", *TAGS))):
        return False
    found.add(tagged(name, tag, digest), words.line("name"), MAP)
    found.understood |= words.written("name")
    return True


def _name_and_version(words: Words, found: Composition, imagey: bool, above: Above) -> bool:
    """`image_name` and `image_version`."""
    name, tag = words.get("imagename"), words.get("imagetag", "defaultimageversion", "imageversion")
    if not name or not tag or has_tag(name) or not _may_be(name):
        return False
    found.add(tagged(name, tag, _digest(words)), words.line("imagename"), MAP)
    found.understood |= words.written("imagename")
    return True


def _prefixed(words: Words, found: Composition) -> None:
    """`sidecarImage` and `sidecarImageTag`, `etcd_image_repo` and `etcd_image_tag`."""
    table = words.table
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
                found.add(tagged(text, tag, ""), words.line(folded(name)), MAP)
                found.understood.add(name)
                break


def _partners(stem: str, gap: str) -> Iterator[str]:
    yield stem
    for word in ("image", "repository", "repo"):
        yield f"{stem}{gap}{word}" if gap else f"{stem}{word.title()}"


def _beside(words: Words, found: Composition) -> None:
    """`redis_image` and `redis_image_version`, `WORKER_REPOSITORY` and `WORKER_TAG`."""
    for name, text in words.items():
        if name in ("image", *_REPOSITORIES, "repo") or not name.endswith(("image", "repository", "repo")):
            continue
        (written,) = words.written(name)
        if written in found.understood or has_tag(text) or not _may_be(text) or keys.is_base_image(written):
            continue
        beside = tuple(partners(name))
        tag, digest = words.get(*beside), sha256(words.get(f"{name}digest", f"{name}sha256"))
        image = keys.is_image_like(written)
        if not (image or is_specific(text)) or not (tag or digest or (image and words.has(*beside))):
            continue
        found.add(tagged(text, tag, digest), words.line(name), MAP)
        found.understood.add(written)


def _base(words: Words, found: Composition, above: Above) -> None:
    for name, text in words.items():
        written = next(iter(words.written(name)))
        if written in found.understood or not keys.is_base_image(written) or not _may_be(text) or has_tag(text):
            continue
        version = words.get(*TAGS, *_VERSIONS) or above.version
        found.add(tagged(text, version, _digest(words)), words.line(name), BASE)
        found.understood.add(written)
