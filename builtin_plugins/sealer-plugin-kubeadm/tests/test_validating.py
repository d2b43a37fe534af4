"""`sealer validate` of Clusterfiles for this runtime, as a user calls it: with the image in the store, and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLUSTER = """\
apiVersion: sealer.io/v2
kind: Cluster
spec:
  image: kubernetes:v1.20.2
  hosts:
    - {ips: [198.18.0.11], roles: [master]}
"""
DOCUMENT = """\
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
"""
KUBEFILE = """\
FROM scratch
LABEL io.sealer.runtime=kubeadm
LABEL io.sealer.kubernetes.version=v1.20.2
COPY values.yaml.tmpl etc/values.yaml.tmpl
"""


def sealer(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealer", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "SEALER_HOME": str(home)},
        input=stdin,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store has an image of this runtime."""
    work = tmp_path_factory.mktemp("validating")
    context = work / "context"
    context.mkdir()
    (context / "Kubefile").write_text(KUBEFILE)
    (context / "values.yaml.tmpl").write_text("color: {{ .Color | default `red` }}\nsize: {{ .Size }}\n")
    built = sealer(work / "home", "build", "-t", "kubernetes:v1.20.2", str(context))
    assert built.returncode == 0, built.stderr
    return work / "home"


MISTAKES = [
    ("", "networkng: {podSubnet: 10.0.0.0/8}", "9:1: ClusterConfiguration.networkng: unknown field; did"),
    ("  runtime: {skipPhases: [preflight, addon/corends]}", "", "7:37: spec.runtime.skipPhases[1]: 'addon/corends'"),
    ("  runtime:\n    ignorePreflightErrors:\n    - Swapp", "", "9:7: spec.runtime.ignorePreflightErrors[0]: 'Swapp'"),
    ("  containerRuntime: docker", "", "7:3: spec.containerRuntime: docker is not supported by this image, kub"),
    ("  network: {podCIDR: 198.18.0.0/16}", "", "7:13: spec.network.podCIDR: 198.18.0.0/16 has the address of host"),
]  # fmt: skip


MISTAKES += [
    ("  runtime: {skipPhase: [preflight]}", "", "7:13: spec.runtime.skipPhase: "),
    ("  runtime: {certificateValidity: 10 years}", "", "7:13: spec.runtime.certificateValidity: "),
]


@pytest.mark.parametrize(("spec", "document", "message"), MISTAKES)
def test_what_the_runtime_refuses_is_no_valid_clusterfile(home: Path, spec: str, document: str, message: str) -> None:
    text = CLUSTER + (f"{spec}\n" if spec else "") + "  env: {Size: 3}\n"
    text += f"{DOCUMENT}{document}\n" if document else ""
    line, _, rest = message.partition(":")
    place = int(line) + (2 if document else 0)
    done = sealer(home, "validate", "-f", "-", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"standard input:{place}:{rest}" in done.stderr


def test_a_clusterfile_is_held_against_its_image(home: Path) -> None:
    text = f"{CLUSTER}  env: {{Size: 3}}\n{DOCUMENT}networking: {{podSubnet: 10.244.0.0/16}}\n"
    done = sealer(home, "validate", "-f", "-", "--output", "json", stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["imageChecked"] is True
    newer = text.replace("v1beta2", "v1beta3").replace("networking", "skipPhases: [] #")
    assert sealer(home, "validate", "-f", "-", stdin=newer).returncode == 2  # it has no such field
    done = sealer(home, "validate", "-f", "-", stdin=CLUSTER)
    assert done.returncode == 2
    assert "etc/values.yaml.tmpl:2" in done.stderr and "Size" in done.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("certificateValidity=ten years", "spec.runtime.certificateValidity: "),
        ("certificateValidty=10y", "did you mean 'certificateValidity'?"),
        ("skipPhases=[addon/corends]", "spec.runtime.skipPhases[0]: 'addon/corends' is no phase"),
    ],
)
def test_a_field_of_the_runtime_on_the_command_line_is_checked_before_a_host_is_asked(
    home: Path, option: str, message: str
) -> None:
    words = ("run", "kubernetes:v1.20.2", "-m", "198.18.0.11", "-e", "Size=3", "--runtime-option", option)
    done = sealer(home, *words, "-c", "never-begun")
    assert done.returncode == 2, done.stderr
    assert f"--runtime-option {option}: " in done.stderr and message in done.stderr
    assert not (home / "clusters" / "never-begun" / "state.json").exists()


WITHOUT = [
    ("", "networkng: {}", "10:1: ClusterConfiguration.networkng: unknown field"),
    ("  runtime: {name: kubeadm, skipPhases: [addon/corends]}\n", "", "7:41: spec.runtime.skipPhases[0]: 'addon/co"),
    ("  runtime: kubeadm\n  containerRuntime: {type: docker}\n", "", "8:3: spec.containerRuntime: docker is not supp"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "document", "message"), WITHOUT)
def test_without_the_image_what_is_wrong_with_every_image_is_told(
    tmp_path: Path, spec: str, document: str, message: str
) -> None:
    text = CLUSTER + spec + (f"{DOCUMENT}{document}\n" if document else "")
    done = sealer(tmp_path, "validate", "-f", "-", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"standard input:{message}" in done.stderr


def test_without_the_image_what_some_version_takes_is_right_and_the_lack_is_said(tmp_path: Path) -> None:
    fields = "kubernetesVersion: v1.28.0\nfeatureGates: {EtcdLearnerMode: true}\n"
    text = CLUSTER + DOCUMENT.replace("v1beta2", "v1beta4") + fields
    done = sealer(tmp_path, "validate", "-f", "-", "--output", "json", stdin=text)
    assert done.returncode == 0
    assert json.loads(done.stdout)["imageChecked"] is False
    assert "the image kubernetes:v1.20.2 is not in the local store" in done.stderr
