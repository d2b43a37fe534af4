"""What names an image, and what only looks like it."""

from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.image.discovery.keys import is_image_like, is_image_list, is_image_variable
from sealer.image.discovery.names import is_complete, is_plausible, normalised

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("r.example.com:5000/ns/app", "r.example.com:5000/ns/app:latest"),
        ("R.Example.COM/ns/app:V1", "r.example.com/ns/app:V1"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"quay.io/a/b:v1@{DIGEST}", f"quay.io/a/b:v1@{DIGEST}"),
        ("docker://quay.io/a/b", "quay.io/a/b:latest"),
        ("a/b/c/d:v1", "docker.io/a/b/c/d:v1"),
    ],
)
def test_normalised(written: str, wanted: str) -> None:
    assert normalised(written) == wanted
    assert normalised(wanted) == wanted


@pytest.mark.parametrize(
    "written", ["", "Nginx", "a b", "nginx:", "nginx@sha256:ab", "https://x/y", "-a", "a//b", "x:y:z"]
)
def test_what_is_no_name(written: str) -> None:
    with pytest.raises(InputError):
        normalised(written)


@pytest.mark.parametrize(
    "text", ["nginx", "a/b:c", f"a@{DIGEST}", "docker://a/b", "localhost:5000/x", "my.registry/x.y"]
)
def test_plausible(text: str) -> None:
    assert is_plausible(text)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "https://a/b", "/a", "./a", "a.png", "a/b.JPG?x=1", "quay.io/*", "{a}", "<none>", "a,b", "`a`"],
)
def test_not_plausible(text: str) -> None:
    assert not is_plausible(text)


@pytest.mark.parametrize(
    "text",
    ["quay.io/a/b:v1", f"quay.io/a@{DIGEST}", "localhost:5000/a:b", "h:5000/a/b:1.2", "docker.io/library/postgres:15"],
)
def test_complete(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize(
    "text",
    [
        "nginx:1",
        "a/b:1",
        "quay.io/a/b",
        "example.com/path:8080",
        "example.com/path:443",
        "h:5000/a",
        "1.2.3/a:b",
        "a.b:c",
    ],
)
def test_not_complete(text: str) -> None:
    assert not is_complete(text)


@pytest.mark.parametrize(
    "key",
    ["image", "Image", "sidecarImage", "docker_image", "HELPER_IMAGE", "a.io/proxyImage", "baseimage", "helper-image"],
)
def test_keys_of_images(key: str) -> None:
    assert is_image_like(key)


@pytest.mark.parametrize(
    "key",
    [
        "imagePullPolicy",
        "images",
        "logoImage",
        "osImage",
        "background-image",
        "vmImage",
        "imagePath",
        "imageTag",
        "pullImage",
    ],
)
def test_keys_of_something_else(key: str) -> None:
    assert not is_image_like(key)


def test_keys_of_lists() -> None:
    assert all(is_image_list(key) for key in ("images", "relatedImages", "extra_images", "imageList"))
    assert not any(is_image_list(key) for key in ("image", "exemptImages", "imagePullSecrets", "matchImages"))


def test_names_of_variables() -> None:
    assert all(is_image_variable(name) for name in ("X_IMAGE", "RELATED_IMAGE_X", "builder-image", "image"))
    assert not any(is_image_variable(name) for name in ("IMAGE_PULL_POLICY", "IMAGE_TAG", "IMAGES_DIR", "PULL_IMAGE"))
