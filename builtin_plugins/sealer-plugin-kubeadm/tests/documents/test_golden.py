"""The same wishes in each API version, for a Kubernetes of each: always the same documents come of them.

`golden/README.md` says what the files there were made from, and which of them a real kubeadm has read.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sealer.clusterfile.reading import read_kubeadm
from sealer.redaction import Secret
from sealer_plugin_kubeadm.documents import (
    ClusterNeeds,
    InitSecrets,
    NodeNeeds,
    Rendered,
    init_documents,
    join_documents,
    prepare,
)
from sealer_plugin_kubeadm.places import DISCOVERY

GOLDEN = Path(__file__).parent / "golden"
KUBERNETES = {1: "v1.14.10", 2: "v1.20.2", 3: "v1.28.0", 4: "v1.32.0"}
TOKEN = "abcdef.0123456789abcdef"
MASTERS, NODES = ("198.18.0.11", "198.18.0.12"), ("198.18.0.13",)
# What one version alone can say, and all others do by themselves: it stands in the user.yaml of that version.
IMPLIED = {
    "InitConfiguration": {"nodeRegistration": {"imagePullPolicy": "IfNotPresent", "imagePullSerial": True}},
    "ClusterConfiguration": {
        "dns": {"disabled": False, "type": "CoreDNS"},
        "encryptionAlgorithm": "RSA-2048",
        "proxy": {"disabled": False},
        "useHyperKubeImage": False,
    },
}


def needs(api: int) -> ClusterNeeds:
    return ClusterNeeds(
        kubernetes_version=KUBERNETES[api],
        masters=MASTERS,
        nodes=NODES,
        cert_sans=("site-7.example.com",),
        cgroup_driver="systemd",
        validity="876000h0m0s",
        signing="8760h0m0s",
        conntrack_fixed=True,
        registry="sea.hub:5000",
        skip_phases=("preflight", "addon/coredns"),
        ignore_preflight_errors=("Swap", "Port-10250"),
    )


def node(number: int) -> NodeNeeds:
    return NodeNeeds(f"node{number}", f"198.18.0.{10 + number}", "/run/containerd/containerd.sock")


def rendered(written_in: int, api: int, what: str) -> Rendered:
    path = GOLDEN / f"v1beta{written_in}" / "user.yaml"
    prepared = prepare(read_kubeadm(path.read_text(encoding="utf-8"), path.name), (), needs(api))
    if what == "init":
        return init_documents(prepared, node(1), InitSecrets(Secret(TOKEN)))
    master = what == "join-master"
    return join_documents(prepared, node(2 if master else 3), DISCOVERY, master=master)


def without_implied(text: str) -> list[object]:
    """The documents, but for what only v1beta4 can say and every other does by itself."""
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        take_out(document, IMPLIED.get(document["kind"], {}))
    return documents


def take_out(document: dict[str, object], implied: object) -> None:
    assert isinstance(implied, dict)
    for name, value in implied.items():
        inner = document.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            take_out(inner, value)
            if not inner:
                del document[name]
        elif inner == value and name in document:
            del document[name]


@pytest.mark.parametrize("what", ["init", "join-master", "join-node"])
@pytest.mark.parametrize("api", KUBERNETES)
@pytest.mark.parametrize("written_in", KUBERNETES)
def test_the_same_comes_of_every_version(written_in: int, api: int, what: str) -> None:
    golden = (GOLDEN / f"v1beta{api}" / f"{what}.yaml").read_text(encoding="utf-8")
    arguments = json.loads((GOLDEN / "arguments.json").read_text(encoding="utf-8"))
    result = rendered(written_in, api, what)
    if written_in == api:
        assert result.text == golden
    assert without_implied(result.text) == without_implied(golden)
    assert list(result.arguments) == arguments[f"v1beta{api}"][what]


@pytest.mark.parametrize("what", ["init", "join-master", "join-node"])
@pytest.mark.parametrize("api", KUBERNETES)
def test_no_secret_is_in_a_steps_inputs(api: int, what: str) -> None:
    result = rendered(api, api, what)
    assert (TOKEN in result.text) == (what == "init")  # hosts that join need none
    assert TOKEN not in json.dumps(result.inputs)
    assert TOKEN not in repr(result)
