"""What images of the original sealer say about themselves, in the words of sealer's own labels.

There are two generations. The later one has all of it in annotations of the manifest; the earlier one has a config of
its own kind, in which neither diff ids nor the usual settings stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sealer.documents import load_json
from sealer.errors import ImageError, InputError
from sealer.events import Json
from sealer.image.applications import Application, Applications, recognise
from sealer.image.discovery.model import FoundImage
from sealer.image.discovery.names import normalised
from sealer.image.model import APP_INSTALLER, CMDS_LABEL, KUBE_INSTALLER, KUBERNETES_VERSION_LABEL, TYPE_LABEL
from sealer.image.oci import items, texts

EXTENSION = "sealer.image.extension"
CONTAINER_IMAGES = "sealer.image.container.images"
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*")


@dataclass(frozen=True)
class Original:
    """What was found.

    :param labels: with sealer's own among them.
    :param images: the names of its container images, as far as it has a list of them.
    :param platform: where the config has one of its own.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    images: tuple[FoundImage, ...] = ()
    platform: Mapping[str, str] = field(default_factory=dict)


def read_original(annotations: Mapping[str, str], config: Mapping[str, Json], where: str) -> Original | None:
    """What an image says of itself; None: it is none of the original sealer's.

    :param annotations: of the manifest.
    :raises ImageError: it cannot be understood.
    """
    if EXTENSION in annotations:
        return _later(annotations, where)
    spec = config.get("spec")
    if isinstance(spec, dict) and ("image_config" in spec or "sealer_version" in spec):
        return _earlier(spec)
    return None


def version_label(metadata: bytes) -> dict[str, str]:
    """The version of Kubernetes that the file `Metadata` tells, as a label; nothing where it tells none."""
    try:
        version = texts(load_json(metadata or b"{}")).get("version", "")
    except ValueError:
        version = ""
    return {KUBERNETES_VERSION_LABEL: version} if _VERSION.fullmatch(version) else {}


def _later(annotations: Mapping[str, str], where: str) -> Original:
    extension = _decoded(annotations, EXTENSION, where)
    if not isinstance(extension, dict):
        raise _unreadable(EXTENSION, where)
    launch = extension.get("launch")
    launch = launch if isinstance(launch, dict) else {}
    apps = {app.name: app for app in map(_application, items(extension.get("applications"))) if app.name}
    names = tuple(name for name in _texts(launch.get("app_names")) if name in apps)
    labels = texts(extension.get("labels")) | Applications(apps, names).labels
    labels[TYPE_LABEL] = APP_INSTALLER if extension.get("type") == APP_INSTALLER else KUBE_INSTALLER
    if commands := _texts(launch.get("cmds")):
        labels[CMDS_LABEL] = json.dumps(commands, ensure_ascii=False)
    images = []
    for entry in items(_decoded(annotations, CONTAINER_IMAGES, where)):
        if name := texts(entry).get("image", ""):
            images.append(name)
    return Original(labels, _env(extension.get("env")), tuple(_images(images)))


def _earlier(spec: Mapping[str, Json]) -> Original:
    config = spec.get("image_config")
    config = config if isinstance(config, dict) else {}
    labels = texts(config.get("labels"))
    kind = config.get("image_type")
    labels[TYPE_LABEL] = APP_INSTALLER if isinstance(kind, str) and kind.startswith("app") else KUBE_INSTALLER
    cmd, args = config.get("cmd"), config.get("args")
    if isinstance(cmd, dict) and (commands := [*_texts(cmd.get("parent")), *_texts(cmd.get("current"))]):
        labels[CMDS_LABEL] = json.dumps(commands, ensure_ascii=False)
    env = {**texts(args.get("parent")), **texts(args.get("current"))} if isinstance(args, dict) else {}
    return Original(labels, env, platform=texts(spec.get("platform")))


def _application(value: Json) -> Application:
    entry = value if isinstance(value, dict) else {}
    name = texts(entry).get("name", "")
    usual = recognise(name, _texts(entry.get("files")))
    kind = texts(entry).get("type", "") or usual.type
    return Application(name, kind, tuple(_texts(entry.get("cmds"))) or usual.commands, _env(entry.get("env")))


def _images(names: Iterable[str]) -> Iterable[FoundImage]:
    for name in names:
        try:
            yield FoundImage(normalised(name), ())
        except InputError:
            continue  # no name of an image: nothing can be called so


def _env(value: Json | None) -> dict[str, str]:
    """A map, or a list of `NAME=VALUE`."""
    pairs = (text.partition("=")[::2] for text in _texts(value))
    return texts(value) if isinstance(value, dict) else {name: text for name, text in pairs if name}


def _texts(value: Json | None) -> list[str]:
    return [text for text in items(value) if isinstance(text, str)]


def _decoded(annotations: Mapping[str, str], name: str, where: str) -> Json:
    try:
        value: Json = load_json(annotations.get(name) or "null")
    except ValueError:
        raise _unreadable(name, where) from None
    return value


def _unreadable(name: str, where: str) -> ImageError:
    return ImageError(f"the annotation {name} is not as the original sealer writes it", where=where)
