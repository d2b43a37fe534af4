"""`run` and `apply` of an image that is not here: it comes from its registry first."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from sample_images import cluster_image
from shell import PASSWORD, Shell

from sealer.image.store import Store

HOST = "127.0.0.1"  # this machine, without SSH: nothing is sent anywhere
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts are worked on as root: run the tests as root")


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def store(sealer: Shell) -> Store:
    return Store(sealer.home / "images")


@pytest.fixture
def name(store: Store, sealer: Shell, registry: DockerRegistry) -> str:
    """An image that only the registry has."""
    name = f"{registry.address}/ns/app:v1"
    cluster_image(store, [name])
    sealer("push", name)
    sealer("rmi", name)
    assert not names(store)
    return name


def names(store: Store) -> list[str]:
    return [image.reference for image in store.list()]


def clusterfile(directory: Path, image: str) -> str:
    path = directory / "Clusterfile"
    spec = {"image": image, "transport": "local", "hosts": [{"ips": [HOST], "roles": ["master"]}]}
    document = {"apiVersion": "sealer.io/v2", "kind": "Cluster", "metadata": {"name": "fetched"}, "spec": spec}
    path.write_text(json.dumps(document))
    return str(path)


def test_run_by_name(sealer: Shell, store: Store, name: str) -> None:
    log = sealer("run", name, "-m", HOST, "--dry-run")
    assert "Pull" in log
    assert names(store) == [name]
    assert "Pull" not in sealer("run", name, "-m", HOST, "--dry-run")


def test_apply(sealer: Shell, store: Store, name: str, tmp_path: Path) -> None:
    assert "Pull" in sealer("apply", "-f", clusterfile(tmp_path, name), "--dry-run")
    assert names(store) == [name]


def test_a_tag_that_moved(sealer: Shell, store: Store, name: str) -> None:
    """It is what it was until somebody asks for what it has become."""
    old = cluster_image(store, [name], seed=7).digest
    sealer("run", name, "-m", HOST, "--dry-run")
    assert store.find(name).digest == old
    sealer("run", name, "-m", HOST, "--dry-run", "--pull", "always")
    assert store.find(name).digest != old


def test_never(sealer: Shell, store: Store, name: str) -> None:
    message = sealer("run", name, "-m", HOST, "--pull", "never", status=2)
    assert f"no image '{name}' in the local store" in message
    assert not names(store)


def test_an_image_that_is_nowhere(sealer: Shell, registry: DockerRegistry) -> None:
    message = sealer("run", f"{registry.address}/ns/none:v1", "-m", HOST, status=1)
    assert "neither in the local store nor in its registry" in message
    assert "check the name and the tag" in message


def test_mistakes_come_before_the_fetching(sealer: Shell, store: Store, name: str) -> None:
    assert "named 2 times" in sealer("run", name, "-m", f"{HOST},{HOST}", status=2)
    assert not names(store)


def test_short_names_are_fetched_where_somebody_said_from_where(
    sealer: Shell, store: Store, name: str, registry: DockerRegistry
) -> None:
    """A mistyped one is told to nobody: no public registry is asked."""
    missing = sealer("run", "app:v1", "-m", HOST, status=2)
    assert "no image 'app:v1' in the local store" in missing
    (sealer.home / "registries.yaml").write_text(f"defaultRepository: {registry.address}/ns\n")
    sealer("run", "app:v1", "-m", HOST, "--dry-run")
    assert names(store) == ["app:v1"]


def test_with_credentials(sealer: Shell, store: Store, tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    with DockerRegistry(directory, user=("somebody", PASSWORD)) as registry:
        name = f"{registry.address}/ns/app:v1"
        file = ("--authfile", str(tmp_path / "auth.json"))
        sealer("login", registry.address, "-u", "somebody", "--password-stdin", *file, stdin=PASSWORD)
        cluster_image(store, [name])
        sealer("push", name, *file)
        sealer("rmi", name)
        sealer("run", name, "-m", HOST, "--dry-run", status=1)
        sealer("run", name, "-m", HOST, "--dry-run", *file)
        assert names(store) == [name]
