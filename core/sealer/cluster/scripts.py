"""The image's own scripts, for every runtime, and its CMDs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Literal

from sealer.cluster.environment import FIELDS
from sealer.cluster.receipts import passing_on
from sealer.errors import InputError
from sealer.events import Json
from sealer.extension.context import StepContext
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import FIRST_MASTER, Targets
from sealer.image.model import ClusterImage

TIMEOUT = 3600.0  # seconds; a script that installs a cluster from a slow disk takes its time

_TITLES = {"init": "Prepare the host", "update": "Update the host", "clean": "Clean the host"}


def host_script(
    name: Literal["init", "update", "clean"], paths: Sequence[str] | None, rootfs: str, on: Targets, why: str
) -> list[Step]:
    """`scripts/NAME.sh` of the rootfs, where the image has one; it must bear being run again after a power cut.

    :param paths: the files of the rootfs; None: the image is gone, and each host knows whether it has the script.
    :param why: what makes this run another than the last: members, or the image.
    """
    path = f"scripts/{name}.sh"
    if paths is not None and path not in paths:
        return []
    where = shlex.quote(rootfs)
    text = f"cd {where}/scripts || exit 1\nchmod +x ./{name}.sh\n"
    if paths is None:
        text = f"[ -e {where}/{path} ] || exit 0\n{text}"

    def run(context: StepContext) -> None:
        context.sh(f"{text}exec {passing_on(context.environment)}./{name}.sh\n")

    unreachable: Literal["fail", "skip"] = "fail" if name == "init" else "skip"
    # It gets the new environment, and is there to make of it what the host needs.
    covers = FIELDS if name == "update" else frozenset()
    title = f"{_TITLES[name]} ({path})"
    inputs: dict[str, Json] = {"script": path, "why": why}
    return [Step(name, title, on, run, inputs, unreachable=unreachable, timeout=TIMEOUT, covers=covers)]


def launched(image: ClusterImage, apps: tuple[str, ...] | None) -> tuple[str, ...]:
    """What an image runs when the cluster is up.

    :param apps: names of applications, in place of those of its LAUNCH; None: those.
    :raises InputError: the image has no application of a name.
    """
    if apps is None:
        return image.first.cmds
    known = image.first.applications.by_name
    for name in apps:
        if name not in known:
            have = ", ".join(known) or "none"
            raise InputError(f"'{image.reference}' has no application '{name}'", why=f"it has {have}")
    return image.first.launching(apps)


def commands(cmds: Sequence[str], rootfs: str, arguments: Mapping[str, str], image: str) -> list[Step]:
    """The image's CMDs, one after the other on the first master, each of them once.

    :param arguments: exported to them in addition.
    :param image: digest of the image they are of.
    """

    def step(number: int, command: str) -> Step:
        def run(context: StepContext) -> None:
            context.sh(f"{command}\n", env=arguments, cwd=rootfs)

        title = command if len(command) <= 60 else f"{command[:57]}..."
        inputs: dict[str, Json] = {"command": command, "image": image, "arguments": {**arguments}}
        return Step(
            f"cmd-{number}", title.replace("\n", "; "), FIRST_MASTER, run, inputs, effect=Effect.ONCE, timeout=TIMEOUT
        )

    return [step(number, command) for number, command in enumerate(cmds, 1)]
