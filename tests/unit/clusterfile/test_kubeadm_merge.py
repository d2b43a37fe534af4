"""Documents of kubeadm over one another."""

from sealer.clusterfile.kubeadm import merge
from sealer.clusterfile.model import KubeadmDocument
from sealer.events import Json


def document(
    kind: str = "ClusterConfiguration", version: str = "kubeadm.k8s.io/v1beta3", **content: Json
) -> KubeadmDocument:
    return KubeadmDocument(version, kind, content)


def test_later_documents_go_over_earlier_ones() -> None:
    image = [
        document(networking={"podSubnet": "a", "dnsDomain": "b"}, apiServer={"certSANs": ["x", "y"]}, clusterName="c"),
        document("InitConfiguration", nodeRegistration={"name": "n"}),
    ]
    users = [
        document(networking={"podSubnet": "z"}, apiServer={"certSANs": ["w"]}, clusterName=None, imageRepository="")
    ]
    cluster, init = merge(image, users)
    assert cluster.content == {
        "networking": {"podSubnet": "z", "dnsDomain": "b"},
        "apiServer": {"certSANs": ["w"]},
        "imageRepository": "",
    }
    assert init == image[1]


def test_what_is_merged_is_not_changed() -> None:
    first, second = document(a={"b": "c"}), document(a={"d": "e"})
    merge([first], [second])
    assert first.content == {"a": {"b": "c"}}


def test_a_mapping_takes_the_place_of_a_scalar_and_the_other_way_round() -> None:
    (merged,) = merge([document(a=1, b={"c": 1})], [document(a={"x": None, "y": 2}, b=3)])
    assert merged.content == {"a": {"y": 2}, "b": 3}


def test_versions_are_kept_apart() -> None:
    assert len(merge([document()], [document(version="kubeadm.k8s.io/v1beta2")])) == 2
