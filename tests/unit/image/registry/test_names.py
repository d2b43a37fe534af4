from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.image.registry.names import complete, complete_container, host_and_port, is_loopback, registry_of

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("kubernetes", "docker.io/sealerio/kubernetes:latest"),
        ("kubernetes:v1.19.8", "docker.io/sealerio/kubernetes:v1.19.8"),
        ("team/app:v1", "docker.io/team/app:v1"),
        ("docker.io/team/app", "docker.io/team/app:latest"),
        ("index.docker.io/team/app", "docker.io/team/app:latest"),
        ("registry.example.com/ns/app:v1", "registry.example.com/ns/app:v1"),
        ("registry.example.com:5000/ns/app:v1", "registry.example.com:5000/ns/app:v1"),
        (f"registry.example.com:5000/ns/app:v1@{D}", f"registry.example.com:5000/ns/app:v1@{D}"),
        (f"localhost:5000/app@{D}", f"localhost:5000/app@{D}"),
        ("localhost/app", "localhost/app:latest"),
        ("[::1]:5000/a/b/c:x", "[::1]:5000/a/b/c:x"),
    ],
)
def test_a_cluster_image_is_found(text: str, full: str) -> None:
    assert str(complete(text)) == full


def test_the_default_is_configurable() -> None:
    assert str(complete("app", "r.io:5000/a/b")) == "r.io:5000/a/b/app:latest"
    assert str(complete("team/app", "r.io:5000/a/b")) == "r.io:5000/team/app:latest"
    assert str(complete("app", "r.io")) == "r.io/app:latest"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("library/nginx", "docker.io/library/nginx:latest"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        (f"registry.k8s.io/pause:3.9@{D}", f"registry.k8s.io/pause:3.9@{D}"),
        ("quay.io/nginx", "quay.io/nginx:latest"),
    ],
)
def test_a_container_image_is_found(text: str, full: str) -> None:
    assert str(complete_container(text)) == full


@pytest.mark.parametrize(
    "text",
    ["", "/a", "a/", "a/B:v1", "a:v1:v2", "a@sha256:12", "a b", "r.io:port/a", "r.io/", "[1:2:3]:5000/a", "::1/a"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not the name of an image"):
        complete(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("localhost", "localhost"),
        ("harbor", "harbor"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_registry_is_named(text: str, name: str) -> None:
    assert registry_of(text) == name


@pytest.mark.parametrize("text", ["", "a b", "https://", "me@registry.io", "-x", "r.io:port"])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not the name of a registry"):
        registry_of(text)


def test_hosts() -> None:
    assert host_and_port("r.io") == ("r.io", 0)
    assert host_and_port("r.io:5000") == ("r.io", 5000)
    assert host_and_port("[::1]:5000") == ("::1", 5000)
    assert host_and_port("[::1]") == ("::1", 0)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.9", "127.1", "2130706433", "0x7f.0.0.1"),
        *("::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::1%lo"),
    ],
)
def test_every_way_to_write_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.com", "fe80::1", "registry", "1.2.3.4.5", "é.example"])
def test_other_machines_are_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (complete, complete_container, registry_of):
        try:
            found = read(text)
        except InputError:
            continue
        assert str(found)


@given(st.from_regex(r"[a-z0-9.:/@_-]{1,80}", fullmatch=True))
def test_a_completed_name_is_its_own(text: str) -> None:
    try:
        place = complete(text)
    except InputError:
        return
    assert complete(str(place)) == place
