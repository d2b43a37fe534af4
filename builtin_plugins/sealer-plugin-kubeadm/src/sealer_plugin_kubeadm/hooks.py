"""What the package has to say to clusters of its runtime: checks before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence

from sealer.extension import Operation, Step, hookimpl
from sealer.image.model import RUNTIME_LABEL
from sealer_plugin_kubeadm import checks, leave
from sealer_plugin_kubeadm.external import looking
from sealer_plugin_kubeadm.external.looking import RUNTIME as EXTERNAL

RUNTIME = "kubeadm"


@hookimpl
def preflight_checks(operation: Operation) -> Sequence[Step]:
    """Whether hosts can become nodes, and whether an application is for this Kubernetes."""
    if operation.kind == "application" and operation.spec.runtime.name == EXTERNAL:
        return looking.preflight(operation)
    if not _is_ours(operation):
        return []
    if operation.kind == "application":
        return checks.application(operation)
    return checks.hosts(operation)


@hookimpl
def pre_clean(operation: Operation) -> Sequence[Step]:
    """Whether etcd bears that hosts leave: asked before anybody is told that they do."""
    if not _is_ours(operation) or not operation.masters:
        return []
    return leave.checks(operation)


def _is_ours(operation: Operation) -> bool:
    named = operation.spec.runtime.name
    if not named and operation.recorded and operation.recorded.clusterfile.cluster:
        named = operation.recorded.clusterfile.cluster.runtime.name
    if named:
        return named == RUNTIME
    if operation.kind == "application" or operation.image is None:
        # An application's image says nothing of the cluster's runtime: the cluster itself is asked.
        return True
    return operation.image.first.labels.get(RUNTIME_LABEL, "") == RUNTIME
