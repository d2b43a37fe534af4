"""No input to the readers ends in anything but a result."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import ReadFiles
from sealer.image.discovery.model import Discovery
from sealer.image.discovery.readers import Readers

CORPUS = Path(__file__).parents[3] / "data" / "discovery" / "corpus"
EXAMPLES = [path.read_bytes() for path in sorted(CORPUS.rglob("*")) if path.is_file()]
KEYS = [
    *(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "containers",
        "image",
        "images",
        "args",
        "env",
        "name",
        "value",
        "data",
    ),
    *("repository", "registry", "tag", "digest", "sha", "baseImage", "version", "hub", "newName", "newTag", "volumes"),
    *(
        "reference",
        "annotations",
        "status",
        "etcd",
        "local",
        "imageRepository",
        "kubernetesVersion",
        "properties",
        "<<",
    ),
    *("sidecarImage", "sidecarImageTag", "imageName", "default", "type", "items", "binaryData", "dependencies"),
]
WORDS = [
    *("nginx", "quay.io/a/b:v1", "a@sha256:" + "b" * 64, "{{ .Values.image.tag }}", "{{ include", "$(X)", "${X:-y}"),
    *("--image=x", "--image", "image: x\nimages: [y]\n", '{"image": "z"}', "UPPER/x:1", "sha256:", ":", "/", "@", ""),
    *("ConfigMap", "Secret", "List", "ClusterConfiguration", "kubeadm.k8s.io/v1beta3", "v1.26.1", "docker://a/b", "#"),
    *("IstioOperator", "install.istio.io/v1", "aW1hZ2U6IG5naW54CmltYWdlOiB4", "\ue0000\ue001", "auto", "null", "-"),
]
SCALARS = st.one_of(st.sampled_from(WORDS), st.text(max_size=12), st.none(), st.booleans(), st.integers(), st.floats())
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | SCALARS, inner, max_size=6),
    max_leaves=30,
)
PATHS = ["a.yaml", "b", "c.yaml.tmpl", "imageList", "chart/Chart.yaml", "chart/values.yaml", "chart/templates/x.yaml"]
PATHS += [
    "chart/charts/inner/Chart.yaml",
    "chart/charts/inner/values.yaml",
    "chart/values-x.yaml",
    "Chart.yaml",
    "d.tgz",
]


def look_through(contents: dict[str, bytes]) -> Discovery:
    found = discover(ReadFiles(contents, contents.__getitem__), Readers().read)
    for one in found.images:
        assert one.image
        assert one.found
        assert all(place.line >= 0 for place in one.found)
    return found


@settings(max_examples=200, deadline=None)
@given(TREES, st.sampled_from(PATHS))
def test_any_document(tree: object, path: str) -> None:
    look_through({path: yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")})


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=200) | st.sampled_from(EXAMPLES), max_size=6))
def test_any_files(contents: dict[str, bytes]) -> None:
    look_through(contents)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_any_damage(example: bytes, data: st.DataObject) -> None:
    """A piece of a real manifest is cut out, or something is put in."""
    start = data.draw(st.integers(0, len(example)))
    end = data.draw(st.integers(start, min(len(example), start + 40)))
    put = data.draw(
        st.sampled_from([b"", b"\t", b"{{", b"}}", b"[", b"&a", b"*a", b"\xff", b"---\n", b"|", b'"', b"<<: "])
    )
    look_through({"a.yaml": example[:start] + put + example[end:]})


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(PATHS), TREES.map(lambda tree: yaml.safe_dump(tree).encode()), max_size=6),
    st.integers(0, 400),
    st.binary(max_size=3),
)
def test_any_archive(contents: dict[str, bytes], at: int, put: bytes) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for path, content in contents.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    packed = gzip.compress(raw.getvalue(), mtime=0)
    look_through(
        {"whole.tgz": packed, "damaged.tgz": packed[:at] + put + packed[at + len(put) :], "cut.tgz": packed[:at]}
    )
