"""What `sealer check` asks of hosts."""

from __future__ import annotations

import base64
import datetime
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sealer.errors import HostError
from sealer.testing import Answers, RecordedContext, Reply, make_operation, run_steps
from sealer_plugin_kubeadm import health
from sealer_plugin_kubeadm.pki.x509 import authority
from sealer_plugin_kubeadm.scripts import script

WELL = "kubelet=active\ncontainerd=active\n"
DAY = 86_400.0


def asked(printed: str, nodes: int = 1, masters: int = 1) -> Sequence[str]:
    """The hosts that were asked, where each prints the same."""
    operation = make_operation("scale", masters=masters, nodes=nodes, joining=0)
    answers = Answers().on("systemctl is-active", Reply(printed))
    return run_steps(health.steps(operation), operation, answers=answers).hosts["kubelet"]


def test_hosts_that_are_well_and_each_member_is_asked() -> None:
    assert len(asked(WELL, nodes=2)) == 3
    assert asked("kubelet=active\n")  # an image with another container runtime


@pytest.mark.parametrize("service", ["kubelet", "containerd"])
@pytest.mark.parametrize(("said", "state"), [("inactive", "inactive"), ("activating", "activating"), ("", "not there")])
def test_a_service_that_does_not_run_is_named(service: str, said: str, state: str) -> None:
    with pytest.raises(HostError, match="on this host is not running") as caught:
        asked(WELL.replace(f"{service}=active", f"{service}={said}"))
    assert service in caught.value.why
    assert state in caught.value.why
    assert f"systemctl start {service}" in caught.value.remedy


@pytest.mark.parametrize(
    ("masters", "advice"), [(1, "Restore /etc/kubernetes"), (2, "sealer delete -m 10.0.0.1 --force --name ")]
)
def test_files_that_are_gone_are_named_and_no_service_is_to_be_started_for_them(masters: int, advice: str) -> None:
    gone = "kubelet=inactive\nmissing=/etc/kubernetes/kubelet.conf\nmissing=/etc/kubernetes/pki/ca.crt\n"
    operation = make_operation("scale", masters=masters, nodes=1, joining=0)
    by_id = {step.id: step for step in health.steps(operation)}
    context = RecordedContext(operation, operation.masters[0], answers=Answers().on("is-active", Reply(gone)))
    with pytest.raises(HostError, match="Files of Kubernetes are missing") as caught:
        by_id["files"].run(context)
    assert "/etc/kubernetes/pki/ca.crt" in caught.value.why
    assert advice.replace("10.0.0.1", operation.masters[0].address) in caught.value.remedy
    by_id["kubelet"].run(context)
    assert len(context.scripts) == 1  # one look serves all checks


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (-3 * DAY, "have expired"),
        (3 * 3600.0, "about to expire"),
        (6.9 * DAY, "about to expire"),
        (29 * DAY, "warning"),
        (31 * DAY, ""),
    ],
)
def test_certificates_that_end_soon(left: float, words: str) -> None:
    operation = make_operation("scale", joining=0)
    context = RecordedContext(operation, operation.masters[0])
    ends = {"/etc/kubernetes/pki/apiserver.crt": 1e9 + left, "/etc/kubernetes/pki/ca.crt": 1e9 + 3000 * DAY}
    if words in ("", "warning"):
        health.judge(context, ends, 1e9)
        assert [call.what for call in context.calls] == (["warn"] if words else [])
        return
    with pytest.raises(HostError, match=words) as caught:
        health.judge(context, ends, 1e9)
    assert "apiserver.crt" in caught.value.why
    assert "ca.crt" not in caught.value.why
    assert "kubeadm certs renew all" in caught.value.remedy


def test_what_helps_depends_on_who_renews_it() -> None:
    operation = make_operation("scale", joining=0)
    context = RecordedContext(operation, operation.masters[0])
    with pytest.raises(HostError) as caught:
        health.judge(context, {"/var/lib/kubelet/pki/kubelet-client-current.pem": 1.0}, 1e9)
    assert caught.value.remedy.startswith("The kubelet renews its certificate")


def test_the_script_reads_certificates_and_prints_no_key(tmp_path: Path) -> None:
    """A real shell on files as kubeadm and the kubelet write them; a damaged one is no certificate."""
    pair = authority("kubernetes", datetime.timedelta(days=20))
    kubernetes, kubelet = tmp_path / "etc/kubernetes", tmp_path / "var/lib/kubelet"
    for place in (kubernetes / "pki/etcd", kubelet / "pki"):
        place.mkdir(parents=True)
    (kubernetes / "pki/apiserver.crt").write_bytes(pair.certificate)
    (kubernetes / "pki/etcd/server.crt").write_text("-----BEGIN CERTIFICATE-----\n?\n")
    (kubelet / "pki/kubelet-client-current.pem").write_bytes(pair.key + pair.certificate + pair.key)
    (kubelet / "kubeadm-flags.env").write_text("A=--container-runtime-endpoint=/run/containerd/containerd.sock\n")
    data, key = (base64.b64encode(text).decode() for text in (pair.certificate, pair.key))
    (kubernetes / "admin.conf").write_text(f"  client-certificate-data: {data}\n  client-key-data: {key}\n")
    text = script("health").replace("/etc/kubernetes", str(kubernetes)).replace("/var/lib/kubelet", str(kubelet))
    env = {**os.environ, "SEALER_FILES": f"{kubernetes}/admin.conf {kubernetes}/kubelet.conf"}
    printed = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, env=env).stdout
    found = health.Found.of(printed)
    assert found.missing == (f"{kubernetes}/kubelet.conf",)
    assert set(found.services) == {"kubelet", "containerd"}
    assert {Path(path).name for path in found.ends} == {"apiserver.crt", "kubelet-client-current.pem", "admin.conf"}
    secret = pair.key.decode().splitlines()[1]
    assert secret not in printed
    assert all(secret not in base64.b64decode(line.partition(" ")[2]).decode() for line in printed.splitlines())
