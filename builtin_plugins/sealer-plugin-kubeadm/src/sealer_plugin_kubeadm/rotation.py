"""Kubelets renew their certificates by themselves: somebody has to approve of it."""

from __future__ import annotations

from sealer.extension import FIRST_MASTER, Effect, Step, StepContext
from sealer_plugin_kubeadm.cluster_api import kubectl

# kubeadm makes it in the phase bootstrap-token, which may have been skipped, as hosts join without a token.
_BINDING = "kubeadm:node-autoapprove-certificate-rotation"
_ROLE = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"


def step(after: frozenset[str]) -> Step:
    """The controller manager approves when a node asks for the certificate that it has once more.

    :param after: steps of the same list: from then on the API answers.
    """

    def run(context: StepContext) -> None:
        there = kubectl(context, "get", "clusterrolebinding", _BINDING, "--ignore-not-found", "--output=name")
        if not there.stdout.strip():
            words = ("create", "clusterrolebinding", _BINDING, f"--clusterrole={_ROLE}", "--group=system:nodes")
            kubectl(context, *words)

    title = "Enable certificate rotation of kubelets"
    return Step("rotation", title, FIRST_MASTER, run, after=after, effect=Effect.CONVERGE, timeout=60)
