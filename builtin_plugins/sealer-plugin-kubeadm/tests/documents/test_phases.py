"""Names of phases and checks, and where they go."""

from __future__ import annotations

import pytest

from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError
from sealer_plugin_kubeadm.documents import ClusterNeeds, NodeNeeds, init_documents, join_documents, prepare

NODE = NodeNeeds("node1", "198.18.0.11", "/run/containerd/containerd.sock")
DISCOVERY = "/etc/kubernetes/sealer/discovery.conf"


def needs(kubernetes: str, phases: str = "", checks: str = "") -> ClusterNeeds:
    return ClusterNeeds(
        kubernetes,
        masters=("198.18.0.11",),
        skip_phases=tuple(phases.split()),
        ignore_preflight_errors=tuple(checks.split()),
    )


@pytest.mark.parametrize(
    ("phases", "checks", "message"),
    [
        (
            "preflght",
            "",
            "spec.runtime.skipPhases[0]: 'preflght' is no phase of kubeadm init and join; did you mean 'preflight'?",
        ),
        ("coredns", "", "did you mean 'addon/coredns'?"),
        ("zzzzzz", "", "known are addon, addon/all, addon/coredns"),
        (
            "",
            "Swapp",
            "spec.runtime.ignorePreflightErrors[0]: 'Swapp' is no preflight check of kubeadm; did you mean 'Swap'?",
        ),
        ("", "qqqqqqqq", "known are all, "),
        ("", "Port-;x", "is no preflight check"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(phases: str, checks: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare((), (), needs("v1.20.2", phases, checks))
    assert message in str(caught.value)


def test_each_command_gets_its_own_phases() -> None:
    prepared = prepare((), (), needs("v1.20.2", "preflight addon/coredns control-plane-join/update-status"))
    assert init_documents(prepared, NODE).arguments == ("--skip-phases=preflight,addon/coredns",)
    joined = join_documents(prepared, NODE, DISCOVERY, master=True)
    assert joined.arguments == ("--skip-phases=preflight,control-plane-join/update-status",)


def test_checks_are_any_case_and_kubeadm_is_told_all_on_its_command_line_alone() -> None:
    text = (
        "apiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\nnodeRegistration: {ignorePreflightErrors: [%s]}\n"
    )
    prepared = prepare(read_kubeadm(text % "Mem", "f"), (), needs("v1.20.2", "", "swap ALL port-10250"))
    result = init_documents(prepared, NODE)
    assert result.arguments == ("--ignore-preflight-errors=all",)
    assert "ignorePreflightErrors" not in result.text
    with pytest.raises(InputError, match=r"f:3:44: .*kubeadm takes 'all' on its command line alone"):
        prepare(read_kubeadm(text % "all", "f"), (), needs("v1.20.2"))


def test_a_document_may_skip_phases_too() -> None:
    text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\nskipPhases: [%s]\n"
    prepared = prepare(read_kubeadm(text % "addon/kube-proxy", "f"), (), needs("v1.28.0", "addon/kube-proxy preflight"))
    assert init_documents(prepared, NODE).text.count("addon/kube-proxy") == 1
    with pytest.raises(InputError, match="'check-etcd' is no phase of kubeadm init"):
        prepare(read_kubeadm(text % "check-etcd", "f"), (), needs("v1.28.0"))
