"""Documents of kubeadm: where their fields stand, and files that have nothing else in them."""

from __future__ import annotations

import pytest

from sealer.clusterfile.reading import read, read_kubeadm
from sealer.errors import InputError, Position

TEXT = """\
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
nodeRegistration:
  taints:
  - key: a
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
"""


def test_a_field_is_found_by_its_path_and_a_missing_one_by_what_it_stands_in() -> None:
    init, kubelet = read(TEXT, "my.yaml").kubeadm
    assert init.at("nodeRegistration.taints[0].key") == Position("my.yaml", 5, 5)
    assert init.at("nodeRegistration.taints[0].effect") == Position("my.yaml", 5, 5)
    assert init.at("nodeRegistration.name") == Position("my.yaml", 3, 1)
    assert init.at("localAPIEndpoint.bindPort") == Position("my.yaml", 1, 1)
    assert kubelet.at("failSwapOn") == Position("my.yaml", 9, 1)


def test_an_images_file_has_the_same_documents() -> None:
    assert read_kubeadm(TEXT, "etc/kubeadm.yml") == tuple(read(TEXT, "etc/kubeadm.yml").kubeadm)
    assert read_kubeadm("", "etc/kubeadm.yml") == ()


@pytest.mark.parametrize(
    "text",
    ["- a\n", "kind: InitConfiguration\n", "apiVersion: sealer.io/v2\nkind: Cluster\n", "apiVersion: [a]\nkind: b\n"],
)
def test_an_images_file_has_no_other_documents(text: str) -> None:
    with pytest.raises(
        InputError, match=r"etc/kubeadm.yml:1:1: a document here is a mapping with kind and an apiVersion"
    ):
        read_kubeadm(text, "etc/kubeadm.yml")


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="not 'ClusterConfig'; did you mean 'ClusterConfiguration'"):
        read_kubeadm("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfig\n", "etc/kubeadm.yml")
