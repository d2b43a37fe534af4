"""What documents have for the cluster's security where nobody says otherwise, and how it makes way for who does."""

from __future__ import annotations

import pytest
import yaml

from sealer.clusterfile.reading import read_kubeadm
from sealer_plugin_kubeadm import audit
from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, init_documents, prepare
from sealer_plugin_kubeadm.documents.trees import Tree, get
from sealer_plugin_kubeadm.places import AUDIT_POLICY, ENCRYPTION

NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
KUBELET = "KubeletConfiguration"


def made(user: str = "", image: str = "", version: str = "v1.28.0", *, encrypt: bool = True) -> dict[str, Tree]:
    """The documents by kind."""
    needs = ClusterNeeds(version, masters=("198.18.0.11",), encrypt_secrets=encrypt)
    prepared = prepare(read_kubeadm(user, "Clusterfile"), read_kubeadm(image, "etc/kubeadm.yml"), needs)
    return {str(it["kind"]): it for it in yaml.safe_load_all(init_documents(prepared, NODE).text)}


def cluster(text: str) -> str:
    return f"apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n{text}\n"


def kubelet(text: str) -> str:
    return f"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: {KUBELET}\n{text}\n"


def flags(documents: dict[str, Tree], component: str = "apiServer") -> Tree:
    found = get(documents["ClusterConfiguration"], f"{component}.extraArgs")
    return found if isinstance(found, dict) else {}


def mounts(documents: dict[str, Tree]) -> list[str]:
    found = get(documents["ClusterConfiguration"], "apiServer.extraVolumes")
    return [str(it["mountPath"]) for it in found if isinstance(it, dict)] if isinstance(found, list) else []


def test_every_file_that_an_api_server_is_told_of_is_mounted() -> None:
    for encrypt in (True, False):
        documents = made(encrypt=encrypt)
        paths = [str(value) for value in flags(documents).values() if str(value).startswith(("/etc/", "/var/"))]
        assert (ENCRYPTION in paths) == encrypt
        assert AUDIT_POLICY in paths
        below = ("/etc/kubernetes/pki", *mounts(documents))  # kubeadm mounts that one
        assert all(path.startswith(below) for path in paths)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    "flag", ["audit-log-path: /data/a.log", "audit-webhook-config-file: /etc/w", "audit-log-path: null"]
)
def test_who_sets_up_auditing_sets_up_all_of_it(flag: str, *, below: bool) -> None:
    """Two halves would not go together: a volume of ours in the place of one of theirs, and no API server starts."""
    text = cluster(f"apiServer: {{extraArgs: {{{flag}}}}}")
    documents = made(*(("", text) if below else (text,)))
    name, _, value = flag.partition(": ")
    expected = {} if value == "null" else {name: value}
    assert {it: given for it, given in flags(documents).items() if it.startswith("audit-")} == expected
    assert "/var/log/kubernetes/audit" not in mounts(documents)
    assert flags(documents)["encryption-provider-config"] == ENCRYPTION


def test_who_encrypts_otherwise_gets_no_key_of_ours() -> None:
    documents = made(cluster("apiServer: {extraArgs: {encryption-provider-config: /etc/mine/e.yaml}}"))
    assert flags(documents)["encryption-provider-config"] == "/etc/mine/e.yaml"
    needs = ClusterNeeds("v1.28.0", masters=("198.18.0.11",))
    user = read_kubeadm(cluster("apiServer: {extraArgs: {encryption-provider-config: null}}"), "Clusterfile")
    assert prepare(user, (), needs).files == {AUDIT_POLICY}
    assert prepare((), (), needs).files == {AUDIT_POLICY, ENCRYPTION}


def test_nothing_is_mounted_where_a_document_mounts_something() -> None:
    volumes = "[{name: logs, hostPath: /data, mountPath: /var/log/kubernetes/audit/, pathType: Directory}]"
    documents = made(cluster(f"apiServer: {{extraVolumes: {volumes}}}"))
    assert sorted(path.rstrip("/") for path in mounts(documents)) == [
        "/etc/kubernetes/sealer/apiserver",
        "/var/log/kubernetes/audit",
    ]


def test_a_kubelets_certificate_of_somebody_else_is_not_verified_by_our_authority() -> None:
    own = made(kubelet("tlsCertFile: /etc/k/t.crt\ntlsPrivateKeyFile: /etc/k/t.key"))
    assert own[KUBELET]["tlsCertFile"] == "/etc/k/t.crt"
    assert "kubelet-certificate-authority" not in flags(own)
    asked_for = made(kubelet("serverTLSBootstrap: true"))
    assert "tlsCertFile" not in asked_for[KUBELET]  # the kubelet would show that for ever
    assert flags(asked_for)["kubelet-certificate-authority"] == "/etc/kubernetes/pki/ca.crt"


def test_documents_of_users_win_flag_by_flag() -> None:
    text = (
        "apiServer: {extraArgs: {profiling: 'true', tls-min-version: VersionTLS13}}\nscheduler: {extraArgs: {v: '2'}}"
    )
    documents = made(cluster(text), cluster("controllerManager: {extraArgs: {profiling: 'true'}}"))
    assert flags(documents)["profiling"] == flags(documents, "controllerManager")["profiling"] == "true"
    assert flags(documents)["tls-min-version"] == "VersionTLS13"
    assert flags(documents, "scheduler") == {"v": "2", **flags(made(), "scheduler")}


@pytest.mark.parametrize(
    "etcd", ["external: {endpoints: ['https://a:2379']}", "local: {extraArgs: {tls-min-version: TLS1.3}}"]
)
def test_etcd_that_takes_no_ciphers_gets_none(etcd: str) -> None:
    documents = made(cluster(f"etcd: {{{etcd}}}"))
    assert "cipher-suites" not in flags(documents, "etcd.local")
    assert "cipher-suites" in flags(made(), "etcd.local")


def test_what_a_version_lacks_is_left_out() -> None:
    assert "audit-log-compress" not in flags(made(version="v1.19.0"))
    assert flags(made(version="v1.20.0"))["audit-log-compress"] == "true"


def test_no_body_that_may_have_a_secret_is_logged() -> None:
    policy = yaml.safe_load(audit.POLICY)
    first = policy["rules"][0]
    named = {f"{it['group']}/{resource}" for it in first["resources"] for resource in it["resources"]}
    assert first["level"] == "Metadata"
    assert set(first) == {"level", "resources"}  # whoever asks for them, and how
    assert {"/secrets", "/configmaps", "/serviceaccounts/token", "authentication.k8s.io/tokenreviews"} <= named
    bodies = [rule for rule in policy["rules"] if rule["level"] not in ("None", "Metadata")]
    groups = [it["group"] for rule in bodies for it in rule["resources"]]
    assert groups == ["rbac.authorization.k8s.io"]
    assert policy["rules"][-1] == {"level": "Metadata"}
    quiet = [rule for rule in policy["rules"] if rule["level"] == "None" and "resources" not in rule]
    assert all("nonResourceURLs" in rule or "users" in rule or "verbs" in rule for rule in quiet)
