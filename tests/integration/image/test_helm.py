"""The real helm renders charts. tools/helm.py puts it beside the Python that runs the tests."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.installs import Command, installs
from sealer.image.discovery.model import Discovery
from sealer.image.discovery.readers import Readers
from sealer.image.discovery.rendering import Helm, brings_helm, find_helm

PATH = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
HELM = shutil.which("helm", path=PATH)
CHARTS = Path(__file__).parents[2] / "data" / "discovery" / "charts"
RENDERED = {
    "docker.io/bitnami/redis:7.0.8": ["shop/charts/cache/templates/statefulset.yaml:9"],
    "docker.io/fluent/fluent-bit:2.0.8": ["shop/templates/deployment.yaml:20"],
    "docker.io/library/busybox:1.36": ["shop/templates/worker.yaml:9"],
    "docker.io/library/busybox:latest": ["shop/templates/tests/connection.yaml:10"],
    "quay.io/shop/worker:2.0.1": ["shop/templates/worker.yaml:12"],
    "registry.example.com/shop/web:4.5.6": ["shop/templates/deployment.yaml:17"],
}
# Where all tests must run; tools/helm.py has a helm for this architecture alone.
REQUIRED = os.environ.get("SEALER_REQUIRE_LAB", "0") not in ("", "0") and platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(
    not HELM and not REQUIRED, reason="helm is not installed (python tools/helm.py DIRECTORY OF PYTHON)"
)


@pytest.fixture
def helm() -> Path:
    assert HELM, "all tests must run, and there is no helm: see tools/helm.py"
    return Path(HELM)


def places(found: Discovery) -> dict[str, list[str]]:
    return {one.image: [str(place) for place in one.found] for one in found.images}


def look_through(root: Path, helm: Helm, *values: tuple[str, Path]) -> Discovery:
    return discover(DirectoryFiles(root), Readers(helm, values).read)


def test_a_chart_is_rendered(helm: Path) -> None:
    found = look_through(CHARTS, Helm(helm))
    assert places(found) == RENDERED
    assert not found.unresolved
    assert not any(one.guess for one in found.images)


def test_a_packed_chart(helm: Path, tmp_path: Path) -> None:
    subprocess.run([helm, "package", CHARTS / "shop", "-d", tmp_path], check=True, capture_output=True)
    found = look_through(tmp_path, Helm(helm))
    assert places(found) == {
        image: [place.replace("shop/", "shop-1.2.3.tgz/", 1) for place in all_of_them]
        for image, all_of_them in RENDERED.items()
    }


def test_values_decide(helm: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("debug: {enabled: true}\nmetrics: {enabled: true}\nimage: {tag: v9}\n")
    more = {
        "docker.io/nicolaka/netshoot:v0.9",
        "docker.io/prom/statsd-exporter:v0.23.0",
        "registry.example.com/shop/web:v9",
    }
    for chart in ("", "shop"):
        found = look_through(CHARTS, Helm(helm), (chart, values))
        assert set(places(found)) == set(RENDERED) - {"registry.example.com/shop/web:4.5.6"} | more
    assert places(look_through(CHARTS, Helm(helm), ("other", values))) == RENDERED


def test_the_commands_of_an_image_decide(helm: Path, tmp_path: Path) -> None:
    shutil.copytree(CHARTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "prod.yaml").write_text("image: {tag: v9}\n")
    commands = [
        Command("helm upgrade --install shop shop -f prod.yaml --set debug.enabled=$DEBUG", env={"DEBUG": "true"}),
        Command("helm install second . --set image.tag=v8", "shop"),
    ]
    found = discover(DirectoryFiles(tmp_path), Readers(Helm(helm), installs=installs(commands)).read)
    web = "registry.example.com/shop/web"
    more = {f"{web}:v8", f"{web}:v9", "docker.io/nicolaka/netshoot:v0.9"}
    assert set(places(found)) == set(RENDERED) - {f"{web}:4.5.6"} | more
    assert not found.unresolved


def test_a_chart_that_helm_refuses_is_guessed(helm: Path) -> None:
    found = look_through(CHARTS, Helm(helm, kubernetes="1.19.0"))
    assert "docker.io/bitnami/redis:7.0.8" in places(found)
    assert any(one.place.rule == "helm" and "1.19.0" in one.why for one in found.unresolved)


def test_helm_reads_nothing_of_the_users_and_fetches_nothing(
    helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart = tmp_path / "c"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("image: a/b:1\n")
    (chart / "values.schema.json").write_text(json.dumps({"$ref": "http://198.18.0.1/schema.json"}))
    (chart / "templates" / "pod.yaml").write_text("kind: Pod\nspec: {containers: [{image: '{{ .Values.image }}'}]}\n")
    for variable in ("HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_PLUGINS", "KUBECONFIG"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing-of-the-sort"))
    found = look_through(tmp_path, Helm(helm, seconds=60))
    assert places(found) == {"docker.io/a/b:1": ["c/templates/pod.yaml:2", "c/values.yaml:1"]}
    [refused] = found.unresolved
    assert (refused.place.rule, str(refused.place)) == ("helm", "c/Chart.yaml:1")


def test_the_helm_of_an_image(helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not brings_helm(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "helm").symlink_to(helm)
    assert not brings_helm(tmp_path)  # it would lead out of the image
    (tmp_path / "bin" / "helm").unlink()
    shutil.copy(helm, tmp_path / "bin" / "helm")
    assert brings_helm(tmp_path)
    values = tmp_path / "values.yaml"
    values.write_text("image: {tag: v9}\n")
    own = look_through(CHARTS, Helm(rootfs=tmp_path), ("", values))
    if os.geteuid() != 0 and any("cannot be contained here" in one.why for one in own.unresolved):
        pytest.skip("this machine has no namespaces for users")
    assert places(own) == places(look_through(CHARTS, Helm(helm), ("", values)))
    assert not own.unresolved
    monkeypatch.setenv("PATH", str(helm.parent))
    assert find_helm() == helm
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_helm() is None
