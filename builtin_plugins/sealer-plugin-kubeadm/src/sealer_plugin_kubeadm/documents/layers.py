"""The documents of a Clusterfile and of an image, each checked by itself, and then what they come to together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sealer.clusterfile.model import KubeadmDocument
from sealer.events import Json
from sealer_plugin_kubeadm.documents import conversion, networks, rules
from sealer_plugin_kubeadm.documents.findings import Findings
from sealer_plugin_kubeadm.documents.needs import ClusterNeeds
from sealer_plugin_kubeadm.documents.phases import wrong_check, wrong_phase
from sealer_plugin_kubeadm.documents.reading import DURATION, read_document
from sealer_plugin_kubeadm.documents.trees import CLUSTER, INIT, JOIN, Trees, get
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

_MASK = "node-cidr-mask-size"
_FIELDS = {"podSubnet": "spec.network.podCIDR", "serviceSubnet": "spec.network.svcCIDR"}


@dataclass(frozen=True)
class _Owned:
    """A document and what it says; `mine`: it is the user's and not the image's."""

    document: KubeadmDocument
    trees: Trees
    mine: bool


class Layers:
    """Reads documents, and knows afterwards which of them said what."""

    def __init__(self, cluster: ClusterNeeds, kubernetes: KubernetesVersion, findings: Findings) -> None:
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._findings = findings
        self._owned: list[_Owned] = []

    def read(self, documents: Sequence[KubeadmDocument], *, mine: bool) -> list[Trees]:
        """The trees of each document, in their order.

        :param mine: they are the user's: what sealer alone decides is an error in them, and a warning in the image's,
            or where the cluster is made already: nobody could mend it, and no host could join any more.
        """
        layer: list[Trees] = []
        for document in documents:
            tree = read_document(document, self._kubernetes, self._findings)
            if tree is None:
                continue
            tell = self._teller(document, mine=mine and not self._cluster.made)
            error = self._teller(document, mine=True)
            rules.enforce(document.kind, tree, self._cluster, self._kubernetes, tell)
            rules.check(document.kind, tree, self._cluster, self._kubernetes, error)
            trees = conversion.lifted(document.kind, tree)
            self._owned.append(_Owned(document, trees, mine))
            layer.append(trees)
        return layer

    def complain(self, kind: str, path: str, message: str) -> None:
        """Tell of a field of a tree at the document that it comes from."""
        owned = self._owner(kind, path)
        if owned is None:
            self._findings.error_at(self._cluster.at("spec"), f"{kind}.{path}", message)
            return
        content = owned.document.content
        others = (at for it, at in conversion.places(kind, path) if it == owned.document.kind)
        written = next((at for at in others if get(content, at) is not None), path)
        self._findings.error(owned.document, written, message)

    def check_networks(self, cluster: Mapping[str, Json]) -> None:
        """See that the ranges of pods and services fit to one another and to the hosts, and are given once.

        :param cluster: ClusterConfiguration in the end.
        """
        pods, services = networks.ranges(cluster)
        mine = self._cluster
        given = [
            self._range("podSubnet", pods, mine.pod_cidr, "the default range of pods"),
            self._range("serviceSubnet", services, mine.service_cidr, "the default range of services"),
        ]
        networks.check(given[0], given[1], (*mine.masters, *mine.nodes), self._kubernetes, _masks(cluster))
        gate = f"featureGates.{networks.DUAL_STACK_GATE}"
        if networks.needs_dual_stack_gate(cluster, self._kubernetes) and get(cluster, gate) is False:
            self.complain(CLUSTER, gate, "ranges of two families need it; leave it out")

    def check_runtime_options(self) -> None:
        """See that the names in `spec.runtime` are some that kubeadm knows."""
        for index, name in enumerate(self._cluster.skip_phases):
            if wrong := wrong_phase(name, INIT, JOIN):
                self._mistake(f"spec.runtime.skipPhases[{index}]", wrong)
        for index, name in enumerate(self._cluster.ignore_preflight_errors):
            if wrong := wrong_check(name):
                self._mistake(f"spec.runtime.ignorePreflightErrors[{index}]", wrong)
        if self._cluster.validity and not DURATION.fullmatch(self._cluster.validity):
            self._mistake("spec.runtime", "the certificates' validity is a duration such as 876000h0m0s")

    def _teller(self, document: KubeadmDocument, *, mine: bool) -> Callable[[str, str], None]:
        tell = self._findings.error if mine else self._findings.warn
        return lambda path, message: tell(document, path, message)

    def _owner(self, kind: str, path: str, *, mine: bool | None = None) -> _Owned | None:
        for owned in reversed(self._owned):
            if get(owned.trees.get(kind, {}), path) is not None and mine in (None, owned.mine):
                return owned
        return None

    def _range(self, name: str, text: str, own: str, default: str) -> networks.Given:
        """A range with where it was given: in the user's document, in `spec.network`, in the image's, or nowhere."""
        path, spec = f"networking.{name}", _FIELDS[name]
        users = self._owner(CLUSTER, path, mine=True)
        owner = users or (None if own else self._owner(CLUSTER, path))
        if users and own and not networks.same(text, own):
            self._findings.error(users.document, path, f"{text} differs from {spec}, {own}; give one of them")
        if owner:
            document = owner.document
            return networks.Given(text, path, lambda message: self._findings.error(document, path, message))
        remedy = "" if own else f" ({default}; {spec} gives another)"
        tell = self._mistake
        return networks.Given(text, spec if own else default, lambda message: tell(spec, f"{message}{remedy}"))

    def _mistake(self, path: str, message: str) -> None:
        """Tell of a field of the Cluster document."""
        self._findings.error_at(self._cluster.at(path), path, message)


def _masks(cluster: Mapping[str, Json]) -> dict[int, int]:
    flags = get(cluster, "controllerManager.extraArgs")
    masks: dict[int, int] = {}
    for family in (4, 6):
        for flag in (_MASK, f"{_MASK}-ipv{family}"):
            values = flags.get(flag) if isinstance(flags, dict) else None
            value = values[-1] if isinstance(values, list) and values else None
            if isinstance(value, str) and value.isdigit() and value.isascii():
                masks[family] = int(value[:4])
    return masks
