"""`sealer build` fetches container images from a real registry, and what it makes travels whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from docker_registry import DockerRegistry
from image_archives import OciImage, oci_image, oci_members, write_directory, write_tar
from sample_images import MakeRegistries, blobs_of, skopeo

from sealer.events import EventStream
from sealer.image.registry.pull import pull
from sealer.image.store import Store

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")

PASSWORD = "ein langes Geheimnis"


class Builder:
    """Builds a context with one manifest."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context = directory / "context"
        self.context.mkdir()
        (self.context / "Kubefile").write_text("FROM scratch\nCOPY . .\n")
        self.store = Store(directory / "home" / "images")

    def mention(self, *images: str) -> None:
        lines = [f"    - image: {image}" for image in images]
        text = "\n".join(["apiVersion: v1", "kind: Pod", "spec:", "  containers:", *lines])
        (self.context / "pod.yaml").write_text(text + "\n")

    def __call__(self, *arguments: str | Path, status: int = 0, tag: str = "app:1") -> dict[str, Any]:
        command = ["--output", "json", "build", "-t", tag, self.context, *arguments]
        result = subprocess.run(
            [sys.executable, "-m", "sealer", *map(str, command)],
            env={
                **os.environ,
                "SEALER_HOME": str(self.directory / "home"),
                "HOME": str(self.directory),
                "DOCKER_CONFIG": str(self.directory),
                "PATH": "/usr/bin:/bin",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == status, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        assert PASSWORD not in result.stdout + result.stderr
        value = json.loads(result.stdout.splitlines()[-1])
        assert isinstance(value, dict)
        return value


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def publish(directory: Path, image: OciImage, name: str, *options: str) -> None:
    """Bring an image to a registry, as somebody else would."""
    source = write_directory(
        directory / image.root[7:19], oci_members([(image, {"org.opencontainers.image.ref.name": "x:1"})])
    )
    insecure = ["--dest-tls-verify=false", *options]
    skopeo("copy", "--all", "--preserve-digests", *insecure, f"oci:{source}:x:1", f"docker://{name}")


BOTH = oci_image("both", ["amd64", "arm64"])
PLAIN = oci_image("plain")


@pytest.fixture
def names(tmp_path: Path, registry: DockerRegistry) -> tuple[str, str]:
    """An index with two platforms, and a manifest that stands alone."""
    both, plain = f"{registry.address}/team/both", f"{registry.address}/plain"
    publish(tmp_path, BOTH, f"{both}:1")
    publish(tmp_path, PLAIN, f"{plain}:2")
    return both, plain


def test_from_a_registry(builder: Builder, names: tuple[str, str]) -> None:
    both, plain = names
    builder.mention(f"{both}:1", f"{both}@{BOTH.root}", f"{plain}:2")
    built = builder("--platform", "linux/arm64", status=1)
    assert built["error"]["what"] == "a container image cannot be had"
    assert f"{plain}:2" in built["error"]["why"]
    assert "not there for the platform" in built["error"]["output"][0]
    built = builder("--platform", "linux/amd64")
    assert [(one["image"], one["digest"], one["source"]) for one in built["containerImages"]] == [
        (f"{plain}:2", PLAIN.root, "registry"),
        (f"{both}:1", BOTH.manifests["amd64"], "registry"),
        (f"{both}@{BOTH.root}", BOTH.manifests["amd64"], "registry"),
    ]
    assert [one.index.digest if one.index else "" for one in builder.store.find("app:1").containers] == [
        "",
        "",
        BOTH.root,
    ]
    assert builder.store.path(BOTH.root).read_bytes() == BOTH.blobs[BOTH.root[7:]]
    assert blobs_of(builder.store) == {
        digest[7:] for digest in builder.store.closure(builder.store.descriptor("app:1"))
    }


def test_from_a_mirror_under_the_public_name(builder: Builder, registry: DockerRegistry, tmp_path: Path) -> None:
    publish(tmp_path, PLAIN, f"{registry.address}/hub/library/plain:2")
    home = tmp_path / "home"
    home.mkdir()
    mirrors = {"registries": {"docker.io": {"mirrors": [f"{registry.address}/hub"]}}}
    (home / "registries.yaml").write_text(json.dumps(mirrors))
    builder.mention("plain:2")
    built = builder("--platform", "linux/amd64")
    assert [(one["image"], one["digest"], one["source"]) for one in built["containerImages"]] == [
        ("docker.io/library/plain:2", PLAIN.root, "registry")
    ]


def test_an_index_that_nothing_pins_is_not_kept(builder: Builder, names: tuple[str, str]) -> None:
    builder.mention(f"{names[0]}:1")
    builder()
    assert BOTH.root[7:] not in blobs_of(builder.store)


def test_an_index_that_an_archive_gives_and_a_registry_too(
    builder: Builder, names: tuple[str, str], tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / "both.tar", oci_members([(BOTH, {})]))
    builder.mention(f"{names[0]}:1", f"{names[0]}@{BOTH.root}")
    built = builder("--image-archive", archive)
    assert [one["source"] for one in built["containerImages"]] == ["registry", "archive"]
    assert builder.store.path(BOTH.root).is_file()


def test_it_travels_whole(
    builder: Builder,
    names: tuple[str, str],
    registry: DockerRegistry,
    tmp_path: Path,
    registries: MakeRegistries,
    events: EventStream,
) -> None:
    both, plain = names
    builder.mention(f"{both}:1", f"{both}@{BOTH.root}", f"{plain}:2")
    target = f"{registry.address}/clusters/app:1"
    digest = builder(tag=target)["image"]["digest"]
    insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    # by our push, by skopeo from the store, and from registry to registry: the same bytes each time
    environment = {**os.environ, "SEALER_HOME": str(builder.directory / "home")}
    subprocess.run([sys.executable, "-m", "sealer", "push", target], env=environment, check=True, capture_output=True)
    copied, again = f"{registry.address}/copied/app:1", f"{registry.address}/again/app:1"
    away = ["copy", "--all", "--preserve-digests", *insecure]
    skopeo(*away, f"oci:{builder.store.root}:{target}", f"docker://{copied}")
    skopeo(*away, f"docker://{copied}", f"docker://{again}")
    for number, name in enumerate((target, copied, again)):
        other = Store(tmp_path / f"pulled{number}")
        assert pull(other, registries(), events, name).digest == digest
        assert other.find(name).containers == builder.store.find(target).containers
        assert blobs_of(other) == blobs_of(builder.store)
    # a container image, out of the cluster image by its digest
    source = f"docker://{registry.address}/again/app@{BOTH.manifests['amd64']}"
    skopeo("copy", "--preserve-digests", "--src-tls-verify=false", source, f"oci:{tmp_path / 'taken'}:both:1")
    taken = json.loads((tmp_path / "taken" / "index.json").read_bytes())["manifests"]
    assert [entry["digest"] for entry in taken] == [BOTH.manifests["amd64"]]
    config = json.loads(skopeo("inspect", "--config", f"oci:{tmp_path / 'taken'}:both:1"))
    assert config["architecture"] == "amd64"


def test_all_that_cannot_be_had_are_told_at_once(builder: Builder, names: tuple[str, str]) -> None:
    registry = names[1].partition("/")[0]
    builder.mention(f"{names[1]}:2", f"{registry}/none:1", f"{registry}/nothing:2")
    error = builder(status=1)["error"]
    assert error["what"] == "2 container images cannot be had"
    assert f"{registry}/none:1, {registry}/nothing:2" in error["why"]
    assert [line.count("none:1") for line in error["output"]] == [1, 0]
    assert "--image-archive" in error["remedy"]
    assert builder.store.list() == ()


def test_a_guess_that_is_not_there_is_left_out(builder: Builder, names: tuple[str, str]) -> None:
    registry = names[1].partition("/")[0]
    chart = builder.context / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(f"image:\n  repository: {registry}/none\n  tag: '1'\n")
    builder.mention(f"{names[1]}:2")
    built = builder("--no-helm")
    assert [one["image"] for one in built["containerImages"]] == [f"{names[1]}:2"]
    (left,) = built["unresolved"]
    assert (left["text"], left["file"]) == (f"{registry}/none:1", "chart/values.yaml")
    assert "there is no such image in the registry" in left["why"]
    error = builder("--no-helm", "--strict", status=1)["error"]
    assert error["what"] == "1 mention of an image could not be resolved"


@pytest.fixture
def guarded(tmp_path: Path, authority: Authority) -> Iterator[DockerRegistry]:
    """With TLS and a password."""
    directory = tmp_path / "guarded"
    directory.mkdir()
    with DockerRegistry(directory, tls=authority.server(), user=("me", PASSWORD)) as started:
        yield started


def test_a_list_with_credentials(builder: Builder, guarded: DockerRegistry, tmp_path: Path) -> None:
    publish(tmp_path, PLAIN, f"{guarded.address}/team/tool:2", f"--dest-creds=me:{PASSWORD}")
    images = tmp_path / "with-auth"
    entry = {"registry": guarded.address, "username": "me", "password": PASSWORD, "images": ["team/tool:2"]}
    images.write_text(json.dumps([entry]))
    builder.mention(f"{guarded.address}/team/tool:2")
    assert "it needs a username and a password" in builder("--skip-tls-verify", status=1)["error"]["output"][0]
    built = builder("--skip-tls-verify", "--image-list-with-auth", images)
    assert [one["digest"] for one in built["containerImages"]] == [PLAIN.root]
    assert {place["rule"] for place in built["containerImages"][0]["found"]} == {"container", "given"}


def test_thirty_registries_that_are_not_there_are_told_at_once(builder: Builder) -> None:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(30)]
        for one in taken:
            one.bind(("127.0.0.1", 0))  # and nobody listens: connections are refused
        images = [f"127.0.0.1:{one.getsockname()[1]}/team/app:{number}" for number, one in enumerate(taken)]
        images += [f"127.0.0.1:{taken[0].getsockname()[1]}/team/more:{number}" for number in range(30)]
        builder.mention(*images)
        begun = time.monotonic()
        built = builder(status=1)
        took = time.monotonic() - begun
    error = built["error"]
    assert error["what"] == "60 container images cannot be had"
    assert error["why"].endswith(", ".join(sorted(images)))
    assert [line.partition(": ")[0] for line in error["output"][:-1]] == sorted(images)[:19]
    assert "refused" in error["output"][0]
    assert error["output"][-1] == "and 41 more of those named above"
    assert "--image-archive" in error["remedy"]
    assert "mirror" in error["remedy"]
    assert took < 15, took  # 33 s with all the patience; on a quiet machine it is 3 s
