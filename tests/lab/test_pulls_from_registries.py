"""What a containerd gets on real hosts by the files that they have: from the private registry, and from one outside.

It is asked as a kubelet asks it: by the public name, with no login and no CA but what the `hosts.toml` files say. Hosts
have no way out, so what it gets comes from a registry of the test's.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import containerd
import docker_registry
import pytest
import yaml
from certificates import Authority
from docker_registry import DockerRegistry
from lab_site import Site
from registry_site import HOSTS_TOML, Containerd, build

from sealer_plugin_nspawn.machines import Machines

OBSTACLE = docker_registry.OBSTACLE or containerd.OBSTACLE
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE or "it is there")]

USER = ("admin", "Push-it-1")
SILENT = 120  # seconds: containerd 1.6 knows no shorter wait for a registry that is silent than 30, some times over


@pytest.fixture
def here(site: Site) -> str:
    """The address by which hosts reach this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((site.hosts[0].address, 9))  # nothing is sent
        return str(probe.getsockname()[0])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "pki").mkdir()
    return Authority(tmp_path / "pki")


def outside(directory: Path, here: str, authority: Authority | None, port: int = 0) -> DockerRegistry:
    """A registry of this machine that hosts reach; without an authority open, and without TLS."""
    directory.mkdir(exist_ok=True)
    if authority is None:
        return DockerRegistry(directory, host=here, port=port)
    return DockerRegistry(directory, host=here, port=port, user=USER, tls=authority.server("outside", here))


def told(site: Site, address: str, **settings: object) -> None:
    """What the operator says of a registry."""
    (site.home / "registries.yaml").write_text(yaml.safe_dump({"registries": {address: settings}}))


def external(address: str, password: str = USER[1]) -> dict[str, object]:
    """The field of a Clusterfile."""
    domain, _, port = address.rpartition(":")
    return {"domain": domain, "port": int(port), "username": USER[0], "password": password}


def open_secrets(site: Site, *secrets: str) -> list[Path]:
    """Files that others may read with a password in them."""
    files = [path for path in site.home.rglob("*") if path.is_file() and path != site.clusterfile]
    loose = [path for path in files if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    return [path for path in loose if any(secret.encode() in path.read_bytes() for secret in secrets)]


def test_a_worker_pulls_with_the_login_when_a_master_is_dead(
    site: Site, machines: Machines, eventually: Callable[[Callable[[], bool], float], None]
) -> None:
    images = [f"docker.io/library/{name}:7" for name in ("web", "other", "third")]
    build(site, "closed:7", images)
    masters = [replace(host, roles=("master",)) for host in site.hosts[:2]]
    registry = {"localRegistry": {"ha": True, "username": "admin", "password": "Pull-it-1"}}
    site.write(image="closed:7", hosts=[*masters, replace(site.hosts[2], roles=("node",))], registry=registry)
    site.apply()
    with Containerd(site.hosts[2]) as worker:
        assert worker.pull(images[0])
        with worker.told_otherwise("/Authorization/d"):
            assert not worker.pull(images[1])

        first = next(state.name for state in machines.list() if state.address == masters[0].address)
        machines.kill(first)
        try:
            assert worker.pull(images[1])
            assert worker.seconds < SILENT
        finally:
            machines.boot(first)
        service = f"sealer-registry-{site.name}.service"
        eventually(lambda: site.on(0, f"systemctl is-active {service} || true") == "active", 30)
        site.on(1, f"systemctl stop {service}")
        assert worker.pull(images[2])  # of the one that was dead
        site.on(1, f"systemctl start {service}")
    site.delete()


def test_hosts_ask_a_registry_without_tls_and_then_one_outside(
    site: Site, here: str, authority: Authority, tmp_path: Path
) -> None:
    images = ["docker.io/library/web:8", "quay.io/ns/other:8"]
    build(site, "both:8", images)
    with outside(tmp_path / "outside", here, authority) as registry:
        told(site, registry.address, ca=str(authority.certificate))
        both = {"localRegistry": {"insecure": True}, "externalRegistry": external(registry.address)}
        site.write(image="both:8", hosts=site.hosts[:2], registry=both)
        said = site.apply()
        assert USER[1] not in said
        assert not open_secrets(site, USER[1])
        assert "is healthy" in site.sealer("check", "--name", site.name)
        with Containerd(site.hosts[1]) as worker:
            hosts_toml = site.on(1, f"cat {HOSTS_TOML}/docker.io/hosts.toml")
            assert '[host."http://sea.hub:5000/v2/docker.io"]' in hosts_toml
            assert hosts_toml.index("sea.hub") < hosts_toml.index(registry.address)
            with worker.told_otherwise(f"/{here}/,$d"):
                assert worker.pull(images[0])
                site.on(0, f"systemctl stop sealer-registry-{site.name}.service")
                assert not worker.pull(images[1])
            assert worker.pull(images[1])

        build(site, "app:8", ["third.io/app:8"], "--type", "app-installer", program=False)
        site.on(0, f"systemctl start sealer-registry-{site.name}.service")
        site.sealer("run", "app:8", "--name", site.name)
        site.on(0, f"systemctl stop sealer-registry-{site.name}.service")
        with Containerd(site.hosts[1]) as worker:
            assert worker.pull("third.io/app:8")
        site.delete()


def test_a_cluster_whose_only_registry_is_outside(site: Site, here: str, authority: Authority, tmp_path: Path) -> None:
    images = [f"docker.io/library/{name}:9" for name in ("web", "other")]
    build(site, "outside:9", images)
    last = len(site.hosts) - 1

    def applied(address: str, password: str = USER[1], status: int = 1) -> str:
        site.write(image="outside:9", registry={"externalRegistry": external(address, password)})
        said = site.apply(status=status)
        assert USER[1] not in said
        assert status == 0 or f"cannot be put into the external registry {address}: " in said
        return said

    with outside(tmp_path / "outside", here, authority) as registry:
        address = registry.address
        said = applied(address)
        assert "the registry's certificate is not trusted" in said
        assert "what to do: name the CA that signs it as its `ca` in registries.yaml" in said
        told(site, address, ca=str(authority.certificate))
        said = applied(address, "Wrong-1")
        assert "it refuses the username and password" in said
        assert f"what to do: are `username` and `password` right, and may '{USER[0]}' push there?" in said
    said = applied(address)
    assert "Connection refused" in said
    assert "what to do: check `domain` and `port`, that the registry runs" in said

    with outside(tmp_path / "outside", here, authority, int(address.rpartition(":")[2])):
        applied(address, status=0)
        assert not open_secrets(site, USER[1])
        authorities = f"/var/lib/sealer/data/{site.name}/external-registry-ca.crt"
        with Containerd(site.hosts[last]) as host:
            assert host.pull(images[0])
            site.on(last, f"mv {authorities} /root/ca.crt")
            assert not host.pull(images[1])
            assert "external-registry-ca.crt is missing" in site.sealer("check", "--name", site.name, status=1)
            site.on(last, f"mv /root/ca.crt {authorities}")
            assert host.pull(images[1])
        assert "is healthy" in site.sealer("check", "--name", site.name)
        site.delete()
    assert site.on(last, "ls -d /etc/containerd /var/lib/sealer 2>/dev/null || true") == ""


def test_a_registry_outside_without_tls_that_is_filled_by_others(site: Site, here: str, tmp_path: Path) -> None:
    """The operator signs in to it, or does not at all where it has the images."""
    images = ["docker.io/library/web:10"]
    build(site, "open:10", images)
    with outside(tmp_path / "open", here, None) as registry:
        told(site, registry.address, plainHTTP=True)
        domain, _, port = registry.address.rpartition(":")
        field = {"externalRegistry": {"domain": domain, "port": int(port)}}
        site.write(image="open:10", hosts=site.hosts[:1], registry=field)
        site.apply()
        with Containerd(site.hosts[0]) as host:
            assert host.pull(images[0])
        site.delete()

        shutil.rmtree(registry.storage)
        driver = {"name": "registry", "publish": False}
        site.write(image="open:10", hosts=site.hosts[:1], registry={**field, "driver": driver})
        site.apply()
        assert not list(registry.storage.rglob("data"))
        site.delete()


def test_the_operator_may_be_signed_in_where_the_clusterfile_names_nobody(
    site: Site, here: str, authority: Authority, tmp_path: Path
) -> None:
    images = ["docker.io/library/web:11"]
    build(site, "login:11", images)
    with outside(tmp_path / "outside", here, authority) as registry:
        told(site, registry.address, skipTLSVerify=True)
        domain, _, port = registry.address.rpartition(":")
        field = {"externalRegistry": {"domain": domain, "port": int(port)}}
        halved = {"externalRegistry": {**field["externalRegistry"], "username": USER[0]}}
        site.write(image="login:11", hosts=site.hosts[:1], registry=halved)
        said = site.apply(status=2)
        assert "spec.registry.externalRegistry: the external registry has a user and no password" in said
        assert site.on(0, "ls -d /var/lib/sealer 2>/dev/null || true") == ""

        site.write(image="login:11", hosts=site.hosts[:1], registry=field)
        nobody, login = tmp_path / "nobody.json", tmp_path / "auth.json"
        said = site.apply(status=1, REGISTRY_AUTH_FILE=str(nobody))
        assert f"give `username` and `password`, or log in with `sealer login {registry.address}`" in said
        pair = base64.b64encode(":".join(USER).encode()).decode()
        login.write_text(json.dumps({"auths": {registry.address: {"auth": pair}}}))
        site.apply(REGISTRY_AUTH_FILE=str(login))
        assert list(registry.storage.rglob("data"))
        with Containerd(site.hosts[0]) as host:
            assert not host.pull(images[0])
            assert "401 Unauthorized" in host.said  # so the certificate was none the worse
        site.delete()
