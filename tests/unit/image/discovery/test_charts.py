"""Helm charts, read without helm. With the real one: tests/integration/image/test_helm.py."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from sealer.errors import InputError
from sealer.image.discovery.charts import LARGEST_CHART, Charts, unpacked
from sealer.image.discovery.discover import discover
from sealer.image.discovery.files import DirectoryFiles, ReadFiles
from sealer.image.discovery.model import Discovery
from sealer.image.discovery.readers import Readers
from sealer.image.discovery.rendering import Helm

CHARTS = Path(__file__).parents[3] / "data" / "discovery" / "charts"
GUESSED = {
    "docker.io/bitnami/redis:7.0.8",
    "docker.io/fluent/fluent-bit:2.0.8",
    "docker.io/library/busybox:1.36",
    "docker.io/library/busybox:latest",
    "docker.io/nicolaka/netshoot:v0.9",
    "quay.io/shop/worker:2.0.1",
    "registry.example.com/shop/migrate:4.5.6",
    "registry.example.com/shop/web:4.5.6",
}
ABOUT = "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: v9\n"


def look_through(files: Mapping[str, str | bytes], readers: Readers | None = None) -> Discovery:
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return discover(ReadFiles(contents, contents.__getitem__), (readers or Readers()).read)


def images(found: Discovery) -> set[str]:
    return {one.image for one in found.images}


def packed(files: Mapping[str, str | bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for path, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


def test_a_chart_is_guessed_and_marked_so() -> None:
    found = discover(DirectoryFiles(CHARTS), Readers().read)
    assert images(found) == GUESSED
    assert all(one.guess for one in found.images)
    assert [str(one) for one in found.unresolved] == [
        'shop/templates/worker.yaml:12: {{ include "shop.worker.image" . }}: a template that is not rendered yet'
    ]
    places = {one.image: [str(place) for place in one.found] for one in found.images}
    assert places["registry.example.com/shop/web:4.5.6"] == ["shop/templates/deployment.yaml:17"]
    assert places["docker.io/bitnami/redis:7.0.8"] == [
        "shop/charts/cache/templates/statefulset.yaml:9",
        "shop/charts/cache/values.yaml:3",
    ]


def test_the_same_chart_packed_at_any_place_and_under_any_name() -> None:
    files = {
        f"shop/{path.relative_to(CHARTS / 'shop')}": path.read_bytes()
        for path in sorted((CHARTS / "shop").rglob("*"))
        if path.is_file()
    }
    found = look_through({"application/apps/shop/no-extension": packed(files)})
    assert images(found) == GUESSED
    assert {place.file.split("/no-extension/")[0] for one in found.images for place in one.found} == {
        "application/apps/shop"
    }


def test_a_packed_chart_within_a_chart() -> None:
    inner = packed(
        {"redis/Chart.yaml": "name: redis\n", "redis/values.yaml": "image: {repository: r/redis, tag: v1}\n"}
    )
    chart: dict[str, str | bytes] = {
        "c/Chart.yaml": ABOUT,
        "c/charts/redis-1.0.0.tgz": inner,
        "c/values.yaml": "redis: {image: {tag: v2}}\n",
    }
    assert images(look_through(chart)) == {"docker.io/r/redis:v2"}
    assert images(look_through({"c.tgz": packed(chart)})) == {"docker.io/r/redis:v2"}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ("", True),
        ("inner: {enabled: false}", False),
        ("inner: {enabled: true}", True),
        ("inner: {enabled: text}", True),
        ("global: {inner: {enabled: false}}", False),
    ],
)
def test_a_chart_that_its_condition_switches_off(values: str, wanted: bool) -> None:
    about = ABOUT + "dependencies: [{name: inner, condition: 'global.inner.enabled,inner.enabled', alias: i}]\n"
    files = {
        "c/Chart.yaml": about,
        "c/values.yaml": values,
        "c/charts/inner/Chart.yaml": "name: inner\n",
        "c/charts/inner/values.yaml": "image: {repository: r/inner, tag: v1}\n",
    }
    assert images(look_through(files)) == ({"docker.io/r/inner:v1"} if wanted else set())


def test_values_for_an_inner_chart_stand_under_its_alias() -> None:
    files = {
        "Chart.yaml": ABOUT + "dependencies: [{name: inner, alias: i}]\n",
        "values.yaml": "i: {image: {tag: v2, registry: r.io}}\nglobal: {imageRegistry: ''}\n",
        "charts/inner/Chart.yaml": "name: inner\n",
        "charts/inner/values.yaml": "image: {repository: r/inner, tag: v1}\n",
        "manifests/x.yaml": "image: beside/the-chart:1\n",  # the chart is the tree itself; this is none of it
    }
    assert images(look_through(files)) == {"r.io/r/inner:v2", "docker.io/beside/the-chart:1"}


def test_the_registry_for_all_images() -> None:
    files = {
        "c/Chart.yaml": ABOUT,
        "c/values.yaml": "global: {imageRegistry: r.example.com}\nimage: {registry: q.io, repository: a/b, tag: v1}\n",
    }
    assert images(look_through(files)) == {"r.example.com/a/b:v1"}


def test_other_values_of_a_chart() -> None:
    files = {"c/Chart.yaml": ABOUT, "c/values-production.yaml": "image: {repository: a/b}\nside: {image: x/y:1}\n"}
    found = look_through(files)
    assert images(found) == {"docker.io/a/b:v9", "docker.io/x/y:1"}
    assert all(one.guess for one in found.images)


def test_values_of_the_users_choice(tmp_path: Path) -> None:
    values = tmp_path / "mine.yaml"
    values.write_text("image: {tag: v7}\n")
    files = {"c/Chart.yaml": ABOUT, "c/values.yaml": "image: {repository: a/b, tag: v1}\n"}
    assert images(look_through(files, Readers(values=(("", values),)))) == {"docker.io/a/b:v7"}
    assert images(look_through(files, Readers(values=(("c", values),)))) == {"docker.io/a/b:v7"}
    assert images(look_through(files, Readers(values=(("d", values),)))) == {"docker.io/a/b:v1"}
    values.write_text("- no values\n")
    with pytest.raises(InputError, match="has no mapping"):
        look_through(files, Readers(values=(("", values),)))


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ('"{{ .Values.a.b }}:{{ .Values.tag }}"', "x/y:v1"),
        ('{{ printf "%s:%s" .Values.a.b .Values.tag | quote }}', "x/y:v1"),
        ("{{ .Values.a.b }}:{{ .Values.none | default .Chart.AppVersion }}", "x/y:v9"),
        ('{{ .Values.none | default "z" }}/y:{{ $.Values.tag }}', "z/y:v1"),
        ('{{ .Values.a.b }}:{{ .Values.tag | replace "v" "w" }}', "x/y:w1"),
        ("{{ ternary .Values.a.b .Values.tag true }}:{{ .Values.number }}", "x/y:1.20"),
        ("{{- .Values.a.b -}}:1", "x/y:1"),
        ("{{ .Values.none }}:1", ""),
        ("{{ .Values.a }}:1", ""),
        ('{{ include "x" . }}', ""),
        ("{{ .repository }}", ""),
        ("{{ $local }}", ""),
        ("{{ index .Values.list 0 }}", ""),
    ],
)
def test_what_templates_look_up(image: str, wanted: str) -> None:
    files = {
        "c/Chart.yaml": ABOUT,
        "c/values.yaml": "a: {b: x/y}\ntag: v1\nnumber: 1.20\nlist: [a]\n",
        "c/templates/pod.yaml": f"kind: Pod\nspec:\n  containers:\n    - image: {image}\n",
    }
    found = look_through(files)
    assert images(found) == ({f"docker.io/{wanted}"} if wanted else set())
    assert bool(found.unresolved) is not bool(wanted)


def test_library_charts_are_passed_over() -> None:
    assert not images(look_through({"c/Chart.yaml": ABOUT + "type: library\n", "c/values.yaml": "image: a/b:1\n"}))


def test_a_file_called_chart_that_is_none() -> None:
    files = {"Chart.yaml": "title: a pie\n", "templates/pod.yaml": "image: a/b:1\n", "values.yaml": "image: c/d:1\n"}
    assert images(look_through(files)) == {"docker.io/a/b:1", "docker.io/c/d:1"}


def test_the_outermost_chart_owns() -> None:
    paths = ["a/Chart.yaml", "a/charts/b/Chart.yaml", "a/other/Chart.yaml", "ab/Chart.yaml"]
    charts = Charts(ReadFiles(paths, lambda path: ABOUT.encode()))
    assert charts.roots == ["a/", "a/other/", "ab/"]
    assert charts.root_of("a/charts/b/values.yaml") == "a/"
    assert charts.root_of("a/other/templates/x.yaml") == "a/other/"
    assert charts.root_of("a/files/x.yaml") is None
    assert charts.root_of("ab/values.yaml") == "ab/"
    assert charts.root_of("values.yaml") is None


def bomb(members: int) -> bytes:
    return packed(
        {"c/Chart.yaml": ABOUT, **{f"c/templates/{n}.yaml": b"\0" * (LARGEST_CHART // 4) for n in range(members)}}
    )


@pytest.mark.parametrize(
    "content",
    [
        packed({"a/x.yaml": "image: a/b:1\n"}),
        packed({"Chart.yaml": ABOUT}),
        packed({"../Chart.yaml": ABOUT}),
        packed({"c/Chart.yaml": ABOUT})[:-20],
        gzip.compress(b"no tar at all" * 100),
        b"\x1f\x8b",
        bomb(5),
    ],
    ids=["no chart", "at the top", "climbs", "cut off", "no tar", "empty", "too large"],
)
def test_what_is_no_packed_chart(content: bytes) -> None:
    assert unpacked(content) is None
    assert not look_through({"x.tgz": content}).images


STAND_IN = """\
#!/bin/sh
# Stands in for helm where the real one cannot be made to: it hangs, and it writes what no chart makes it write.
"""


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo 'Error: chart requires kubeVersion: >=9' >&2; exit 1", "Error: chart requires kubeVersion: >=9"),
        ("exit 3", "helm template failed and said nothing"),
        ("exec tail -f /dev/null", "helm template took more than 0.2 seconds"),
    ],
)
def test_without_what_helm_renders_it_is_guessed(tmp_path: Path, body: str, why: str) -> None:
    program = tmp_path / "helm"
    program.write_text(STAND_IN + body + "\n")
    program.chmod(0o755)
    found = discover(DirectoryFiles(CHARTS), Readers(Helm(program, seconds=0.2)).read)
    assert images(found) == GUESSED
    assert [(str(one.place), one.why) for one in found.unresolved if one.place.rule == "helm"] == [
        ("shop/Chart.yaml:1", why)
    ]


@pytest.mark.parametrize("values", ["", "c: {enabled: false}"])
def test_helm_is_not_run_on_charts_without_end(tmp_path: Path, values: str) -> None:
    """helm reads every chart within a chart, also those that its values leave out: it would take all of the memory."""
    program = tmp_path / "helm"
    program.write_text(STAND_IN + f"touch {tmp_path}/ran\n")
    program.chmod(0o755)
    inner: dict[str, str | bytes] = {"c/Chart.yaml": ABOUT}
    for _ in range(3):
        inner |= {f"c/charts/{number}.tgz": packed(inner) for number in range(8)}
    conditions = "dependencies: [{name: c, version: 1.0.0, condition: c.enabled}]\n"
    outer: dict[str, str | bytes] = {"Chart.yaml": ABOUT + conditions, "values.yaml": values}
    outer |= {path.removeprefix("c/"): content for path, content in inner.items() if path != "c/Chart.yaml"}
    found = look_through(outer, Readers(Helm(program)))
    assert [one.why for one in found.unresolved if one.place.rule == "helm"] == [
        "helm is not run on a chart with more than 500 charts, or 67108864 bytes, within it"
    ]
    assert not (tmp_path / "ran").exists()


def test_a_helm_that_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "helm").write_text(STAND_IN + "echo 'image: a/b:1'\n")
    (tmp_path / "helm").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    found = discover(DirectoryFiles(CHARTS), Readers(Helm(Path("helm"))).read)
    assert images(found) == {"docker.io/a/b:1"}


def test_a_helm_that_cannot_be_run(tmp_path: Path) -> None:
    found = discover(DirectoryFiles(CHARTS), Readers(Helm(tmp_path / "missing")).read)
    assert images(found) == GUESSED
    assert any("cannot be run" in one.why for one in found.unresolved)


def test_what_a_stand_in_writes(tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text(STAND_IN + "printf '# Source: shop/templates/gone.yaml\\nimage: a/b:1\\nx: {{ .Y }}\\n'\n")
    program.chmod(0o755)
    found = discover(DirectoryFiles(CHARTS), Readers(Helm(program)).read)
    assert [(one.image, str(one.found[0])) for one in found.images] == [("docker.io/a/b:1", "shop/templates/gone.yaml")]
