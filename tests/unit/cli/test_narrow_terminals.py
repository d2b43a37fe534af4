"""Tables at 80 columns, with long names: every line fits, and nothing is lost; the page of a timeline."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from sealer.cli import tables, timelines
from sealer.cli.commands.images import human
from sealer.cli.health import as_text as health_text
from sealer.cli.tables import table
from sealer.cli.timeline_page import page, write
from sealer.cli.views.words import size
from sealer.cluster.health import Finding, Health
from sealer.cluster.runs import RunSummary
from sealer.cluster.timeline import Link, Span, StepSpan, Timeline
from sealer.errors import HostError, InputError

IMAGE = "registry.internal.example.com:5000/platform/team-storage/kubernetes-with-everything:v1.30.4-build.20261201"
HOST = "fd12:3456:789a:1:ffff:ffff:ffff:fff1"


class Terminal(io.StringIO):
    """What is printed to a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(tables, "sys", SimpleNamespace(stdout=Terminal()))  # pytest sets sys.stdout for each phase


def fits(text: str) -> str:
    """The text, when no line is longer than the terminal is wide."""
    assert max(map(len, text.splitlines())) <= 80, text
    return text


def run_of_many_hosts() -> Timeline:
    hosts = {f"{HOST[:-1]}{number}": Span(1000.0, 1000.0 + number, "done") for number in range(1, 6)}
    step = StepSpan(
        *(1000.0, 1006.0, "done"),
        id="Distribute/kernel/container-images-of-the-private-registry",
        title="Send the container images <of> the image & its applications to all hosts",
        phase="Distribute",
        hosts=hosts,
    )
    bad = StepSpan(1006.0, 1010.0, "failed", id="Init/kubeadm/init", title="kubeadm init", phase="Init")
    bad.hosts = {HOST: Span(1006.0, 1010.0, "failed")}
    run = RunSummary("20261201T025125Z-0a1b2c3d", f"Creating cluster prod from {IMAGE}", "op", "failed", 1000.0, 10.0)
    return Timeline(run, (step, bad), (Link(step, HOST, 0.0), Link(bad, HOST, 0.0)), 2)


def test_a_wide_table_is_wrapped_and_nothing_is_lost() -> None:
    rows = [
        ("prod-of-the-northern-region", "running", "3", "120", IMAGE, "redis, postgresql, prometheus and 4 more"),
        ("dev", "failed at Init", "1", "0", "etcd:3.4", ""),
    ]
    shown = fits(table(("name", "status", "masters", "nodes", "image", "applications"), rows))
    assert sorted(re.sub(r"\s", "", shown)) == sorted(
        re.sub(r"\s", "", "NAMESTATUSMASTERSNODESIMAGEAPPLICATIONS" + "".join(map("".join, rows)))
    )
    narrow = [("a", "b" * 60)]
    assert table(("x", "y"), narrow).splitlines()[1] == f"a  {'b' * 60}"
    assert len(table(("x",), [("c" * 200,)], whole=True).splitlines()) == 2


def test_a_file_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where COLUMNS is set, as for what a Python with readline starts."""
    monkeypatch.setattr(tables, "sys", SimpleNamespace(stdout=io.StringIO()))
    assert table(("x", "y"), [("a" * 100, "b")]).splitlines()[1] == f"{'a' * 100}  b"


def test_a_check_with_long_reasons() -> None:
    error = HostError(
        "The command ended with status 1",
        where=HOST,
        why="the certificate of the API server expires in 3 hours, and the kubelet cannot renew it",
        remedy="`sealer check --name prod-of-the-northern-region` shows the others; renew it on the master",
        output=("x" * 300,),
    )
    found = Health(
        cluster="prod",
        findings=(
            Finding("c", "kubeadm", "The certificates of the control plane", HOST, "failed", error, ()),
            Finding("d", "kernel", "Reachable, same machine as recorded", HOST, "well", None, ()),
        ),
    )
    shown = fits(health_text(found))
    assert shown.count("x") >= 300
    assert "expires in" in re.sub(r"\s+", " ", shown)


@pytest.mark.parametrize("hosts", [False, True])
def test_a_timeline(hosts: bool) -> None:
    shown = timelines.as_text(run_of_many_hosts(), hosts=hosts)
    fits(shown.partition("\n\n")[2])
    assert re.search(r"^Distribute  Send the.*\.\.\. ", shown, flags=re.M)
    assert re.search(r"[█#]", shown)
    fits(timelines.runs_as_text([run_of_many_hosts().run]))


@pytest.mark.parametrize("count", [999, 1000, 1_500_000, 2e9])
def test_sizes_have_one_spelling(count: float) -> None:
    assert size(count).split()[1] == human(count).split()[1]


class Page(HTMLParser):
    """Notes tags that do not close, and whatever a browser would load or run."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.bars = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe", "object", "base", "form"):
            self.loads.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "action") or name.startswith("on")]
        self.bars += ("class", "bar") in attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_of_a_timeline_is_whole_and_loads_nothing() -> None:
    made = page("prod", run_of_many_hosts())
    parsed = Page()
    parsed.feed(made)
    parsed.close()
    assert (parsed.open, parsed.loads) == ([], [])
    assert parsed.bars == 2 + 5
    assert "url(" not in made
    assert "@import" not in made
    assert "http" not in made.replace("http-equiv", "")
    assert "&lt;of&gt; the image &amp; its" in made
    assert "prefers-color-scheme: dark" in made
    assert made.count("<h2>") == 3
    assert 'class="row failed"' in made
    hostile = run_of_many_hosts()
    hostile.steps[0].title = "<script>alert(1)</script>\x1b[2J"
    assert "<script" not in page("<b>", hostile)
    assert "\x1b" not in page("<b>", hostile)


def test_a_page_is_written_whole_or_not(tmp_path: Path) -> None:
    target = tmp_path / "run.html"
    target.write_text("old")
    write(str(target), "prod", run_of_many_hosts())
    assert target.read_text().endswith("</html>\n")
    with pytest.raises(InputError, match="No such file"):
        write(str(tmp_path / "no/run.html"), "prod", run_of_many_hosts())
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
