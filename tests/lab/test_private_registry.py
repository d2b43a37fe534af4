"""The private registry on real hosts: a stock registry serves what the image carries, under public names."""

from __future__ import annotations

import base64
import json
import shlex
from dataclasses import replace
from functools import partial

import pytest
import yaml
from docker_registry import OBSTACLE
from lab_site import PATIENCE, Site
from network_online import never_online
from registry_site import PINNED, build
from sample_images import noise

from sealer.image.oci import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE or "it is there")]

_ACCEPTED = ", ".join((INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
ACCEPT = f"-H 'Accept: {_ACCEPTED}'"
PART, PARTS = 1 << 21, 64  # bytes of a layer, layers
OVERHEAD = 1 << 20  # bytes, of all that an apply says to a host
CLEANED = ("/etc/hosts", "/etc/containerd", "/etc/systemd/system")


def ask(site: Site, number: int, path: str, options: str = "") -> str:
    """What the registry answers a host that asks it by its name."""
    ca = f"/var/lib/sealer/data/{site.name}/registry-ca.crt"
    if "-u " not in options:
        options += f" -u '{login_of(site, number)}'"
    return site.on(number, f"curl -sS --max-time 20 --cacert {ca} {ACCEPT} {options} https://sea.hub:5000/v2/{path}")


def serves(site: Site, number: int, reference: str) -> bool:
    """Whether a host gets an image, down to a layer, from where containerd would ask for it."""
    name, _, tag = reference.rpartition(":")
    where = name.replace(":", "_")
    manifest = json.loads(ask(site, number, f"{where}/manifests/{tag}"))
    assert "layers" in manifest, manifest
    digest = manifest["layers"][0]["digest"]
    found = ask(site, number, f"{where}/blobs/{digest}", "-o /dev/null -w '%{http_code} %{size_download}'")
    assert found == f"200 {manifest['layers'][0]['size']}"
    return True


def layers(site: Site, number: int, reference: str) -> list[str]:
    name, _, tag = reference.rpartition(":")
    return [one["digest"] for one in json.loads(ask(site, number, f"{name}/manifests/{tag}"))["layers"]]


def found(site: Site, number: int) -> str:
    """All that a host has where the registry changes something."""
    return site.on(number, f"find {' '.join(CLEANED)} -type f -exec sha256sum {{}} + 2>/dev/null; systemctl list-units")


def units(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "sealer" in line or "  /etc" in line)


def test_every_image_is_served_under_its_public_name(site: Site) -> None:
    before = [units(found(site, number)) for number in (0, 1)]
    pinned = f"quay.io/ns/pinned:v1@{PINNED.root}"
    build(site, "served:1", ["docker.io/library/web:1", "other.io/library/web:1", pinned])
    site.write(image="served:1", hosts=site.hosts[:2])
    with never_online(partial(site.on, 0)):
        site.apply()

    for image in ("docker.io/library/web:1", "other.io/library/web:1"):
        assert serves(site, 1, image)
    assert layers(site, 1, "docker.io/library/web:1") != layers(site, 1, "other.io/library/web:1")
    assert PINNED.root in ask(site, 1, f"quay.io/ns/pinned/manifests/{PINNED.root}", "-D - -o /dev/null")
    assert PINNED.root in ask(site, 1, "quay.io/ns/pinned/manifests/v1", "-D - -o /dev/null")
    hosts_toml = site.on(1, "cat /etc/containerd/certs.d/docker.io/hosts.toml")
    assert '[host."https://sea.hub:5000/v2/docker.io"]' in hosts_toml

    as_set_up = units(found(site, 0))
    assert "already up to date" in site.apply() or units(found(site, 0)) == as_set_up

    build(site, "more:1", ["third.io/app:1"], "--type", "app-installer", program=False)
    site.sealer("run", "more:1", "--name", site.name)
    assert serves(site, 1, "third.io/app:1")
    assert "sea.hub:5000/v2/third.io" in site.on(1, "cat /etc/containerd/certs.d/third.io/hosts.toml")

    # A host that joins later is told of all of them.
    site.write(image="served:1", hosts=site.hosts)
    site.apply()
    assert serves(site, 2, "third.io/app:1")
    assert sorted(site.on(2, "ls /etc/containerd/certs.d").split()) == [
        "docker.io",
        "other.io",
        "quay.io",
        "sea.hub:5000",
        "third.io",
    ]
    site.delete()
    assert [units(found(site, number)) for number in (0, 1)] == before
    assert site.on(1, "ls -d /etc/containerd /var/lib/sealer 2>/dev/null || true") == ""


def test_the_registry_moves_when_its_master_leaves(site: Site) -> None:
    build(site, "moving:1", ["docker.io/library/web:2"])
    masters = [replace(host, roles=("master",)) for host in site.hosts[:2]]
    node = replace(site.hosts[2], roles=("node",))
    site.write(image="moving:1", hosts=[*masters, node])
    site.apply()
    assert masters[0].address in site.on(2, "grep sea.hub /etc/hosts")
    site.write(image="moving:1", hosts=[masters[1], node])
    site.apply()
    assert masters[1].address in site.on(2, "grep sea.hub /etc/hosts")
    assert masters[0].address not in site.on(2, "cat /etc/hosts")
    assert serves(site, 2, "docker.io/library/web:2")
    assert "sealer-registry" not in site.on(0, "systemctl list-units --all")
    site.delete()


def test_one_on_each_master_with_a_password(site: Site) -> None:
    build(site, "closed:1", ["docker.io/library/web:3"])
    masters = [replace(host, roles=("master",)) for host in site.hosts[:2]]
    registry = {"localRegistry": {"ha": True, "username": "admin", "password": "Pull-it-1"}}
    site.write(image="closed:1", hosts=[*masters, site.hosts[2]], registry=registry)
    said = site.apply()
    assert "Pull-it-1" not in said
    assert status_of(site, 2, ACCEPT, "docker.io/library/web/manifests/3") == "401"
    hosts_toml = site.on(2, "cat /etc/containerd/certs.d/docker.io/hosts.toml")
    assert f"https://{masters[1].address}:5000/v2/docker.io" in hosts_toml
    for number in (0, 1):
        address = site.hosts[number].address
        ca = f"--cacert /var/lib/sealer/data/{site.name}/registry-ca.crt"
        url = f"https://{address}:5000/v2/docker.io/library/web/manifests/3"
        answer = site.on(2, f"curl -sS --max-time 20 {ca} {ACCEPT} -u admin:Pull-it-1 {url}")
        assert "layers" in json.loads(answer)
    secrets = [path for path in site.home.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in secrets if b"Pull-it-1" in path.read_bytes() and path != site.clusterfile]
    site.delete()


def test_a_taken_port_is_told_with_what_to_do(site: Site) -> None:
    build(site, "taken:1", ["docker.io/library/web:4"])
    site.on(0, "systemd-run -q --unit=taken --socket-property=ListenStream=5000 --socket-property=Accept=yes cat")
    try:
        site.write(image="taken:1", hosts=site.hosts[:1])
        said = site.apply(status=1)
        assert "port 5000 is taken by systemd: end that, or give the registry another one" in said
        assert site.hosts[0].address in said
    finally:
        site.on(0, "systemctl stop taken.socket")
    site.apply()
    assert serves(site, 0, "docker.io/library/web:4")
    site.delete()


def test_a_port_of_another_cluster_on_the_host_is_told_with_that_cluster(site: Site) -> None:
    build(site, "first:1", ["docker.io/library/web:7"])
    build(site, "second:1", ["docker.io/library/web:7", "third.io/app:7"])
    site.write(image="first:1", hosts=site.hosts[:1])
    site.apply()
    other = Site(site.home, site.hosts, "other")
    other.write(image="second:1", hosts=site.hosts[:1])
    try:
        said = other.apply(status=1)
        assert f"port 5000 is taken by the registry of the cluster {site.name}" in said
        assert site.hosts[0].address in said
        assert serves(site, 0, "docker.io/library/web:7")  # the first is none the worse

        other.write(image="second:1", hosts=site.hosts[:1], registry={"localRegistry": {"port": 5001}})
        said = other.sealer("apply", "-f", str(other.clusterfile), "--yes", "--abandon", status=1)
        assert f"docker.io/hosts.toml is of the cluster {site.name}, which is on this host too" in said
        assert site.hosts[0].address in said
    finally:
        other.delete("--force", status=None)
    assert serves(site, 0, "docker.io/library/web:7")
    assert "is healthy" in site.sealer("check", "--name", site.name)
    site.delete()


def test_a_killed_fill_sends_only_the_rest(site: Site) -> None:
    """Counted where it arrives: on the host's network card, and by what the registry has at the kill."""
    build(site, "large:1", ["docker.io/library/web:5"], layers=[noise(PART, seed) for seed in range(PARTS)])
    site.write(image="large:1", hosts=site.hosts[:1])
    process = site.start("--output", "json", "apply", "-f", str(site.clusterfile), "--yes")
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        done = event.get("data", {}).get("done", 0) if "publish" in event.get("step", "") else 0
        if done >= PARTS * PART // 4:
            break
    process.kill()
    process.wait(timeout=PATIENCE)
    process.stdout.close()
    held = sizes(site)
    assert PART <= sum(held.values()) < PARTS * PART
    before = received(site)
    site.apply()
    sent = received(site) - before
    assert sent < PARTS * PART - sum(held.values()) + OVERHEAD
    assert serves(site, 0, "docker.io/library/web:5")
    assert held.items() <= sizes(site).items()
    site.delete()


def sizes(site: Site) -> dict[str, int]:
    """The blobs that the registry on the first host has."""
    storage = f"/var/lib/sealer/data/{site.name}/registry/storage"
    found = site.on(0, f"find {storage}/docker/registry/v2/blobs -name data -exec stat -c '%n %s' {{}} +")
    return {path: int(size) for path, size in (line.split() for line in found.splitlines())}


def received(site: Site) -> int:
    """Bytes that came to the first host so far."""
    return int(site.on(0, "cat /sys/class/net/eth0/statistics/rx_bytes"))


def test_a_check_tells_of_a_registry_that_is_down_and_of_a_host_that_forgot_it(site: Site) -> None:
    build(site, "checked:1", ["docker.io/library/web:6"])
    site.write(image="checked:1", hosts=site.hosts[:2])
    site.apply()
    said = site.sealer("check", "--name", site.name)
    assert "The private registry answers" in said
    assert "It pulls from the private registry" in said

    service = f"sealer-registry-{site.name}.service"
    site.on(0, f"systemctl stop {service}")
    said = site.sealer("check", "--name", site.name, status=1)
    assert f"systemctl status {service}" in said
    assert said.count("FAILED") == 1
    site.on(0, f"systemctl start {service}")

    toml = "/etc/containerd/certs.d/docker.io/hosts.toml"
    site.on(1, f"mv {toml} /root/hosts.toml")
    said = site.sealer("check", "--name", site.name, status=1)
    assert f"{toml} is missing" in said
    assert said.count("FAILED") == 1
    site.on(1, f"mv /root/hosts.toml {toml}")
    assert "is healthy" in site.sealer("check", "--name", site.name)
    site.delete()


def status_of(site: Site, number: int, options: str, path: str = "", login: str = "") -> str:
    """The status that a host gets for a request to the registry."""
    ca = f"/var/lib/sealer/data/{site.name}/registry-ca.crt"
    signed = f"-u {login}" if login else ""
    url = f"https://sea.hub:5000/v2/{path}"
    return site.on(
        number, f"curl -sS -o /dev/null -w '%{{http_code}}' --max-time 20 --cacert {ca} {signed} {options} {url}"
    )


def login_of(site: Site, number: int) -> str:
    """Name and password with which a host's containerd pulls."""
    toml = site.on(number, "cat /etc/containerd/certs.d/docker.io/hosts.toml")
    return base64.b64decode(toml.partition("Basic ")[2].partition('"')[0]).decode()


def test_it_takes_pulls_alone_and_those_of_its_hosts_alone(site: Site) -> None:
    build(site, "guarded:1", ["docker.io/library/web:8"])
    site.write(image="guarded:1", hosts=site.hosts[:2])
    said = site.apply()
    login = login_of(site, 1)
    assert login.startswith("sealer:")
    assert login.partition(":")[2] not in said
    manifest = "docker.io/library/web/manifests/8"
    digest = json.loads(ask(site, 1, manifest, f"-u {login}"))["config"]["digest"]

    assert status_of(site, 1, ACCEPT, manifest) == "401"
    assert status_of(site, 1, ACCEPT, manifest, login) == "200"
    for way in ("", login):
        for method, path in (
            ("POST", "docker.io/library/web/blobs/uploads/"),
            ("PUT", manifest),
            ("PATCH", "docker.io/library/web/blobs/uploads/0"),
            ("DELETE", f"docker.io/library/web/manifests/{digest}"),
            ("DELETE", f"docker.io/library/web/blobs/{digest}"),
        ):
            status = status_of(site, 1, f"-X {method} --data-binary '{{}}'", path, way)
            refused = ("401", "405", "404") if method == "PATCH" else ("401", "405")  # there is no upload to go on with
            assert status in refused, f"{method} {path} as {way!r}"
    assert serves(site, 1, "docker.io/library/web:8")

    # Nothing that fills it is left, and what serves is no root and can write nowhere.
    assert "filling" not in site.on(
        0, "systemctl list-units --all --plain; ls /var/lib/sealer/data/*/registry; ss -Hltn"
    )
    service = f"sealer-registry-{site.name}.service"
    process = site.on(0, f"systemctl show -p MainPID --value {service}")
    assert site.on(0, f"stat -c %u /proc/{process}") != "0"
    assert int(site.on(0, f"sed -n 's/^CapEff:[[:blank:]]*//p' /proc/{process}/status"), 16) == 0
    assert "NoNewPrivs:\t1" in site.on(0, f"cat /proc/{process}/status")
    site.on(0, f"systemctl restart {service}")
    assert serves(site, 1, "docker.io/library/web:8")
    site.delete()
    assert "sealer-registry" not in site.on(
        0, "systemctl list-units --all; ls /run /etc/systemd/system; cat /etc/passwd"
    )


def test_another_password_takes_effect_everywhere(site: Site) -> None:
    build(site, "renewed:1", ["docker.io/library/web:9"])

    def apply(password: str, user: str = "puller") -> str:
        registry = {"localRegistry": {"username": user, "password": password}}
        site.write(image="renewed:1", hosts=site.hosts[:2], registry=registry)
        return site.apply()

    apply("Before-1")
    assert login_of(site, 1) == "puller:Before-1"
    said = apply("After-2")
    assert "After-2" not in said
    assert [login_of(site, number) for number in (0, 1)] == ["puller:After-2"] * 2
    assert serves(site, 1, "docker.io/library/web:9")
    assert status_of(site, 1, "", "", "puller:Before-1") == "401"
    assert "already up to date" in apply("After-2")
    apply("After-2", "other")
    assert serves(site, 1, "docker.io/library/web:9")
    assert login_of(site, 0) == "other:After-2"
    assert "is healthy" in site.sealer("check", "--name", site.name)
    site.delete()


def test_a_check_tells_of_a_registry_that_takes_pushes_and_apply_ends_that(site: Site) -> None:
    build(site, "open:1", ["docker.io/library/web:10"])
    site.write(image="open:1", hosts=site.hosts[:2])
    site.apply()
    directory = f"/var/lib/sealer/data/{site.name}/registry"
    service = f"sealer-registry-{site.name}.service"
    # What versions before wrote: root serves, takes pushes and deletes, and asks for no login.
    config = yaml.safe_load(site.on(0, f"cat {directory}/config.yml"))
    del config["auth"], config["storage"]["maintenance"]
    config["storage"]["delete"]["enabled"] = True
    site.on(0, f"echo {shlex.quote(yaml.safe_dump(config))} > {directory}/config.yml; systemctl restart {service}")
    said = site.sealer("check", "--name", site.name, status=1)
    assert "accepts" in said
    assert "pulls without a login" in said
    assert f"systemctl restart {service}" in said
    notes = site.home / "clusters" / site.name / "credentials/registry/served"
    for note in notes.iterdir():
        note.unlink()
    assert "Run `sealer apply`" in site.sealer("check", "--name", site.name, status=1)
    site.apply()
    assert "is healthy" in site.sealer("check", "--name", site.name)
    assert serves(site, 1, "docker.io/library/web:10")
    site.delete()
