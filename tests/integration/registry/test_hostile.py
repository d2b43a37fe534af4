"""Images that no honest registry would have: each is refused, and nothing of it stays."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from faulty_proxy import MANIFEST, Fault, FaultyProxy
from sample_images import MakeRegistries, cluster_image

from sealer.errors import ImageError
from sealer.events import EventStream, Json
from sealer.image.files import RootfsFiles
from sealer.image.oci import CLUSTER_IMAGE, INDEX, LAYER, decode, encode
from sealer.image.oci import MANIFEST as OCI_MANIFEST
from sealer.image.oci_image import RootfsParts, stage_index, stage_rootfs
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.store import Store

CLUSTER: dict[str, Json] = {"artifactType": CLUSTER_IMAGE}
PART: dict[str, Json] = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "1" * 64, "size": 300}
ROOTFS: dict[str, Json] = {**PART, "platform": {"os": "linux", "architecture": "amd64"}}


def served(proxy: FaultyProxy, document: dict[str, Json], kind: str = INDEX) -> str:
    content = encode({"schemaVersion": 2, "mediaType": kind, **document})
    proxy.faults = [Fault("GET", MANIFEST, -1, 200, {"Content-Type": kind}, content)]
    return f"{proxy.address}/ns/app:v1"


@pytest.mark.parametrize(
    ("document", "kind", "said"),
    [
        ({"manifests": [ROOTFS]}, INDEX, "not a cluster image"),
        ({"config": PART, "layers": []}, OCI_MANIFEST, "not a cluster image"),
        ({**CLUSTER, "manifests": [ROOTFS, {**PART, "mediaType": INDEX}]}, INDEX, "an index in its"),
        ({**CLUSTER, "manifests": [{**ROOTFS, "size": 5_000_000}]}, INDEX, "too large"),
        ({**CLUSTER, "manifests": [{**ROOTFS, "digest": "sha256:../../x"}]}, INDEX, "no usable digest"),
        ({**CLUSTER, "manifests": [{**ROOTFS, "digest": "md5:12"}]}, INDEX, "no usable digest"),
        ({**CLUSTER, "manifests": [{**ROOTFS, "size": True}]}, INDEX, "no usable size"),
        ({**CLUSTER, "manifests": []}, INDEX, "no rootfs"),
        ({**CLUSTER, "manifests": [ROOTFS]}, INDEX, "is not what it should be"),
    ],
)  # fmt: skip
def test_an_index_is_refused(
    proxy: FaultyProxy, other: Store, registries: MakeRegistries, document: dict[str, Json], kind: str, said: str
) -> None:
    name = served(proxy, document, kind)
    with pytest.raises(ImageError, match=said):
        pull(other, registries(), EventStream(), name)
    assert not other.catalogue().entries
    assert not list(other.blobs.iterdir())
    assert not list(other.root.glob("tmp/*"))


def test_two_sizes_for_one_blob_are_refused(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    image = cluster_image(store, [name], platforms=["linux/amd64", "linux/arm64"])
    push(store, registries(), events, name)
    document = decode(store.read(image), "")
    entries = document["manifests"]
    assert isinstance(entries, list)
    second = entries[1]
    assert isinstance(second, dict)
    manifest = decode(store.path(str(second["digest"])).read_bytes(), "")
    layers = manifest["layers"]
    assert isinstance(layers, list)
    assert isinstance(layers[0], dict)
    layers[0]["size"] = 7
    content = encode(manifest)
    with store.stage() as staging:
        lying = staging.add([content], OCI_MANIFEST)
        second |= {"digest": lying.digest, "size": lying.size}
        index = encode(document)
    proxy.faults = [
        Fault("GET", f"{MANIFEST}v1", -1, 200, {"Content-Type": INDEX}, index),
        Fault("GET", lying.digest, -1, 200, {"Content-Type": OCI_MANIFEST}, content),
    ]
    with pytest.raises(ImageError, match="two sizes"):
        pull(other, registries(), events, name)


def test_a_layer_that_climbs_out_is_refused_before_it_is_unpacked(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/passwd"))
    with store.stage() as staging:
        layer = staging.add([gzip.compress(raw.getvalue())], LAYER)
        rootfs = stage_rootfs(staging, RootfsParts("linux/amd64", ((layer, "sha256:" + "2" * 64),)))
        store.commit(staging, stage_index(staging, [rootfs]), [name])
    push(store, registries(), events, name)
    with pytest.raises(ImageError, match=r"a path with '\.\.'") as caught:
        pull(other, registries(), events, name)
    assert layer.digest in str(caught.value)
    assert other.list() == ()
    files = RootfsFiles(store.find(name).first)  # as a store has it that an older version filled
    with pytest.raises(ImageError, match=r"a path with '\.\.'"):
        files.paths()
    with pytest.raises(ImageError, match=r"a path with '\.\.'"):
        assert files.removals  # what the unpacking on a host begins with
