"""Every hook and each of its arguments is documented, and the examples work."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.events import Event, EventStream, State
from sealer.extension import hookspecs
from sealer.extension.manager import PluginManager
from sealer.extension.marker import PROJECT
from sealer.phases import Phase
from sealer.settings import Settings
from sealer.testing import make_operation

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference" / "hooks.md"
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and hasattr(function, f"{PROJECT}_spec")
}
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), flags=re.M | re.S))


def test_the_page_has_every_hook_and_no_other() -> None:
    assert set(SECTIONS) == set(HOOKS)
    assert {phase.hook for phase in Phase} <= set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_argument_is_documented(hook: str) -> None:
    documented = set(re.findall(r"^`(\w+)`\n: ", SECTIONS[hook], flags=re.M))
    assert documented == set(inspect.signature(HOOKS[hook]).parameters)


@pytest.mark.parametrize("hook", HOOKS)
def test_its_docstring_says_what_it_is_and_shows_an_example(hook: str) -> None:
    text = HOOKS[hook].__doc__ or ""
    assert text.splitlines()[0].endswith(".")
    assert "@hookimpl" in text


@pytest.fixture
def manager(tmp_path: Path) -> PluginManager:
    return PluginManager(Settings(home=tmp_path), EventStream())


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_takes_part(hook: str, manager: PluginManager, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"```python\n(.*?)```", SECTIONS[hook], flags=re.S)
    module: dict[str, object] = {}
    exec(compile(example, f"{PAGE}: {hook}", "exec"), module)
    manager.register(type("Example", (), {hook: staticmethod(module[hook])})(), "example")  # type: ignore[arg-type]
    operation = make_operation("delete" if hook.endswith("clean") else "create")
    monkeypatch.setenv("EXAMPLE", "the-secret-text")

    def heard() -> bool:
        manager.event(Event(State.FAILED, message="no"))
        return module["failures"] == ["no"]

    calls: dict[str, Callable[[], object]] = {
        **{phase.hook: lambda phase=phase: manager.lifecycle(phase, operation) for phase in Phase},  # type: ignore[misc]
        "plugin_types": lambda: list(manager.plugin_types()) == ["MOTD"],
        "image_references": lambda: [one.line for one in manager.image_references("a.images", b"x\n\ny")] == [1, 3],
        "preflight_checks": lambda: manager.preflight_checks(operation),
        "health_checks": lambda: [isinstance(given, tuple) for _, given in manager.health_checks(operation)] == [True],
        "resolve_secret": lambda: manager.resolve_secret("env:EXAMPLE"),
        "event": heard,
    }
    assert calls[hook]()


def test_the_guide_works(tmp_path: Path) -> None:
    guide = (DOCS / "how-to" / "write-a-plugin.md").read_text()
    source, test, *_ = re.findall(r"```python\n(.*?)```", guide, flags=re.S)  # what follows needs hosts
    module: dict[str, object] = {"__name__": "guide"}
    exec(compile(source + test, "write-a-plugin.md", "exec"), module)
    contract = module["TestDiskCheck"]
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) > 4
    for name in tests:
        getattr(contract(), name)()  # type: ignore[operator]
    module["test_too_little_space"]()  # type: ignore[operator]
