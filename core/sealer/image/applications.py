"""The applications of an image: what APP, APPCMDS, APPENV and LAUNCH make of it, kept in labels of the rootfs.

An application's files lie below `application/apps/NAME`. LAUNCH says which applications are installed when the cluster
is up; what that means in commands is settled when the image is built, so that a host needs to know nothing of it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sealer.documents import load_json
from sealer.errors import BuildError, ImageError
from sealer.events import Json

DIRECTORY = "application/apps"
APPS_LABEL = "io.sealer.apps"
LAUNCH_LABEL = "io.sealer.launch"
SUPPORTED_VERSIONS_LABEL = "app.alpha.sealer.io/supported-kube-version"
ROLE_LABELS = {"cni": "cluster.alpha.sealer.io/kube-cni-", "csi": "cluster.alpha.sealer.io/kube-csi-"}

PACKED = (".tgz", ".tar.gz")
_MANIFESTS = (".yaml", ".yml", ".json")
_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?")


@dataclass(frozen=True)
class Application:
    """One application.

    :param type: `helm`, `kube`, `shell`, or `unknown`: what its files look like.
    :param role: `cni` or `csi` for the cluster's network or storage.
    :param commands: shell texts, run in its directory one after the other.
    :param env: exported to its commands alone.
    """

    name: str
    type: str
    commands: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    role: str = ""

    @property
    def directory(self) -> str:
        """Where its files lie in the rootfs."""
        return f"{DIRECTORY}/{self.name}"

    @property
    def launch(self) -> tuple[str, ...]:
        """Its commands, to be run from the rootfs."""
        lines = [f"cd {shlex.quote(self.directory)} || exit"]
        lines += [f"export {key}={shlex.quote(value)}" for key, value in self.env.items()]
        return tuple("\n".join([*lines, command]) for command in self.commands)


@dataclass(frozen=True)
class Applications:
    """All of an image's applications.

    :param by_name: in the order they came; a base's first.
    :param launch: names of those that are installed, in this order.
    """

    by_name: Mapping[str, Application] = field(default_factory=dict)
    launch: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Mapping[str, str], where: str) -> Applications:
        """Those that an image's labels tell of.

        :raises ImageError: the labels cannot be understood.
        """
        try:
            apps = [_decoded(item) for item in load_json(labels.get(APPS_LABEL, "[]"))]
            names = load_json(labels.get(LAUNCH_LABEL, "[]"))
            found = cls({app.name: app for app in apps}, tuple(map(str, names)))
            found.commands(found.launch)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ImageError(
                f"the labels {APPS_LABEL} and {LAUNCH_LABEL} are not as sealer writes them", where=where
            ) from None
        return found

    @property
    def labels(self) -> dict[str, str]:
        """What tells of them."""
        labels = {
            f"{ROLE_LABELS[app.role]}{app.name}": "true" for app in self.by_name.values() if app.role in ROLE_LABELS
        }
        if self.by_name:
            labels[APPS_LABEL] = _text([_encoded(app) for app in self.by_name.values()])
        if self.launch:
            labels[LAUNCH_LABEL] = _text(list(self.launch))
        return labels

    def commands(self, names: Iterable[str]) -> tuple[str, ...]:
        """What installs applications, one after the other, from the rootfs.

        :raises KeyError: there is no application of a name.
        """
        return tuple(command for name in names for command in self.by_name[name].launch)

    def put(self, app: Application) -> Applications:
        """With an application more, or another in place of the one that has its name."""
        return replace(self, by_name={**self.by_name, app.name: app})


def is_own_label(key: str) -> bool:
    """Whether the instructions for applications write a label, and no LABEL does."""
    own = (APPS_LABEL, LAUNCH_LABEL, SUPPORTED_VERSIONS_LABEL)
    return key in own or key.startswith(tuple(ROLE_LABELS.values()))


def recognise(name: str, paths: Sequence[str], is_chart: Callable[[str], bool] = lambda path: False) -> Application:
    """An application by its files.

    :param paths: of the files, relative to its directory, in the order of the sources.
    :param is_chart: tells of the path of an archive whether it is a packed chart.
    """
    packed = len(paths) == 1 and paths[0].endswith(PACKED) and is_chart(paths[0])
    if "Chart.yaml" in paths or packed:
        chart = shlex.quote(f"./{paths[0]}") if packed else "."
        # `upgrade --install` bears being run again, as after a run that was cut off.
        return Application(name, "helm", (f"helm upgrade --install {name} {chart}",))
    if paths and all(path.endswith(_MANIFESTS) for path in paths):
        return Application(name, "kube", tuple(f"kubectl apply -f {shlex.quote(path)}" for path in paths))
    if paths and all(path.endswith(".sh") for path in paths):
        return Application(name, "shell", tuple(f"bash {shlex.quote(path)}" for path in paths))
    return Application(name, "unknown", ())


def check_release(app: Application) -> None:
    """Refuse a name that helm takes for no release.

    :raises BuildError: it is refused.
    """
    if app.type == "helm" and not _RELEASE.fullmatch(app.name):
        raise BuildError(
            f"'{app.name}' cannot be the name of a helm release",
            why="it has 53 lower-case letters, digits, '-' and '.' at most",
            remedy=f"name it otherwise, or say how it is installed with APPCMDS {app.name}",
        )


def _encoded(app: Application) -> dict[str, Json]:
    value: dict[str, Json] = {"name": app.name, "type": app.type, "cmds": list(app.commands)}
    if app.env:
        value["env"] = dict(app.env)
    if app.role:
        value["role"] = app.role
    return value


def _decoded(value: dict[str, object]) -> Application:
    cmds, env = value["cmds"], value.get("env", {})
    if not isinstance(cmds, list) or not isinstance(env, dict):
        raise TypeError
    texts = [value["name"], value["type"], value.get("role", ""), *cmds, *env, *env.values()]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    return Application(str(value["name"]), str(value["type"]), tuple(cmds), env=env, role=str(value.get("role", "")))


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
