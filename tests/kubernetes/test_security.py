"""What the page about security promises, on a real cluster: each row of its table, and that everything still works.

The tests of this file are one life of one cluster, in their order.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from cis_table import COMPONENTS, CONFIGURED, Claim, rows
from cryptography import x509
from kubernetes_site import Kubernetes, eventually, home_of_its_own

from sealer_plugin_kubeadm.documents.trees import get
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.x509 import signed
from sealer_plugin_kubeadm.places import AUDIT_LOG, ENCRYPTION, KUBELET_CLIENT, KUBELET_FIRST_CLIENT
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

CANARY = "a-word-that-nobody-may-read"
ETCD = """
pki=/etc/kubernetes/pki/etcd
id=$(ctr -n k8s.io containers list --quiet 'labels."io.kubernetes.container.name"==etcd' | while read -r id; do
    ! ctr -n k8s.io tasks list | grep -q "^$id .*RUNNING" || echo "$id"
done | head -n 1)
ctr -n k8s.io tasks exec --exec-id "test-$$" "$id" etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt \
    --cert $pki/server.crt --key $pki/server.key get --print-value-only KEY | base64 | tr -d '\\n'
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with real_machines(3, "sealer-security") as made:
        yield made


class Secured(Kubernetes):
    """The first and the third host are masters."""

    def described(self, number: int) -> dict[str, object]:
        return {"ips": [self.hosts[number].address], "roles": ["node" if number == 1 else "master"]}


@pytest.fixture(scope="module")
def site(machines: Machines, base_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Secured:
    home = home_of_its_own(tmp_path_factory.mktemp("security"), base_home)
    return Secured(home, [state.host for state in machines.list()])


@pytest.fixture(scope="module")
def logs(site: Secured) -> list[str]:
    site.spec(0, 1)
    return [site.run()]


def test_a_master_and_a_node(site: Secured, logs: list[str]) -> None:
    assert site.ready() == site.addresses(0, 1)


def test_each_row_of_the_table_is_so(site: Secured) -> None:
    wrong = [
        f"{row.item}: {claim}"
        for row in rows()
        if row.met
        for claim in row.claims
        for number in ((0, 1) if of_nodes(claim) else (0,))
        if not holds(site, number, claim)
    ]
    assert wrong == []


def of_nodes(claim: Claim) -> bool:
    """Whether it is about kubelets, which nodes have, too."""
    return claim.of in CONFIGURED or (claim.of not in COMPONENTS and "kubelet" in claim.name)


def holds(site: Secured, number: int, claim: Claim) -> bool:
    """Whether a claim is so on a host."""
    if claim.of == "root":
        return site.on(number, f"stat -c %U:%G {claim.name}") == "root:root"
    if claim.of.isdigit():
        return int(site.on(number, f"stat -L -c %a {claim.name}"), 8) & ~int(claim.of, 8) == 0
    value = found(site, number, claim)
    return value is None if claim.without else value == claim.value


def found(site: Secured, number: int, claim: Claim) -> str | None:
    if claim.of in COMPONENTS:
        pod = yaml.safe_load(site.on(number, f"cat /etc/kubernetes/manifests/{claim.of}.yaml"))
        return flag(pod["spec"]["containers"][0]["command"], claim.name)
    if claim.flag:
        text = site.on(number, "cat /var/lib/kubelet/kubeadm-flags.env")
        return flag(text.partition("=")[2].strip('"').split(), claim.name)
    if claim.of == "kubelet":
        content = yaml.safe_load(site.on(number, "cat /var/lib/kubelet/config.yaml"))
    else:
        data = site.kubectl("get", "configmap", "kube-proxy", "-n", "kube-system", "-o", "json")
        content = yaml.safe_load(json.loads(data)["data"]["config.conf"])
    value = get(content, claim.name)
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value) if value else None


def flag(words: list[str], name: str) -> str | None:
    given = [word.partition("=")[2] for word in words if word.startswith(f"--{name}=")]
    return given[-1] if given else None


def test_logs_exec_and_metrics_of_kubelets_whose_certificates_are_verified(site: Secured) -> None:
    pods = [it for it in site.items("pods") if it["metadata"]["name"].startswith("kube-proxy")]
    assert len(pods) == 2
    authority = site.credentials / "pki" / "ca.crt"
    for pod in pods:
        name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        assert site.kubectl("exec", "-n", "kube-system", name, "--", "echo", "it runs").strip() == "it runs"
        assert site.kubectl("logs", "-n", "kube-system", name, "--tail", "1").strip()
        assert "kubelet_running_pods" in site.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics")
        # Whoever asks by the address sees a certificate of the cluster's own authority for it.
        number = [host.address for host in site.hosts].index(pod["status"]["hostIP"])
        ask = f"true | openssl s_client -connect {pod['status']['hostIP']}:10250 -verify_ip {pod['status']['hostIP']} "
        said = site.on(number, f"{ask} -verify_return_error -CAfile /etc/kubernetes/pki/ca.crt 2>&1")
        assert "Verify return code: 0 (ok)" in said or "Verification: OK" in said
        weak = site.on(number, f"{ask} -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA 2>&1 || true")
        assert "handshake failure" in weak
    assert b"BEGIN CERTIFICATE" in authority.read_bytes()


def stored(site: Secured, number: int, name: str) -> bytes:
    """What etcd has of a secret."""
    return base64.b64decode(site.on(number, ETCD.replace("KEY", f"/registry/secrets/default/{name}")))


def test_etcd_has_no_secret_that_it_could_read(site: Secured) -> None:
    site.kubectl("create", "secret", "generic", "first", f"--from-literal=word={CANARY}")
    kept = stored(site, 0, "first")
    assert kept.startswith(b"k8s:enc:secretbox:v1:")
    assert CANARY.encode() not in kept
    read = json.loads(site.kubectl("get", "secret", "first", "-o", "json"))["data"]["word"]
    assert base64.b64decode(read).decode() == CANARY


def test_the_audit_log_says_who_did_what_and_no_secret(site: Secured) -> None:
    entries = [json.loads(line) for line in site.on(0, f"cat {AUDIT_LOG}").splitlines()]
    [created] = [it for it in entries if it.get("objectRef", {}).get("name") == "first" and it["verb"] == "create"]
    assert (created["level"], created["user"]["username"]) == ("Metadata", "kubernetes-admin")
    bodies = [it for it in entries if "requestObject" in it or "responseObject" in it]
    assert {it["objectRef"]["apiGroup"] for it in bodies} <= {"rbac.authorization.k8s.io"}
    text = site.on(0, f"cat {AUDIT_LOG}")
    assert CANARY not in text
    assert base64.b64encode(CANARY.encode()).decode() not in text
    assert not any(it["requestURI"].startswith("/readyz") for it in entries)


def test_a_kubelet_renews_its_certificate_before_it_ends(site: Secured) -> None:
    """It is given one that ends soon, and asks for another: which is valid for a year, and signed without anybody."""
    node = site.name_of(1)
    known = authorities.load(site.credentials)
    brief = signed(known.kubernetes, f"system:node:{node}", datetime.timedelta(minutes=5), groups=("system:nodes",))
    text = base64.b64encode(brief.certificate + brief.key).decode()
    assert site.on(1, f"readlink {KUBELET_CLIENT}") == KUBELET_FIRST_CLIENT  # nothing was asked for until now
    site.on(1, f"echo {text} | base64 -d >{KUBELET_FIRST_CLIENT}; systemctl restart kubelet")

    def shown() -> x509.Certificate:
        return x509.load_pem_x509_certificate(site.on(1, f"cat {KUBELET_CLIENT}").encode())

    first = x509.load_pem_x509_certificate(brief.certificate)
    eventually(lambda: shown().not_valid_after_utc > first.not_valid_after_utc, 120)
    renewed = shown()
    assert renewed.not_valid_after_utc - renewed.not_valid_before_utc <= datetime.timedelta(days=366)
    renewed.verify_directly_issued_by(x509.load_pem_x509_certificate(known.kubernetes.certificate))
    site.on(1, "systemctl restart kubelet")  # it goes on by what it was given
    eventually(lambda: site.ready() == site.addresses(0, 1), 60)


def test_a_master_that_joins_reads_the_same_secrets(site: Secured, logs: list[str]) -> None:
    site.spec(0, 1, 2)
    logs.append(site.run())
    assert site.ready() == site.addresses(0, 1, 2)
    ask = f"kubectl --kubeconfig /etc/kubernetes/admin.conf --server https://{site.hosts[2].address}:6443"
    read = partial(site.on, 2, f"{ask} get secret first -o jsonpath={{.data.word}}")
    assert base64.b64decode(read()).decode() == CANARY
    site.on(2, f"{ask} create secret generic second --from-literal=word={CANARY}")
    assert stored(site, 2, "second").startswith(b"k8s:enc:secretbox:v1:")
    assert site.on(2, f"cat {ENCRYPTION} | md5sum") == site.on(0, f"cat {ENCRYPTION} | md5sum")
    assert site.on(2, f"tail -n 1 {AUDIT_LOG}").startswith('{"kind":"Event"')
    assert [row.item for row in rows() if row.met for claim in row.claims if not holds(site, 2, claim)] == []


def test_the_key_is_in_no_log_and_no_record(site: Secured, logs: list[str]) -> None:
    key = (site.credentials / "pki" / "encryption.key").read_text().strip()
    assert len(base64.b64decode(key)) == 32
    assert not any(key in log for log in logs)
    kept = [path for path in (site.home / "clusters").rglob("*") if path.is_file() and key in path.read_text("latin-1")]
    assert [path.name for path in kept] == ["encryption.key"]
    for number in range(3):
        search = f"grep -rIlF '{key}' /etc /var/lib/sealer /var/log /root /tmp /run 2>/dev/null || true"
        assert site.on(number, search) == ("" if number == 1 else ENCRYPTION)
        assert site.on(number, f"journalctl --no-pager --output=cat | grep -cF '{key}' || true") == "0"


def test_nothing_of_it_is_left(site: Secured) -> None:
    site.run("delete", "--all", "--name", site.name)
    left = "ls -d /var/log/kubernetes /etc/kubernetes /var/lib/kubelet 2>/dev/null || true"
    assert [site.on(number, left) for number in range(3)] == [""] * 3
