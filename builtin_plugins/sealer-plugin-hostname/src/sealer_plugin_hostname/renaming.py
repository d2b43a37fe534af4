"""What is done on a host."""

from __future__ import annotations

from importlib import resources

from sealer.extension import REMOVED, Step, StepContext

TIMEOUT = 60.0


def rename(context: StepContext, name: str) -> None:
    """Give the host its running and static name, unless it has both, and let it resolve the name.

    :raises CommandError: the host does not take the name.
    """
    before = context.query("uname -n", check=False).stdout.strip()
    context.sh(script("rename.sh"), env=_environment(context, name))
    if before and before != name:
        context.log(f"{before} is now {name}")


def give_back() -> Step:
    """A step that undoes :func:`rename` on hosts that leave."""

    def run(context: StepContext) -> None:
        context.sh(script("give_back.sh"), env=_environment(context, ""))

    return Step("give-back", "Restore host names", REMOVED, run, unreachable="skip", timeout=TIMEOUT)


def _environment(context: StepContext, name: str) -> dict[str, str]:
    return {
        "SEALER_NAME": name,
        "SEALER_ADDRESS": context.host.address,
        "SEALER_KEPT": f"{context.operation.paths.data}/hostname",
    }


def script(name: str) -> str:
    """The text of a script, with the functions it uses."""
    files = resources.files(__package__)
    return (files / "names.sh").read_text() + (files / name).read_text()
