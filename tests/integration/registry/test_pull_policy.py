"""`--pull`: when a registry is asked for the container images of a build, and how the option is written."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from faulty_proxy import Fault, FaultyProxy
from image_archives import OciImage, oci_image, oci_members, write_directory
from sample_images import MakeRegistries, skopeo

from sealer.errors import ImageError
from sealer.events import Event, EventStream
from sealer.image.build import BuildRequest, build
from sealer.image.discovery.discover import discover
from sealer.image.discovery.readers import Readers
from sealer.image.gathering.gather import GatheredImage, ImageRequest
from sealer.image.pull_policy import WORDS, PullPolicy
from sealer.image.store import Store

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")

OLD, NEW, PINNED = oci_image("old", ["amd64", "arm64"]), oci_image("new", ["amd64", "arm64"]), oci_image("pinned")
Gather = Callable[..., Sequence[GatheredImage]]


@pytest.fixture
def put(tmp_path: Path, registry: DockerRegistry) -> Callable[[OciImage, str], None]:
    def run(image: OciImage, name: str) -> None:
        source = tmp_path / image.root[7:19]
        write_directory(source, oci_members([(image, {"org.opencontainers.image.ref.name": "x:1"})]))
        target = f"docker://{registry.address}/{name}"
        skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{source}:x:1", target)

    return run


@pytest.fixture
def gather(tmp_path: Path, store: Store, registries: MakeRegistries, events: EventStream, proxy: FaultyProxy) -> Gather:
    """Build an image that mentions others; what was gathered is returned."""
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "Kubefile").write_text("FROM scratch\nCOPY . .\n")

    def run(policy: PullPolicy, *images: str, guess: str = "") -> Sequence[GatheredImage]:
        containers = "".join(f"\n    - image: {proxy.address}/{image}" for image in images)
        (context / "pod.yaml").write_text(f"apiVersion: v1\nkind: Pod\nspec:\n  containers:{containers or ' []'}\n")
        if guess:
            (context / "c" / "templates").mkdir(parents=True, exist_ok=True)
            (context / "c" / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
            (context / "c" / "values.yaml").write_text(f"image:\n  repository: {proxy.address}/{guess}\n  tag: '1'\n")
        proxy.seen.clear()
        found: list[GatheredImage] = []
        request = ImageRequest(
            lambda files, env, installs: discover(files, Readers(variables=env).read),
            registries,
            report=lambda gathered: found.extend(gathered.images),
        )
        made = BuildRequest(context, tmp_path / "Kubefile", names=("app:v1",), platform="linux/amd64")
        build(store, dataclasses.replace(made, images=request, pull=policy), events)
        return found

    return run


def asked(proxy: FaultyProxy) -> list[str]:
    return [f"{seen.method} {seen.path}" for seen in proxy.seen if seen.path != "/v2/"]


class TestContainerImages:
    @pytest.fixture(autouse=True)
    def _published(self, put: Callable[[OciImage, str], None]) -> None:
        put(OLD, "web:latest")
        put(PINNED, "pinned:1")

    def test_nothing_changed(self, gather: Gather, proxy: FaultyProxy) -> None:
        pinned = f"pinned@{PINNED.root}"
        gather(PullPolicy.MISSING, "web:latest", pinned)
        for policy in (PullPolicy.MISSING, PullPolicy.NEVER):
            assert {one.source for one in gather(policy, "web:latest", pinned)} == {"store"}
            assert asked(proxy) == []
        for policy in (PullPolicy.ALWAYS, PullPolicy.NEWER):
            found = {
                one.container.reference.rpartition("/")[2]: one.source for one in gather(policy, "web:latest", pinned)
            }
            assert found == {"web:latest": "registry", pinned: "store"}
            assert asked(proxy) == ["GET /v2/web/manifests/latest"]

    def test_a_tag_that_moved(self, gather: Gather, proxy: FaultyProxy, put: Callable[[OciImage, str], None]) -> None:
        gather(PullPolicy.MISSING, "web:latest")
        put(NEW, "web:latest")
        (kept,) = gather(PullPolicy.MISSING, "web:latest")
        assert kept.container.manifest.digest == OLD.manifests["amd64"]
        (found,) = gather(PullPolicy.ALWAYS, "web:latest")
        assert found.container.manifest.digest == NEW.manifests["amd64"]
        (found,) = gather(PullPolicy.NEVER, "web:latest")
        assert found.container.manifest.digest == NEW.manifests["amd64"]

    def test_never_says_what_is_missing_and_where(self, gather: Gather, proxy: FaultyProxy, store: Store) -> None:
        with pytest.raises(ImageError) as caught:
            gather(PullPolicy.NEVER, "web:latest", "pinned:1", guess="guessed")
        assert caught.value.what == "2 container images are not here"
        assert "--pull=never asks no registry" in caught.value.why
        assert caught.value.output[0] == f"{proxy.address}/pinned:1: mentioned in pod.yaml:6"
        assert "--image-archive" in caught.value.remedy
        assert proxy.seen == []
        assert store.list() == ()

    def test_never_leaves_a_guess_out(self, gather: Gather, proxy: FaultyProxy, seen: list[Event]) -> None:
        assert gather(PullPolicy.NEVER, guess="guessed") == []
        assert any("guessed:1: --pull=never asks no registry" in event.message for event in seen)
        assert proxy.seen == []

    def test_a_registry_that_is_away(self, gather: Gather, proxy: FaultyProxy, seen: list[Event]) -> None:
        gather(PullPolicy.MISSING, "web:latest")
        proxy.faults.append(Fault("GET", "/v2/web/manifests", times=-1, status=503))
        with pytest.raises(ImageError, match="a container image cannot be had"):
            gather(PullPolicy.ALWAYS, "web:latest")
        (found,) = gather(PullPolicy.NEWER, "web:latest")
        assert (found.source, found.container.manifest.digest) == ("store", OLD.manifests["amd64"])
        assert any("web:latest is taken as it is here" in event.message for event in seen)


class TestOption:
    """`--pull` as docker, podman, buildah and both generations of the original take it."""

    @pytest.fixture
    def run(self, tmp_path: Path, registry: DockerRegistry) -> Callable[..., str]:
        (tmp_path / "Kubefile").write_text(f"FROM {registry.address}/none:1\n")

        def call(*options: str) -> str:
            result = subprocess.run(
                [sys.executable, "-m", "sealer", "build", "-t", "app", *options],
                env={**os.environ, "SEALER_HOME": str(tmp_path / "home")},
                cwd=tmp_path,
                check=False,
                capture_output=True,
                text=True,
            )
            assert result.returncode in (1, 2), result.stdout
            return result.stdout + result.stderr

        return call

    @pytest.mark.parametrize("options", [("--pull", "never"), ("--pull=never",), ("--pull", "never", ".")])
    def test_with_a_word(self, run: Callable[..., str], options: tuple[str, ...]) -> None:
        assert "--pull=never asks no registry" in run(*options)

    @pytest.mark.parametrize("options", [("--pull",), ("--pull", "."), (".", "--pull"), ("--pull", "--no-images", ".")])
    def test_alone(self, run: Callable[..., str], options: tuple[str, ...]) -> None:
        assert "there is no such image in the registry" in run(*options)

    def test_a_word_that_is_none(self, run: Callable[..., str]) -> None:
        assert "'sometimes' is not one of" in run("--pull=sometimes")

    def test_every_word_has_a_meaning(self) -> None:
        from sealer.cli.commands.build import PULL

        assert set(PULL) == set(WORDS)
