from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import ImageError
from sealer.image.oci import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, digest_of
from sealer.image.registry.documents import choose, document_of

PART = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + "a" * 64, "size": 3}
CONFIG = {**PART, "mediaType": "application/vnd.oci.image.config.v1+json"}


def manifest(**fields: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [PART], **fields}).encode()


def test_a_document_is_what_its_header_says() -> None:
    for kind in (MANIFEST, DOCKER_MANIFEST):
        document = document_of(manifest(), f"{kind}; charset=utf-8", "here")
        assert document.descriptor.media_type == kind
        assert [part.size for part in document.children()] == [3, 3]
    assert document_of(b'{"manifests": []}', DOCKER_LIST, "here").is_index


def test_what_the_document_says_counts_more_than_the_header() -> None:
    assert (
        document_of(manifest(mediaType=MANIFEST), "application/octet-stream", "here").descriptor.media_type == MANIFEST
    )


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (b"<html>", MANIFEST, "not a JSON document"),
        (b"[]", MANIFEST, "not a JSON object"),
        (b"{}", "text/html", "not a manifest of an image"),
        (b'{"mediaType": 7}', MANIFEST, "not a manifest of an image"),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b'{"schemaVersion": 1}', MANIFEST, "schema 1"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, kind: str, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        document_of(content, kind, "here")


def test_what_was_expected_must_come() -> None:
    content = manifest(mediaType=MANIFEST)
    good = Descriptor(MANIFEST, digest_of(content), len(content))
    assert document_of(content, "", "here", good).content == content
    with pytest.raises(ImageError, match="is not what it should be"):
        document_of(content, MANIFEST, "here", Descriptor(MANIFEST, good.digest, good.size + 1))
    with pytest.raises(ImageError, match="claims to be two things"):
        document_of(content, MANIFEST, "here", Descriptor(INDEX, good.digest, good.size))


@pytest.mark.parametrize(
    "layer",
    [
        {**PART, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "urls": ["https://x"]},
        {**PART, "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
        {**PART, "urls": ["https://x"]},
    ],
)
def test_foreign_layers_are_refused_with_a_reason(layer: object) -> None:
    with pytest.raises(ImageError, match=r"foreign layer.*may not be passed on"):
        document_of(manifest(layers=[layer]), MANIFEST, "here").children()


@pytest.mark.parametrize("fields", [{"config": None}, {"layers": [7]}, {"layers": [{**PART, "size": -1}]}])
def test_a_damaged_manifest_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ImageError):
        document_of(manifest(**fields), MANIFEST, "here").children()
    with pytest.raises(ImageError, match="has no config"):
        document_of(b'{"layers": []}', MANIFEST, "here").children()


def of(os: str, architecture: str, variant: str = "") -> Descriptor:
    platform = {"os": os, "architecture": architecture} | ({"variant": variant} if variant else {})
    return Descriptor(MANIFEST, digest_of(f"{os}{architecture}{variant}".encode()), 1, platform=platform)


def test_platforms_are_chosen() -> None:
    parts = [of("windows", "amd64"), of("linux", "arm64", "v8"), of("linux", "amd64"), of("linux", "arm", "v7"),
             of("linux", "arm", "v6"), of("unknown", "unknown")]  # fmt: skip
    assert choose(parts, ["linux/amd64", "linux/arm64"]) == (parts[2], parts[1])
    assert choose(parts, ["linux/arm"]) == (parts[3],)
    assert choose(parts, ["linux/arm/v6"]) == (parts[4],)
    assert choose(parts, ["linux/s390x"]) == ()
    assert choose(parts, []) == tuple(parts[:-1])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from([MANIFEST, INDEX, PART["digest"]]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["mediaType", "config", "layers", "manifests", "digest", "size", "platform", "urls"]), inner
        )
    ),
)


@given(JSON, st.sampled_from([MANIFEST, INDEX, DOCKER_LIST, DOCKER_MANIFEST, ""]))
def test_any_json_is_read_or_refused(document: object, kind: str) -> None:
    with suppress(ImageError):
        document_of(json.dumps(document).encode(), kind, "here").children()
