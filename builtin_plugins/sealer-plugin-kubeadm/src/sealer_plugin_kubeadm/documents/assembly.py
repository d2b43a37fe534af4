"""All documents over one another, and from them the text for each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sealer.clusterfile.model import KubeadmDocument
from sealer.errors import InputError, Problem
from sealer.events import Json
from sealer_plugin_kubeadm.documents import conversion, hardening, needs, networks
from sealer_plugin_kubeadm.documents.components import NEWEST
from sealer_plugin_kubeadm.documents.findings import Findings, refusal
from sealer_plugin_kubeadm.documents.layers import Layers
from sealer_plugin_kubeadm.documents.needs import NO_SECRETS, ClusterNeeds, InitSecrets, NodeNeeds
from sealer_plugin_kubeadm.documents.trees import (
    CLUSTER,
    INIT,
    JOIN,
    KUBE_PROXY,
    KUBELET,
    Tree,
    Trees,
    get,
    merged,
    put,
    take,
)
from sealer_plugin_kubeadm.documents.versions import OLDEST, KubernetesVersion
from sealer_plugin_kubeadm.documents.writing import as_written, written

_INIT_ORDER = (INIT, CLUSTER, KUBELET, KUBE_PROXY)


@dataclass(frozen=True)
class Rendered:
    """What kubeadm is given on one host.

    :param text: the documents, with secrets: for a file that only root reads.
    :param arguments: for its command line, what this version's documents have no field for.
    :param inputs: all that decides both, without secrets: a step's fingerprint.
    """

    text: str = field(repr=False)
    arguments: tuple[str, ...]
    inputs: Mapping[str, Json]


@dataclass(frozen=True)
class Prepared:
    """Documents that are found right, and wait for the facts of each host.

    :param kubernetes: the image's version.
    :param pods, services: the ranges in the end.
    :param external_etcd: whether etcd is somebody else's.
    :param files: what API servers read beside kubeadm's files: paths on masters.
    :param warnings: what has no effect, or hardly the one that was meant.
    """

    kubernetes: KubernetesVersion
    pods: str
    services: str
    external_etcd: bool
    files: frozenset[str]
    warnings: tuple[Problem, ...]
    _needs: ClusterNeeds = field(repr=False)
    _below: Trees = field(repr=False)
    _users: tuple[Trees, ...] = field(repr=False)


def prepare(users: Sequence[KubeadmDocument], images: Sequence[KubeadmDocument], cluster: ClusterNeeds) -> Prepared:
    """Check the documents, and put them over one another.

    From the bottom: sealer's defaults, what it does for the cluster's security, the image's documents, what the cluster
    and the host need, the user's documents, what sealer alone decides.

    :param users: of the Clusterfile.
    :param images: of the image's `etc/kubeadm.yml`.
    :raises InputError: with everything that cannot be right, by file, line and column.
    """
    kubernetes = KubernetesVersion.parse(cluster.kubernetes_version)
    findings = Findings()
    layers = Layers(cluster, kubernetes, findings)
    image, user = layers.read(images, mine=False), layers.read(users, mine=True)
    secured = hardening.layer(cluster, kubernetes, (*image, *user))
    below = merged(needs.defaults(), secured, *image, needs.of_cluster(cluster, kubernetes))
    if networks.needs_dual_stack_gate(merged(below, *user)[CLUSTER], kubernetes):
        below = merged(below, {CLUSTER: {"featureGates": {networks.DUAL_STACK_GATE: True}}})
    together = merged(below, *user)
    layers.check_networks(together[CLUSTER])
    layers.check_runtime_options()
    conversion.lowered(together, kubernetes, layers.complain)
    findings.finish()
    ranges = networks.ranges(together[CLUSTER])
    external = get(together[CLUSTER], "etcd.external") is not None
    read = hardening.mounted_files(together[CLUSTER])
    return Prepared(kubernetes, *ranges, external, read, findings.warnings, cluster, below, tuple(user))


def check_for_any(users: Sequence[KubeadmDocument], cluster: ClusterNeeds) -> tuple[Problem, ...]:
    """Check documents where the version of Kubernetes is not known: what is wrong with every version is wrong.

    :param users: of the Clusterfile.
    :returns: warnings that every version has.
    :raises InputError: with everything that no version takes, by file, line and column.
    """
    wrong: list[set[Problem]] = []
    warnings: list[tuple[Problem, ...]] = []
    for minor in range(OLDEST, NEWEST + 1):
        try:
            warnings.append(prepare(users, (), replace(cluster, kubernetes_version=f"v1.{minor}.0")).warnings)
        except InputError as error:
            wrong.append(set(error.problems))
    if warnings:  # there are versions that take it
        return tuple(warning for warning in warnings[0] if all(warning in others for others in warnings))
    if common := set.intersection(*wrong):
        raise refusal(common)
    return ()


def init_documents(prepared: Prepared, node: NodeNeeds, secrets: InitSecrets = NO_SECRETS) -> Rendered:
    """The documents of `kubeadm init` on the first master."""
    kubernetes = prepared.kubernetes
    own: Tree = {
        "localAPIEndpoint": {"advertiseAddress": node.address},
        "nodeRegistration": needs.of_node(prepared._needs, node, kubernetes),
    }
    trees = merged(prepared._below, {INIT: own}, *prepared._users)
    trees[CLUSTER]["kubernetesVersion"] = str(kubernetes)
    tokens = trees[INIT].get("bootstrapTokens")
    secret: Tree = {}
    if secrets.token:
        ours: Json = {"token": secrets.token.reveal(), "ttl": secrets.token_ttl}
        secret["bootstrapTokens"] = [*(tokens if isinstance(tokens, list) else []), ours]
    return _rendered(prepared, _INIT_ORDER, trees, {INIT: secret})


def join_documents(prepared: Prepared, node: NodeNeeds, kubeconfig: str, *, master: bool) -> Rendered:
    """The document of `kubeadm join` on a further master or on a node.

    :param kubeconfig: a file on the host, by which it finds the cluster and shows who it is.
    """
    kubernetes = prepared.kubernetes
    own: Tree = {"nodeRegistration": needs.of_node(prepared._needs, node, kubernetes)}
    if master:
        own["controlPlane"] = {"localAPIEndpoint": {"advertiseAddress": node.address}}
    trees = merged(prepared._below, {JOIN: own}, *prepared._users)
    if not master:
        trees[JOIN].pop("controlPlane", None)
    put(trees[JOIN], "discovery.file.kubeConfigPath", kubeconfig)
    return _rendered(prepared, (JOIN,), trees, {})


def _rendered(prepared: Prepared, order: Sequence[str], trees: Trees, secrets: Trees) -> Rendered:
    kubernetes, (kind, *_) = prepared.kubernetes, order
    if all_ignored := needs.ignores_all(prepared._needs):  # kubeadm refuses names beside it
        take(trees[kind], "nodeRegistration.ignorePreflightErrors")
    public = conversion.lowered(trees, kubernetes, _unreachable)
    whole = conversion.lowered(merged(trees, secrets), kubernetes, _unreachable)
    arguments = (*public.arguments.get(kind, ()), *(("--ignore-preflight-errors=all",) if all_ignored else ()))
    documents = [as_written(it, _without_tokens(public.trees[it]), kubernetes.api) for it in order]
    text = written([(it, whole.trees[it]) for it in order], kubernetes.api)
    return Rendered(text, arguments, {"documents": list(documents), "arguments": list(arguments)})


def _without_tokens(tree: Tree) -> Tree:
    """Without the secret halves of tokens that a user's document has."""
    tokens = tree.get("bootstrapTokens")
    if not isinstance(tokens, list):
        return tree
    clean = [{name: it for name, it in token.items() if name != "token"} for token in tokens if isinstance(token, dict)]
    return {**tree, "bootstrapTokens": list(clean)}


def _unreachable(kind: str, path: str, message: str) -> None:
    raise AssertionError(f"{kind}.{path} was found convertible: {message}")
