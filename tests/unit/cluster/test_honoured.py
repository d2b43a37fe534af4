"""Fields that the chosen runtime does nothing with are warned of, where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from sealer.cluster.honoured import not_honoured
from sealer.clusterfile.reading import read
from sealer.events import EventStream, State
from sealer.extension import RUNTIME_FIELDS
from sealer.extension.loading import check_class, driver_class
from sealer.settings import Settings
from sealer_plugin_standalone import Standalone

Site = Any  # the fixture's class lives in conftest.py, which cannot be imported
TEXT = """\
apiVersion: sealer.io/v2
kind: Cluster
spec:
  image: demo:1
  network:
    podCIDR: 100.64.0.0/10
    svcCIDR: 10.96.0.0/22
  certSANS: [a.b]
  containerRuntime: docker
  hostAliases:
    - {ip: 10.0.0.9, hostnames: [db]}
  hosts:
    - ips: [10.0.0.1]
      roles: [master]
      labels: {a: b}
      taints: ["a=b:NoSchedule"]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 50
"""
PLACES = {
    "spec.network.podCIDR": "F:6:5",
    "spec.network.svcCIDR": "F:7:5",
    "spec.certSANS": "F:8:3",
    "spec.containerRuntime": "F:9:3",
    "spec.hostAliases": "F:10:3",
    "spec.hosts.labels": "F:15:15",
    "spec.hosts.taints": "F:16:15",
    "KubeletConfiguration": "F:18:1",
}


def runtime(honoured: frozenset[str] | None) -> Standalone:
    class Vendor(Standalone):
        honours: ClassVar[frozenset[str] | None] = honoured

    return Vendor(Settings(home=Path("/nonexistent")), EventStream(), {})


def warned(honoured: frozenset[str] | None) -> dict[str, str]:
    problems = not_honoured(read(TEXT, "F"), runtime(honoured), "vendor")
    assert all("the runtime 'vendor' does nothing with it" in problem.message for problem in problems)
    return {problem.path: str(problem.position) for problem in problems}


def test_each_field_is_warned_of_where_it_stands() -> None:
    assert warned(frozenset()) == PLACES


@pytest.mark.parametrize("field", sorted(RUNTIME_FIELDS))
def test_a_field_that_a_runtime_honours_is_not(field: str) -> None:
    left = warned(frozenset({field}))
    gone = {path for path in PLACES if path not in left}
    assert gone == {
        path for path in PLACES if path.startswith(field) or (field, path) == ("kubeadm", "KubeletConfiguration")
    }


def test_a_runtime_that_does_not_say_warns_of_nothing() -> None:
    assert warned(None) == warned(RUNTIME_FIELDS) == {}


def test_fields_that_are_not_given_are_not_warned_of() -> None:
    bare = read("apiVersion: sealer.io/v2\nkind: Cluster\nspec: {image: a:1, containerRuntime: {}, certSANS: []}\n")
    assert not_honoured(bare, runtime(frozenset()), "vendor") == ()


def test_create_and_validate_tell_it(site: Site) -> None:
    site.build({"a": "1"})
    desired = site.desired(hostAliases="[{ip: 10.0.0.9, hostnames: [db]}]")
    for name in ("examine", "create"):
        getattr(site.lifecycle(), name)(desired)
        said = [event.message for event in site.events if event.state is State.WARNING]
        assert len(said) == 1
        assert said[0].startswith("Clusterfile:")
        assert "spec.hostAliases: the runtime 'standalone' does nothing with it" in said[0]


@pytest.mark.parametrize("name", ["standalone", "kubeadm", "external"])
def test_sealers_own_runtimes_say_what_they_honour(name: str) -> None:
    found = driver_class("runtime", name, Settings(home=Path("/nonexistent")))
    assert found.honours is not None  # type: ignore[attr-defined]


def test_a_declaration_with_an_unknown_field_is_its_authors_mistake() -> None:
    class Vendor(Standalone):
        honours = frozenset({"spec.certSans"})

    with pytest.raises(ValueError, match=r"honours is not a frozenset of kubeadm, spec\.certSANS"):
        check_class("runtime", Vendor)
