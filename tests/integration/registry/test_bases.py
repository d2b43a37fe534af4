"""FROM takes images of real registries: cluster images, and any image whose files become the rootfs."""

from __future__ import annotations

import dataclasses
import gzip
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from certificates import Authority
from docker_registry import DockerRegistry
from faulty_proxy import Fault, FaultyProxy
from foreign_images import Variant, tar_of, write_layout
from sample_images import MakeRegistries, blobs_of, cluster_image, skopeo

from sealer.errors import BuildError, ImageError, ImageNotFoundError, InputError, RegistryError
from sealer.events import Event, EventStream
from sealer.image import compressed, expansion
from sealer.image.build import BuildRequest, build
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.pull_policy import PullPolicy
from sealer.image.registry.configuration import RegistrySettings
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")

Build = Callable[..., ClusterImage]
ARM = {"os": "linux", "architecture": "arm64", "variant": "v8"}
ZSTD = ("--format", "oci", "--dest-compress-format", "zstd")
WINDOWS = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}
AMD = {"os": "linux", "architecture": "amd64"}


@pytest.fixture
def build_image(tmp_path: Path, store: Store, registries: MakeRegistries, events: EventStream) -> Build:
    """Build a Kubefile's text for linux/amd64."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "own").write_text("own")

    def run(text: str, **request: object) -> ClusterImage:
        (tmp_path / "Kubefile").write_text(text)
        made = BuildRequest(
            context, tmp_path / "Kubefile", names=("app:v1",), platform="linux/amd64", registries=registries
        )
        return build(store, dataclasses.replace(made, **request), events)  # type: ignore[arg-type]

    return run


@pytest.fixture
def publish(tmp_path: Path, registry: DockerRegistry) -> Callable[..., tuple[str, list[str]]]:
    """Bring an image to the registry with skopeo, as somebody else would; digests of its root and its manifests."""

    def run(
        name: str, variants: Sequence[Variant], *options: str, indexed: bool = False, at: str = ""
    ) -> tuple[str, list[str]]:
        directory = tmp_path / "layouts" / str(len(list((tmp_path / "layouts").glob("*"))))
        root = write_layout(directory, variants, indexed=indexed)
        flags = ["--all", *(options or ["--preserve-digests"])]
        target = f"docker://{at or registry.address}/{name}"
        skopeo("copy", *flags, "--dest-tls-verify=false", f"oci:{directory}:x:1", target)
        return root

    (tmp_path / "layouts").mkdir()
    return run


def files(image: ClusterImage) -> dict[str, str]:
    """All files of the rootfs."""
    found = RootfsFiles(image.first)
    return {path: found.read(path).decode() for path in found.paths()}


def asked(proxy: FaultyProxy) -> list[str]:
    """The manifests and blobs that were asked for since the last time."""
    paths = [seen.path for seen in proxy.seen if seen.path != "/v2/"]
    proxy.seen.clear()
    return paths


class TestClusterImage:
    @pytest.fixture
    def base(self, proxy: FaultyProxy, other: Store, registries: MakeRegistries, events: EventStream) -> str:
        """In the registry alone, with rootfs and two container images for each of two platforms."""
        name = f"{proxy.address}/bases/kubernetes:v1"
        cluster_image(other, [name], platforms=("linux/amd64", "linux/arm64"), containers=2, seed=1)
        push(other, registries(), events, name)
        proxy.seen.clear()
        return name

    def test_all_of_it_comes_along_and_only_for_the_platform(
        self, base: str, proxy: FaultyProxy, other: Store, store: Store, build_image: Build
    ) -> None:
        image = build_image(f"FROM {base}\nCOPY own .")
        theirs = other.find(base)
        assert image.first.layers[:-1] == tuple(
            dataclasses.replace(layer, path=store.path(layer.digest)) for layer in theirs.rootfs[0].layers
        )
        assert image.containers == tuple(one for one in theirs.containers if one.platform == "linux/amd64")
        assert [rootfs.platform for rootfs in store.find(base).rootfs] == ["linux/amd64"]
        assert len(image.containers) == 2
        wanted = [layer.digest for layer in theirs.rootfs[0].layers]
        assert {path.rpartition("/")[2] for path in asked(proxy) if "/blobs/" in path} >= set(wanted)
        assert not blobs_of(store) & {layer.digest[7:] for layer in theirs.rootfs[1].layers[:1]} - {
            digest[7:] for digest in wanted
        }

    def test_what_is_here_asks_nobody(self, base: str, proxy: FaultyProxy, build_image: Build) -> None:
        first = build_image(f"FROM {base}\nCOPY own .")
        asked(proxy)
        for policy in (PullPolicy.MISSING, PullPolicy.NEVER):
            assert build_image(f"FROM {base}\nCOPY own .", pull=policy).digest == first.digest
        assert asked(proxy) == []

    def test_always_asks_once_where_nothing_changed(self, base: str, proxy: FaultyProxy, build_image: Build) -> None:
        first = build_image(f"FROM {base}\nCOPY own .")
        asked(proxy)
        for policy in (PullPolicy.ALWAYS, PullPolicy.NEWER):
            assert build_image(f"FROM {base}\nCOPY own .", pull=policy).digest == first.digest
            assert asked(proxy) == ["/v2/bases/kubernetes/manifests/v1"]

    def test_a_tag_that_moved(
        self, base: str, other: Store, store: Store, registries: MakeRegistries, events: EventStream, build_image: Build
    ) -> None:
        old = build_image(f"FROM {base}")
        cluster_image(other, [base], sizes=[7], seed=9)
        push(other, registries(), events, base)
        assert build_image(f"FROM {base}").digest == old.digest
        assert build_image(f"FROM {base}", pull=PullPolicy.NEVER).digest == old.digest
        new = build_image(f"FROM {base}", pull=PullPolicy.NEWER)
        assert [layer.digest for layer in new.first.layers] == [layer.digest for layer in other.find(base).first.layers]
        assert store.find(base).digest == other.find(base).digest

    def test_another_platform_is_added_to_what_is_here(
        self, base: str, other: Store, store: Store, build_image: Build
    ) -> None:
        build_image(f"FROM {base}")
        image = build_image(f"FROM {base}", platform="linux/arm64")
        assert image.first.layers[0].digest == other.find(base).rootfs[1].layers[0].digest
        assert store.find(base).digest == other.find(base).digest
        assert [one.platform for one in image.containers] == ["linux/arm64"] * 2

    def test_both_platforms_at_once(self, base: str, proxy: FaultyProxy, other: Store, build_image: Build) -> None:
        image = build_image(f"FROM {base}\nCOPY own .", platform="linux/amd64,linux/arm64", pull=PullPolicy.ALWAYS)
        assert [rootfs.platform for rootfs in image.rootfs] == ["linux/amd64", "linux/arm64"]
        assert image.containers == other.find(base).containers
        assert asked(proxy).count("/v2/bases/kubernetes/manifests/v1") == 1

    def test_the_platform_of_from(self, base: str, build_image: Build) -> None:
        image = build_image(f"ARG ARCH=arm64\nFROM --platform=linux/$ARCH {base}", platform="")
        assert [rootfs.platform for rootfs in image.rootfs] == ["linux/arm64"]
        with pytest.raises(BuildError, match=r"Kubefile:1:1: .*this build is for linux/amd64, not for linux/arm64"):
            build_image(f"FROM --platform=linux/arm64 {base}")

    def test_by_its_digest(
        self, base: str, proxy: FaultyProxy, other: Store, store: Store, registries: MakeRegistries,
        events: EventStream, build_image: Build,
    ) -> None:  # fmt: skip
        name = f"{base.rpartition(':')[0]}@{other.find(base).digest}"
        first = build_image(f"FROM {name}\nCOPY own .")
        asked(proxy)
        assert build_image(f"FROM {name}\nCOPY own .", pull=PullPolicy.ALWAYS).digest == first.digest
        assert build_image(f"FROM {name}\nCOPY own .", pull=PullPolicy.NEVER).digest == first.digest
        assert asked(proxy) == []
        target = f"{proxy.address}/ns/app:v1"
        store.tag("app:v1", [target])
        pushed = push(store, registries(), events, target)
        assert len(pushed.mounted) >= 2  # it has no name here, and yet its repository is known

    def test_a_push_mounts_the_layers_of_the_base(
        self, base: str, proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream,
        build_image: Build,
    ) -> None:  # fmt: skip
        target = f"{proxy.address}/ns/app:v1"
        image = build_image(f"FROM {base}\nCOPY own .", names=(target,))
        proxy.up = 0
        pushed = push(store, registries(), events, target)
        assert {layer.digest for layer in image.first.layers[:-1]} <= set(pushed.mounted)
        assert len(pushed.sent) == 2  # the own layer and the config
        assert proxy.up < 10_000

    def test_what_was_built_here_is_not_replaced(self, base: str, proxy: FaultyProxy, build_image: Build) -> None:
        build_image("FROM scratch\nCOPY own .", names=(base,))
        with pytest.raises(BuildError, match="has no rootfs for linux/arm64: it has linux/amd64") as caught:
            build_image(f"FROM {base}", platform="linux/arm64")
        assert "build the base for linux/arm64, too" in caught.value.remedy
        assert asked(proxy) == []

    def test_short_names(
        self, base: str, proxy: FaultyProxy, store: Store, registries: MakeRegistries, build_image: Build
    ) -> None:
        def short() -> Registries:
            return registries(default=f"{proxy.address}/bases")

        build_image("FROM kubernetes:v1", registries=short)
        assert store.find("kubernetes:v1").first.platform == "linux/amd64"
        asked(proxy)
        build_image(f"FROM {base}")
        assert asked(proxy)  # another name: nobody says that it is the same image
        store.remove("kubernetes:v1")
        asked(proxy)
        build_image("FROM kubernetes:v1", registries=short)
        assert asked(proxy) == []  # the full name is here
        build_image("FROM kubernetes:v1", registries=short, pull=PullPolicy.ALWAYS)
        assert asked(proxy) == ["/v2/bases/kubernetes/manifests/v1"]
        with pytest.raises(ImageNotFoundError) as caught:
            build_image("FROM nothing:v1", registries=short)
        assert caught.value.where.endswith("Kubefile:1:1")
        assert "docker.io/library/nothing:v1" in caught.value.remedy
        with pytest.raises(ImageNotFoundError) as caught:
            build_image("FROM kubernetes:v2", registries=short)
        assert f"in the local store, did you mean {base}?" in caught.value.remedy


class TestErrors:
    def test_nobody_has_it(self, registry: DockerRegistry, store: Store, build_image: Build) -> None:
        name = f"{registry.address}/none:1"
        with pytest.raises(ImageNotFoundError) as caught:
            build_image(f"# a comment\nFROM {name}")
        assert caught.value.where.endswith("Kubefile:2:1")
        assert f"FROM {name}: there is no such image in the registry" in str(caught.value)
        assert "sealer login" in caught.value.remedy
        assert store.list() == ()

    def test_never(self, registry: DockerRegistry, build_image: Build) -> None:
        name = f"{registry.address}/none:1"
        with pytest.raises(ImageNotFoundError) as caught:
            build_image(f"FROM {name}", pull=PullPolicy.NEVER)
        assert f"the base '{name}' is not in the local store: --pull=never asks no registry" in str(caught.value)
        assert f"sealer pull {name}" in caught.value.remedy
        assert b"none" not in registry.log

    def test_a_registry_that_is_away(
        self, proxy: FaultyProxy, seen: list[Event], publish: Callable[..., object], build_image: Build
    ) -> None:
        publish("base:1", [Variant([tar_of("a=1")])])
        name = f"{proxy.address}/base:1"
        first = build_image(f"FROM {name}")
        proxy.faults.append(Fault("GET", "/v2/base/manifests/1", times=-1, status=503))
        with pytest.raises(RegistryError) as caught:
            build_image(f"FROM {name}", pull=PullPolicy.ALWAYS)
        assert caught.value.where.endswith("Kubefile:1:1")
        assert "503" in str(caught.value)
        assert build_image(f"FROM {name}", pull=PullPolicy.NEWER).digest == first.digest
        assert any("the base is taken as it is in the local store" in event.message for event in seen)

    def test_names_and_platforms_that_cannot_be(self, build_image: Build) -> None:
        with pytest.raises(InputError, match=r"Kubefile:1:1: 'UPPER' is not the name of an image"):
            build_image("FROM UPPER")
        with pytest.raises(InputError, match=r"Kubefile:1:6: 'arm64' is no platform"):
            build_image("FROM --platform=arm64 base", platform="")
        with pytest.raises(InputError, match="no image is built for windows/amd64: the hosts of a cluster run Linux"):
            build_image("FROM base", platform="windows/amd64")

    def test_something_that_has_no_files(
        self, registry: DockerRegistry, publish: Callable[..., tuple[str, list[str]]], build_image: Build
    ) -> None:
        chart = "application/vnd.cncf.helm.config.v1+json"
        digest, _ = publish("chart:1", [Variant([tar_of("a=1")], config={"name": "web"}, config_type=chart)])
        with pytest.raises(ImageError, match=re.escape(f"not an image of files: {digest}: its config is '{chart}'")):
            build_image(f"FROM {registry.address}/chart:1")


class TestAnyImage:
    LOW = tar_of("bin/", "bin/busybox=x", "bin/sh -> /bin/busybox", "etc/", "etc/a=1", "etc/b=2", "old/", "old/c=3")
    HIGH = tar_of("etc/.wh.a=", "old/.wh..wh..opq=", "old/d=4", "run -> ../../var/run", "var/", "var/run/")
    SETTINGS = {  # noqa: RUF012  # never changed
        "Env": ["PATH=/opt/bin", "VERSION=1"], "Entrypoint": ["/bin/false"], "Cmd": ["never"],
        "Labels": {"maintainer": "somebody"},
    }  # fmt: skip

    @pytest.mark.parametrize("form", ["oci", "v2s2"])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_its_files_become_the_rootfs(
        self, form: str, *, zipped: bool, registry: DockerRegistry, store: Store, publish: Callable[..., object],
        build_image: Build,
    ) -> None:  # fmt: skip
        variant = Variant([self.LOW, self.HIGH], settings=self.SETTINGS, zipped=zipped)
        publish("alpine:1", [variant], "--format", form)
        name = f"{registry.address}/alpine:1"
        image = build_image(f"FROM {name}\nCOPY own .\nRUN cat bin/sh > read && echo $VERSION >> read")
        assert files(image) == {
            "bin/busybox": "x", "etc/b": "2", "old/d": "4", "own": "own", "read": "x1\n",
        }  # fmt: skip
        tree = RootfsFiles(image.first).tree
        assert {path: tree.readlink(path) for path in ("bin/sh", "run")} == {"bin/sh": "busybox", "run": "var/run"}
        assert image.first.env == {"VERSION": "1"}
        assert image.first.cmds == ()
        assert image.first.labels["maintainer"] == "somebody"
        base = store.find(name)
        assert base.first.layers == image.first.layers[:2]
        assert blobs_of(store) == {
            digest[7:] for one in (base.digest, image.digest) for digest in store.closure(store.descriptor(one))
        }

    def test_one_that_fits_stays_byte_for_byte(
        self, proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream,
        publish: Callable[..., tuple[str, list[str]]], build_image: Build,
    ) -> None:  # fmt: skip
        _, (manifest,) = publish("fits:1", [Variant([tar_of("a=1"), tar_of("b=2")])], indexed=True)
        name = f"{proxy.address}/fits:1"
        first = build_image(f"FROM {name}\nCOPY own .")
        assert store.find(name).first.digest == manifest
        asked(proxy)
        assert build_image(f"FROM {name}\nCOPY own .", pull=PullPolicy.ALWAYS).digest == first.digest
        assert asked(proxy) == ["/v2/fits/manifests/1"]
        target = f"{proxy.address}/ns/app:v1"
        store.tag("app:v1", [target])
        pushed = push(store, registries(), events, target)
        assert {layer.digest for layer in first.first.layers[:2]} <= set(pushed.mounted)

    def test_one_that_was_made_again_is_not_fetched_again(
        self, proxy: FaultyProxy, store: Store, publish: Callable[..., object], build_image: Build
    ) -> None:
        publish("links:1", [Variant([self.LOW])])
        name = f"{proxy.address}/links:1"
        first = build_image(f"FROM {name}")
        asked(proxy)
        assert build_image(f"FROM {name}", pull=PullPolicy.ALWAYS).digest == first.digest
        assert asked(proxy) == ["/v2/links/manifests/1"]
        assert list(store.downloads.iterdir()) == []  # what it was made from is not kept there either
        publish("links:1", [Variant([self.HIGH])])
        assert "old/d" in files(build_image(f"FROM {name}", pull=PullPolicy.ALWAYS))

    def test_platforms_of_an_index(
        self, registry: DockerRegistry, store: Store, publish: Callable[..., object], build_image: Build
    ) -> None:
        variants = [Variant([tar_of(f"a={one['os']}/{one['architecture']}")], one) for one in (WINDOWS, AMD, ARM)]
        publish("both:1", variants)
        name = f"{registry.address}/both:1"
        assert files(build_image(f"FROM {name}")) == {"a": "linux/amd64"}
        image = build_image(f"FROM {name}", platform="linux/amd64,linux/arm64")
        assert [rootfs.platform for rootfs in image.rootfs] == ["linux/amd64", "linux/arm64"]
        assert [rootfs.platform for rootfs in store.find(name).rootfs] == ["linux/amd64", "linux/arm64/v8"]
        chosen = [image.on("amd64"), image.on("arm64"), image.on("s390x")]
        assert chosen == [image.rootfs[0], image.rootfs[1], None]
        publish("both:1", [Variant([tar_of("a=new", f"b={one['os']}")], one) for one in (WINDOWS, ARM, AMD)])
        image = build_image(f"FROM {name}", platform="linux/arm64", pull=PullPolicy.ALWAYS)
        assert files(image) == {"a": "new", "b": "linux"}
        assert [rootfs.platform for rootfs in store.find(name).rootfs] == ["linux/arm64/v8", "linux/amd64"]
        with pytest.raises(
            ImageNotFoundError, match=r"has no rootfs for linux/s390x: it has windows/amd64, linux/arm64/v8"
        ):
            build_image(f"FROM {name}", platform="linux/s390x")

    def test_a_variant_is_chosen_only_where_nothing_fits_better(
        self, registry: DockerRegistry, publish: Callable[..., object], build_image: Build
    ) -> None:
        newer = {**AMD, "variant": "v3"}
        publish("variants:1", [Variant([tar_of("a=v3")], newer), Variant([tar_of("a=any")], AMD)])
        assert files(build_image(f"FROM {registry.address}/variants:1")) == {"a": "any"}
        publish("plain:1", [Variant([tar_of("a=arm")], {"os": "linux", "architecture": "arm64"})], indexed=True)
        image = build_image(f"FROM {registry.address}/plain:1", platform="linux/arm64/v8")
        assert (files(image), image.first.platform) == ({"a": "arm"}, "linux/arm64/v8")

    def test_an_index_that_tells_no_platforms(
        self, registry: DockerRegistry, publish: Callable[..., object], build_image: Build
    ) -> None:
        variants = [Variant([tar_of(f"a={one['architecture']}")], one, untold=True) for one in (ARM, AMD)]
        publish("untold:1", variants)
        image = build_image(f"FROM {registry.address}/untold:1")
        assert (files(image), image.first.platform) == ({"a": "amd64"}, "linux/amd64")

    def test_only_windows(self, registry: DockerRegistry, publish: Callable[..., object], build_image: Build) -> None:
        publish("windows:1", [Variant([tar_of("a=1")], WINDOWS)])
        with pytest.raises(ImageNotFoundError, match="has no rootfs for linux/amd64: it has windows/amd64"):
            build_image(f"FROM {registry.address}/windows:1")

    def test_hostile_layers(
        self, registry: DockerRegistry, store: Store, publish: Callable[..., object], build_image: Build
    ) -> None:
        for number, (member, why) in enumerate([("../a=1", "a path with '..'"), ("/a=1", "an absolute path")]):
            publish(f"bad{number}:1", [Variant([tar_of(member)])])
            with pytest.raises(ImageError, match="a layer is refused") as caught:
                build_image(f"FROM {registry.address}/bad{number}:1")
            assert why in str(caught.value)
        assert store.list() == ()
        assert blobs_of(store) == set()

    def test_layers_in_zstd(
        self, registry: DockerRegistry, store: Store, publish: Callable[..., object], build_image: Build
    ) -> None:
        """They are made again as every host can unpack them, also where a link changes, too."""
        for number, members in enumerate([("a=1",), ("a=1", "link -> /a")]):
            publish(f"zstd{number}:1", [Variant([tar_of(*members)])], *ZSTD)
            image = build_image(f"FROM {registry.address}/zstd{number}:1")
            assert files(image) == {"a": "1"}
            assert gzip.decompress(store.path(image.first.layers[0].digest).read_bytes())
            assert not [blob for blob in blobs_of(store) if store.path(blob).read_bytes().startswith(compressed.ZSTD)]

    @pytest.mark.parametrize("options", [(), ZSTD])
    def test_a_layer_that_unpacks_to_too_much(
        self,
        registry: DockerRegistry,
        store: Store,
        publish: Callable[..., object],
        build_image: Build,
        monkeypatch: pytest.MonkeyPatch,
        options: tuple[str, ...],
    ) -> None:
        publish("bomb:1", [Variant([tar_of(("a", bytes(16 * 1024**2)))])], *options)
        monkeypatch.setattr(expansion, "ALWAYS", 8 * 1024**2)
        with pytest.raises(ImageError, match="it unpacks to too much"):
            build_image(f"FROM {registry.address}/bomb:1")
        assert store.list() == ()
        assert blobs_of(store) == set()


@pytest.fixture
def guarded(tmp_path: Path, authority: Authority) -> Iterator[DockerRegistry]:
    """With TLS and a password."""
    directory = tmp_path / "guarded"
    directory.mkdir()
    with DockerRegistry(directory, tls=authority.server(), user=("me", "a secret")) as started:
        yield started


def test_credentials_a_private_ca_and_a_mirror(
    guarded: DockerRegistry, authority: Authority, registries: MakeRegistries, publish: Callable[..., object],
    store: Store, build_image: Build,
) -> None:  # fmt: skip
    publish("hub/team/base:1", [Variant([tar_of("a=1")])], "--dest-creds=me:a secret", at=guarded.address)
    auths = {"auths": {guarded.address: {"username": "me", "password": "a secret"}}}
    mirror = {
        "registry.example": RegistrySettings(mirrors=(f"{guarded.address}/hub",)),
        guarded.address: RegistrySettings(ca=authority.certificate),
    }
    image = build_image(
        "FROM registry.example/team/base:1", registries=lambda: registries(auths=auths, settings=mirror)
    )
    assert files(image) == {"a": "1"}
    with pytest.raises(RegistryError) as caught:
        build_image(f"FROM {guarded.address}/hub/team/base:1")
    assert caught.value.where.endswith("Kubefile:1:1")
    assert "a secret" not in str(caught.value)
    other = Store(store.root.parent / "third")
    with pytest.raises(ImageError, match="not a cluster image"):
        pull(other, registries(auths=auths, settings=mirror), EventStream(), f"{guarded.address}/hub/team/base:1")
