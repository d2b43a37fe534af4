"""What lies over what, what sealer alone decides, and what the parts come to together."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from sealer.clusterfile.model import KubeadmDocument
from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError
from sealer.events import Json
from sealer.redaction import Secret
from sealer_plugin_kubeadm.documents import (
    ClusterNeeds,
    InitSecrets,
    NodeNeeds,
    init_documents,
    join_documents,
    prepare,
)
from sealer_plugin_kubeadm.documents.trees import get

NEEDS = ClusterNeeds("v1.28.0", masters=("198.18.0.11", "198.18.0.12"), registry="sea.hub:5000")
NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
DISCOVERY = "/etc/kubernetes/sealer/discovery.conf"


def documents(kind: str, text: str, file: str) -> tuple[KubeadmDocument, ...]:
    group = {
        "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
        "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
    }
    return read_kubeadm(f"apiVersion: {group.get(kind, 'kubeadm.k8s.io/v1beta3')}\nkind: {kind}\n{text}\n", file)


def field(
    path: str, user: str = "", image: str = "", needs: ClusterNeeds = NEEDS, kind: str = "ClusterConfiguration"
) -> Json:
    prepared = prepare(documents(kind, user, "Clusterfile"), documents(kind, image, "etc/kubeadm.yml"), needs)
    if kind == "JoinConfiguration":
        result = join_documents(prepared, NODE, DISCOVERY, master=True)
    else:
        result = init_documents(prepared, NODE)
    found = result.inputs["documents"]
    assert isinstance(found, list)
    return next(get(it, path) for it in found if isinstance(it, dict) and it["kind"] == kind)


def refused(user: str, kind: str = "ClusterConfiguration", needs: ClusterNeeds = NEEDS) -> str:
    with pytest.raises(InputError) as caught:
        prepare(documents(kind, user, "Clusterfile"), (), needs)
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_a_user_lies_over_what_is_needed_over_the_image_over_the_defaults() -> None:
    path = "networking.podSubnet"
    given = dataclasses.replace(NEEDS, pod_cidr="10.1.0.0/16")
    image, user = "networking: {podSubnet: 10.2.0.0/16, dnsDomain: a.b}", "networking: {podSubnet: 10.3.0.0/16}"
    assert field(path) == "100.64.0.0/10"
    assert field("networking.serviceSubnet") == "10.96.0.0/22"
    assert field(path, image=image) == "10.2.0.0/16"
    assert field(path, image=image, needs=given) == "10.1.0.0/16"
    assert field(path, user, image) == "10.3.0.0/16"
    assert field("networking.dnsDomain", user, image) == "a.b"


def test_two_documents_of_one_kind_lie_over_one_another_and_null_takes_away() -> None:
    first = documents("ClusterConfiguration", "clusterName: a\nfeatureGates: {A: true}", "Clusterfile")
    second = documents("ClusterConfiguration", "clusterName: null\nfeatureGates: {B: false}", "Clusterfile")
    prepared = prepare(
        [*first, *second], documents("ClusterConfiguration", "clusterName: image", "etc/kubeadm.yml"), NEEDS
    )
    text = init_documents(prepared, NODE).text
    assert "clusterName" not in text
    assert "featureGates:\n  A: true\n  B: false\n" in text


def test_names_of_certificates_are_united() -> None:
    given = dataclasses.replace(NEEDS, cert_sans=("198.18.0.12", "vip.example.com"))
    user, image = "apiServer: {certSANs: [u, 127.0.0.1]}", "apiServer: {certSANs: [i]}"
    needed = ["127.0.0.1", "apiserver.cluster.local", "198.18.0.11", "198.18.0.12", "vip.example.com"]
    assert field("apiServer.certSANs", user, image, given) == ["i", *needed, "u"]


def test_flags_and_volumes_merge_by_name_and_taints_do_not() -> None:
    image = "apiServer: {extraArgs: {a: '1', b: '1'}, extraVolumes: [{name: x, hostPath: /i, mountPath: /i}]}"
    volumes = "[{name: x, hostPath: /u}, {name: y, hostPath: /y}]"
    user = f"apiServer: {{extraArgs: {{b: 2, c: true, a: null}}, extraVolumes: {volumes}}}"
    flags = field("apiServer.extraArgs", user, image)
    assert isinstance(flags, dict)
    assert {name: flags[name] for name in flags if len(name) == 1} == {"b": "2", "c": "true"}
    mounted = field("apiServer.extraVolumes", user, image)
    assert isinstance(mounted, list)
    assert mounted[2:] == [
        {"hostPath": "/u", "mountPath": "/i", "name": "x"},
        {"hostPath": "/y", "name": "y"},
    ]
    taints = "nodeRegistration: {taints: [{key: %s, effect: NoSchedule}]}"
    path = "nodeRegistration.taints"
    assert field(path, taints % "u", taints % "i", kind="InitConfiguration") == [{"key": "u", "effect": "NoSchedule"}]
    assert field(path, "nodeRegistration: {taints: []}", kind="InitConfiguration") == []


MUSTS = [
    ("ClusterConfiguration", "kubernetesVersion: v1.28.1", "'v1.28.1' is not what the image brings, v1.28.0"),
    ("ClusterConfiguration", "kubernetesVersion: stable-1", "'stable-1' is not what the image brings"),
    ("ClusterConfiguration", "certificatesDir: /pki", 'it is always "/etc/kubernetes/pki"'),
    ("ClusterConfiguration", "imageRepository: sea.hub:5000/k8s", "images keep their public names, also offline"),
    ("ClusterConfiguration", "dns: {imageRepository: 'sea.hub:5000'}", "images keep their public names"),
    ("ClusterConfiguration", "controlPlaneEndpoint: lb.example.com", 'it is always "apiserver.cluster.local:6443"; '),
    (
        "ClusterConfiguration",
        "controlPlaneEndpoint: lb.example.com:6443",
        "other names of the API server go into spec.cert",
    ),
    (
        "ClusterConfiguration",
        "controlPlaneEndpoint: apiserver.cluster.local:7443",
        "hosts file and balancer lead there",
    ),
    ("ClusterConfiguration", "apiServer: {extraArgs: {secure-port: 7443}}", 'it is always "6443"'),
    ("InitConfiguration", "localAPIEndpoint: {bindPort: 7443}", "it is always 6443; hosts, their balancers and"),
    ("InitConfiguration", "localAPIEndpoint: {advertiseAddress: 198.18.0.12}", 'the first master\'s, "198.18.0.11"'),
    ("InitConfiguration", "nodeRegistration: {name: a}", "a Plugin document of type HOSTNAME gives names"),
    ("JoinConfiguration", "controlPlane: {localAPIEndpoint: {bindPort: 7443}}", "it is always 6443"),
    ("InitConfiguration", "certificateKey: abcd", "needs neither token nor key to join"),
    ("JoinConfiguration", "caCertPath: /ca.crt", 'it is always "/etc/kubernetes/pki/ca.crt"'),
    ("JoinConfiguration", "controlPlane: {certificateKey: abcd}", "needs neither token nor key to join"),
    ("JoinConfiguration", "controlPlane: {localAPIEndpoint: {advertiseAddress: 10.0.0.1}}", "each host has its own"),
    ("JoinConfiguration", "discovery: {bootstrapToken: {token: abcd}}", "needs neither token nor key to join"),
    ("JoinConfiguration", "discovery: {tlsBootstrapToken: abcd}", "needs neither token nor key to join"),
    (
        "JoinConfiguration",
        "discovery: {file: {kubeConfigPath: /a}}",
        "finds the cluster by a kubeconfig that it is given",
    ),
    ("JoinConfiguration", "nodeRegistration: {name: a}", "a Plugin document of type HOSTNAME gives names"),
    ("KubeletConfiguration", "staticPodPath: /a", "kubeadm puts the control plane there"),
]


@pytest.mark.parametrize(("kind", "text", "message"), MUSTS)
def test_what_sealer_alone_decides_is_refused_from_a_user_and_told_of_an_image(
    kind: str, text: str, message: str
) -> None:
    assert message in refused(text, kind) and "Clusterfile:3:" in refused(text, kind)
    (warning,) = prepare((), documents(kind, text, "etc/kubeadm.yml"), NEEDS).warnings
    assert message in str(warning) and str(warning).startswith("etc/kubeadm.yml:3:")
    assert "abcd" not in refused(text, kind)


def test_a_cluster_that_is_made_with_it_is_told_of_it_and_takes_in_hosts() -> None:
    text = "localAPIEndpoint: {advertiseAddress: 192.0.2.99, bindPort: 7443}\n"
    users = documents("InitConfiguration", text, "Clusterfile")
    prepared = prepare(users, (), dataclasses.replace(NEEDS, made=True))
    assert {problem.path for problem in prepared.warnings} == {
        *("InitConfiguration.localAPIEndpoint.bindPort", "InitConfiguration.localAPIEndpoint.advertiseAddress")
    }


def test_what_sealer_decides_may_be_said_as_it_is() -> None:
    text = "kubernetesVersion: 1.28.0\ncertificatesDir: /etc/kubernetes/pki\nimageRepository: sea.hub.example.com"
    assert field("kubernetesVersion", text) == "v1.28.0"
    assert field("imageRepository", text) == "sea.hub.example.com"
    assert field("certificatesDir", text) is None
    for endpoint in ("apiserver.cluster.local", "apiserver.cluster.local:6443", "null"):
        text = f"controlPlaneEndpoint: {endpoint}\napiServer: {{extraArgs: {{secure-port: '6443'}}}}"
        assert field("controlPlaneEndpoint", text) == "apiserver.cluster.local:6443"
    text = "localAPIEndpoint: {advertiseAddress: 198.18.0.11, bindPort: 6443}"
    assert field("localAPIEndpoint", text, kind="InitConfiguration") == {"advertiseAddress": "198.18.0.11"}
    six = dataclasses.replace(NEEDS, masters=("fd00::1",), service_cidr="fd01::/112", pod_cidr="fd02::/48")
    text = "localAPIEndpoint: {advertiseAddress: 'FD00:0::1'}"
    assert field("localAPIEndpoint.advertiseAddress", text, needs=six, kind="InitConfiguration") == NODE.address


def test_sealers_own_needs_can_be_had_otherwise() -> None:
    text = "nodeRegistration: {criSocket: unix:///a.sock}"
    assert field("nodeRegistration.criSocket", text, kind="InitConfiguration") == "unix:///a.sock"
    kubelet = dataclasses.replace(NEEDS, cgroup_driver="systemd")
    assert field("cgroupDriver", "", "cgroupDriver: cgroupfs", kubelet, "KubeletConfiguration") == "systemd"
    assert field("cgroupDriver", "cgroupDriver: cgroupfs", "", kubelet, "KubeletConfiguration") == "cgroupfs"
    assert field("failSwapOn", "failSwapOn: true", "", kubelet, "KubeletConfiguration") is True


def test_a_host_with_another_cgroup_driver_tells_its_own_kubelet() -> None:
    needs = dataclasses.replace(NEEDS, cgroup_driver="systemd")
    node = dataclasses.replace(NODE, cgroup_driver="cgroupfs")
    assert "cgroup-driver: cgroupfs" in join_documents(prepare((), (), needs), node, DISCOVERY, master=False).text
    assert "cgroup-driver" not in join_documents(prepare((), (), NEEDS), node, DISCOVERY, master=False).text


def test_kube_proxy_gets_what_the_hosts_can_do() -> None:
    needs = dataclasses.replace(NEEDS, missing_proxy_modes=frozenset({"ipvs"}), conntrack_fixed=True)
    kind = "KubeProxyConfiguration"
    assert field("mode", "mode: iptables", "", needs, kind) == "iptables"
    assert field("conntrack", "", "", needs, kind) == {"maxPerCore": 0}
    assert "the hosts' kernels do not have ipvs" in refused("mode: ipvs", kind, needs)


def test_a_node_is_no_master_whatever_the_document_says() -> None:
    user = documents("JoinConfiguration", "controlPlane: {localAPIEndpoint: {bindPort: 6443}}", "f")
    prepared = prepare(user, (), NEEDS)
    assert "controlPlane" not in join_documents(prepared, NODE, DISCOVERY, master=False).text
    assert "advertiseAddress" in join_documents(prepared, NODE, DISCOVERY, master=True).text


def test_tokens_of_a_user_stay_and_are_in_no_steps_inputs() -> None:
    user = documents("InitConfiguration", "bootstrapTokens: [{token: uuuuuu.0123456789abcdef, ttl: 1h}]", "f")
    result = init_documents(prepare(user, (), NEEDS), NODE, InitSecrets(Secret("ssssss.0123456789abcdef")))
    assert result.text.index("uuuuuu") < result.text.index("ssssss")
    assert "0123456789abcdef" not in str(result.inputs) and "1h" in str(result.inputs)


def test_the_same_input_gives_the_same_text() -> None:
    user = "apiServer: {extraArgs: {b: '1', a: '2'}}\nclusterName: c"
    other = "clusterName: c\napiServer: {extraArgs: {a: '2', b: '1'}}"
    texts = {
        init_documents(prepare(documents("ClusterConfiguration", it, "f"), (), NEEDS), NODE).text
        for it in (user, other)
    }
    assert len(texts) == 1


@pytest.mark.parametrize("version", ["v1.14.0", "v1.20.2", "v1.28.0", "v1.31.0"])
def test_a_host_may_find_the_cluster_by_a_kubeconfig_that_it_has(version: str) -> None:
    prepared = prepare((), (), dataclasses.replace(NEEDS, kubernetes_version=version))
    text = join_documents(prepared, NODE, "/etc/kubernetes/it.conf", master=False).text
    (found,) = yaml.safe_load_all(text)
    assert found["discovery"] == {"file": {"kubeConfigPath": "/etc/kubernetes/it.conf"}}
