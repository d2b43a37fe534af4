"""A whole tree: which files are read, and what becomes of what is found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import ImageError
from sealer.image.cache import BuildCache
from sealer.image.discovery.discover import DiscoveryRequest, discover, own_ignore
from sealer.image.discovery.files import DirectoryFiles, Files, ReadFiles, stage
from sealer.image.discovery.model import Discovery, ImageReference, Mention, Place, UnresolvedReference
from sealer.image.discovery.readers import Readers
from sealer.image.discovery.rendering import brings_helm
from sealer.image.files import LARGEST_FILE, RootfsFiles
from sealer.image.ignore import Ignore
from sealer.image.model import Layer, Rootfs

POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: {}\n"


def found_in(files: Files, request: DiscoveryRequest | None = None) -> Discovery:
    return discover(files, Readers().read, request)


def images(found: Discovery) -> list[str]:
    return [one.image for one in found.images]


def write(root: Path, **files: str | bytes) -> DirectoryFiles:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DirectoryFiles(root)


def test_each_image_once_with_every_place(tmp_path: Path) -> None:
    files = write(tmp_path, b=POD.format("nginx"), a__c=POD.format("docker.io/library/nginx:latest"), z="image: a/b:1")
    [first, second] = found_in(files).images
    assert (first.image, first.guess) == ("docker.io/a/b:1", False)
    assert second.image == "docker.io/library/nginx:latest"
    assert second.found == (Place("a/c", 5, "container"), Place("b", 5, "container"))


def test_a_place_that_says_it_outright_makes_it_no_guess() -> None:
    mentions = [ImageReference("nginx", 1, "x", guess=True), ImageReference("nginx", 2, "y")]
    contents = {"a": b"a"}
    found = discover(ReadFiles(contents, contents.__getitem__), lambda path, content, files: mentions)
    assert not found.images[0].guess
    found = discover(ReadFiles(contents, contents.__getitem__), lambda path, content, files: mentions[:1])
    assert found.images[0].guess


def test_a_name_that_a_reader_got_wrong_is_unresolved() -> None:
    contents = {"a": b"a"}
    answer: list[Mention] = [
        ImageReference("a/Lower", 3, "theirs", file="b"),
        UnresolvedReference("two\nlines " + "x" * 500, "why", 4),
    ]
    found = discover(ReadFiles(contents, contents.__getitem__), lambda path, content, files: answer)
    assert [str(one)[:60] for one in found.unresolved] == [
        "a:4: two lines " + "x" * 45,
        "b:3: a/Lower: names are written in lower case: 'a/lower'",
    ]
    assert len(found.unresolved[0].text) == 200
    with pytest.raises(ImageError, match="2 mentions of images could not be resolved"):
        found.require_resolved()
    Discovery().require_resolved()


def test_ignored_files_and_images(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        **{".sealerignore": "# no tests\ntests\n*.bak\n!tests/keep.yaml\n"},
        tests__a=POD.format("in/tests:1"),
        **{"tests__keep.yaml": POD.format("kept:1"), "x.bak": POD.format("backup:1")},
        web=POD.format("nginx"),
        db=POD.format("docker.io/library/postgres"),
    )
    request = DiscoveryRequest(ignored_images=frozenset({"docker.io/library/nginx:latest"}))
    found = found_in(files, request)
    assert found.passed_over == 2
    assert images(found) == ["docker.io/library/kept:1", "docker.io/library/postgres:latest"]
    assert [one.image for one in found.ignored] == ["docker.io/library/nginx:latest"]
    assert own_ignore(ReadFiles((), lambda path: b"")) == Ignore()


def test_an_ignored_chart_is_ignored_whole(tmp_path: Path) -> None:
    files = write(
        tmp_path, **{"c__Chart.yaml": "name: c\n", "c__values.yaml": "image: a/b:1\n", "c__templates__x.yaml": ""}
    )
    assert images(found_in(files)) == ["docker.io/a/b:1"]
    found = found_in(files, DiscoveryRequest(Ignore.parse("c")))
    assert (found.images, found.passed_over) == ((), 0)  # it is not the tree that says so


def test_given_images_are_found_where_they_were_given(tmp_path: Path) -> None:
    request = DiscoveryRequest(given=(("list.txt", [ImageReference("busybox", 3, "given")]),))
    found = found_in(write(tmp_path, a=POD.format("busybox")), request)
    assert found.images[0].found == (Place("a", 5, "container"), Place("list.txt", 3, "given"))


def test_binary_files_and_links_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(POD.format("outside:1"))
    root = tmp_path / "root"
    files = write(root, binary=b"\x7fELF\0" + POD.format("in/binary:1").encode(), text=POD.format("text:1"))
    (root / "link").symlink_to("../outside")
    (root / "directory").symlink_to("..")
    os.mkfifo(root / "pipe")
    assert list(files.paths()) == ["binary", "text"]
    assert images(found_in(files)) == ["docker.io/library/text:1"]
    with pytest.raises(ImageError, match="link"):
        files.read("link")


def test_a_single_file(tmp_path: Path) -> None:
    write(tmp_path, a=POD.format("a:1"), b=POD.format("b:1"))
    assert images(found_in(DirectoryFiles(tmp_path / "a"))) == ["docker.io/library/a:1"]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    padding = "# " + "x" * LARGEST_FILE + "\n"
    files = write(tmp_path, **{"a.yaml": padding + POD.format("a:1"), "log.txt": padding})
    found = found_in(files)
    assert not found.images
    assert [str(one) for one in found.unresolved] == [f"a.yaml: a.yaml: more than {LARGEST_FILE} bytes are not read"]


def test_a_file_that_goes_while_it_is_looked_for(tmp_path: Path) -> None:
    files = write(tmp_path, a="image: x")
    assert list(files.paths()) == ["a"]
    (tmp_path / "a").unlink()
    with pytest.raises(ImageError, match="a file cannot be read"):
        found_in(files)


def test_the_layers_of_a_rootfs(tmp_path: Path, make_layer: Callable[..., Layer]) -> None:
    layers = (
        make_layer("gone.yaml=image: gone/x:1", "over.yaml=image: under/x:1", "bin/tool=\x7fELF\0image: bin/x:1"),
        make_layer(".wh.gone.yaml", "over.yaml=image: over/x:1", "same => over.yaml", "link -> over.yaml"),
        make_layer("manifests/deep/a.json=" + '{"image": "json/x:1"}'),
    )
    wanted = ["docker.io/json/x:1", "docker.io/over/x:1"]
    staged = stage(layers, tmp_path / "staged")
    assert list(staged.paths()) == ["manifests/deep/a.json", "over.yaml", "same"]
    assert images(found_in(staged)) == wanted
    assert not (tmp_path / "staged" / "bin").exists()
    assert images(found_in(RootfsFiles(Rootfs("linux/amd64", "", layers)))) == wanted


def test_the_helm_of_a_rootfs_is_staged(tmp_path: Path, make_layer: Callable[..., Layer]) -> None:
    layers = (make_layer("bin/helm=#!/bin/sh\n#\0", "bin/other=\0"), make_layer("x => bin/helm"))
    staged = stage(layers, tmp_path / "staged")
    assert brings_helm(staged.root)
    assert list(staged.paths()) == ["bin/helm", "x"]


def test_a_layer_without_anything_to_read_is_read_once(tmp_path: Path, make_layer: Callable[..., Layer]) -> None:
    cache = BuildCache(tmp_path / "store", tmp_path)
    silent = make_layer("tool=\x7fELF\0", "bin/other=\0", "link -> tool")
    layers = [silent, make_layer("a.yaml=image: a/x:1", "tool=image: b/x:1", "same => bin/other")]
    first = stage(layers, tmp_path / "first", cache)
    assert list(first.paths()) == ["a.yaml", "tool"]
    silent.path.unlink()
    again = stage(layers, tmp_path / "again", cache)
    assert [(path, again.read(path)) for path in again.paths()] == [(path, first.read(path)) for path in first.paths()]
    with pytest.raises(ImageError, match="a layer cannot be read"):
        stage(layers, tmp_path / "uncached", BuildCache(tmp_path / "store", tmp_path, reading=False))


def test_a_layer_without_anything_to_read_may_have_the_helm_of_another(
    tmp_path: Path, make_layer: Callable[..., Layer]
) -> None:
    cache = BuildCache(tmp_path / "store", tmp_path)
    layers = [make_layer("tools/helm=\0one", "tools/helm=\0two"), make_layer("bin/helm => tools/helm", "a=x")]
    for name in ("first", "again"):
        staged = stage(layers, tmp_path / name, cache)
        assert list(staged.paths()) == ["a", "bin/helm", "tools/helm"]
        assert staged.read("bin/helm") == b"\0two"
        assert os.access(staged.root / "bin" / "helm", os.X_OK)


def test_templates_of_a_rootfs_see_the_environment_of_the_image() -> None:
    contents = {
        "a.yaml.tmpl": b"image: {{ .docker_registry }}/x:{{ .V | default `1` }}\n",
        "b.yaml": b"image: {{ .V }}/x:1\n",
    }
    readers = Readers(variables={"docker-registry": "r.io:5000"})
    found = discover(ReadFiles(contents, contents.__getitem__), readers.read)
    assert images(found) == ["r.io:5000/x:1"]
    assert [str(one.place) for one in found.unresolved] == ["b.yaml:1"]
