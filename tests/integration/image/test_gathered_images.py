"""`sealer build` with container images that are all at hand: no registry is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from image_archives import docker_members, layer, oci_image, oci_members, write_tar

from sealer.image.store import Store

# As `sealer`, but the first call to the network is its end.
OFFLINE = """\
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"a network call: {event} {arguments[1:]}".encode())
        os._exit(77)

sys.addaudithook(refuse)
import runpy
runpy.run_module("sealer", run_name="__main__", alter_sys=True)
"""
POD = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - image: web:1
    - image: r.io:5000/team/db:2
"""


class Site:
    """A build context, archives, and a sealer that has no network."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context = directory / "context"
        self.context.mkdir()
        self.store = Store(directory / "home" / "images")
        self.write("web.yaml", POD)
        self.kubefile("FROM scratch", "COPY *.yaml manifests/")

    def write(self, name: str, text: str) -> Path:
        path = self.context / name
        path.write_text(text)
        return path

    def kubefile(self, *lines: str) -> None:
        self.write("Kubefile", "\n".join(lines) + "\n")

    def archive(self, name: str, image: str) -> Path:
        return write_tar(
            self.directory / name,
            oci_members([(oci_image(image), {"org.opencontainers.image.ref.name": image})]),
        )

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        result = subprocess.run(
            [sys.executable, "-c", OFFLINE, *map(str, arguments)],
            cwd=self.directory,
            env={**os.environ, "SEALER_HOME": str(self.directory / "home"), "PATH": "/usr/bin:/bin"},
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == status, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout + result.stderr

    def build(self, tag: str, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
        lines = self("--output", "json", "build", "-t", tag, self.context, *arguments, status=status).splitlines()
        results = [json.loads(line) for line in lines if line.startswith('{"apiVersion"')]
        assert len(results) == 1
        return dict(results[0])

    def inspect(self, tag: str) -> list[dict[str, Any]]:
        return list(json.loads(self("--output", "json", "inspect", tag))["image"]["containerImages"])


def sources(built: dict[str, Any]) -> dict[str, str]:
    return {one["image"]: one["source"] for one in built["containerImages"]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def archives(site: Site) -> Sequence[str | Path]:
    """One of each form."""
    docker = write_tar(site.directory / "db.tar", docker_members(["r.io:5000/team/db:2"], [layer("db")]))
    return ["--image-archive", docker, "--image-archive", site.archive("web.tar", "web:1")]


WEB, DB = "docker.io/library/web:1", "r.io:5000/team/db:2"


def test_everything_from_archives(site: Site, archives: Sequence[str | Path]) -> None:
    built = site.build("app:1", *archives)
    assert sources(built) == {WEB: "archive", DB: "archive"}
    assert (built["unresolved"], built["ignored"]) == ([], [])
    web, db = built["containerImages"]
    assert web["digest"] == oci_image("web:1").root
    assert web["found"] == [{"file": "manifests/web.yaml", "line": 5, "rule": "container"}]
    inspected = site.inspect("app:1")
    assert [(one["image"], one["digest"], one["size"], one["found"]) for one in inspected] == [
        (one["image"], one["digest"], one["size"], one["found"]) for one in (web, db)
    ]
    assert [one["converted"] for one in inspected] == ["", "docker-archive"]
    assert web["size"] == sum(map(len, oci_image("web:1").blobs.values()))


def test_the_table(site: Site, archives: Sequence[str | Path]) -> None:
    lines = site("build", "-t", "app:1", site.context, *archives, "-q").splitlines()
    assert lines[0].split("  ")[0] == "IMAGE"
    digest = oci_image("web:1").root[7:19]
    assert lines[1].split()[:3] == [WEB, "linux/amd64", digest]
    assert lines[1].split()[-3:] == ["archive", "manifests/web.yaml:5", "container"]
    assert lines[-1].startswith("app:1 sha256:")


def test_the_same_build_gives_the_same_image(site: Site, archives: Sequence[str | Path]) -> None:
    first = site.build("app:1", *archives)["image"]["digest"]
    site("rmi", "app:1")
    assert site.build("app:1", *archives)["image"]["digest"] == first


def test_what_is_not_at_hand_would_be_fetched(site: Site, archives: Sequence[str | Path]) -> None:
    """Shows that the other tests would see a call to the network."""
    assert "a network call: socket." in site("build", "-t", "app:1", site.context, *archives[:2], status=77)


def test_from_brings_the_images_of_the_base(site: Site, archives: Sequence[str | Path]) -> None:
    base = site.build("base:1", *archives)["containerImages"]
    site.kubefile("FROM base:1", "COPY more.yaml manifests/")
    site.write("more.yaml", POD.replace("web:1", "more:3"))
    built = site.build("app:1", "--image-archive", site.archive("more.tar", "more:3"))
    assert sources(built) == {"docker.io/library/more:3": "archive", WEB: "base", DB: "base"}
    digests = {one["image"]: one["digest"] for one in built["containerImages"]}
    assert all(digests[one["image"]] == one["digest"] for one in base)
    assert [place["file"] for place in built["containerImages"][2]["found"]] == [
        "manifests/more.yaml",
        "manifests/web.yaml",
    ]
    site("rmi", "base:1")
    for one in site.store.find("app:1").containers:  # all blobs are still there
        assert all(site.store.path(digest).is_file() for digest in site.store.closure(one.manifest))


def test_what_only_the_base_mentioned_comes_along(site: Site, archives: Sequence[str | Path]) -> None:
    site.build("base:1", *archives)
    site.kubefile("FROM base:1", "RUN rm manifests/web.yaml")
    assert sources(site.build("app:1")) == {WEB: "base", DB: "base"}
    assert sources(site.build("app:2", "--no-images")) == {}
    assert [one["image"] for one in site.inspect("app:2")] == [WEB, DB]


def test_a_newer_image_of_the_same_name_replaces_that_of_the_base(site: Site, archives: Sequence[str | Path]) -> None:
    site.build("base:1", *archives)
    site.kubefile("FROM base:1")
    newer = oci_image("web, but newer")
    archive = write_tar(
        site.directory / "n.tar", oci_members([(newer, {"org.opencontainers.image.ref.name": "web:1"})])
    )
    built = site.build("app:1", "--image-archive", archive)
    assert sources(built) == {WEB: "archive", DB: "base"}
    assert [one["digest"] for one in site.inspect("app:1") if one["image"] == WEB] == [newer.root]


def test_images_of_other_cluster_images_are_not_fetched_again(site: Site, archives: Sequence[str | Path]) -> None:
    first = site.build("one:1", *archives)
    second = site.build("two:1")
    assert sources(second) == {WEB: "store", DB: "store"}
    assert second["image"]["digest"] == first["image"]["digest"]
    site("rmi", "one:1")
    site.write("web.yaml", POD.replace("web:1", f"elsewhere.io/w@{oci_image('web:1').root}"))
    pinned = site.build("three:1")  # known by its digest, whatever it was called
    assert sources(pinned) == {f"elsewhere.io/w@{oci_image('web:1').root}": "store", DB: "store"}


def test_a_damaged_image_of_the_store_is_none(site: Site, archives: Sequence[str | Path]) -> None:
    built = site.build("one:1", *archives)
    manifest = site.store.find("one:1").containers[0].manifest
    layers = [digest for digest in site.store.closure(manifest) if digest != manifest.digest]
    site.store.path(layers[-1]).unlink()
    assert sources(site.build("two:1", *archives)) == {WEB: "archive", DB: "archive"}
    assert built["containerImages"][0]["digest"] == manifest.digest


def test_what_is_not_resolved(site: Site, archives: Sequence[str | Path]) -> None:
    site.write("odd.yaml", POD.replace("web:1", '"{{ .Values.image }}"').replace("r.io:5000", "sea.hub:5000"))
    built = site.build("app:1", *archives)
    assert sources(built) == {WEB: "archive", DB: "archive"}
    assert [(one["file"], one["line"], one["text"]) for one in built["unresolved"]] == [
        ("manifests/odd.yaml", 5, "{{ .Values.image }}"),
        ("manifests/odd.yaml", 6, "sea.hub:5000/team/db:2"),
    ]
    told = site("build", "-t", "app:1", site.context, *archives)
    assert "not resolved: manifests/odd.yaml:5: {{ .Values.image }}" in told
    failed = site.build("app:2", *archives, "--strict", status=1)
    assert failed["error"]["what"] == "1 mention of an image could not be resolved"
    site.write("more.yaml", POD.replace("web:1", "Upper:1").replace("r.io:5000/", "{{ .Registry }}/"))
    told = site("build", "-t", "app:2", site.context, *archives, "--strict", status=1)
    assert "manifests/more.yaml:5: 3 mentions of images could not be resolved: the first: names are written" in told
    assert "| manifests/more.yaml:6: {{ .Registry }}/team/db:2: a template that is not rendered yet" in told
    assert "| manifests/odd.yaml:5: {{ .Values.image }}: a template that is not rendered yet" in told
    site.write("more.yaml", POD)
    site.write("odd.yaml", POD.replace("r.io:5000", "sea.hub:5000"))
    assert site.build("app:2", *archives, "--strict", status=1)["error"]["where"] == "manifests/odd.yaml:6"
    assert "app:2" not in site("images")


def test_the_control_plane_by_the_name_of_the_private_registry(site: Site) -> None:
    site.write(
        "web.yaml",
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
        "kubernetesVersion: v1.25.0\nimageRepository: sea.hub:5000\n",
    )
    built = site.build("app:1")
    assert built["containerImages"] == []
    assert "sea.hub:5000/kube-apiserver:v1.25.0" in [one["text"] for one in built["unresolved"]]
    assert {one["why"] for one in built["unresolved"]} == {
        "the clusters' own registry serves only what the image brings: name it by the registry it comes from"
    }


def test_the_kubefile_chooses_the_values_of_its_charts(site: Site, archives: Sequence[str | Path]) -> None:
    chart = site.context / "web"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(
        "image: {repository: docker.io/library/web, tag: '9'}\ndb: {repository: r.io/x, tag: '9'}\n"
    )
    site.write("web.yaml", "kind: ConfigMap\n")
    site.write("prod.yaml", "image: {tag: '1'}\n")
    install = "helm upgrade --install web charts/web -f prod.yaml --set db.repository=r.io:5000/team/db,db.tag=$TAG"
    site.kubefile("FROM scratch", "ENV TAG=2", "COPY web charts/web", "COPY prod.yaml .", f"CMD {install}")
    assert sources(site.build("app:1", *archives, "--no-helm")) == {WEB: "archive", DB: "archive"}
    site.kubefile("FROM scratch", "COPY web charts/web", "CMD helm install web charts/web -f prod.yaml")
    failed = site.build("app:1", *archives, "--no-helm", "--strict", status=1)
    assert failed["error"]["output"] == [
        "charts/web/Chart.yaml:1: prod.yaml: a command installs the chart with these values, and the image has no "
        "such file"
    ]


def test_lists_of_images(site: Site, archives: Sequence[str | Path]) -> None:
    given, ignored = site.directory / "given", site.directory / "ignored"
    given.write_text("more:3\n")
    ignored.write_text("docker.io/library/web:1\n")
    more = site.archive("more.tar", "more:3")
    built = site.build(
        "app:1", *archives, "--image-archive", more, "--image-list", given, "--ignored-image-list", ignored
    )
    assert sources(built) == {"docker.io/library/more:3": "archive", DB: "archive"}
    assert built["containerImages"][0]["found"] == [{"file": str(given), "line": 1, "rule": "given"}]
    assert [one["image"] for one in built["ignored"]] == [WEB]


def test_ignored_files(site: Site) -> None:
    site.write(".sealerignore", "# of the rootfs, too\nmanifests/web.yaml\n")
    assert sources(site.build("app:1")) == {}


def test_files_that_the_rootfs_itself_names(site: Site, archives: Sequence[str | Path]) -> None:
    """They are in the image, and not read for it: the context's file would have kept them out."""
    site.write("of-the-rootfs", "manifests/web.yaml\n")
    site.kubefile("FROM scratch", "COPY *.yaml manifests/", "COPY of-the-rootfs .sealerignore")
    for _ in range(2):  # the second time it is remembered
        told = site("build", "-t", "app:1", site.context, *archives)
        assert "1 file of the rootfs is not read for images: the .sealerignore in it says so" in told
        assert "web:1" not in told
    site.write("of-the-rootfs", "manifests/\n!\n")
    assert ".sealerignore:2:1: a pattern is missing after '!'" in site("build", "-t", "app:1", site.context, status=2)


def test_nothing_mentioned_nothing_asked(site: Site) -> None:
    site.write("web.yaml", "apiVersion: v1\nkind: ConfigMap\n")
    built = site.build("app:1")
    assert (built["containerImages"], built["unresolved"]) == ([], [])
    assert site("build", "-q", "-t", "app:1", site.context).startswith("app:1 sha256:")


def test_two_platforms(site: Site) -> None:
    image = oci_image("both", ["amd64", "arm64"])
    site.write("web.yaml", POD.replace("r.io:5000/team/db:2", f"r.io/web@{image.root}"))
    archive = write_tar(
        site.directory / "b.tar", oci_members([(image, {"org.opencontainers.image.ref.name": "web:1"})])
    )
    built = site.build("app:1", "--image-archive", archive, "--platform", "linux/amd64,linux/arm64")
    assert [(one["image"], one["platform"], one["digest"]) for one in built["containerImages"]] == [
        (name, f"linux/{architecture}", image.manifests[architecture])
        for name in (WEB, f"r.io/web@{image.root}")
        for architecture in ("amd64", "arm64")
    ]
    site.kubefile("FROM app:1")
    assert [one["platform"] for one in site.build("app:2", "--platform", "linux/arm64")["containerImages"]] == [
        "linux/arm64",
        "linux/arm64",
    ]


def test_without_the_base_none_of_its_images_come_along(site: Site, archives: Sequence[str | Path]) -> None:
    site.build("base:1", *archives)
    site.kubefile("FROM base:1", "RUN rm manifests/web.yaml", "COPY more.yaml manifests/")
    site.write("more.yaml", "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: more:3\n")
    more = site.archive("more.tar", "more:3")
    assert sources(site.build("app:1", "--base=false", "--image-archive", more)) == {
        "docker.io/library/more:3": "archive"
    }


def test_saved_and_loaded(site: Site, archives: Sequence[str | Path]) -> None:
    built = site.build("app:1", *archives)
    site("save", "-o", "x.tar", "app:1")
    (site.directory / "other").mkdir()
    other = Site(site.directory / "other")
    other("load", "-i", site.directory / "x.tar")
    assert other.inspect("app:1") == site.inspect("app:1")
    assert other.store.find("app:1").digest == built["image"]["digest"]


def test_a_wrong_archive_is_an_error_with_its_name(site: Site, archives: Sequence[str | Path]) -> None:
    (site.directory / "x.tar").write_text("words, " * 300)
    failed = site.build("app:1", *archives, "--image-archive", "x.tar", status=1)
    assert failed["error"]["where"] == "x.tar"
    assert site.build("app:1", "--image-archive", "none", status=2)["error"]["where"] == "none"
