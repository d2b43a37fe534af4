"""Whatever an archive holds: an image comes out of it as it should be, or an error does."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_archives import docker_members, layer, oci_image, oci_members, write_tar

from sealer.errors import ImageError
from sealer.image.archive import load
from sealer.image.gathering.archives import ImageArchives
from sealer.image.store import Store

NAMED = {"org.opencontainers.image.ref.name": "web:1"}
IMAGE = oci_image("web", ["amd64", "arm64"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("whole")
    docker = write_tar(directory / "d.tar", docker_members(["web:1"], [layer("a"), layer("b"), layer("a")]))
    oci = write_tar(directory / "o.tar", oci_members([(IMAGE, NAMED)]))
    return {"docker": docker.read_bytes(), "oci": oci.read_bytes()}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["web:1", "l", "c", "../x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Config", "RepoTags", "Layers", "manifests", "digest", "size", "annotations", "rootfs", "os"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(content: bytes) -> None:
    """Look for the image, and load it; what is staged has the digests it is called by."""
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory) / "images")
        file = Path(directory) / "x.tar"
        file.write_bytes(content)
        for name in ("docker.io/library/web:1", f"r.io/web@{IMAGE.root}"):
            with store.stage() as staging:
                try:
                    found = ImageArchives([file], staging, lambda message: None).find(name, "linux/amd64")
                except ImageError:
                    found = None
                for path in staging.blobs.glob("[0-9a-f]*"):
                    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
                if found:
                    assert (staging.blobs / found.manifest.digest[7:]).stat().st_size == found.manifest.size
        try:
            load(store, file)
        except ImageError:
            assert store.list() == ()
        assert sorted(path.name for path in Path(directory).iterdir()) == ["images", "x.tar"]


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(["docker", "oci"]),
    position=st.floats(0, 0.999),
    byte=st.integers(0, 255),
    cut=st.booleans(),
)
def test_one_wrong_byte(whole: dict[str, bytes], form: str, position: float, byte: int, cut: bool) -> None:
    content = bytearray(whole[form])
    place = int(position * len(content))
    content[place] = byte
    read(bytes(content[:place] if cut else content))


@settings(max_examples=150, deadline=None)
@given(manifest=JSON, config=JSON, index=JSON)
def test_any_documents(manifest: object, config: object, index: object) -> None:
    documents = {"manifest.json": manifest, "c": config, "index.json": index}
    members = [(name, json.dumps(document).encode()) for name, document in documents.items() if document is not None]
    with tempfile.TemporaryDirectory() as directory:
        archive = write_tar(Path(directory) / "x.tar", [*members, ("l", layer("a")), ("oci-layout", b"{}")])
        content = archive.read_bytes()
        archive = write_tar(Path(directory) / "y.tar", [*members, ("l", layer("a"))])
        for one in (content, archive.read_bytes()):
            read(one)
