"""Registries differ in what the distribution specification leaves open; clients take all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sample_images import blobs_of, cluster_image
from small_registry import SmallRegistry, Ways

from sealer.errors import RegistryError
from sealer.events import EventStream
from sealer.image.registry.configuration import Configuration
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.endpoints import Access
from sealer.image.registry.limits import Limits
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

QUICK = Limits(attempts=2, first_delay=0.01, longest_delay=0.05, connect_timeout=5, silence=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other")


def registries(tmp_path: Path, auths: dict[str, object] | None = None) -> Registries:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": auths or {}}))
    return Registries(Configuration("docker.io/sealerio", {}), AuthFiles.of(path), Access(), QUICK, [])


WAYS = {
    "PATCH 201": Ways(status={"PATCH": 201}),
    "PATCH 204": Ways(status={"PATCH": 204}),
    "PUT 200": Ways(status={"PUT": 200}),
    "PUT 202": Ways(status={"PUT": 202}),
    "POST 200": Ways(status={"POST": 200}),
    "POST 201": Ways(status={"POST": 201}),
    "HEAD 405": Ways(status={"HEAD": 405}),
    "GET 203": Ways(status={"GET": 203, "HEAD": 203}),
    "a path": Ways(location="{path}"),
    "a name beside it": Ways(location="./{id}"),
    "a name": Ways(location="{id}"),
    "no scheme": Ways(location="{host}{path}"),
    "a query": Ways(location="{path}", query="_state=a%20b%2Bc%2Fd%3D%3D&more="),
    "bytes=": Ways(reach="bytes=0-{last}"),
    "bytes of a whole": Ways(reach="bytes 0-{last}/*"),
    "no range": Ways(reach=""),
    **{
        f"{method} {status}": Ways(redirect={method: (status, target)})
        for method in ("GET", "HEAD", "POST", "PUT")
        for status, target in ((307, "{origin}/elsewhere/{path}"), (308, "/elsewhere/{path}"))
    },
    "PATCH 307": Ways(redirect={"PATCH": (307, "/elsewhere/{path}")}),
    "POST 301": Ways(redirect={"POST": (301, "/elsewhere/{path}"), "PATCH": (302, "{origin}/elsewhere/{path}")}),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_image_goes_there_and_back(way: str, tmp_path: Path, store: Store, other: Store) -> None:
    with SmallRegistry(WAYS[way]) as site:
        name = f"{site.address}/ns/app:v1"
        cluster_image(store, [name])
        push(store, registries(tmp_path), EventStream(), name)
        pull(other, registries(tmp_path), EventStream(), name)
        assert blobs_of(other) == blobs_of(store)
        patched = [path for method, path, _ in site.seen if method == "PATCH"]
        assert patched


def test_an_upload_goes_on_where_a_registry_leads_and_credentials_stay(
    tmp_path: Path, store: Store, other: Store
) -> None:
    """Each method is led to a second registry, which must not see who asks."""
    ways = Ways(password="sehr-geheim")
    with SmallRegistry(Ways(location="{path}")) as second, SmallRegistry(ways) as first:
        led = f"http://{second.address}/v2/{{path}}"
        ways.redirect = {
            "HEAD": (307, led), "POST": (307, led), "PATCH": (308, led), "PUT": (307, led), "GET": (302, led)
        }  # fmt: skip
        name = f"{first.address}/ns/app:v1"
        cluster_image(store, [name])
        auths: dict[str, object] = {first.address: {"username": "me", "password": "sehr-geheim"}}
        push(store, registries(tmp_path, auths), EventStream(), name)
        pull(other, registries(tmp_path, auths), EventStream(), name)
        assert blobs_of(other) == blobs_of(store)
        assert {method for method, _, _ in second.seen} == {"HEAD", "POST", "PATCH", "PUT", "GET"}
        assert {signed for _, _, signed in second.seen} == {""}
        assert any(signed for _, _, signed in first.seen)
        assert not first.blobs


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_redirect_out_of_encryption_is_refused(method: str, tmp_path: Path, store: Store) -> None:
    with SmallRegistry(Ways(redirect={method: (307, "http://registry.test.invalid/{path}")})) as site:
        name = f"{site.address}/ns/app:v1"
        cluster_image(store, [name])
        with pytest.raises(RegistryError, match="without encryption"):
            push(store, registries(tmp_path), EventStream(), name)


def test_a_redirect_to_the_same_place_ends(tmp_path: Path, store: Store) -> None:
    with SmallRegistry(Ways(redirect={"POST": (307, "{origin}/v2/{path}")})) as site:
        name = f"{site.address}/ns/app:v1"
        cluster_image(store, [name])
        with pytest.raises(RegistryError, match="redirects without an end"):
            push(store, registries(tmp_path), EventStream(), name)
        assert len([1 for method, *_ in site.seen if method == "POST"]) < 30
