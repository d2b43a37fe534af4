"""The type CLUSTERCHECK."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sealer.clusterfile.model import PluginDocument
from sealer.documents import DocumentError, load_json, load_yaml
from sealer.errors import CommandError, InputError, StepTimeoutError
from sealer.extension import FIRST_MASTER, Effect, Operation, PluginType, Step, StepContext
from sealer.phases import LABEL_PHASES, Phase
from sealer_plugin_clustercheck.findings import (
    NAMESPACE,
    Document,
    Finding,
    Look,
    changed,
    of_control_plane,
    of_nodes,
    of_pods,
)

ONE_WATCH = 30.0  # seconds that one thing is waited for before all are looked at again
ONE_TURN = 2.0  # seconds between two looks where there is nothing to watch, as without an API server
ONE_LOOK = 5.0  # seconds between two looks at a cluster that is ready
CONFIGURATION = "kubeadm-config"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
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
                data = load_yaml(data)
            except DocumentError as error:
                raise _wrong(document, f"its data cannot be read: {error}") from None
        if data in (None, ""):
            return Patience()
        if not isinstance(data, dict) or not set(data) <= set(_FIELDS):
            unknown = sorted({str(field)[:40] for field in data} - set(_FIELDS)) if isinstance(data, dict) else []
            what = f"'{unknown[0]}' is no field of it: " if unknown else ""
            raise _wrong(document, f"{what}it takes no data, or 'stable' and 'timeout' as in 'timeout: 15m'")
        spans = {}
        for field, value in data.items():
            match = _SPAN.fullmatch(str(value).strip())
            if isinstance(value, bool) or not match:
                raise _wrong(document, f"{field}: '{str(value)[:40]}' is no time; write 90, 90s, 15m or 1h")
            spans[str(field)] = float(match[1]) * _UNITS[match[2] or ""]
        found = Patience(**spans)
        if found.timeout <= found.stable:
            raise _wrong(
                document, f"timeout: {found.timeout:g} s end before the cluster is stable for {found.stable:g} s"
            )
        return found

    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: Patience) -> Sequence[Step]:
        """One step on the first master; where no host stays it has nothing to wait for."""

        def run(context: StepContext) -> None:
            if operation.hosts:
                check(context, parsed)

        return [
            Step(
                "check",
                "Wait until the cluster is stable",
                FIRST_MASTER,
                run,
                inputs={"stable": parsed.stable, "timeout": parsed.timeout},
                effect=Effect.QUERY,
                unreachable="fail" if operation.hosts else "skip",
                timeout=parsed.timeout + parsed.stable + 2 * ONE_WATCH,
            )
        ]


def check(context: StepContext, patience: Patience) -> None:
    """Wait until the cluster is stable.

    :raises StepTimeoutError: it is not in time; says what is not ready and why.
    """
    watch = _Watch(context)
    deadline = time.monotonic() + patience.timeout
    told: list[Finding] = []
    while True:
        began = time.monotonic()
        found, look = watch.look()
        if not found and look:
            found = watch.changed(look, patience.stable)
            if not found:
                return
        left = deadline - time.monotonic()
        if left <= 0:
            raise StepTimeoutError(
                f"The cluster is not stable after {patience.timeout:g} s",
                where=context.host.id,
                why="; ".join(map(str, found[:SHOWN])) + (f"; and {len(found) - SHOWN} more" if found[SHOWN:] else ""),
                remedy="See `sealer kubectl -- get pods -A -o wide`, fix the cause, then run the same command again.",
            )
        again = found == told
        if not again:
            context.log("waiting for " + "; ".join(map(str, found[:SHOWN])))
            told = found
        watch.wait(found[0], min(ONE_WATCH, left))
        if again and (rest := ONE_TURN - (time.monotonic() - began)) > 0:
            context.query(f"sleep {rest:.1f}")


@dataclass
class _Watch:
    """Looks at a cluster, and waits for it to change."""

    context: StepContext
    components: Sequence[str] | None = None

    def look(self) -> tuple[list[Finding], Look | None]:
        """What is not ready now, and what was looked at."""
        operation = self.context.operation
        try:
            items = self._get("nodes,pods")["items"]
            if self.components is None:
                self.components = _components(self._get("configmap", CONFIGURATION, "--ignore-not-found"))
        except CommandError as error:
            last = error.output[-1] if error.output else str(error)
            return [Finding("the API server", last)], None
        of_kind = {kind: [item for item in items if item["kind"] == kind] for kind in ("Node", "Pod")}
        look = Look(of_kind["Node"], of_kind["Pod"]).without({host.address for host in operation.removed})
        masters = {host.address for host in operation.masters}
        return [
            *of_nodes(look.nodes, [host.address for host in operation.hosts]),
            *of_control_plane(look, masters, self.components),
            *of_pods(look.pods),
        ], look

    def changed(self, look: Look, seconds: float) -> list[Finding]:
        """What changes within a while, or did since `look`; ends soon after a change."""
        until = time.monotonic() + seconds
        while True:
            if (left := until - time.monotonic()) > 0:
                self.pass_time(min(left, ONE_LOOK))
            found, after = self.look()
            if after:
                found = found or list(changed(look, after))
            if found or time.monotonic() >= until:
                return found

    def wait(self, finding: Finding, seconds: float) -> None:
        """Watch one thing until it is ready, is gone, or the time is over."""
        if finding.name.startswith(("node/", "pod/")):
            awaited = "delete" if finding.leaves else "condition=Ready"
            options = (f"--for={awaited}", f"--timeout={max(1, round(seconds))}s")
            self.context.kubectl("wait", finding.name, "-n", NAMESPACE, *options, check=False)
        else:
            self.pass_time(min(seconds, ONE_TURN))

    def pass_time(self, seconds: float) -> None:
        """Let the time pass on the host: a connection that breaks, and a run that is called off, are noticed."""
        self.context.query(f"sleep {seconds:.1f}")

    def _get(self, *what: str) -> Document:
        printed = self.context.kubectl("get", *what, "-n", NAMESPACE, "-o", "json").stdout
        found: Document = load_json(printed) if printed.strip() else {}
        return found


def _components(configuration: Document) -> Sequence[str]:
    """What each master runs as pods, by what kubeadm keeps of its configuration; nothing where it is not kubeadm's."""
    if not configuration:
        return ()
    text = configuration.get("data", {}).get("ClusterConfiguration", "")
    cluster = load_yaml(text) or {}
    external = "external" in (cluster.get("etcd") or {})
    return COMPONENTS if external else (*COMPONENTS, "etcd")


def _wrong(document: PluginDocument, message: str) -> InputError:
    return InputError("the CLUSTERCHECK plugin is not right", problems=[document.problem(message)])
