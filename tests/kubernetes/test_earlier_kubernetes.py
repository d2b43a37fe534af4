"""A Kubernetes that the version before made is checked, enlarged, changed, made smaller and deleted by this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from earlier_version import installed
from host_state import left_on, state_of
from kubernetes_site import Kubernetes, eventually, names_of

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import real_machines

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
IDENTITY = "/etc/kubernetes/sealer/cluster"


@pytest.fixture
def machines(payload: Path) -> Iterator[Machines]:
    with real_machines(2, "sealer-earlier", masters=1) as made:
        yield made


def test_a_kubernetes_of_the_version_before_goes_on(machines: Machines, payload: Path, tmp_path: Path) -> None:
    (tmp_path / "earlier").mkdir()
    earlier = installed(tmp_path / "earlier")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    site = Kubernetes(home, [state.host for state in machines.list()])
    site.masters = 1
    untouched = [state_of(host) for host in site.hosts]
    earlier.sealer(home, "kubernetes", "base", "--from", str(payload), "-t", "kubernetes:base")
    site.spec(0)
    earlier.sealer(home, "apply", "-f", str(site.clusterfile), "--yes")
    authority = site.on(0, "sha256sum /etc/kubernetes/pki/ca.crt")

    assert "running" in site.sealer("status", "--name", site.name)
    said = site.sealer("check", "--name", site.name, status=None)
    # That registry takes images from whoever reaches it; the next operation ends that.
    assert said.count("FAILED") == said.count("The private registry accepts pushes and deletes") <= 1
    assert site.on(0, f"ls {IDENTITY} 2>/dev/null || true") == ""
    site.run("scale-up", "--name", site.name, "-n", site.hosts[1].address, "--pk", site.hosts[1].ssh.private_key)
    assert site.ready() == site.addresses(0, 1)
    known = {site.on(number, f"cat {IDENTITY}") for number in (0, 1)}
    assert len(known) == 1
    assert known.pop() in site.sealer("status", "--name", site.name)

    site.spec(0, 1, certSANS=["late.example.org"])
    site.run()
    eventually(lambda: "late.example.org" in names_of(site.served(0)), 120)  # it reads the file once a minute
    assert site.on(0, "sha256sum /etc/kubernetes/pki/ca.crt") == authority
    site.run("delete", "--name", site.name, "-n", site.hosts[1].address)
    assert site.ready() == site.addresses(0)
    assert left_on(site.hosts[1], untouched[1]) == ""
    assert "is healthy" in site.sealer("check", "--name", site.name)
    site.run("delete", "--all", "--name", site.name)
    assert left_on(site.hosts[0], untouched[0]) == ""
