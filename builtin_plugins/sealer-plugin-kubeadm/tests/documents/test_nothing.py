"""Documents as Go programs write them: with fields in which nothing was given."""

from __future__ import annotations

import json

import pytest

from sealer.clusterfile.reading import read_kubeadm
from sealer.events import Json
from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, init_documents, prepare
from sealer_plugin_kubeadm.documents.components import STRUCTS as COMPONENTS
from sealer_plugin_kubeadm.documents.fields import KUBE_PROXY, KUBELET
from sealer_plugin_kubeadm.documents.fields import STRUCTS as FIELDS

NEEDS = ClusterNeeds("v1.31.2", masters=("198.18.0.11",), registry="sea.hub:5000")
NODE = NodeNeeds("m", "198.18.0.11", "/run/containerd/containerd.sock")
KINDS = {
    "ClusterConfiguration": "kubeadm.k8s.io/v1beta4",
    "InitConfiguration": "kubeadm.k8s.io/v1beta4",
    "JoinConfiguration": "kubeadm.k8s.io/v1beta4",
    "KubeletConfiguration": KUBELET,
    "KubeProxyConfiguration": KUBE_PROXY,
}
STRUCTS = {**FIELDS, **COMPONENTS}


def emptied(struct: str, empty: Json) -> dict[str, Json]:
    """Every text, duration and part of a document, at any depth, given as nothing."""
    content: dict[str, Json] = {}
    for name, field in STRUCTS[struct].items():
        if field.type in STRUCTS:
            content[name] = empty if empty == {} else emptied(field.type, empty)
        elif field.type in ("text", "duration") and name != "resolvConf":
            content[name] = "" if empty == {} else empty
    return content


def rendered(*documents: dict[str, Json]) -> str:
    text = "---\n".join(json.dumps(document) + "\n" for document in documents)
    layer = read_kubeadm(text, "my.yml")
    texts = [init_documents(prepare(*layers, NEEDS), NODE).text for layers in ((layer, ()), ((), layer))]
    assert texts[0] == texts[1]
    return texts[0]


@pytest.mark.parametrize("empty", ["", {}], ids=["text", "mapping"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_document_of_empty_fields_says_nothing(kind: str, empty: Json) -> None:
    head: dict[str, Json] = {"apiVersion": KINDS[kind], "kind": kind}
    beside: dict[str, Json] = {"metadata": {"creationTimestamp": None}, "status": {}}
    assert rendered({**head, **beside, **emptied(kind, empty)}) == rendered(head)


def test_what_an_empty_value_means_stays() -> None:
    """A master without taints, a flag without value, a kubelet without resolv.conf."""
    text = rendered(
        {
            "apiVersion": "kubeadm.k8s.io/v1beta3",
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": "", "bindPort": 0},
            "nodeRegistration": {"taints": [], "kubeletExtraArgs": {"node-labels": ""}},
        },
        {"apiVersion": KUBELET, "kind": "KubeletConfiguration", "resolvConf": "", "cgroupDriver": ""},
    )
    for expected in ("taints: []", 'resolvConf: ""', "node-labels"):
        assert expected in text.replace("''", '""'), text
    assert "cgroupDriver: ''" not in text
