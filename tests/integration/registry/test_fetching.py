"""Container images for a build, fetched from a real registry into a staging area."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from faulty_proxy import BLOB, MANIFEST, Fault, FaultyProxy
from sample_images import MakeRegistries, container

from sealer.errors import ImageError, InputError
from sealer.events import EventStream
from sealer.image.oci import DOCKER_LIST, INDEX, Descriptor, digest_of
from sealer.image.oci import MANIFEST as OCI_MANIFEST
from sealer.image.registry.fetch import FetchedImage, fetch_images
from sealer.image.registry.messages import FileBody
from sealer.image.registry.names import complete_container
from sealer.image.registry.registries import Registries
from sealer.image.staging import Staging
from sealer.image.store import Store


def put(registries: Registries, staging: Staging, name: str, root: Descriptor) -> None:
    """Bring what is staged to a registry, with no more cleverness than that takes."""
    repository = registries.repository(complete_container(name))
    content = (staging.blobs / root.digest[7:]).read_bytes()
    for part in _parts(staging, root, content):
        if repository.has_blob(part):
            continue
        session = repository.begin()
        repository.finish(session, part.digest, FileBody(staging.blobs / part.digest[7:], 0, part.size))
    for entry in json.loads(content).get("manifests", []):
        own = (staging.blobs / entry["digest"][7:]).read_bytes()
        repository.put_manifest(own, Descriptor(entry["mediaType"], entry["digest"], entry["size"]), entry["digest"])
    repository.put_manifest(content, root, complete_container(name).tag)


def _parts(staging: Staging, root: Descriptor, content: bytes) -> list[Descriptor]:
    document = json.loads(content)
    if "manifests" in document:
        found = []
        for entry in document["manifests"]:
            own = (staging.blobs / entry["digest"][7:]).read_bytes()
            found += _parts(staging, Descriptor(entry["mediaType"], entry["digest"], entry["size"]), own)
        return found
    entries = [document["config"], *document["layers"]]
    return [Descriptor(entry["mediaType"], entry["digest"], entry["size"]) for entry in entries]


def index(staging: Staging, parts: Sequence[tuple[Descriptor, str]], kind: str = DOCKER_LIST) -> Descriptor:
    entries = []
    for part, architecture in parts:
        platform = {"os": "linux" if architecture != "unknown" else "unknown", "architecture": architecture}
        entries.append({**part.as_json(), "platform": platform})
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return staging.add([json.dumps(document, indent=4).encode()], kind)


class Fetching:
    """A registry with images, and an empty store."""

    def __init__(self, proxy: FaultyProxy, store: Store, registries: MakeRegistries) -> None:
        self.proxy = proxy
        self.store = store
        self.registries = registries

    def __call__(self, names: Sequence[str], *platforms: str) -> tuple[tuple[FetchedImage, ...], set[str]]:
        """What was fetched, and the digests that were staged."""
        names = [f"{self.proxy.address}/{name}" for name in names]
        with self.store.stage() as staging:
            found = fetch_images(
                names, platforms, staging=staging, store=self.store, registries=self.registries(), events=EventStream()
            )
            return found, {f"sha256:{path.name}" for path in staging.blobs.iterdir()}


@pytest.fixture
def fetching(proxy: FaultyProxy, other: Store, registries: MakeRegistries) -> Fetching:
    return Fetching(proxy, other, registries)


@pytest.fixture
def library(proxy: FaultyProxy, store: Store, registries: MakeRegistries) -> dict[str, Descriptor]:
    """Images in the registry, by name."""
    with store.stage() as staging:
        found: dict[str, Descriptor] = {f"one{n}:1": container(staging, n, layers=5) for n in range(4)}
        found["arm:1"] = container(staging, 20, "arm64")
        pair = [(container(staging, 30, "amd64"), "amd64"), (container(staging, 31, "arm64"), "arm64")]
        found["both:1"] = index(staging, pair)
        attested = [*pair, (container(staging, 32), "unknown")]
        found["attested:1"] = index(staging, attested, INDEX)
        known = registries()
        with known.pool():
            for name, root in found.items():
                put(known, staging, f"{proxy.address}/{name}", root)
    proxy.seen.clear()
    return found


def test_many_at_once(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    names = [name for name in library if name.startswith("one")]
    found, staged = fetching(names, "linux/amd64")
    assert [image.root.descriptor.digest for image in found] == [library[name].digest for name in names]
    for image in found:
        assert image.manifests[0].platform == {"os": "linux", "architecture": "amd64"}
        assert image.root.content == image.root.content.strip()
        assert {part.digest for part in image.root.children()} <= staged
        assert image.missing == ()


def test_an_index_by_platform(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    (both,), staged = fetching(["both:1"], "linux/arm64")
    assert both.root.descriptor.digest == library["both:1"].digest
    assert both.root.is_index
    assert [part.platform["architecture"] for part in both.manifests] == ["arm64"]
    assert both.manifests[0].digest in staged
    entries = json.loads(both.root.content)["manifests"]
    assert entries[0]["digest"] not in staged
    (both,), _ = fetching(["both:1"], "linux/amd64", "linux/arm64", "linux/s390x")
    assert [part.platform["architecture"] for part in both.manifests] == ["amd64", "arm64"]
    assert both.missing == ("linux/s390x",)


def test_indexes_within_an_index_come_along(
    fetching: Fetching, proxy: FaultyProxy, store: Store, registries: MakeRegistries
) -> None:
    with store.stage() as staging:
        pair = [(container(staging, 40, "amd64"), "amd64"), (container(staging, 41, "arm64"), "arm64")]
        inner = index(staging, pair, INDEX)
        outer = index(staging, [(inner, "amd64")], INDEX)
        known = registries()
        with known.pool():
            put(known, staging, f"{proxy.address}/nested:inner", inner)
            put(known, staging, f"{proxy.address}/nested:1", outer)
    (found,), staged = fetching([f"nested:1@{outer.digest}"], "linux/arm64")
    assert [part.digest for part in found.manifests] == [pair[1][0].digest]
    assert [part.digest for part in found.inner] == [inner.digest]
    assert {outer.digest, inner.digest} <= staged
    assert pair[0][0].digest not in staged


def test_all_platforms_and_no_attestation(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    (found,), staged = fetching(["attested:1"])
    assert [part.platform["architecture"] for part in found.manifests] == ["amd64", "arm64"]
    assert json.loads(found.root.content)["manifests"][2]["digest"] not in staged


def test_what_there_is_not_for_a_platform(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    with pytest.raises(ImageError, match="not there for the platform"):
        fetching(["both:1"], "linux/s390x")
    (arm,), _ = fetching(["arm:1"], "linux/amd64")
    assert arm.manifests[0].platform["architecture"] == "arm64"
    assert arm.missing == ("linux/amd64",)


def test_by_digest_without_asking_twice(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    name = f"both:1@{library['both:1'].digest}"
    (first,), _ = fetching([name, name], "linux/amd64")
    assert first.root.descriptor.digest == library["both:1"].digest
    assert first.place.digest == library["both:1"].digest


def test_nothing_is_fetched_that_the_store_has(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    name = f"{fetching.proxy.address}/one0:1@{library['one0:1'].digest}"
    with fetching.store.stage() as staging:
        (image,) = fetch_images(
            [name], ["linux/amd64"], staging=staging, store=fetching.store, registries=fetching.registries(),
            events=EventStream(),
        )  # fmt: skip
        fetching.store.commit(staging, image.root.descriptor)
    fetching.proxy.seen.clear()
    fetching([name.partition("/")[2]], "linux/amd64")
    assert fetching.proxy.seen == []  # not even a question


def test_all_that_fail_are_told_at_once(fetching: Fetching, library: dict[str, Descriptor]) -> None:
    fetching.proxy.faults = [Fault("GET", "/one1/manifests", times=-1, status=403)]
    with pytest.raises(ImageError, match="3 of 4 container images could not be fetched") as caught:
        fetching(["none:1", "one0:1", "one1:1", "nothing:2"], "linux/amd64")
    told = [line.partition(": ")[0].rpartition("/")[2] for line in caught.value.output]
    assert told == ["none:1", "one1:1", "nothing:2"]
    assert not fetching.proxy.requests("GET", BLOB)


def test_a_wrong_name_is_told_before_anything_is_asked(fetching: Fetching) -> None:
    with pytest.raises(InputError):
        fetching(["one:1", "A B"], "linux/amd64")
    assert not fetching.proxy.seen


def test_indexes_in_indexes_end(fetching: Fetching, proxy: FaultyProxy, store: Store) -> None:
    with store.stage() as staging:
        inner = index(staging, [(container(staging, 1), "amd64")], INDEX)
        contents = [(staging.blobs / inner.digest[7:]).read_bytes()]
        for _ in range(4):
            inner = index(staging, [(inner, "amd64")], INDEX)
            contents.append((staging.blobs / inner.digest[7:]).read_bytes())
    headers = {"Content-Type": INDEX}
    proxy.faults = [
        *(Fault("GET", f"{MANIFEST}{digest_of(content)}", -1, 200, headers, content) for content in contents),
        Fault("GET", MANIFEST, -1, 200, headers, contents[-1]),
    ]
    with pytest.raises(ImageError, match="too deep in other indexes"):
        fetching(["deep:1"], "linux/amd64")


def test_an_index_that_names_itself_is_no_end(fetching: Fetching, proxy: FaultyProxy) -> None:
    own = "sha256:" + "0" * 64
    entries = [{"mediaType": INDEX, "digest": own, "size": 300}]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    proxy.faults = [Fault("GET", MANIFEST, -1, 200, {"Content-Type": INDEX}, content)]
    with pytest.raises(ImageError, match="is not what it should be"):
        fetching(["cycle:1"], "linux/amd64")
    assert len(proxy.seen) < 10


def test_an_index_with_too_many_manifests_is_refused(fetching: Fetching, proxy: FaultyProxy) -> None:
    entries = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 3} for n in range(1001)]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    proxy.faults = [Fault("GET", MANIFEST, -1, 200, {"Content-Type": INDEX}, content)]
    with pytest.raises(ImageError, match="too many manifests"):
        fetching(["many:1"], "linux/amd64")


def test_a_foreign_layer_is_refused_before_a_blob_is_fetched(fetching: Fetching, proxy: FaultyProxy) -> None:
    part = {"mediaType": "x/foreign", "digest": "sha256:" + "1" * 64, "size": 3}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {**part, "mediaType": "c"}, "layers": [part]}
    content = json.dumps(document).encode()
    proxy.faults = [Fault("GET", MANIFEST, -1, 200, {"Content-Type": OCI_MANIFEST}, content)]
    with pytest.raises(ImageError, match="foreign layer"):
        fetching(["windows:1"])
    assert not proxy.requests("GET", BLOB)
