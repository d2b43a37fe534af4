"""What the README, tox and CI promise to whoever checks this tree out."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import debian_packages  # noqa: E402  # a script beside the packages
import install_all  # noqa: E402

README = (ROOT / "README.md").read_text()
TOX = configparser.RawConfigParser()
TOX.read(ROOT / "tox.ini")
PIPX = """#!/bin/bash
echo "pipx $*; required: ${SEALER_REQUIRE_LAB:-no}"
printf '%b' "$PRINTED"
exit "$STATUS"
"""


def ci(directory: Path, printed: str, status: int) -> subprocess.CompletedProcess[str]:
    """`.ci/run` of a tree whose tests print and end like this."""
    for name, text in (("tree/.ci/run", (ROOT / ".ci" / "run").read_text()), ("bin/pipx", PIPX)):
        path = directory / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    (directory / "tree" / "README.md").write_text(
        "# x\n\n    true && pipx run tox run -e demo\n    true && pipx run tox run\n"
    )
    environment = {**os.environ, "PATH": f"{directory / 'bin'}:{os.environ['PATH']}", "PRINTED": printed}
    environment.pop("SEALER_REQUIRE_LAB", None)
    return subprocess.run(
        [directory / "tree" / ".ci" / "run"],
        env=environment | {"STATUS": str(status)},
        capture_output=True,
        text=True,
        check=False,
    )


CLOSING = "2651 passed, 1 skipped in 812.31s (0:13:32)"


@pytest.mark.parametrize("status", [0, 1])
def test_ci_runs_the_readmes_command_and_ends_as_it_ends(tmp_path: Path, status: int) -> None:
    done = ci(tmp_path, f"==== \\x1b[32m{CLOSING}\\x1b[0m ====\\n  docs: OK\\n", status)
    assert done.returncode == status
    assert "+ true && pipx run tox run\n" in done.stdout or "+ pipx run tox run\n" in done.stdout
    required = "1" if os.geteuid() == 0 and sys.platform.startswith("linux") else "no"
    assert f"pipx run tox run; required: {required}\n" in done.stdout
    assert CLOSING in done.stdout.splitlines()[-1]


def test_ci_fails_when_pytest_never_came_to_its_end(tmp_path: Path) -> None:
    done = ci(tmp_path, "  lint: OK\\n", 0)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "no tests ran")


def test_the_readme_has_one_command_for_the_tests_and_one_for_the_demo() -> None:
    commands = re.findall(r"^    (.*pipx run tox run.*)$", README, re.MULTILINE)
    assert [command.partition(" && apt-get install -y pipx && ")[2] for command in commands] == [
        "pipx run tox run -e demo",
        "pipx run tox run",
    ]


def test_what_tox_runs_by_itself_has_lint_types_docs_and_all_tests() -> None:
    assert {"lint", "docs", "tests"} <= {name.strip() for name in TOX["tox"]["env_list"].split(",")}


def test_every_environment_is_described() -> None:
    page = (ROOT / "docs" / "how-to" / "contribute.md").read_text()
    environments = {section.removeprefix("testenv:") for section in TOX.sections() if section.startswith("testenv:")}
    assert environments == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_all_but_lint_and_the_developers_own_loop_run_on_wheels() -> None:
    default = TOX["testenv"]["commands_pre"].split()
    assert default[:2] == ["python", "tools/wheels.py"]
    own = {name: TOX[name] for name in TOX.sections() if name.startswith("testenv:") and "commands_pre" in TOX[name]}
    others = {name.removeprefix("testenv:") for name in own if "tools/wheels.py" not in own[name]["commands_pre"]}
    assert others == {"dev", "lint", "release", "wheel"}
    assert "install_all" not in "".join(TOX[name].get("commands", "") for name in TOX.sections())


def test_every_benchmark_is_run_by_tox() -> None:
    modules = (ROOT / "tests" / "benchmarks").glob("*.py")
    benchmarks = {str(path.relative_to(ROOT)) for path in modules if 'if __name__ == "__main__"' in path.read_text()}
    assert len(benchmarks) > 4
    commands = TOX["testenv:bench"]["commands"].splitlines()
    assert benchmarks == {line.split()[1] for line in commands if line.startswith("python tests/")}


def test_without_root_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "argv", ["debian_packages.py", "tests"])
    assert debian_packages.main() == 0
    packages = " ".join(sorted(debian_packages.TESTS.values()))
    assert capsys.readouterr().out == f"missing programs; as root on Debian: apt-get install -y {packages}\n"
    assert f"`{packages}`" in " ".join(README.split())


@pytest.mark.parametrize("distribution", install_all.distributions(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_distribution_is_typed_free_and_described(distribution: Path) -> None:
    metadata = configparser.ConfigParser()
    metadata.read(distribution / "setup.cfg")
    source = distribution / metadata["options"]["package_dir"].split("=")[1].strip()
    [package] = [path for path in source.iterdir() if (path / "__init__.py").exists()]
    assert (package / "py.typed").exists()
    kernel = configparser.ConfigParser()
    kernel.read(ROOT / "setup.cfg")
    for section in ("options.package_data", "options.exclude_package_data"):  # one rule for all kinds of files
        assert dict(metadata[section]) == dict(kernel[section])
    assert (distribution / "MANIFEST.in").read_text() == "prune tests\n"
    assert (distribution / "LICENSE").resolve() == ROOT / "LICENSE"
    assert metadata["metadata"]["license_expression"] == "Apache-2.0"
    assert metadata["options"]["python_requires"] == ">=3.11"
    assert (distribution / "README.md").exists()


def test_the_extra_all_brings_the_built_in_plugins() -> None:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    assert metadata["options.extras_require"]["all"].split() == sorted(
        path.parent.name for path in ROOT.glob("builtin_plugins/*/setup.cfg")
    )
