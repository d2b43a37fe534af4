"""What all tests share: lab hosts or a reason, a home of their own, no leftovers of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sealer.redaction import redactor

pytest_plugins = ["sealer.testing.pytest_plugin"]

LAB_PROGRAMS = ("systemd-nspawn", "mmdebstrap", "ip", "ssh")
REQUIRE_LAB = "SEALER_REQUIRE_LAB"
NOT_OURS = "this machine has no"  # begins the reason of a skip that no installation could spare
PAYLOAD = "SEALER_KUBERNETES_PAYLOAD"  # directory with all of a Kubernetes; who has none cannot run its tests
LAB_SECONDS = 1200
# Of two processes, one runs all tests of the first, the other begins with the second: each of them boots hosts.
GROUPS = {"kubernetes": ("tests/kubernetes/",), "hosts": ("tests/lab/", "plugins/sealer-plugin-nspawn/tests/")}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
STORIES: dict[tuple[str, str], str] = {}  # file and test function of a story: why it did not pass; empty: it passed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--soak`."""
    parser.addoption("--soak", action="store_true", help="run the tests that take many minutes, too")


def pytest_configure() -> None:
    """Let no machine that is busy with other tests fail one: how long examples take by the clock says nothing."""
    try:
        from hypothesis import HealthCheck, settings  # noqa: PLC0415  # not all environments have it
    except ImportError:
        return
    settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy machine")


@cache
def lab_obstacle() -> str:
    """Why this machine cannot boot hosts; empty when it can."""
    if not sys.platform.startswith("linux"):
        return "lab tests need Linux"
    if os.geteuid() != 0:
        return "lab tests need root: they boot hosts with systemd-nspawn"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in LAB_PROGRAMS if not shutil.which(program, path=path)]
    if missing:
        return f"lab tests need {', '.join(missing)}: run tools/debian_packages.py tests"
    unshare = ["unshare", "--mount", "--net", "true"]
    if subprocess.run(unshare, check=False, capture_output=True).returncode != 0:
        return "lab tests need to make mount and network namespaces, which this machine refuses"
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the soak tests, unless asked for; hosts that boot on a busy machine need more time than a function.

    Side by side with others (pytest -n 2), those that take longest begin.
    """
    if os.environ.get("PYTEST_XDIST_WORKER"):
        order = list(GROUPS)
        items.sort(key=lambda item: order.index(group) if (group := group_of(item.nodeid)) in order else len(order))
    for item in items:
        own_limit = item.get_closest_marker("timeout") or item.get_closest_marker("soak")
        if item.get_closest_marker("lab") and not own_limit:
            item.add_marker(pytest.mark.timeout(LAB_SECONDS))
    if not config.getoption("--soak"):
        left_out = [item for item in items if item.get_closest_marker("soak")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("soak")]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a random id alike in every process: side by side they must collect the same tests."""
    if isinstance(val, str) and UUID.search(val):
        return UUID.sub("uuid", val).encode("unicode_escape").decode()
    return None


def group_of(nodeid: str) -> str:
    """What one process runs from beginning to end: the tests of a file, or of directories that share hosts."""
    file = nodeid.partition("::")[0]
    return next((name for name, beginnings in GROUPS.items() if file.startswith(beginnings)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Deal out whole groups, in their order: one process's hosts beside the other's, while each waits for its own."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # not all environments have it

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        """By file, but for what shares hosts."""

        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def lab_required() -> bool:
    """Whether lab tests must not be skipped."""
    return os.environ.get(REQUIRE_LAB, "0") not in ("", "0")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a lab test where no host can be booted, all from this one line; fail it where it must run."""
    if item.get_closest_marker("lab") and (obstacle := lab_obstacle()):
        if lab_required():
            pytest.fail(f"{REQUIRE_LAB} is set, and {obstacle}", pytrace=False)
        pytest.skip(obstacle)
    if item.get_closest_marker("story") and (missing := unfinished_story(item)):
        pytest.skip(missing)


def unfinished_story(item: pytest.Item) -> str:
    """Why a test of a story cannot run now: one before it in the file did not pass, or was not chosen; or empty."""
    assert isinstance(item, pytest.Function)
    functions = [name for name in vars(item.module) if name.startswith("test_")]
    for name in functions[: functions.index(item.function.__name__)]:
        why = STORIES.get((str(item.path), name), "did not run; choose the whole file")
        if why:
            return f"the tests of this file run in their order: {name} {why}"
    return ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn every skip into a failure where all must run, but for what the very machine lacks, as IPv6."""
    report = yield
    reason = str(report.longrepr)
    if item.get_closest_marker("story") and isinstance(item, pytest.Function):
        how = "" if report.passed else f"was skipped ({reason})" if report.skipped else "failed"
        key = (str(item.path), item.function.__name__)
        STORIES[key] = STORIES.get(key) or how
    without_kubernetes = PAYLOAD in reason and PAYLOAD not in os.environ
    wanted = lab_required() and NOT_OURS not in reason and not without_kubernetes
    if wanted and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_LAB} is set, and this test was skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or writes the user's `~/.sealer`, known hosts, or settings."""
    for name in [name for name in os.environ if name.startswith("SEALER_") and name not in (REQUIRE_LAB, PAYLOAD)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SEALER_HOME", str(tmp_path_factory.mktemp("sealer-home")))


@pytest.fixture(autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """No test hides words in the output of another one because they were a password there."""
    texts, longest = redactor._texts, redactor.longest
    yield
    redactor._texts, redactor.longest = texts, longest


@pytest.fixture(autouse=True, scope="session")
def _signals_that_end() -> None:
    """In the background, or under nohup, signals are ignored, and all that a test starts would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _fresh_entry_points(tmp_path_factory: pytest.TempPathFactory) -> None:
    """stevedore's cache of entry points takes an edited distribution for the old one for two minutes: shut it off."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for variable, name in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")):  # these are worth keeping
        os.environ.setdefault(variable, str(cache_home / name))
    fresh = tmp_path_factory.mktemp("cache")
    (fresh / "python-entrypoints").mkdir()
    (fresh / "python-entrypoints" / ".disable").touch()
    os.environ["XDG_CACHE_HOME"] = str(fresh)
