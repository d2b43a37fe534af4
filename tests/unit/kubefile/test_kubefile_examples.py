"""The Kubefiles that users have."""

from __future__ import annotations

from pathlib import Path

from sealer.kubefile import read
from sealer.kubefile.model import Cmd, Copy, Run

EXAMPLES = Path(__file__).parents[2] / "data" / "kubefiles"


def test_an_application_with_a_manifest_from_the_internet() -> None:
    kubefile = read(EXAMPLES / "Kubefile.dashboard")
    assert kubefile.base.image.text == "kubernetes:v1.19.8"
    fetch, apply = kubefile.body
    assert isinstance(fetch, Run)
    assert fetch.command.startswith("wget https://raw.githubusercontent.com/kubernetes/dashboard/v2.2.0/")
    assert isinstance(apply, Cmd)
    assert apply.command == "kubectl apply -f recommended.yaml"


def test_a_plugin_beside_the_base() -> None:
    kubefile = read(EXAMPLES / "Kubefile.iscsi")
    assert kubefile.base.image.text == "kubernetes:v1.19.8"
    [copy] = kubefile.body
    assert isinstance(copy, Copy)
    assert ([source.text for source in copy.sources], copy.destination.text) == (["shell.yaml"], "plugin")
