"""Lists of images that people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.image.discovery.lists import (
    given_images,
    ignored_images,
    images_of,
    images_with_auth,
    is_image_list,
    read_image_list,
)
from sealer.image.discovery.model import ImageReference


def test_names_of_lists() -> None:
    names = ("imageList", "manifests/imageList", "imageListDefault", "image-list.txt", "imagelist")
    assert all(is_image_list(name) for name in names)
    assert not any(is_image_list(name) for name in ("imageList.yaml", "images", "myimageList", "imageList/x"))


def test_a_line_an_image() -> None:
    content = b"\xef\xbb\xbf# all\r\nnginx  # web\r\n\r\n- 'quay.io/a/b:v1'\r\n---\r\n"
    found = read_image_list(content)
    assert found == [ImageReference("nginx", 2, "image-list"), ImageReference("quay.io/a/b:v1", 4, "image-list")]


def test_given_images_must_be_right(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("nginx\nnot right\nquay.io/a\nUPPER\n")
    with pytest.raises(InputError) as caught:
        given_images(file)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{file}:2: 'not right' is not the name of an image",
        f"{file}:4: 'UPPER' is not the name of an image",
    ]
    with pytest.raises(InputError):
        ignored_images(file)
    file.write_text("nginx\n")
    assert ignored_images(file) == {"docker.io/library/nginx:latest"}
    with pytest.raises(InputError, match="cannot be read"):
        given_images(tmp_path / "missing")


AUTH = """\
- registry: registry.example.com:5000
  username: builder
  password: hunter2-and-more
  images:
    - registry.example.com:5000/team/app:v1
    - team/tool:v2
- registry: quay.io
  images: [quay.io/a/b]
"""


def test_images_with_auth(tmp_path: Path) -> None:
    file = tmp_path / "auth.yaml"
    file.write_text(AUTH)
    first, second = images_with_auth(file)
    assert first.images == ("registry.example.com:5000/team/app:v1", "registry.example.com:5000/team/tool:v2")
    assert (first.registry, first.username, first.password.reveal()) == (
        "registry.example.com:5000",
        "builder",
        "hunter2-and-more",
    )
    assert "hunter2" not in repr(first)
    assert second.images == ("quay.io/a/b:latest",)
    assert not second.password
    assert [mention.line for mention in images_of([first, second])] == [1, 1, 7]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b", "a list is needed"),
        ("- x", "a mapping with registry, username, password, images is needed"),
        ("- registry: quay.io\n", "a list of images is needed"),
        ("- registry: quay.io\n  images: []\n", "a list of images is needed"),
        ("- registry: quay.io\n  images: [A]\n", "[0].images[0]: 'A' is not the name of an image"),
        ("- registry: quay.io\n  images: [[a]]\n", "[0].images[0]: a text is needed"),
        ("- images: [a]\n", "[0].registry: it is needed"),
        ("- registry: a/B\n  images: [a]\n", "is no registry's name"),
        ("- registry: quay.io\n  images: [a]\n  username: u\n", "a username needs a password"),
        ("- registry: quay.io\n  images: [a]\n  user: u\n", "there is no such field"),
        ("- registry: quay.io\n  images: [a]\n  username: [u]\n  password: p\n", "[0].username: a text is needed"),
        ("- [", "invalid YAML"),
    ],
)
def test_mistakes_in_images_with_auth(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "auth.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        images_with_auth(file)
    assert any(problem in str(one) for one in caught.value.problems), caught.value.problems
