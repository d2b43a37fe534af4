"""Images of the original sealer as bases: their directory `registry/`, made by a real docker-registry, comes along."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from foreign_images import Variant, tar_of, tar_of_directory, write_layout
from image_archives import OciImage, oci_image, oci_members, write_directory
from sample_images import MakeRegistries, blobs_of, skopeo

from sealer.errors import ImageError
from sealer.events import Event, EventStream
from sealer.image.build import BuildRequest, build
from sealer.image.discovery.discover import discover
from sealer.image.discovery.readers import Readers
from sealer.image.files import RootfsFiles
from sealer.image.gathering.gather import Gathered, ImageRequest
from sealer.image.model import ClusterImage
from sealer.image.pull_policy import PullPolicy
from sealer.image.store import Store

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")

Build = Callable[..., ClusterImage]
Publish = Callable[..., str]

NGINX, PAUSE, CALICO = oci_image("nginx", ["amd64", "arm64"]), oci_image("pause"), oci_image("calico")
TOOL, LONELY, ODD = oci_image("tool", ["amd64", "arm64"]), oci_image("lonely"), oci_image("odd")

POD = """apiVersion: v1
kind: Pod
spec:
  containers:
    - image: quay.io/calico/node:v3
    - image: nginx:1
"""


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """What the original's build leaves in `registry/`: the domains are gone."""
    directory = tmp_path / "original"
    directory.mkdir()
    with DockerRegistry(directory) as registry:

        def put(image: OciImage, name: str, *options: str) -> None:
            source = directory / f"{name.replace('/', '-').replace(':', '-')}"
            write_directory(source, oci_members([(image, {"org.opencontainers.image.ref.name": "x:1"})]))
            target = f"docker://{registry.address}/{name}"
            skopeo("copy", *options, "--dest-tls-verify=false", f"oci:{source}:x:1", target)

        put(NGINX, "library/nginx:1", "--all", "--preserve-digests")
        put(PAUSE, "pause:3.9", "--preserve-digests")
        put(CALICO, "calico/node:v3", "--preserve-digests")
        put(TOOL, "team/tool:1", "--format", "v2s2", "--override-arch", "amd64")  # one platform of an index
        put(LONELY, f"team/lonely@{LONELY.root}", "--preserve-digests")
        put(ODD, "team/odd:1", "--preserve-digests")
        registry.blob(next(f"sha256:{name}" for name in ODD.blobs if name not in (ODD.root[7:],))).unlink()
    return registry.storage


def layers(original: Path) -> list[bytes]:
    files = tar_of(
        "bin/", "bin/kubeadm=x", "etc/", "manifests/", ("manifests/pod.yaml", POD.encode()),
        ("manifests/imageList", b"k8s.gcr.io/pause:3.9\n"),
        ("Metadata", b'{"version": "v1.22.15", "arch": "amd64"}'),
    )  # fmt: skip
    return [files, tar_of_directory(original, "registry")]


@pytest.fixture
def build_image(
    tmp_path: Path, store: Store, registries: MakeRegistries, events: EventStream
) -> Callable[..., ClusterImage]:
    context = tmp_path / "context"
    context.mkdir()

    def run(text: str, **request: object) -> ClusterImage:
        (tmp_path / "Kubefile").write_text(text)
        made = BuildRequest(
            context, tmp_path / "Kubefile", names=("app:v1",), platform="linux/amd64", registries=registries
        )
        return build(store, dataclasses.replace(made, **request), events)  # type: ignore[arg-type]

    return run


@pytest.fixture
def publish(tmp_path: Path, registry: DockerRegistry) -> Publish:
    def run(name: str, *variants: Variant) -> str:
        directory = tmp_path / name.partition(":")[0]
        write_layout(directory, variants)
        target = f"{registry.address}/sealerio/{name}"
        skopeo(
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            f"oci:{directory}:x:1",
            f"docker://{target}",
        )
        return target

    return run


class TestItsRegistry:
    @pytest.fixture
    def base(self, original: Path, publish: Publish) -> str:
        return publish("kubernetes:v1.22.15", Variant(layers(original)))

    def test_its_container_images_come_along(
        self, base: str, store: Store, build_image: Build, seen: list[Event]
    ) -> None:
        image = build_image(f"FROM {base}\nRUN true", pull=PullPolicy.ALWAYS)
        found = {one.reference: one.manifest.digest for one in image.containers}
        tool = found.pop("sea.hub:5000/team/tool:1")
        assert found == {
            "docker.io/library/nginx:1": NGINX.manifests["amd64"],
            "quay.io/calico/node:v3": CALICO.root,
            "k8s.gcr.io/pause:3.9": PAUSE.root,
            f"sea.hub:5000/team/lonely@{LONELY.root}": LONELY.root,
        }
        assert json.loads(store.path(tool).read_bytes())["mediaType"].startswith("application/vnd.docker.")
        assert {one.platform for one in image.containers} == {"linux/amd64"}
        places = {one.reference: [str(place) for place in one.found] for one in image.containers}
        assert places["quay.io/calico/node:v3"] == ["manifests/pod.yaml:5"]
        assert [
            event.message for event in seen if "is left out: sea.hub:5000/team/odd:1: it is not whole" in event.message
        ]

    def test_the_directory_is_gone_from_the_rootfs(self, base: str, store: Store, build_image: Build) -> None:
        image = build_image(f"FROM {base}")
        assert RootfsFiles(image.first).paths() == [
            "Metadata",
            "bin/kubeadm",
            "manifests/imageList",
            "manifests/pod.yaml",
        ]
        assert sum(layer.size for layer in image.first.layers) < 5000
        assert blobs_of(store) == {
            digest[7:] for one in (base, image.digest) for digest in store.closure(store.descriptor(one))
        }

    def test_a_build_needs_no_registry_for_them(
        self, base: str, build_image: Build, registries: MakeRegistries
    ) -> None:
        build_image(f"FROM {base}")
        reports: list[Gathered] = []
        request = ImageRequest(
            lambda files, env, installs: discover(files, Readers(variables=env).read), registries, report=reports.append
        )
        build_image(f"FROM {base}", images=request, pull=PullPolicy.NEVER)
        assert {one.source for one in reports[0].images} == {"base"}
        assert len(reports[0].images) == 5

    def test_each_platform_has_its_own(self, original: Path, publish: Publish, build_image: Build) -> None:
        arm = {"os": "linux", "architecture": "arm64"}
        base = publish("both:1", Variant(layers(original)), Variant(layers(original), arm))
        image = build_image(f"FROM {base}", platform="linux/amd64,linux/arm64")
        found = {(one.reference, one.platform): one.manifest.digest for one in image.containers}
        for architecture in ("amd64", "arm64"):
            name = ("docker.io/library/nginx:1", f"linux/{architecture}")
            assert found[name] == NGINX.manifests[architecture]
            assert found["k8s.gcr.io/pause:3.9", f"linux/{architecture}"] == PAUSE.root  # its hosts are served it, too

    def test_an_unchanged_base_is_not_made_again(self, base: str, store: Store, build_image: Build) -> None:
        first = build_image(f"FROM {base}")
        before = blobs_of(store)
        assert build_image(f"FROM {base}", pull=PullPolicy.ALWAYS).digest == first.digest
        assert blobs_of(store) == before

    def test_a_blob_that_is_not_what_its_name_says(
        self, original: Path, publish: Publish, store: Store, build_image: Build
    ) -> None:
        blob = next((original / "docker/registry/v2/blobs/sha256").glob(f"*/{CALICO.root[7:]}/data"))
        blob.write_bytes(blob.read_bytes() + b" ")
        base = publish("damaged:1", Variant(layers(original)))
        with pytest.raises(ImageError, match=r"Kubefile:1:1: .*a blob is not what it should be"):
            build_image(f"FROM {base}")
        assert store.list() == ()
        assert blobs_of(store) == set()


class TestWhatItSays:
    def test_the_later_generation(self, original: Path, publish: Publish, build_image: Build) -> None:
        extension = {
            "schemaVersion": "v1alpha1", "type": "kube-installer", "env": {"A": "1"}, "labels": {"x": "y"},
            "applications": [{"name": "web", "type": "kube", "files": ["a.yaml"], "version": "v1"}],
            "launch": {"cmds": ["kubectl apply -f a.yaml"], "app_names": ["web"]},
        }  # fmt: skip
        images = [{"image": "ghcr.io/team/tool:1", "appName": "", "platform": {"architecture": "amd64"}}]
        annotations = {
            "sealer.image.extension": json.dumps(extension),
            "sealer.image.container.images": json.dumps(images),
        }
        settings = {"Labels": {"cluster.alpha.sealer.io/cluster-runtime-type": "kubernetes"}, "Env": ["B=2"]}
        base = publish("later:1", Variant(layers(original), settings=settings, annotations=annotations))
        image = build_image(f"FROM {base}\nLAUNCH web")
        assert image.first.own_cmds == ("kubectl apply -f a.yaml",)
        assert image.first.applications.by_name["web"].commands == ("kubectl apply -f a.yaml",)
        assert image.first.env == {"A": "1", "B": "2"}
        assert image.first.labels["x"] == "y"
        assert image.first.labels["cluster.alpha.sealer.io/cluster-runtime-type"] == "kubernetes"
        assert image.first.labels["io.sealer.kubernetes.version"] == "v1.22.15"
        assert image.first.type == "kube-installer"
        assert "ghcr.io/team/tool:1" in {one.reference for one in image.containers}

    def test_the_earlier_generation(self, original: Path, publish: Publish, build_image: Build) -> None:
        config = {
            "kind": "Image",
            "spec": {
                "id": "x",
                "layers": [{"id": "sha256:0", "type": "COPY", "value": "a b"}],
                "sealer_version": "v0.8.6",
                "platform": {"architecture": "amd64", "os": "linux", "variant": ""},
                "image_config": {
                    "image_type": "application",
                    "cmd": {"parent": ["kubectl apply -f base.yaml"], "current": ["kubectl apply -f ${FILE}"]},
                    "args": {"parent": {"FILE": "own.yaml"}, "current": None},
                    "labels": {"x": "y"},
                },
            },
        }
        base = publish("earlier:1", Variant(layers(original), config=config))
        image = build_image(f"FROM {base}")
        assert image.first.own_cmds == ("kubectl apply -f base.yaml", "kubectl apply -f ${FILE}")
        assert image.first.env == {"FILE": "own.yaml"}
        assert image.first.type == "app-installer"
        assert image.first.labels["x"] == "y"
        assert len(image.containers) == 5

    def test_an_annotation_that_nobody_can_read(self, publish: Publish, build_image: Build) -> None:
        base = publish("odd:1", Variant([tar_of("a=1")], annotations={"sealer.image.extension": "{"}))
        with pytest.raises(ImageError, match=r"the annotation sealer\.image\.extension is not as the original"):
            build_image(f"FROM {base}")
