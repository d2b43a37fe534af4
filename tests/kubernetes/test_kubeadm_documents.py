"""What a real kubeadm v1.20.2 says to the documents that sealer writes: `kubeadm config migrate` checks them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from sealer.clusterfile.reading import read_kubeadm
from sealer.redaction import Secret
from sealer_plugin_kubeadm.documents import (
    ClusterNeeds,
    InitSecrets,
    NodeNeeds,
    init_documents,
    join_documents,
    prepare,
)
from sealer_plugin_kubeadm.documents.phases import phases_of
from sealer_plugin_kubeadm.places import DISCOVERY

VERSION = "v1.20.2"
GOLDEN = Path(__file__).parents[2] / "builtin_plugins/sealer-plugin-kubeadm/tests/documents/golden"
TOKEN = "abcdef.0123456789abcdef"
NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
LATER = {
    "InitConfiguration": {
        "kubeconfig/super-admin",
        "kubelet-finalize/enable-client-cert-rotation",
        "show-join-command",
    },
    "JoinConfiguration": {"etcd-join", "kubelet-wait-bootstrap", "wait-control-plane"},
}
HIDDEN = {"InitConfiguration": {"wait-control-plane"}, "JoinConfiguration": {"check-etcd"}}


@pytest.fixture(scope="module")
def kubeadm(payload: Path) -> Path:
    return payload / "bin" / "kubeadm"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def migrated(kubeadm: Path, text: str, directory: Path) -> list[dict[str, object]]:
    """The documents as kubeadm writes them; an unknown field, of kubelet's too, it tells on its standard error."""
    old, new = directory / "old.yaml", directory / "new.yaml"
    old.write_text(text, encoding="utf-8")
    done = run(kubeadm, "config", "migrate", "--old-config", old, "--new-config", new)
    assert done.returncode == 0, done.stderr
    assert "error unmarshaling" not in done.stderr and "unknown field" not in done.stderr, done.stderr
    return list(yaml.safe_load_all(new.read_text(encoding="utf-8")))


def test_a_field_that_kubeadm_does_not_know_would_be_noticed(kubeadm: Path, tmp_path: Path) -> None:
    text = (GOLDEN / "v1beta2" / "init.yaml").read_text(encoding="utf-8")
    for name in ("clusterName", "maxPods", "strictARP"):
        with pytest.raises(AssertionError, match=f'unknown field "{name}s"'):
            migrated(kubeadm, text.replace(f"{name}:", f"{name}s:"), tmp_path)


@pytest.mark.parametrize("what", ["init", "join-master", "join-node"])
@pytest.mark.parametrize("api", ["v1beta1", "v1beta2"])
def test_kubeadm_reads_the_golden_documents_and_loses_nothing(
    kubeadm: Path, tmp_path: Path, api: str, what: str
) -> None:
    text = (GOLDEN / api / f"{what}.yaml").read_text(encoding="utf-8").replace("v1.14.10", VERSION)
    text = text.replace(DISCOVERY, kubeconfig(tmp_path))
    ours = {document["kind"]: document for document in yaml.safe_load_all(text)}
    theirs = {str(document["kind"]): document for document in migrated(kubeadm, text, tmp_path)}
    for kind, document in theirs.items():
        assert within(ours[kind], document, kind) == []


def kubeconfig(directory: Path) -> str:
    """A file for the discovery: kubeadm looks whether it is there."""
    path = directory / "discovery.conf"
    path.touch()
    return str(path)


def within(ours: object, theirs: object, path: str) -> list[str]:
    """What of ours kubeadm has lost or changed; it adds defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        known = {name: value for name, value in ours.items() if name != "apiVersion" and value != {}}
        lost = [
            within(value, theirs.get(name), f"{path}.{name}") for name, value in known.items() if value is not False
        ]
        return [it for found in lost for it in found]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [it for mine, its in zip(ours, theirs, strict=True) for it in within(mine, its, path)]
    return [] if ours == theirs else [f"{path}: {ours} became {theirs}"]


def test_converting_is_what_kubeadm_makes_of_v1beta1(kubeadm: Path, tmp_path: Path) -> None:
    """The user's documents, by kubeadm itself to v1beta2 and then read by sealer, or read by sealer as they are."""
    text = (GOLDEN / "v1beta1" / "user.yaml").read_text(encoding="utf-8")
    first = "\n---\n".join(part for part in text.split("\n---\n") if "JoinConfiguration" not in part)
    for bare, quoted in (("v: 4", 'v: "4"'), ("profiling: false", 'profiling: "false"')):
        assert bare in first  # sealer takes them; kubeadm takes texts alone
        first = first.replace(bare, quoted)
    # kubeadm would ask the internet for a version, and has another default for services.
    first = first.replace("clusterName:", f"kubernetesVersion: {VERSION}\nclusterName:")
    first = first.replace("networking:", "networking:\n  serviceSubnet: 10.96.0.0/22")
    theirs = migrated(kubeadm, first, tmp_path)
    (cluster,) = [document for document in theirs if document["kind"] == "ClusterConfiguration"]
    wanted, found = cluster_of(first), cluster_of(yaml.safe_dump(cluster))
    for name in ("featureGates", "useHyperKubeImage"):  # false, and nothing at all: kubeadm leaves them out
        assert not wanted.pop(name, None)
    assert found == wanted


def cluster_of(text: str) -> dict[str, object]:
    """ClusterConfiguration as sealer writes it for documents of any version."""
    needs = ClusterNeeds(VERSION, masters=("198.18.0.11",))
    written = init_documents(prepare(read_kubeadm(text, "Clusterfile"), (), needs), NODE).text
    return next(document for document in yaml.safe_load_all(written) if document["kind"] == "ClusterConfiguration")


@pytest.mark.parametrize("families", ["one", "two", "ipv6"])
def test_kubeadm_takes_what_sealer_makes_without_any_document(kubeadm: Path, tmp_path: Path, families: str) -> None:
    ranges = {
        "one": ("", ""),
        "two": ("10.1.0.0/16,fd00::/48", "10.2.0.0/22,fd01::/112"),
        "ipv6": ("fd00::/48", "fd01::/112"),
    }
    address = "fd12::1" if families == "ipv6" else "198.18.0.11"
    needs = ClusterNeeds(
        VERSION,
        masters=(address,),
        pod_cidr=ranges[families][0],
        service_cidr=ranges[families][1],
        cgroup_driver="cgroupfs",
        validity="876000h0m0s",
        signing="8760h0m0s",
        conntrack_fixed=True,
        ignore_preflight_errors=("Swap",),
    )
    prepared, node = prepare((), (), needs), NodeNeeds("node1", address, NODE.cri_socket)
    migrated(kubeadm, init_documents(prepared, node, InitSecrets(Secret(TOKEN))).text, tmp_path)
    for master in (True, False):
        migrated(kubeadm, join_documents(prepared, node, kubeconfig(tmp_path), master=master).text, tmp_path)


@pytest.mark.parametrize(("command", "kind"), [("init", "InitConfiguration"), ("join", "JoinConfiguration")])
def test_the_phases_and_flags_are_those_of_kubeadm(kubeadm: Path, command: str, kind: str) -> None:
    text = run(kubeadm, command, "--help").stdout
    (listing,) = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    phases: list[str] = []
    for name in re.findall(r"^ *(\S+) ", listing, re.MULTILINE):
        phases.append(f"{phases_head(phases)}{name}" if name.startswith("/") else name)
    ours = {name for name in phases_of(kind) if not name.endswith("/all")}
    assert ours - LATER[kind] - HIDDEN[kind] == set(phases)
    for flag in ("--skip-phases", "--ignore-preflight-errors", "--experimental-patches"):
        assert flag in text


def phases_head(phases: list[str]) -> str:
    return phases[-1].partition("/")[0]
