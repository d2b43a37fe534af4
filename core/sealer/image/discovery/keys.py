"""What the names of keys, arguments and variables say about their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps

CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})
# What stands below these is no image that would be pulled: what a schema allows, what was observed, prose.
PASSED_OVER = frozenset({"openAPIV3Schema", "managedFields", "description", "_example", "labels", "matchLabels"})
LONGEST_KEY = 250
# Values of settings whose names end in `image` as well.
NO_IMAGES = frozenset(
    {"true", "false", "yes", "no", "on", "off", "none", "null", "auto", "default", "always", "never", "ifnotpresent"}
    | {"enabled", "disabled", "inherit", "custom", "latest"}
)

_NOT_CONTAINERS = (
    r"(?:icon|logo|background|bg|hero|cover|banner|thumbnail|thumb|avatar|profile|splash|favicon|featured|header|poster"
    r"|preview|og|twitter|vm|os|disk|iso|boot|machine|ami|raw|cloud|root|pull|push|exempt|excluded?|ignored?"
    r"|match|with|without|no|skip|disable|enable|use|backing)"
)
_NOT_ONE = re.compile(rf"(?:^|[_\-./]){_NOT_CONTAINERS}[_-]?images?$", re.IGNORECASE)
_NOT_ONE_EITHER = re.compile(rf"[a-z0-9]{_NOT_CONTAINERS.title()}Images?$")
_LIKE = re.compile(r"(?:(?:^|[a-z0-9])Image|[_\-.]image|image|IMAGE)$")
_LOOSE = re.compile(r"image[._-]?(?:name|ref|reference|url|uri|pullSpec)$|(?:^|[/.])pullSpec$", re.IGNORECASE)
_BEGINS = re.compile(r"image(?=[A-Z0-9])(?P<rest>\w+)$")
_NO_IMAGE_OF = re.compile(
    r"(?:Pull|Tag|Version|Registry|Repo|Digest|Type|Format|Path|Dir|Polic|Secret|Size|Name|Ref|UR[LI]|Chart|GC|M(?:ax|in)imum"
    r"|FS|Fs|Service|Credential|Config|Spec|List|Set|Source|Kind|Famil|Selector|I[Dd]$|Project|Offer|Publisher|Sku|Sha|SHA"
    r"|Arch|Platform|Prefix|Suffix|Hub|Verif|Sign|Scan|Cache|Build|Push|Stream|Swap|Volume)"
)
# What a mapping of images says about all of them.
_PARTS = frozenset({"registry", "tag", "version", "digest", "pullpolicy", "pullsecrets", "prefix", "hub", "repository"})
PUSHING = frozenset(  # what a build pushes
    {"destination", "dest", "d", "push", "output", "o", "cache-repo", "cache-to", "tag", "t"}
)
_MANY = re.compile(r"(?:[a-z0-9]Images|[_\-.]images|images|IMAGES|[iI]mageList|image_list|image-list)$")
_REPOSITORY = re.compile(
    r"^(?!.*(?:git|hub|helm|chart|maven|source|code|svn|npm|pypi|apt|yum|dnf|artifact|backup|restic)[a-z]*[_.-]?repo)"
    r"[\w.-]*(?:repository|repo)$",
    re.IGNORECASE,
)
_IMAGEY = re.compile(r"image", re.IGNORECASE)
_BASE = re.compile(r"(?:base[_-]?|Base)image$", re.IGNORECASE)
_VARIABLE = re.compile(r"(?:^|[_\-.a-z0-9])images?$|^RELATED_IMAGE_", re.IGNORECASE)

ARGUMENT = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
SETTING = re.compile(r"[ \t]*[\"']?(?P<name>[\w.-]+)[\"']?[ \t]+=[ \t]+[\"'](?P<value>[^\"'\s]+)[\"']")  # of TOML
# `worker.image=quay.io/x/worker:1` of properties and .env, `helper_image: x/y:2` of a text that is no YAML
PROPERTY = re.compile(
    r"[ \t]*(?:export[ \t]+)?[\"']?(?P<name>[\w.-]+)[\"']?(?:[ \t]*=[ \t]*|:[ \t]+)"
    r"(?P<quote>[\"']?)(?P<value>[^\s\"'#;]+)(?P=quote)[ \t]*"
)
# `spark.kubernetes.container.image   apache/spark:3.5` of properties with blanks
BLANKS = re.compile(
    r"[ \t]*(?P<name>[\w-]+(?:\.[\w-]+)+)[ \t]+(?P<quote>[\"']?)(?P<value>[^\s\"'#;=]+)(?P=quote)[ \t]*"
)
ARGUMENT_IN_TEXT = re.compile(
    r"(?<![\w-])--(?P<name>[a-z0-9.-]*image)(?:=|[ \t]+)(?P<quote>[\"']?)(?P<value>[^\s\"'`;|&<>()\\]+)(?P=quote)"
)


def _remembered(ask: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same keys come again and again; those that are no names of anything are not kept."""
    known = lru_cache(maxsize=4096)(ask)

    @wraps(ask)
    def answer(name: str) -> bool:
        return len(name) <= LONGEST_KEY and known(name)

    return answer


def _tail(key: str) -> str:
    """The last part of a key like `sidecar.istio.io/proxyImage` or `image.repository`."""
    return re.split(r"[/.]", key.strip())[-1]


def _means_something_else(name: str) -> bool:
    return bool(_NOT_ONE.search(name) or _NOT_ONE_EITHER.search(name))


@_remembered
def is_image_like(key: str) -> bool:
    """`image`, `sidecarImage`, `busybox_image`, `SIDECAR_IMAGE`; not `logoImage`."""
    tail = _tail(key)
    return bool(_LIKE.search(tail)) and not _means_something_else(tail)


def assigns_an_image(text: str) -> bool:
    """Whether a text of one line gives something an image: `image: nginx:1`, `worker.image=quay.io/x/worker`."""
    found = PROPERTY.fullmatch(text)
    return bool(found and is_image_like(found["name"]) and any(mark in found["value"] for mark in "/:@"))


@_remembered
def is_loosely_image(key: str) -> bool:
    """`imageName`, `imageURL`, `container.image.ref`: an image as often as something else."""
    return bool(_LOOSE.search(key.strip()))


@_remembered
def begins_with_image(key: str) -> bool:
    """`imageEnvoy`, `imageK8S`: an image if the value looks like one; not `imagePullPolicy`."""
    match = _BEGINS.fullmatch(_tail(key))
    return bool(match and not _NO_IMAGE_OF.match(match["rest"]))


@_remembered
def is_part(key: str) -> bool:
    """`registry` in `images`: it is of all of them, and none itself."""
    return key.replace("_", "").replace("-", "").lower() in _PARTS


@_remembered
def is_base_image(key: str) -> bool:
    """`baseImage`: an image whose version stands elsewhere."""
    return bool(_BASE.search(_tail(key)))


@_remembered
def is_image_list(key: str) -> bool:
    """`images`, `relatedImages`."""
    tail = _tail(key)
    return bool(_MANY.search(tail)) and not _means_something_else(tail)


@_remembered
def speaks_of_images(name: str) -> bool:
    """Whether the word occurs at all."""
    return bool(_IMAGEY.search(name))


@_remembered
def is_repository(name: str) -> bool:
    """`WORKER_CONTAINER_REPOSITORY`, `app_image_repo`: an image if a tag stands beside it."""
    return bool(_REPOSITORY.search(name))


@_remembered
def is_image_variable(name: str) -> bool:
    """`SIDECAR_IMAGE`, `RELATED_IMAGE_X`, `builder-image`: the value is an image; not `IMAGE_PULL_POLICY`."""
    return bool(_VARIABLE.search(name)) and not _means_something_else(name)
