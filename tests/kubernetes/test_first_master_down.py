"""Kubernetes on real hosts: nodes join while the first master's API server is down, and while the first master is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes_site import Kubernetes, eventually, home_of_its_own

from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.testing import on_host, real_machines

pytestmark = [pytest.mark.lab, pytest.mark.soak]

# The kubelet would start it again.
END_API_SERVER = """
systemctl stop kubelet
for id in $(ctr -n k8s.io containers list --quiet 'labels."io.kubernetes.container.name"==kube-apiserver'); do
    ctr -n k8s.io tasks kill --signal SIGKILL "$id" || true
done
"""
ROUTES = "ip route show proto 155 | wc -l"


@pytest.fixture
def machines() -> Iterator[Machines]:
    with real_machines(5, "sealer-first-down", masters=3) as made:
        yield made


def test_nodes_join_while_the_first_master_is_down(
    machines: Machines, base_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = home_of_its_own(tmp_path_factory.mktemp("first-down"), base_home)
    site = Kubernetes(home, [state.host for state in machines.list()])
    first, *others = site.hosts
    registry = {"localRegistry": {"ha": True}}  # what holds the images must live
    site.spec(0, 1, 2, registry=registry)
    site.run()
    on_host(first, END_API_SERVER)
    eventually(lambda: not site.healthy(0), 30)
    site.spec(0, 1, 2, 3, registry=registry)
    site.run()
    assert site.ready()[site.hosts[3].address]
    machines.kill(first.address)
    site.spec(0, 1, 2, 3, 4, registry=registry)
    log = site.run()
    assert f"{first.address}  Configure pod routes on existing hosts: skipped: it is out of reach" in log
    assert all(site.ready()[host.address] for host in others)
    assert [site.on(number, ROUTES) for number in (1, 2, 3, 4)] == ["4"] * 4
    assert f"https://{others[0].address}:6443" in (home / "clusters" / site.name / "credentials/kubeconfig").read_text()
    machines.boot(first.address)
    eventually(lambda: site.ready() == site.addresses(0, 1, 2, 3, 4), 240)
    aliases = [{"ip": "198.51.100.9", "hostnames": ["db.example.org"]}]
    site.spec(0, 1, 2, 3, 4, registry=registry, hostAliases=aliases)
    site.run()
    assert [site.on(number, ROUTES) for number in range(5)] == ["4"] * 5
