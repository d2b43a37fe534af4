"""The type CLUSTERCHECK."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from sealer.clusterfile.model import PluginDocument
from sealer.errors import CommandError, InputError, StepTimeoutError
from sealer.extension import FIRST_MASTER, Effect, Operation, PluginType, Step, StepContext
from sealer.phases import LABEL_PHASES, Phase
from sealer_plugin_clustercheck.findings import NAMESPACE, Document, Finding, of_nodes, of_pods, restarts

ONE_WATCH = 30.0  # seconds that one thing is waited for before all are looked at again
SHOWN = 8
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)?")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_FIELDS = ("stable", "timeout")


@dataclass(frozen=True)
class Patience:
    """How long is waited.

    :param stable: seconds in which nothing must change.
    :param timeout: seconds until it is given up.
    """

    stable: float = 5.0
    timeout: float = 900.0


class ClusterCheck(PluginType[Patience]):
    """Waits until nodes, control plane and the pods of kube-system are ready, and stay so."""

    type = "CLUSTERCHECK"
    default_phases = (Phase.PRE_GUEST,)
    phases = LABEL_PHASES

    def parse(self, document: PluginDocument) -> Patience:
        """No data, or how long: `stable: 10s` and `timeout: 15m`.

        :raises InputError: anything else.
        """
        data = document.data
        if isinstance(data, str):
            try:
                data = yaml.safe_load(data)
            except yaml.YAMLError:
                data = document.data
        if data in (None, ""):
            return Patience()
        if not isinstance(data, dict) or not set(data) <= set(_FIELDS):
            unknown = sorted(set(map(str, data)) - set(_FIELDS)) if isinstance(data, dict) else []
            what = f"'{unknown[0]}' is no field of it: " if unknown else ""
            raise _wrong(document, f"{what}it takes no data, or 'stable' and 'timeout' as in 'timeout: 15m'")
        spans = {}
        for field, value in data.items():
            match = _SPAN.fullmatch(str(value).strip())
            if isinstance(value, bool) or not match:
                raise _wrong(document, f"{field}: '{value}' is no time; write 90, 90s, 15m or 1h")
            spans[str(field)] = float(match[1]) * _UNITS[match[2] or ""]
        found = Patience(**spans)
        if found.timeout <= found.stable:
            raise _wrong(
                document, f"timeout: {found.timeout:g} s end before the cluster is stable for {found.stable:g} s"
            )
        return found

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: Patience) -> Sequence[Step]:
        """One step on the first master."""

        def run(context: StepContext) -> None:
            check(context, parsed)

        return [
            Step(
                "check",
                "Wait until the cluster is stable",
                FIRST_MASTER,
                run,
                inputs={"stable": parsed.stable, "timeout": parsed.timeout},
                effect=Effect.QUERY,
                timeout=parsed.timeout + 2 * ONE_WATCH,
            )
        ]


def check(context: StepContext, patience: Patience) -> None:
    """Wait until the cluster is stable.

    :raises StepTimeoutError: it is not in time; says what is not ready and why.
    """
    deadline = time.monotonic() + patience.timeout
    told: list[Finding] = []
    while True:
        found, pods = _look(context)
        left = deadline - time.monotonic()
        if not found:
            if _stays(context, pods, patience.stable):
                return
            found = [Finding("the cluster", "was ready, and changed again")]
        if left <= 0:
            raise StepTimeoutError(
                f"The cluster is not stable after {patience.timeout:g} s",
                where=context.host.id,
                why="; ".join(map(str, found[:SHOWN])) + (f"; and {len(found) - SHOWN} more" if found[SHOWN:] else ""),
                remedy="See `sealer kubectl get pods -A -o wide`, mend the cause, and run the same command again.",
            )
        if found != told:
            context.log("waiting for " + "; ".join(map(str, found[:SHOWN])))
            told = found
        _wait(context, found[0], min(ONE_WATCH, left))


def _look(context: StepContext) -> tuple[list[Finding], Sequence[Document]]:
    """What is not ready now, and the pods that were looked at."""
    try:
        nodes = context.nodes()
        answer = context.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json").stdout
        pods: Sequence[Document] = json.loads(answer)["items"]
    except CommandError as error:
        last = error.output[-1] if error.output else str(error)
        return [Finding("the API server", last)], ()
    addresses = [host.address for host in context.operation.hosts]
    return [*of_nodes(nodes, addresses), *of_pods(pods)], pods


def _wait(context: StepContext, finding: Finding, seconds: float) -> None:
    """Watch one thing until it is ready, is gone, or the time is over."""
    span = f"{max(1, round(seconds))}s"
    if finding.name.startswith(("node/", "pod/")):
        context.kubectl(
            "wait", finding.name, "-n", NAMESPACE, "--for=condition=Ready", f"--timeout={span}", check=False
        )
    else:
        _watch(context, min(seconds, 2.0))


def _stays(context: StepContext, pods: Sequence[Document], seconds: float) -> bool:
    """Whether nothing changes for a while: neither the pods nor how often they were started."""
    if seconds > 0:
        _watch(context, seconds)
    found, after = _look(context)
    return not found and restarts(after) == restarts(pods)


def _watch(context: StepContext, seconds: float) -> None:
    """Watch the pods that long; without an API server there is nothing to watch, and the host lets the time pass."""
    started = time.monotonic()
    span = f"{max(1, round(seconds))}s"
    context.kubectl("get", "pods", "-n", NAMESPACE, "--watch-only", f"--request-timeout={span}", check=False)
    left = seconds - (time.monotonic() - started)
    if left > 0:
        context.query(f"sleep {left:.1f}")


def _wrong(document: PluginDocument, message: str) -> InputError:
    return InputError("the CLUSTERCHECK plugin is not right", problems=[document.problem(message)])
