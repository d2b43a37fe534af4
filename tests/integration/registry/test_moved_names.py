"""A name that becomes another image's is told of, whatever brings the other image."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from image_archives import docker_members, layer, write_tar
from sample_images import cluster_image
from shell import Shell

from sealer.image.store import Store


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def told(sealer: Shell, *words: str) -> str:
    """What a command says, in one line."""
    return " ".join(sealer(*words).split())


def test_load_of_our_own_archive_and_of_a_foreign_one(sealer: Shell, tmp_path: Path) -> None:
    store = Store(sealer.home / "images")
    first = cluster_image(store, ["app:v1"])
    sealer("save", "-o", str(tmp_path / "first.tar"), "app:v1")
    assert "is now" not in told(sealer, "load", "-i", str(tmp_path / "first.tar"))
    second = cluster_image(store, ["app:v1"], seed=5)
    moved = f"app:v1 is now {first.digest}; it was {second.digest}"
    assert moved in told(sealer, "load", "-i", str(tmp_path / "first.tar"))

    write_tar(tmp_path / "foreign.tar", docker_members(["app:v1"], [layer("foreign")]))
    said = told(sealer, "load", "-i", str(tmp_path / "foreign.tar"))
    assert f"app:v1 is now {store.find('app:v1').digest}; it was {first.digest}" in said


def test_pull(sealer: Shell, registry: DockerRegistry) -> None:
    store, name = Store(sealer.home / "images"), f"{registry.address}/ns/app:v1"
    first = cluster_image(store, [name])
    sealer("push", name)
    assert "is now" not in told(sealer, "pull", name)
    cluster_image(store, ["other:v1"], seed=5)
    sealer("tag", "other:v1", name)
    second = store.find(name)
    assert f"{name} is now {first.digest}; it was {second.digest}" in told(sealer, "pull", name)
