"""How widely used operators and charts name their images: recall and precision of discovery on their shapes.

`tests/data/discovery/shapes/` has one entry a project, `shapes-expected.txt` what is right (see `shapes.md` beside it).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import DirectoryFiles, ReadFiles
from sealer.image.discovery.names import normalised
from sealer.image.discovery.readers import Readers

DATA = Path(__file__).parents[3] / "data" / "discovery"
FEWEST_PROJECTS = 25
LEAST_PRECISION = 0.98


def comparable(text: str) -> str:
    """What has no tag, by its last name: how much of a registry is known does not count."""
    try:
        return normalised(text).removesuffix(":latest").rpartition("/")[2]
    except InputError:
        return text


def expected() -> set[tuple[str, str]]:
    found = set()
    for line in (DATA / "shapes-expected.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            entry, _, what = line.partition(" ")
            found.add((entry, f"? {comparable(what[2:])}" if what.startswith("? ") else what))
    return found


def read() -> set[tuple[str, str]]:
    found = discover(DirectoryFiles(DATA / "shapes"), Readers().read)
    images = {(place.file.partition("/")[0], one.image) for one in found.images for place in one.found}
    unresolved = {(one.place.file.partition("/")[0], f"? {comparable(one.text)}") for one in found.unresolved}
    return images | unresolved


def test_recall_and_precision() -> None:
    wanted, got = expected(), read()
    assert len({entry for entry, _ in wanted}) >= FEWEST_PROJECTS
    assert {path.name for path in (DATA / "shapes").iterdir()} == {entry for entry, _ in wanted}
    recall, precision = len(wanted & got) / len(wanted), len(wanted & got) / len(got)
    lines = [f"recall {recall:.1%}, precision {precision:.1%} of {len(wanted)} mentions"]
    lines += [f"missed: {entry}: {what}" for entry, what in sorted(wanted - got)]
    lines += [f"false: {entry}: {what}" for entry, what in sorted(got - wanted)]
    assert recall == 1.0, "\n".join(lines)
    assert precision >= LEAST_PRECISION, "\n".join(lines)


def test_no_tag_is_invented() -> None:
    """`:latest` comes from the file, or from a field that Kubernetes reads."""
    latest = {what for _, what in read() if what.endswith(":latest")}
    assert latest == {"docker.io/library/busybox:latest", "quay.example.org/sclorg/postgresql-15:latest"}


HEX = "ab" * 32
MACHINE = "apiVersion: infrastructure.cluster.x-k8s.io/v1beta1\nkind: XMachineTemplate\nmetadata: {name: m}\n"


@pytest.mark.parametrize(
    ("text", "images"),
    [
        # siblings of another name or case, a level up
        ("IMAGE: quay.io/a/b\nIMAGE_TAG: '3'", ["quay.io/a/b:3"]),
        ("cacheImage: a/cache\ncacheVersion: 1.4", ["docker.io/a/cache:1.4"]),
        ("x: {REPOSITORY: quay.io/a/b, TAG: v2}", ["quay.io/a/b:v2"]),
        ("server: {version: v3.1, image: {repository: a/server}}", ["docker.io/a/server:v3.1"]),
        ("server: {imageTag: v3.1, image: {repository: a/server, tag: ''}}", ["docker.io/a/server:v3.1"]),
        ("db: {image: a/db, version: '16'}", ["docker.io/a/db:16"]),
        ("db: {image: a/db, version: next}", ["? a/db"]),
        ("a: {registry: r.io, image: a/x, version: v1}", ["r.io/a/x:v1"]),
        ("image: {name: r.io/a/x, version: v1, pullPolicy: Always}", ["r.io/a/x:v1"]),
        (
            "spec: {version: v4, a: {baseImage: t/a}, b: {c: {baseImage: t/c}}}",
            ["docker.io/t/a:v4", "docker.io/t/c:v4"],
        ),
        # no tag: Kubernetes says which, or nobody does
        ("containers: [{image: a/x}]", ["docker.io/a/x:latest"]),
        ("initContainers: [{image: a/x}]", ["docker.io/a/x:latest"]),
        ("ephemeralContainers: [{image: a/x}]", ["docker.io/a/x:latest"]),
        ("volumes: [{name: v, image: {reference: a/x}}]", ["docker.io/a/x:latest"]),
        ("container: {image: a/x}", ["? a/x"]),
        ("sidecarImage: a/x", ["? a/x"]),
        ("imageEnvoy: a/x", ["? a/x"]),
        ("repository: a\nimage: x", ["? a/x"]),
        ("args: [--helper-image=a/x]", ["? a/x"]),
        ("env: [{name: HELPER_IMAGE, value: a/x}]", ["? a/x"]),
        ("image: a/x:latest", ["docker.io/a/x:latest"]),
        # pairs of variables and of settings
        ("env: [{name: A_IMAGE, value: a/x}, {name: A_VERSION, value: '2'}]", ["docker.io/a/x:2"]),
        ("env: [{name: A_IMAGE, value: a/x}, {name: B_VERSION, value: '2'}]", ["? a/x"]),
        ("env: [{name: A_IMAGE_REPOSITORY, value: a/x}, {name: A_TAG, value: v2}]", ["docker.io/a/x:v2"]),
        (
            "data:\n  a.ini: |\n    [b]\n    my_repository = a/x\n    my_tag = 7\n    [c]\n    my_tag = 8",
            ["docker.io/a/x:7"],
        ),
        ("data:\n  a.ini: |\n    [one]\n    my_image = a/x\n    [two]\n    my_image_tag = 8", ["? a/x"]),
        (
            "data:\n  a.conf: |\n    # x.image never/x:1\n    x.y.image   a/x:1\n    x.y.imagery  b/x:1",
            ["docker.io/a/x:1"],
        ),
        ("data:\n  a.ini: |\n    [one]\n    repository = a/x\n    tag = 7", ["docker.io/a/x:7"]),
        ("args: [--helper-image=a/x, --helper-version=v3]", ["docker.io/a/x:v3"]),
        ("args: [--helper-image, a/x, --helper-image-tag, v3]", ["docker.io/a/x:v3"]),
        ("environment: [APP_IMAGE=a/x, APP_TAG=v3]", ["docker.io/a/x:v3"]),
        ("env: [{name: GIT_REPOSITORY, value: a/x}, {name: GIT_TAG, value: v2}]", []),
        # digests
        (f"image: a/x@sha256\nimageTag: {HEX}", [f"docker.io/a/x@sha256:{HEX}"]),
        (f"image: {{repository: a/x, tag: v1, digest: 'sha256:{HEX}', useDigest: false}}", ["docker.io/a/x:v1"]),
        (
            f"image: {{repository: a/x, tag: v1, digest: 'sha256:{HEX}', useDigest: true}}",
            [f"docker.io/a/x:v1@sha256:{HEX}"],
        ),
        (
            "m: {image: a/x, defaultImageVersion: '1', defaultArmImageVersion: 1-arm}",
            ["docker.io/a/x:1", "docker.io/a/x:1-arm"],
        ),
        # these are none
        (MACHINE + "spec: {template: {spec: {image: u/ubuntu-22}}}", []),
        ("volumes: [{rbd: {image: data/disk, pool: p, monitors: [m]}}]", []),
        ("spec: {output: {image: r.io/a/built:1}}", []),
        ("spec: {output: {to: {kind: DockerImage, name: 'r.io/a/built:1'}}}", []),
        ("apiVersion: skaffold/v4beta1\nkind: Config\nbuild: {artifacts: [{image: r.io/a/built}]}", []),
        ("image: ami-0123456789abcdef0\nvolumeImage: 01234567-89ab-cdef-0123-456789abcdef", []),
        ("image: projects/p-cloud/global/images/debian-12", []),
        ("apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nspec: {image: {name: os, version: '1.2'}}", []),
        ("args: [--dockerfile=D, --destination=r.io/a/built:1]", []),
        ("args: [--destination, r.io/a/built:1]", []),
        ("images: {registry: r.io/a, tag: v1, pullPolicy: Always}", []),
        ("images: {registry: 'localhost:5000'}", []),
        ("imagePullPolicy: a/x\nimageTag: a/x:1\nimageRegistry: r.io/a\nimageChartStorage: a/x:1", []),
        ("parameters: {backingImage: a/disk:1}", []),
    ],
)
def test_tags_in_reach_and_none_beyond(text: str, images: list[str]) -> None:
    found = discover(ReadFiles(["f.yaml"], lambda _: text.encode()), Readers().read)
    assert [one.image for one in found.images] + [f"? {one.text}" for one in found.unresolved] == images


def test_a_chart_gives_its_version_only_to_what_is_put_together() -> None:
    files = {
        "c/Chart.yaml": b"name: c\nversion: '1'\nappVersion: v9\n",
        "c/values.yaml": b"image: {repository: a/app}\nhelper: {repository: a, image: helper}\nt: {image: a/tools}\n",
    }
    found = discover(ReadFiles(files, files.__getitem__), Readers().read)
    assert [one.image for one in found.images] == ["docker.io/a/app:v9", "docker.io/a/helper:v9"]
    assert [one.text for one in found.unresolved] == ["a/tools"]


@pytest.mark.parametrize("where", ["Chart.yaml", "requirements.yaml"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_condition_switches_an_inner_chart_off(where: str, wanted: bool) -> None:
    files = {
        "c/Chart.yaml": b"name: c\nversion: '1'\n",
        "c/values.yaml": f"part: {{enabled: {str(wanted).lower()}}}\n".encode(),
        "c/charts/part/Chart.yaml": b"name: part\nversion: '1'\n",
        "c/charts/part/templates/p.yaml": b"kind: Pod\nspec: {containers: [{image: 'a/part:1'}]}\n",
    }
    dependency = b"dependencies: [{name: part, version: '1', condition: part.enabled}]\n"
    files[f"c/{where}"] = files.get(f"c/{where}", b"") + dependency
    found = discover(ReadFiles(files, files.__getitem__), Readers().read)
    assert [one.image for one in found.images] == ["docker.io/a/part:1"] * wanted
