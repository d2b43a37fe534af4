"""What images that sealer did not build become: their links, and the registry in images of the original sealer."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_archives import OciImage, oci_image

from sealer.errors import ImageError
from sealer.image.adoption.registry_directory import RegistryDirectory
from sealer.image.adoption.survey import contained
from sealer.image.adoption.upstream import EXTENSION, read_original, version_label
from sealer.image.discovery.model import FoundImage, Place
from sealer.image.links import stays_inside
from sealer.image.staging import Staging
from sealer.image.store import Store
from sealer.image.tarstream import Content, Kind, Member

V2 = "registry/docker/registry/v2"
names = st.sampled_from(["a", "b", "..", ".", ""])
paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join)


@given(paths, st.builds(lambda root, parts: ("/" if root else "") + "/".join(parts), st.booleans(), st.lists(names)))
def test_a_link_leads_where_it_leads_in_a_container(path: str, target: str) -> None:
    link = contained(path, target)
    assert link == target or stays_inside(path, link)
    there = [] if target.startswith("/") else path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            there = there[:-1]
        elif part not in ("", "."):
            there.append(part)
    here = path.split("/")[:-1]
    for part in link.split("/"):
        here = here[:-1] if part == ".." else [*here, *([part] if part not in ("", ".") else [])]
    assert here == there


class TestRegistryDirectory:
    @pytest.fixture
    def staging(self, tmp_path: Path) -> Iterator[Staging]:
        with Store(tmp_path / "images").stage() as staging:
            yield staging

    @pytest.fixture
    def directory(self, staging: Staging) -> RegistryDirectory:
        return RegistryDirectory(staging)

    def take(self, directory: RegistryDirectory, path: str, content: bytes) -> None:
        member = Member(f"{V2}/{path}", Kind.FILE, 0o644, len(content))
        directory.take(member.path, member, Content(io.BytesIO(content), len(content)))

    def put(self, directory: RegistryDirectory, image: OciImage, *links: str) -> None:
        for name, content in image.blobs.items():
            self.take(directory, f"blobs/sha256/{name[:2]}/{name}/data", content)
        for link in links:
            self.take(directory, f"repositories/{link}/link", image.root.encode())

    def test_an_index_that_no_tag_names(self, directory: RegistryDirectory) -> None:
        both = oci_image("both", ["amd64", "arm64"])
        revisions = [
            f"team/both/_manifests/revisions/sha256/{one[7:]}" for one in (both.root, *both.manifests.values())
        ]
        self.put(directory, both, *revisions)
        (found,), problems = directory.images("linux/arm64", ())
        assert (found.reference, found.manifest.digest) == (
            f"sea.hub:5000/team/both@{both.root}",
            both.manifests["arm64"],
        )
        assert found.index is not None
        assert found.index.digest == both.root
        assert problems == []
        assert directory.images("linux/s390x", ()) == (
            [], [f"sea.hub:5000/team/both@{both.root}: it is not there for the platform: linux/s390x"],
        )  # fmt: skip

    def test_every_name_that_fits(self, directory: RegistryDirectory) -> None:
        image = oci_image("one")
        self.put(directory, image, "team/app/_manifests/tags/v1/current", "team/app/_manifests/tags/v2/current")
        place = Place("a.yaml", 1, "container")
        known = [
            FoundImage("docker.io/team/app:v1", (place,)),
            FoundImage("quay.io/team/app:v1", ()),
            FoundImage(f"quay.io/team/app@{image.root}", ()),
            FoundImage("quay.io/team/app:v3", ()),
            FoundImage("quay.io/other/app:v1", ()),
        ]
        found, _ = directory.images("linux/amd64", known)
        assert {one.reference: one.found for one in found} == {
            "docker.io/team/app:v1": (place,),
            "quay.io/team/app:v1": (),
            f"quay.io/team/app@{image.root}": (),
        }

    @pytest.mark.parametrize("content", [b"", b"sha256:1", b"../../etc/passwd", b"x" * 300])
    def test_a_link_to_no_digest(self, directory: RegistryDirectory, content: bytes) -> None:
        with pytest.raises(ImageError, match="leads to no digest"):
            self.take(directory, "repositories/a/_manifests/tags/v1/current/link", content)

    def test_a_blob_under_another_name(self, directory: RegistryDirectory) -> None:
        with pytest.raises(ImageError, match="a blob is not what it should be"):
            self.take(directory, f"blobs/sha256/00/{'0' * 64}/data", b"x")

    def test_what_is_not_there(self, directory: RegistryDirectory) -> None:
        self.take(directory, "repositories/a/_manifests/tags/v1/current/link", b"sha256:" + b"0" * 64)
        self.take(directory, "repositories/a/_layers/sha256/x/link", b"anything")
        found, (problem,) = directory.images("linux/amd64", ())
        assert found == []
        assert problem == f"sea.hub:5000/a:v1: it is not whole: sha256:{'0' * 64} is missing"


KEYS = [
    "launch",
    "applications",
    "env",
    "labels",
    "cmds",
    "app_names",
    "name",
    "files",
    "image_config",
    "cmd",
    "args",
    "parent",
    "current",
    "type",
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
)


class TestOriginal:
    def test_anything_else_is_none(self) -> None:
        assert read_original({"a": "b"}, {"config": {}, "spec": {"x": 1}}, "here") is None

    @pytest.mark.parametrize("text", ["{", "[]", "1", "[" * 5000])
    def test_an_extension_that_nobody_can_read(self, text: str) -> None:
        with pytest.raises(ImageError, match=re.escape(f"the annotation {EXTENSION} is not as")):
            read_original({EXTENSION: text}, {}, "here")

    @given(anything)
    def test_whatever_stands_there(self, value: object) -> None:
        extension = json.dumps({"launch": value, "applications": [value], "env": value, "labels": value})
        assert read_original({EXTENSION: extension}, {}, "here")
        assert read_original({}, {"spec": {"sealer_version": "v0.8.6", "image_config": value}}, "here")  # type: ignore[dict-item]

    def test_the_version(self) -> None:
        assert version_label(b'{"version": "v1.22.15"}') == {"io.sealer.kubernetes.version": "v1.22.15"}
        for text in (b"", b"{", b"[]", b'{"version": "latest"}', b'{"version": 1}'):
            assert version_label(text) == {}
