"""How people and programs on this machine get at the cluster: kubeconfigs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sealer.cluster.files import make_private_directory, write_atomically
from sealer.errors import SealerError
from sealer.events import Json
from sealer.extension import OPERATOR, Operation, Step, StepContext
from sealer_plugin_kubeadm import user_kubeconfig
from sealer_plugin_kubeadm.configuration import version_of
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.bundle import admin_kubeconfig
from sealer_plugin_kubeadm.places import server
from sealer_plugin_kubeadm.probing import HOST, facts_of

FILE = "kubeconfig"


def give(identifier: str, operation: Operation, options: Options, credentials: Path) -> Step:
    """The cluster's own kubeconfig is up to date, and the user's too, where it is to know the cluster."""
    first = operation.first_master
    assert first is not None  # the kernel refuses a cluster without master
    path = user_kubeconfig.place()

    def run(context: StepContext) -> None:
        known = authorities.load(credentials)
        kubernetes = version_of(operation, facts_of(context, first))
        name = user_kubeconfig.entry(operation.cluster)
        ours = admin_kubeconfig(known, kubernetes, options.validity, server(first.address), name)
        write_atomically(make_private_directory(credentials) / FILE, ours)
        if options.kubeconfig == "never":
            return
        try:
            only_new = options.kubeconfig == "auto"
            if user_kubeconfig.merge(path, ours, operation.cluster, only_new=only_new):
                context.log(f"kubectl finds the cluster as the context {name} of {path}")
        except SealerError as error:
            if options.kubeconfig == "merge":
                raise
            context.warn(f"{error}")

    inputs: Mapping[str, Json] = {"server": first.address, "kubeconfig": options.kubeconfig}
    title = "Save the administrator's kubeconfig"
    return Step(identifier, title, OPERATOR, run, inputs, needs=frozenset({HOST}), timeout=60)


def take_back(operation: Operation, credentials: Path) -> Step:
    """The user's kubeconfig forgets the cluster."""
    path = user_kubeconfig.place()

    def run(context: StepContext) -> None:
        try:
            authority = authorities.certificate(credentials)
            user_kubeconfig.remove(path, operation.cluster, authority)
        except SealerError as error:
            context.warn(f"{path} keeps the cluster: {error}")

    return Step("kubeconfig", "Remove the cluster from the user's kubeconfig", OPERATOR, run, timeout=60)
