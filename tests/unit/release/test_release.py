"""A release in a copy of this tree: what it commits, what it refuses, and that the same commit gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import archives  # noqa: E402  # scripts beside the packages
import release  # noqa: E402
import sbom  # noqa: E402
import versions  # noqa: E402
from install_all import distributions  # noqa: E402

BEFORE = versions.current(ROOT)
NEXT = f"{int(BEFORE.split('.')[0]) + 1}.2.0"
FRAGMENT = "A sentence that users read.\n"


def git(tree: Path, *words: str) -> str:
    return subprocess.check_output(["git", *words], cwd=tree, text=True).strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a release reads and changes of this tree, committed, with one fragment."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # as in a hook of git
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "bytecode"))
    tree = tmp_path / "tree"
    for path in [
        *versions.files(),
        *(ROOT / "tools").rglob("*.*"),
        *(ROOT / name for name in ("CHANGELOG.md", "pyproject.toml")),
    ]:
        if path.is_file() and path.suffix != ".pyc":
            copy = tree / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    changelog = (tree / "CHANGELOG.md").read_text()
    (tree / "CHANGELOG.md").write_text(changelog.partition("\n## ")[0] + "\n")  # this tree may be prepared already
    (tree / "changelog.d").mkdir()
    (tree / "changelog.d/.gitkeep").touch()
    (tree / "changelog.d/+thing.feature.md").write_text(FRAGMENT)
    git(tree, "init", "-q", "-b", "main")
    for name, value in (("user.name", "Some One"), ("user.email", "one@example.com"), ("commit.gpgsign", "false")):
        git(tree, "config", name, value)
    commit(tree)
    return tree


def commit(tree: Path) -> None:
    git(tree, "add", "--all", "--force")
    git(tree, "commit", "-q", "--no-verify", "-m", "A commit")


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The script itself; without any network where a namespace can be had for that."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    command = [*alone, sys.executable, str(tree / "tools/release.py"), *words]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def test_prepare_commits_the_version_and_the_changelog(tree: Path) -> None:
    before = git(tree, "rev-parse", "HEAD")
    done = run(tree, NEXT, "--prepare", "--date", "2030-02-03")
    assert (done.returncode, done.stderr) == (0, "")
    assert git(tree, "rev-parse", "HEAD~1") == before
    assert git(tree, "log", "-1", "--format=%s, %an, %ae") == f"Release {NEXT}, Some One, one@example.com"
    assert git(tree, "status", "--porcelain") == ""
    changelog = (tree / "CHANGELOG.md").read_text()
    section = changelog.partition(f"\n## {NEXT} (2030-02-03)\n")[2]
    assert section.split("\n", 4)[:4] == ["", "### Features", "", f"- {FRAGMENT.strip()}"]
    assert [path.name for path in (tree / "changelog.d").iterdir()] == [".gitkeep"]
    assert set(versions.declared(tree).values()) == {NEXT}
    major = NEXT.partition(".")[0]
    for path in versions.files(tree):
        text = path.read_text()
        assert BEFORE not in re.findall(r"(?m)^version = (.*)", text)
        assert set(re.findall(r"sealer>=[\d.]+,<[\d.]+", text)) <= {f"sealer>={major}.2,<{major}.3"}
    assert subprocess.run([sys.executable, tree / "tools/changelog.py"], check=False).returncode == 0

    again = run(tree, NEXT, "--prepare")
    assert (again.returncode, f"{NEXT} is prepared" in again.stdout) == (0, True)
    assert git(tree, "rev-parse", "HEAD~1") == before


def edited(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("mine")


def untracked(tree: Path) -> None:
    (tree / "changelog.d/+new.feature.md").write_text("New.\n")


def tagged(tree: Path) -> None:
    git(tree, "tag", f"v{NEXT}")


def listed(tree: Path) -> None:
    with (tree / "CHANGELOG.md").open("a") as file:
        file.write(f"\n## {NEXT} (2020-01-01)\n")
    commit(tree)


def without_fragments(tree: Path) -> None:
    (tree / "changelog.d/+thing.feature.md").unlink()
    commit(tree)


def with_a_wrong_fragment(tree: Path) -> None:
    (tree / "changelog.d/+thing.improvement.md").write_text("Better.\n")
    commit(tree)


def prepared_and_gone_on(tree: Path) -> None:
    assert run(tree, NEXT, "--prepare").returncode == 0
    (tree / "changelog.d/+later.feature.md").write_text(FRAGMENT)
    commit(tree)


def in_disagreement(tree: Path) -> None:
    path = versions.files(tree)[-1]
    path.write_text(path.read_text().replace(f"version = {BEFORE}", "version = 7.7.7"))
    commit(tree)


def as_it_is(tree: Path) -> None:
    assert tree.is_dir()


@pytest.mark.parametrize(
    ("change", "version", "said"),
    [
        (edited, NEXT, "not committed: CHANGELOG.md"),
        (untracked, NEXT, "not committed: changelog.d/+new.feature.md"),
        (tagged, NEXT, f"the tag v{NEXT} exists"),
        (listed, NEXT, "was released: CHANGELOG.md has it"),
        (without_fragments, NEXT, "no fragments"),
        (with_a_wrong_fragment, NEXT, "+thing.improvement.md: a fragment is called"),
        (prepared_and_gone_on, NEXT, f"after {NEXT} was prepared: +later.feature.md"),
        (in_disagreement, NEXT, f"several versions: {BEFORE}, 7.7.7"),
        (as_it_is, BEFORE, f"does not come after {BEFORE}"),
        (as_it_is, "0.0.9", f"does not come after {BEFORE}"),
        (as_it_is, "1.0", "'1.0' is no version"),
        (as_it_is, "v3.0.0", "'v3.0.0' is no version"),
    ],
)
def test_what_cannot_be_released_is_refused(
    tree: Path, change: Callable[[Path], None], version: str, said: str
) -> None:
    change(tree)
    state = git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain"), git(tree, "tag")
    done = run(tree, version)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("release: ")
    assert said in done.stderr
    assert (git(tree, "rev-parse", "HEAD"), git(tree, "status", "--porcelain"), git(tree, "tag")) == state
    assert not (tree / "dist").exists()


def test_a_release_candidate_comes_before_its_release() -> None:
    written = ["1.1.0", "1.0.0rc1", "0.9.0", "1.0.10", "1.0.0", "1.0.0a1"]
    assert sorted(written, key=versions.order) == ["0.9.0", "1.0.0a1", "1.0.0rc1", "1.0.0", "1.0.10", "1.1.0"]


def test_every_distribution_has_the_version_of_the_tree() -> None:
    assert versions.declared().keys() >= {path / "setup.cfg" for path in distributions()}
    for path in versions.files():
        for text in re.findall(r"sealer>=[\d.]+,<[\d.]+", path.read_text()):
            assert Requirement(text).specifier.contains(BEFORE, prereleases=True), path


@pytest.fixture(scope="module")
def one_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of a kernel and a plugin that are as small as can be."""
    tree = tmp_path_factory.mktemp("small")
    for path, name in ((tree, "kernel"), (tree / "plugins/sealer-plugin-x", "plugin")):
        package = path / f"src/{name}_package"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "run.sh").write_text("#!/bin/sh\n")
        (package / "run.sh").chmod(0o755)
        (path / "setup.cfg").write_text(
            f"[metadata]\nname = {name}\nversion = 1.0\n[options]\npackage_dir =\n    =src\npackages = find:\n"
            "[options.packages.find]\nwhere = src\n[options.package_data]\n* = *.sh\n"
        )
        (path / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        )
    return tree


def test_the_same_commit_gives_the_same_bytes(one_distribution: Path, tmp_path: Path) -> None:
    built = []
    for number, mask in enumerate((0o022, 0o077)):
        copy = tmp_path / f"tree-{number}"
        shutil.copytree(one_distribution, copy)
        for path in copy.rglob("*"):
            os.utime(path, (1_500_000_000 + number, 1_500_000_000 + number))
        target = tmp_path / f"dist-{number}"
        before = os.umask(mask)
        try:
            release.build_distributions(copy, target, 1_700_000_000)
        finally:
            os.umask(before)
        built.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert built[0] == built[1]
    assert sorted(built[0]) == [
        *("kernel-1.0-py3-none-any.whl", "kernel-1.0.tar.gz", "plugin-1.0-py3-none-any.whl", "plugin-1.0.tar.gz"),
    ]
    release.write_sums(tmp_path / "dist-0")
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path / "dist-0", check=True)
    assert len((tmp_path / "dist-0/SHA256SUMS").read_text().splitlines()) == 4


def test_an_archive_keeps_what_may_be_run(tmp_path: Path) -> None:
    archives.write(tmp_path / "a.tar.gz", [("a/b.sh", b"x", 0o755), ("a/a", b"y", 0o644)], 1_700_000_000)
    archives.rewrite(tmp_path / "a.tar.gz", 1_700_000_000)
    listed = subprocess.check_output(["tar", "--numeric-owner", "--utc", "-tvzf", tmp_path / "a.tar.gz"], text=True)
    assert [line.split() for line in listed.splitlines()] == [
        ["-rw-r--r--", "0/0", "1", "2023-11-14", "22:13", "a/a"],
        ["-rwxr-xr-x", "0/0", "1", "2023-11-14", "22:13", "a/b.sh"],
    ]


def wheel(directory: Path, name: str, tag: str, *about: str) -> Path:
    path = directory / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as zipped:
        head = [f"Name: {name}", "Version: 1.0", f"Summary: The {name}", *about]
        zipped.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(head) + "\n\nText: that is none\n")
    return path


def test_the_bill_of_materials_has_every_wheel(tmp_path: Path) -> None:
    free = "Classifier: License :: OSI Approved :: BSD License"
    wheels = [
        wheel(tmp_path, "sealer", "py3-none-any", "License-Expression: Apache-2.0", "Requires-Dist: Fast.Thing>=1"),
        wheel(tmp_path, "fast_thing", "cp311-cp311-manylinux_2_17_x86_64", free, "Requires-Dist: absent"),
        wheel(tmp_path, "fast_thing", "cp312-cp312-manylinux_2_17_x86_64", free),
    ]
    text = sbom.document("1.0", wheels, 1_700_000_000)
    assert text == sbom.document("1.0", reversed(wheels), 1_700_000_000)
    found = json.loads(text)
    assert (found["bomFormat"], found["metadata"]["timestamp"]) == ("CycloneDX", "2023-11-14T22:13:20+00:00")
    main = found["metadata"]["component"]
    assert (main["purl"], main["licenses"]) == ("pkg:pypi/sealer@1.0", [{"expression": "Apache-2.0"}])
    [other] = found["components"]
    assert (other["purl"], other["licenses"]) == ("pkg:pypi/fast-thing@1.0", [{"license": {"name": "BSD License"}}])
    digests = {part["name"]: part["hashes"][0]["content"] for part in [*other["components"], *main["components"]]}
    sums = subprocess.check_output(["sha256sum", *(path.name for path in wheels)], cwd=tmp_path, text=True)
    assert digests == {line.split()[1]: line.split()[0] for line in sums.splitlines()}
    needs = {entry["ref"]: entry.get("dependsOn") for entry in found["dependencies"]}
    assert needs["pkg:pypi/sealer@1.0"] == ["pkg:pypi/fast-thing@1.0"]
