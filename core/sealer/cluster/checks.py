"""What is looked at when a cluster is checked, beside what the kernel itself asks: drivers, plugins, the image."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from sealer.cluster.asked import Asked
from sealer.cluster.content import ImageContent
from sealer.cluster.receipts import passing_on
from sealer.cluster.stages import KERNEL, driver_name
from sealer.errors import SealerError
from sealer.extension.context import StepContext
from sealer.extension.guarding import steps_of
from sealer.extension.manager import PluginManager
from sealer.extension.operation import Operation
from sealer.extension.steps import Effect, Step
from sealer.extension.targets import ALL, OPERATOR

SCRIPT = "scripts/check.sh"
Checks = Sequence[tuple[str, Sequence[Step]]]


def checks_of(asked: Asked, plugins: PluginManager) -> Checks:
    """The QUERY steps of the image, the runtime, the registry and all plugins, with who gives them.

    One that fails to give them, or gives something else, gets a step that says so.
    """
    operation, runtime, registry = asked.operation, asked.drivers.runtime, asked.drivers.registry
    found: list[tuple[str, Sequence[Step]]] = [(KERNEL, _of_image(operation))]
    found.append(_of_driver(runtime, lambda: runtime.check(operation)))
    if registry and not (operation.recorded and operation.recorded.foreign):  # nothing of it is on such hosts
        found.append(_of_driver(registry, lambda: registry.check(operation)))
    for name, answer in plugins.health_checks(operation):
        found.append((name, [_broken(answer)] if isinstance(answer, SealerError) else answer))
    return found


def _of_driver(driver: object, ask: Callable[[], Sequence[Step]]) -> tuple[str, Sequence[Step]]:
    name = driver_name(driver)
    try:
        return name, steps_of(name, "check", ask, health=True)
    except SealerError as error:
        return name, [_broken(error)]


def _broken(error: SealerError) -> Step:
    """In place of the checks that nobody could learn of."""

    def fail(context: StepContext) -> None:
        raise error

    return Step("asked", "It says what it looks at", OPERATOR, fail, effect=Effect.QUERY)


def _of_image(operation: Operation) -> Sequence[Step]:
    try:
        return _script(operation)
    except SealerError as error:  # it is damaged
        return [_broken(error)]


def _script(operation: Operation) -> Sequence[Step]:
    """`scripts/check.sh` of the rootfs on every host, where the image has one."""
    if operation.image is None or SCRIPT not in ImageContent(operation.image).paths:
        return ()
    name = SCRIPT.rpartition("/")[2]

    def run(context: StepContext) -> None:
        # Its permissions are left as they are: a check changes nothing.
        line = f"cd {shlex.quote(operation.paths.rootfs)}/scripts || exit 1\nset -- sh\n[ -x {name} ] && set --\n"
        exported = {"SealerOperation": "check"}
        passed = passing_on({**context.environment, **exported})
        context.query(f'{line}exec {passed}"$@" ./{name}\n', env=exported)

    return [Step("script", f"The image's own check passes ({SCRIPT})", ALL, run, effect=Effect.QUERY)]
