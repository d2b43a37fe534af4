"""A registry in trouble: each case ends in a bounded retry that continues, or in one clear error."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Iterator

import pytest
from docker_registry import DockerRegistry
from faulty_proxy import BLOB, MANIFEST, UPLOAD, Fault, FaultyProxy
from sample_images import MakeRegistries, blobs_of, cluster_image

from sealer.errors import ImageError, RegistryError
from sealer.events import Event, EventStream, State
from sealer.image.oci import Descriptor
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.store import Store


@pytest.fixture
def name(proxy: FaultyProxy) -> str:
    return f"{proxy.address}/ns/app:v1"


@pytest.fixture
def image(name: str, store: Store, registries: MakeRegistries, events: EventStream, proxy: FaultyProxy) -> Descriptor:
    """One that the registry has; its larger layer has 3 MB."""
    made = cluster_image(store, [name])
    push(store, registries(), events, name)
    proxy.up = proxy.down = 0
    proxy.seen.clear()
    return made


def layer_of(store: Store, name: str) -> Descriptor:
    layer = store.find(name).first.layers[1]
    return Descriptor("", layer.digest, layer.size)


def untouched(store: Store) -> bool:
    return not store.catalogue().entries and not list(store.root.glob("tmp/*"))


@pytest.mark.usefixtures("image")
class TestPull:
    def test_a_broken_connection_is_continued_where_it_broke(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        layer = layer_of(store, name)
        proxy.faults = [Fault("GET", layer.digest, cut=2_000_000), Fault("GET", layer.digest, cut=500_000)]
        pull(other, registries(), events, name)
        ranges = [seen.headers.get("Range") for seen in proxy.requests("GET", layer.digest)]
        assert ranges == [None, "bytes=2000000-", "bytes=2500000-"]
        assert blobs_of(other) == blobs_of(store)

    def test_a_registry_without_ranges_begins_again(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        layer = layer_of(store, name)
        proxy.faults = [Fault("GET", layer.digest, cut=2_000_000), Fault("GET", layer.digest, unfollowed=True)]
        pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)
        assert proxy.down >= 2_000_000 + layer.size

    @pytest.mark.parametrize("status", [500, 502, 503, 429])
    @pytest.mark.parametrize("path", [BLOB, MANIFEST])
    def test_a_passing_failure_is_sat_out(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream,
        seen: list[Event], status: int, path: str,
    ) -> None:  # fmt: skip
        proxy.faults = [Fault("GET", path, times=2, status=status, headers={"Retry-After": "0"})]
        pull(other, registries(), events, name)
        told = [event.message for event in seen if event.state is State.RETRYING]
        assert len(told) == 2
        assert f"it answers {status}; trying again" in told[0]

    def test_a_lasting_failure_ends_after_some_attempts(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        body = b'{"errors": [{"code": "UNAVAILABLE", "message": "the disk\\nis full"}]}'
        proxy.faults = [Fault("GET", MANIFEST, times=-1, status=503, body=body)]
        with pytest.raises(RegistryError, match="it answers 503: the disk is full") as caught:
            pull(other, registries(), events, name)
        assert len(proxy.requests("GET", MANIFEST)) == 4
        assert "4 attempts failed" in caught.value.remedy
        assert untouched(other)

    @pytest.mark.parametrize("date", [True, False])
    def test_retry_after_is_heeded(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream, date: bool
    ) -> None:
        value = email.utils.formatdate(time.time() + 2, usegmt=True) if date else "1"
        proxy.faults = [Fault("GET", MANIFEST, status=429, headers={"Retry-After": value})]
        begun = time.monotonic()
        pull(other, registries(), events, name)
        assert time.monotonic() - begun >= 0.9

    def test_a_registry_that_wants_rest_for_an_hour_is_left_alone(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        proxy.faults = [Fault("GET", MANIFEST, status=429, headers={"Retry-After": "3600"})]
        with pytest.raises(RegistryError, match="it asks to be left alone for 3600 seconds"):
            pull(other, registries(), events, name)
        assert len(proxy.requests("GET", MANIFEST)) == 1

    @pytest.mark.parametrize("path", [BLOB, MANIFEST])
    def test_a_registry_that_says_nothing_is_not_waited_for(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream, path: str
    ) -> None:
        proxy.faults = [Fault("GET", path, times=-1, hang=True)]
        with pytest.raises(RegistryError, match="nothing was heard for too long"):
            pull(other, registries(silence=0.2, attempts=2), events, name)
        assert untouched(other)

    def test_a_registry_that_falls_silent_in_the_middle_is_asked_again(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream, seen: list[Event],
    ) -> None:  # fmt: skip
        proxy.gate = 2_000_000
        events.subscribe(lambda event: proxy.open_gate() if event.state is State.RETRYING else None)
        pull(other, registries(silence=0.3), events, name)
        assert proxy.reached.is_set()
        assert "Range" in proxy.requests("GET", layer_of(store, name).digest)[-1].headers
        assert blobs_of(other) == blobs_of(store)

    def test_a_registry_that_drips_is_not_waited_for(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        proxy.faults = [Fault("GET", layer_of(store, name).digest, times=-1, drip=True)]
        with pytest.raises(RegistryError, match=r"it came at [0-9]+ bytes a second"):
            pull(other, registries(silence=0.2, attempts=2), events, name)
        assert untouched(other)

    def test_wrong_bytes_are_not_taken(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        layer = layer_of(store, name)
        proxy.faults = [Fault("GET", layer.digest, times=-1, change=lambda content: content[:-1] + b"x")]
        with pytest.raises(ImageError, match="its bytes have another digest") as caught:
            pull(other, registries(), events, name)
        assert layer.digest in caught.value.where
        assert len(proxy.requests("GET", layer.digest)) == 1
        assert untouched(other)
        assert not [path for path in other.downloads.iterdir() if path.name.startswith(layer.digest[7:]) and
                    path.stat().st_size]  # fmt: skip

    @pytest.mark.parametrize("change", [lambda content: content + b"x", lambda content: content[:-1]])
    def test_a_wrong_size_is_not_taken(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream, change: Callable[[bytes], bytes],
    ) -> None:  # fmt: skip
        layer = layer_of(store, name)
        proxy.faults = [Fault("GET", layer.digest, times=-1, change=change)]
        with pytest.raises(ImageError, match=f"it must have {layer.size} bytes"):
            pull(other, registries(), events, name)
        assert untouched(other)

    def test_a_changed_manifest_is_not_taken(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        rootfs = store.find(name).first.digest
        proxy.faults = [Fault("GET", rootfs, change=lambda content: content + b"\n")]
        with pytest.raises(ImageError, match="a manifest is not what it should be"):
            pull(other, registries(), events, name)
        assert untouched(other)

    def test_a_pinned_index_must_have_its_digest(
        self, proxy: FaultyProxy, name: str, image: Descriptor, other: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        proxy.faults = [Fault("GET", MANIFEST, change=lambda content: content + b"\n")]
        with pytest.raises(ImageError, match="a manifest is not what it should be"):
            pull(other, registries(), events, f"{name}@{image.digest}")

    def test_a_manifest_without_an_end_is_not_read(
        self, proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        proxy.faults = [Fault("GET", MANIFEST, change=lambda content: b"[" * 5_000_000)]
        with pytest.raises(ImageError, match="a manifest is too large"):
            pull(other, registries(), events, name)

    def test_the_first_failure_ends_the_others(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        layer = layer_of(store, name)
        config = json.loads(store.path(store.find(name).first.digest).read_bytes())["config"]["digest"]
        proxy.faults = [Fault("GET", layer.digest, hang=True), Fault("GET", config, times=-1, status=404)]
        begun = time.monotonic()
        with pytest.raises(ImageError, match="no such thing in the registry"):
            pull(other, registries(silence=60), events, name)
        assert time.monotonic() - begun < 30


@pytest.fixture
def elsewhere() -> Iterator[FaultyProxy]:
    """Another server, which has a bucket of blobs."""
    with FaultyProxy() as started:
        yield started


def test_credentials_do_not_follow_a_redirect(
    proxy: FaultyProxy, elsewhere: FaultyProxy, store: Store, other: Store, registries: MakeRegistries,
    events: EventStream,
) -> None:  # fmt: skip
    name = f"{proxy.address}/ns/app:v1"
    image = cluster_image(store, [name])
    push(store, registries(), events, name)
    auths: dict[str, object] = {"auths": {proxy.address: {"username": "me", "password": "geheimnis"}}}
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    proxy.faults = [Fault("GET", MANIFEST, status=401, headers=challenge)]
    for blob in store.closure(image):
        content = store.path(blob).read_bytes()
        proxy.faults.append(
            Fault(
                "GET",
                f"blobs/{blob}",
                status=307,
                headers={"Location": f"http://{elsewhere.address}/bucket/{blob}?sig=1"},
            )
        )
        elsewhere.faults.append(Fault("GET", f"/bucket/{blob}", status=200, body=content))
    pull(other, registries(auths=auths), events, name)
    assert blobs_of(other) == blobs_of(store)
    assert len(elsewhere.seen) == 3
    assert not [seen for seen in elsewhere.seen if "Authorization" in seen.headers]
    signed = [seen for seen in proxy.requests("GET", BLOB) if "Authorization" in seen.headers]
    assert len(signed) == len(proxy.requests("GET", BLOB)) == 3


def test_redirects_end(
    proxy: FaultyProxy, name: str, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    proxy.faults = [Fault("GET", MANIFEST, times=-1, status=302, headers={"Location": "/v2/a/b/manifests/c"})]
    with pytest.raises(RegistryError, match="redirects without an end"):
        pull(other, registries(), events, name)
    assert len(proxy.seen) < 12


class TestPush:
    def test_a_passing_failure_is_sat_out(
        self, proxy: FaultyProxy, name: str, store: Store, registries: MakeRegistries, events: EventStream, other: Store
    ) -> None:
        cluster_image(store, [name])
        proxy.faults = [
            Fault("HEAD", BLOB, status=503),
            Fault("POST", UPLOAD, status=500),
            Fault("PATCH", UPLOAD, status=502),
            Fault("PUT", UPLOAD, times=2, status=503),
            Fault("PUT", MANIFEST, status=429, headers={"Retry-After": "0"}),
        ]
        push(store, registries(), events, name)
        pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_a_broken_upload_begins_again_at_a_registry_that_forgets(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        cluster_image(store, [name])
        proxy.faults = [Fault("PATCH", UPLOAD, times=2, cut=2_000_000)]
        push(store, registries(), events, name)
        pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_a_broken_upload_goes_on_at_a_registry_that_keeps_it(
        self, registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        with FaultyProxy(registry.address, keeps_uploads=True) as proxy:
            name = f"{proxy.address}/ns/app:v1"
            cluster_image(store, [name])
            layer = layer_of(store, name)
            proxy.faults = [Fault("PATCH", UPLOAD, cut=2_000_000), Fault("PATCH", UPLOAD, cut=500_000)]
            push(store, registries(), events, name)
            ranges = [seen.headers.get("Content-Range") for seen in proxy.requests("PATCH")]
            assert ranges == [None, f"2000000-{layer.size - 1}", f"2500000-{layer.size - 1}"]
            assert proxy.up == layer.size
            pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)
        assert not list(store.uploads.iterdir())

    def test_a_lasting_failure_ends_after_some_attempts_and_may_be_continued(
        self, registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        with FaultyProxy(registry.address, keeps_uploads=True) as proxy:
            name = f"{proxy.address}/ns/app:v1"
            cluster_image(store, [name])
            proxy.faults = [Fault("PATCH", UPLOAD, times=4, cut=1000)]
            with pytest.raises(RegistryError, match="cannot be reached"):
                push(store, registries(), events, name)
            assert len(proxy.requests("PATCH")) == 4
            push(store, registries(), events, name)
            size = layer_of(store, name).size
            assert proxy.requests("PATCH")[-1].headers["Content-Range"] == f"4000-{size - 1}"
            pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_an_upload_that_is_forgotten_is_begun_again(
        self, proxy: FaultyProxy, name: str, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        cluster_image(store, [name])
        proxy.faults = [Fault("PATCH", UPLOAD, status=404), Fault("PUT", UPLOAD, status=404)]
        push(store, registries(), events, name)
        pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_an_early_answer_is_heard(
        self, proxy: FaultyProxy, name: str, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        cluster_image(store, [name])
        body = b'{"errors": [{"code": "DENIED", "message": "your quota is used up"}]}'
        proxy.faults = [Fault("PATCH", UPLOAD, times=-1, status=413, body=body)]
        with pytest.raises(RegistryError, match="it answers 413: your quota is used up"):
            push(store, registries(), events, name)

    def test_a_push_may_be_forbidden(
        self, proxy: FaultyProxy, name: str, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        cluster_image(store, [name])
        proxy.faults = [Fault("POST", UPLOAD, times=-1, status=403)]
        with pytest.raises(RegistryError, match="does not allow it") as caught:
            push(store, registries(), events, name)
        assert f"sealer login {proxy.address}" in caught.value.remedy


def test_nobody_listens(store: Store, registries: MakeRegistries, events: EventStream, seen: list[Event]) -> None:
    with FaultyProxy() as gone:
        name = f"{gone.address}/ns/app:v1"
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=r"cannot be reached.*[Rr]efused"):
        pull(store, registries(), events, name)
    assert time.monotonic() - begun < 10
    assert len([event for event in seen if event.state is State.RETRYING]) == 1


def test_a_server_that_is_no_registry(store: Store, registries: MakeRegistries, events: EventStream) -> None:
    with FaultyProxy() as web:
        web.faults = [Fault("GET", MANIFEST, status=200, headers={"Content-Type": "text/html"}, body=b"<html>Hello")]
        with pytest.raises(ImageError, match="not a JSON document"):
            pull(store, registries(), events, f"{web.address}/ns/app:v1")
