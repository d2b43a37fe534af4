"""From one kubeadm API version to another, by way of the tree that has the fields of all.

Most versions only add fields. What moved, or has an equivalent elsewhere, is moved; a value that says what an API
without the field does anyway is left out; every other field that the target lacks is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sealer.events import Json
from sealer_plugin_kubeadm.documents import fields
from sealer_plugin_kubeadm.documents.fields import KUBEADM, Struct
from sealer_plugin_kubeadm.documents.trees import CLUSTER, INIT, JOIN, Tree, Trees, get, put, take, texts
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

Complain = Callable[[str, str, str], None]
"""Called with the kind, the path in v1beta4's terms, and what cannot be converted and why."""

_HEALTH = "timeouts.controlPlaneComponentHealthCheck"
_OLD_HEALTH = "apiServer.timeoutForControlPlane"
_GATE = "featureGates.PublicKeysECDSA"
_GATE_SINCE, _GATE_UNTIL = 19, 30  # Kubernetes v1.19 to v1.30
_ADDONS = {"dns.disabled": "addon/coredns", "proxy.disabled": "addon/kube-proxy"}

# What an API without the field does: a field with this value can be left out.
_IMPLIED: Mapping[str, Json] = {
    "dns.disabled": False,
    "dns.type": "CoreDNS",
    "dryRun": False,
    "encryptionAlgorithm": "RSA-2048",
    "nodeRegistration.imagePullPolicy": "IfNotPresent",
    "nodeRegistration.imagePullSerial": True,
    "proxy.disabled": False,
    "useHyperKubeImage": False,
}
_REMEDIES: Mapping[str, str] = {
    "caCertificateValidityPeriod": "the runtime's own option sets how long certificates are valid",
    "certificateValidityPeriod": "the runtime's own option sets how long certificates are valid",
    "dns.type": "CoreDNS is the only DNS server that it installs",
    "useHyperKubeImage": "it has no hyperkube image any more",
}
# Fields of v1beta4 that came to it later, and the minor version of Kubernetes they came with.
_GREW: Mapping[str, int] = {"etcd.external.httpEndpoints": 35}
_GREW_VALUES: Mapping[tuple[str, str], int] = {("encryptionAlgorithm", "ECDSA-P384"): 34}


_MOVED: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    (INIT, _HEALTH): ((CLUSTER, _OLD_HEALTH),),
    (JOIN, _HEALTH): ((CLUSTER, _OLD_HEALTH),),
    (JOIN, "timeouts.discovery"): ((JOIN, "discovery.timeout"),),
    (CLUSTER, "encryptionAlgorithm"): ((CLUSTER, _GATE),),
}


@dataclass(frozen=True)
class Lowered:
    """Trees with no field that the target lacks.

    :param arguments: by kind, for kubeadm's command line: what the target's documents have no field for.
    """

    trees: Trees
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def places(kind: str, path: str) -> tuple[tuple[str, str], ...]:
    """Kinds and paths that a field of a tree may have had where it was written."""
    return ((kind, path), *_MOVED.get((kind, path), ()))


def lifted(kind: str, tree: Tree) -> Trees:
    """The tree of a document of any version with its fields where v1beta4 has them; some move to other kinds."""
    own = dict(tree)
    trees: Trees = {kind: own}
    if kind == CLUSTER:
        if (timeout := take(own, _OLD_HEALTH)) is not None:
            for other in (INIT, JOIN):
                trees[other] = {}
                put(trees[other], _HEALTH, timeout)
        gate = get(own, _GATE)
        if isinstance(gate, bool) and get(own, "encryptionAlgorithm") is None:
            take(own, _GATE)
            own["encryptionAlgorithm"] = "ECDSA-P256" if gate else "RSA-2048"
    if kind == JOIN and (timeout := take(own, "discovery.timeout")) is not None:
        put(own, "timeouts.discovery", timeout)
    return trees


def lowered(trees: Mapping[str, Tree], target: KubernetesVersion, complain: Complain) -> Lowered:
    """The same trees as the target's kubeadm can be told them; `complain` is called with what it cannot be."""
    return _Lowering(trees, target, complain).run()


class _Lowering:
    def __init__(self, trees: Mapping[str, Tree], target: KubernetesVersion, complain: Complain) -> None:
        self._trees = {kind: dict(tree) for kind, tree in trees.items()}
        self._target = target
        self._api = target.api
        self._complain = complain
        self._arguments: dict[str, list[str]] = {INIT: [], JOIN: []}

    def run(self) -> Lowered:
        if self._api < 4:
            self._timeouts()
            self._addons()
            self._algorithm()
        for kind in (INIT, JOIN):
            if kind in self._trees:
                self._command_line(kind)
        for kind, tree in self._trees.items():
            if kind in fields.STRUCTS:
                self._trees[kind] = self._struct(kind, fields.STRUCTS[kind], tree, "")
        return Lowered(
            self._trees,
            {kind: tuple(arguments) for kind, arguments in self._arguments.items() if arguments},
        )

    def _timeouts(self) -> None:
        joining = self._trees.get(JOIN, {})
        if (timeout := take(joining, "timeouts.discovery")) is not None:
            put(joining, "discovery.timeout", timeout)
        first = take(self._trees.get(INIT, {}), _HEALTH)
        other = take(joining, _HEALTH)
        if first is not None and other is not None and first != other:
            why = "there is one time for all masters, and InitConfiguration has another"
            self._complain(JOIN, _HEALTH, f"{self._lacks()}; {why}")
        if (timeout := other if first is None else first) is not None:
            cluster = self._trees.setdefault(CLUSTER, {})
            put(cluster, _OLD_HEALTH, timeout)

    def _addons(self) -> None:
        for path, phase in _ADDONS.items():
            if get(self._trees.get(CLUSTER, {}), path) is True:
                take(self._trees[CLUSTER], path)
                init = self._trees.setdefault(INIT, {})
                phases = texts(init.get("skipPhases"))
                init["skipPhases"] = [*phases, *(() if phase in phases else (phase,))]

    def _algorithm(self) -> None:
        cluster = self._trees.get(CLUSTER, {})
        gated = _GATE_SINCE <= self._target.minor <= _GATE_UNTIL
        if cluster.get("encryptionAlgorithm") == "ECDSA-P256" and gated:
            take(cluster, "encryptionAlgorithm")
            put(cluster, _GATE, True)

    def _command_line(self, kind: str) -> None:
        tree, arguments = self._trees[kind], self._arguments[kind]
        if self._api < 3:
            if phases := texts(take(tree, "skipPhases")):
                arguments.append(f"--skip-phases={','.join(phases)}")
            if self._target.patches_flag and (directory := take(tree, "patches.directory")) is not None:
                arguments.append(f"{self._target.patches_flag}={directory}")
        if self._api < 2 and (names := texts(take(tree, "nodeRegistration.ignorePreflightErrors"))):
            arguments.append(f"--ignore-preflight-errors={','.join(names)}")

    def _struct(self, kind: str, struct: Struct, tree: Mapping[str, Json], path: str) -> Tree:
        result: Tree = {}
        for name, value in tree.items():
            inner = f"{path}.{name}" if path else name
            known = struct.get(name)
            if value is None or known is None:  # of an API that is newer than sealer, and told of
                result[name] = value
            elif not known.in_version(self._api):
                self._left_out(kind, inner, value)
            elif isinstance(value, dict) and known.type in fields.STRUCTS:
                below = self._struct(kind, fields.STRUCTS[known.type], value, inner)
                if below or not value:
                    result[name] = below
            else:
                self._not_yet(kind, inner, value)
                if known.type == "args":
                    self._only_once(kind, inner, value)
                result[name] = value
        return result

    def _left_out(self, kind: str, path: str, value: Json) -> None:
        """A field that the target lacks: nothing, where that comes to the same; else it cannot be converted."""
        if path in _IMPLIED and _IMPLIED[path] == value and type(_IMPLIED[path]) is type(value):
            return
        if isinstance(value, dict) and value and path in ("patches", "proxy", "timeouts"):
            for name, inner in value.items():
                self._left_out(kind, f"{path}.{name}", inner)
        elif value not in ({}, []):
            remedy = _REMEDIES.get(path, "leave it out")
            self._complain(kind, path, f"{self._lacks()}; {remedy}")

    def _only_once(self, kind: str, path: str, flags: Json) -> None:
        for name, values in flags.items() if isinstance(flags, dict) and self._api < 4 else ():
            if isinstance(values, list) and len(values) > 1:
                why = f"the flag is given {len(values)} times, which v1beta{self._api} cannot say"
                self._complain(kind, f"{path}.{name}", f"cannot be converted: {why}")

    def _not_yet(self, kind: str, path: str, value: Json) -> None:
        since = _GREW.get(path, 0) or (_GREW_VALUES.get((path, value), 0) if isinstance(value, str) else 0)
        if self._target.minor < since:
            self._complain(kind, path, f"it came with Kubernetes v1.{since}, and the image has {self._target}")

    def _lacks(self) -> str:
        spoken = f"kubeadm of Kubernetes {self._target} speaks {KUBEADM}/v1beta{self._api}"
        return f"cannot be converted: {spoken}, which has no such field"
