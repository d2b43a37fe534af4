"""Cluster images to docker-registry and back, with skopeo and oras looking on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from faulty_proxy import UPLOAD, FaultyProxy
from sample_images import MakeRegistries, blobs_of, cluster_image, skopeo

from sealer.errors import ImageError, ImageNotFoundError, InputError
from sealer.events import Event, EventStream, State
from sealer.image.oci import REF_NAME
from sealer.image.registry import progress
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.store import Store

needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")


def test_what_was_pushed_is_pulled_back_byte_for_byte(
    registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{registry.address}/ns/app:v1"
    image = cluster_image(store, [name], platforms=["linux/amd64", "linux/arm64/v8"], containers=3)
    pushed = push(store, registries(), events, name)
    assert pushed.digest == image.digest
    assert pushed.moved == pushed.size
    pulled = pull(other, registries(), events, name)
    assert (pulled.digest, pulled.name, pulled.changed) == (image.digest, name, True)
    assert blobs_of(other) == blobs_of(store)
    assert other.find(name).rootfs[1].platform == "linux/arm64/v8"
    assert not list(other.downloads.iterdir())
    again = pull(other, registries(), events, name)
    assert (again.changed, again.moved) == (False, 0)


@needs_skopeo
def test_skopeo_carries_it_on_and_takes_a_container_image_out(
    registry: DockerRegistry, store: Store, tmp_path: Path, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{registry.address}/ns/app:v1"
    image = cluster_image(store, [name], platforms=["linux/amd64", "linux/arm64"], containers=2)
    push(store, registries(), events, name)
    away = ["--all", "--preserve-digests", "--src-tls-verify=false"]
    skopeo("copy", *away, f"docker://{name}", f"oci:{tmp_path / 'copy'}:app:v1")
    assert Store(tmp_path / "copy").find("app:v1").digest == image.digest
    copy = f"{registry.address}/copies/app:v2"
    skopeo("copy", *away, "--dest-tls-verify=false", f"docker://{name}", f"docker://{copy}")
    assert pull(Store(tmp_path / "third"), registries(), events, copy).digest == image.digest
    inside = json.loads(store.read(image))["manifests"][-2]
    assert inside["annotations"]["io.sealer.image.reference"] == "docker.io/library/c1:1"
    taken = f"docker://{registry.address}/ns/app@{inside['digest']}"
    skopeo("copy", "--preserve-digests", "--src-tls-verify=false", taken, f"dir:{tmp_path / 'taken'}")
    assert (tmp_path / "taken" / "manifest.json").read_bytes() == store.path(inside["digest"]).read_bytes()


@needs_skopeo
def test_what_skopeo_pushed_is_pulled(
    registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    image = cluster_image(store, ["app:v1"], containers=1)
    name = f"{registry.address}/ns/app:v1"
    skopeo(
        "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{store.root}:app:v1", f"docker://{name}"
    )
    assert pull(other, registries(), events, f"{name}@{image.digest}").digest == image.digest
    assert other.find(name).digest == image.digest


def test_oras_reads_what_was_pushed(
    registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    from oras.client import OrasClient

    for tag in ("v1", "v2"):
        cluster_image(store, [f"{registry.address}/ns/app:{tag}"])
        push(store, registries(), events, f"{registry.address}/ns/app:{tag}")
    client = OrasClient(hostname=registry.address, insecure=True)
    assert sorted(client.get_tags(f"{registry.address}/ns/app")) == ["v1", "v2"]  # in the order of its disk
    index = json.loads(store.read(store.descriptor(f"{registry.address}/ns/app:v1")))
    rootfs = index["manifests"][0]["digest"]
    manifest = client.get_manifest(f"{registry.address}/ns/app@{rootfs}")
    assert [layer["digest"] for layer in manifest["layers"]] == [
        layer.digest for layer in store.find(f"{registry.address}/ns/app:v1").first.layers
    ]


def test_only_what_is_missing_moves(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    first, second = f"{proxy.address}/ns/app:v1", f"{proxy.address}/ns/app:v2"
    cluster_image(store, [first], sizes=[2_000_000, 10])
    push(store, registries(), events, first)
    cluster_image(store, [second], sizes=[2_000_000, 10, 500])
    pushed = push(store, registries(), events, second)
    assert len(pushed.sent) == 2  # the new layer, the new config
    assert pushed.moved < 10_000
    pull(other, registries(), events, first)
    proxy.down = 0
    pulled = pull(other, registries(), events, second)
    assert pulled.moved == proxy.down < 10_000


def test_a_blob_of_another_repository_is_mounted(
    proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    base, app = f"{proxy.address}/bases/kubernetes:v1", f"{proxy.address}/ns/app:v1"
    cluster_image(store, [base], sizes=[2_000_000])
    push(store, registries(), events, base)
    cluster_image(store, [app], sizes=[2_000_000, 10])
    proxy.up = 0
    pushed = push(store, registries(), events, app)
    layer = store.find(base).first.layers[0].digest
    assert pushed.mounted == (layer,)
    assert layer not in pushed.sent
    assert pushed.moved < 10_000
    assert [seen.path for seen in proxy.requests("POST", "mount=")] == [
        f"/v2/ns/app/blobs/uploads/?mount=sha256%3A{layer[7:]}&from=bases%2Fkubernetes"
    ]


def test_a_mount_from_where_the_blob_is_not_costs_nothing(
    proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    cluster_image(store, [f"{proxy.address}/never/pushed:v1", f"{proxy.address}/ns/app:v1"])
    pushed = push(store, registries(), events, f"{proxy.address}/ns/app:v1")
    assert pushed.mounted == ()
    assert len(pushed.sent) == 3
    assert len(proxy.requests("POST", UPLOAD)) == 3


def test_one_platform(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    image = cluster_image(store, [name], platforms=["linux/amd64", "linux/arm64/v8"], containers=2)
    push(store, registries(), events, name)
    pulled = pull(other, registries(), events, name, ["linux/arm64"])
    assert pulled.digest != image.digest
    found = other.find(name)
    assert [rootfs.platform for rootfs in found.rootfs] == ["linux/arm64/v8"]
    assert found.rootfs[0].digest == store.find(name).rootfs[1].digest
    entries = json.loads(other.read(other.descriptor(name)))["manifests"]
    assert [entry.get("annotations", {}).get("io.sealer.image.platform") for entry in entries] == [
        None,
        "linux/arm64/v8",
        "linux/arm64/v8",
        None,  # the indexes that images were pinned by
    ]
    assert pull(other, registries(), events, name, ["linux/amd64", "linux/arm64"]).digest == image.digest
    with pytest.raises(InputError, match=r"no rootfs for linux/s390x.*it has linux/amd64, linux/arm64/v8"):
        pull(other, registries(), events, name, ["linux/s390x"])


def test_the_index_comes_last(
    proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    image = cluster_image(store, [name], containers=2)
    push(store, registries(), events, name)
    puts = [seen.path for seen in proxy.requests("PUT")]
    manifests = [path for path in puts if "/manifests/" in path]
    assert puts[-len(manifests) :] == manifests
    assert manifests[-1] == "/v2/ns/app/manifests/v1"
    assert sorted(path.rpartition("/")[2] for path in manifests[:-1]) == sorted(
        entry["digest"] for entry in json.loads(store.read(image))["manifests"]
    )


def test_four_to_eight_blobs_move_at_once(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(store, [name], sizes=[100_000] * 30)
    proxy.gather = 4
    push(store, registries(), events, name)
    assert 4 <= proxy.most_at_once <= 8
    proxy.most_at_once = 0
    pull(other, registries(), events, name)
    assert 4 <= proxy.most_at_once <= 8


def test_progress_is_told(
    registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream, seen: list[Event]
) -> None:
    name = f"{registry.address}/ns/app:v1"
    cluster_image(store, [name], sizes=[3_000_000])
    pushed = push(store, registries(), events, name)
    states = [event.state for event in seen]
    assert states[0] is State.STARTED
    assert states[-1] is State.DONE
    last = [event for event in seen if event.state is State.PROGRESS and "part" not in event.data][-1]
    assert last.data == {"done": pushed.size, "total": pushed.size, "blobs": 2, "totalBlobs": 2}
    assert {(event.step, event.host) for event in seen} == {("push", "")}
    assert seen[-1].data["bytes"] == pushed.moved == pushed.size
    assert seen[-1].data["rate"]


def test_each_blob_that_moves_for_longer_is_told_with_its_image(
    registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream, seen: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    name = f"{registry.address}/ns/app:v1"
    cluster_image(store, [name], sizes=[3_000_000], containers=1)
    push(store, registries(), events, name)
    layer = store.find(name).first.layers[0]
    told = [event.data for event in seen if event.data.get("part") == layer.digest]
    assert len(told) > 2
    assert {(data["of"], data["total"]) for data in told} == {("rootfs linux/amd64", layer.size)}
    done = [data["done"] for data in told if isinstance(data["done"], int)]
    assert done == sorted(done)
    assert told[-1]["done"] == layer.size
    owners = {event.data["of"] for event in seen if "part" in event.data}
    assert owners == {"rootfs linux/amd64", "docker.io/library/c0:1", ""}


def test_a_short_name_goes_to_the_configured_place(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    cluster_image(store, ["app:v1", "team/app:v1"])
    default = f"{proxy.address}/clusters"
    assert push(store, registries(default=default), events, "app:v1").target == f"{default}/app:v1"
    assert push(store, registries(default=default), events, "team/app:v1").target == f"{proxy.address}/team/app:v1"
    pulled = pull(other, registries(default=default), events, "app:v1")
    assert (pulled.name, pulled.source) == ("app:v1", f"{default}/app:v1")
    assert other.catalogue().entries[0].annotations[REF_NAME] == "app:v1"


def test_what_is_not_there_is_said(
    registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    with pytest.raises(ImageNotFoundError, match="no such image in the registry"):
        pull(store, registries(), events, f"{registry.address}/ns/none:v1")
    with pytest.raises(ImageNotFoundError, match="no image"):
        push(store, registries(), events, "none:v1")
    assert not list(store.root.glob("tmp/*"))


def test_an_image_with_a_damaged_blob_is_not_pushed(
    registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{registry.address}/ns/app:v1"
    cluster_image(store, [name])
    layer = store.find(name).first.layers[1].path
    layer.write_bytes(layer.read_bytes()[:-1] + b"x")
    with pytest.raises(ImageError, match="a blob of the store is damaged"):
        push(store, registries(), events, name)
    layer.write_bytes(b"short")
    with pytest.raises(ImageError, match="a blob of the image is missing"):
        push(store, registries(), events, name)
