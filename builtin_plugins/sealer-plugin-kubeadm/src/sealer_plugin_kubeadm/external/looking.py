"""Whether a cluster is there, is the one it was, and takes an application."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.documents import load_json
from sealer.errors import HostError, RefusedError
from sealer.extension import FIRST_MASTER, Effect, Operation, Step, StepContext
from sealer.image.files import RootfsFiles
from sealer_plugin_kubeadm.constraints import refuse_unfit
from sealer_plugin_kubeadm.external import kubeconfig
from sealer_plugin_kubeadm.external.kubeconfig import Kubeconfig
from sealer_plugin_kubeadm.scripts import script

RUNTIME = "external"


@dataclass(frozen=True)
class Cluster:
    """What a cluster said.

    :param version: `v1.20.2`.
    :param identity: uid of its namespace kube-system, which no other cluster has; empty: it may not be read.
    """

    version: str
    identity: str


def given(operation: Operation) -> Kubeconfig:
    """The kubeconfig that the cluster was named with.

    :raises InputError: it is no such thing any more.
    """
    return kubeconfig.read(Path(str(operation.spec.runtime.options.get("kubeconfig", ""))))


def preflight(operation: Operation) -> Sequence[Step]:
    """The cluster is looked at before anything is sent, unless kubectl comes with the application only."""
    access = given(operation)

    def look(context: StepContext) -> None:
        if look_at(context, access) is None and not _brought(operation):
            raise HostError(
                "There is no kubectl here",
                where=context.host.id,
                why="neither the host nor the application's image has one",
                remedy="Install it there, or build the image with kubectl in bin/.",
            )

    return [Step("cluster", "Check the application's Kubernetes version", FIRST_MASTER, look, effect=Effect.QUERY)]


def look_at(context: StepContext, access: Kubeconfig) -> Cluster | None:
    """Ask the cluster; None: there is no kubectl on this host yet.

    :raises HostError: it does not answer.
    :raises RefusedError: it is another one than it was, or not for this application; the host is in a cluster of that
        name, which somebody made from elsewhere.
    """
    operation = context.operation
    env = {"SEALER_DATA": operation.paths.data}
    result = context.query(script("external-look"), env=env, stdin=access.content, check=False)
    said = dict(line.partition("=")[::2] for line in result.stdout.splitlines())
    if "made" in said:
        raise RefusedError(
            f"This host is in a cluster '{operation.cluster}' that sealer made",
            where=context.host.id,
            why=f"{operation.paths.data} has the files of that one",
            remedy="Give the cluster of the kubeconfig another name with --name, or name no host.",
        )
    if "kubectl" in said:
        return None
    if not result.ok:
        raise HostError(
            f"The cluster's API at {access.server} does not tell its version",
            where=context.host.id,
            output=tuple(result.stderr.strip().splitlines()[-5:]),
            remedy="See that it can be reached from this host, or name one that reaches it with --masters; and that "
            "the kubeconfig is still good.",
        )
    found = Cluster(str(_json(said["version"]).get("gitVersion", "")), _uid(said["system"]))
    if said["known"] and found.identity and said["known"] != found.identity:
        raise RefusedError(
            f"This is not the cluster that '{operation.cluster}' was",
            where=context.host.id,
            why=f"at {access.server} is another one than the one that applications were installed onto under this name",
            remedy="Check which context is the current one in the kubeconfig, or give this cluster a name of its own "
            "with --name.",
        )
    refuse_unfit(operation, found.version, context.host)
    return found


def _brought(operation: Operation) -> bool:
    return operation.image is not None and "bin/kubectl" in RootfsFiles(operation.image.first).paths()


def _uid(encoded: str) -> str:
    metadata = _json(encoded).get("metadata", {})
    return str(metadata.get("uid", "")) if isinstance(metadata, dict) else ""


def _json(encoded: str) -> dict[str, object]:
    try:
        content = load_json(base64.b64decode(encoded)) if encoded else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
