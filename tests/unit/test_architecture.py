"""The rules that keep the kernel a kernel. Every module is looked at, whoever adds it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sealer
from sealer import settings

CORE = Path(sealer.__file__).parent
MODULES = sorted(path for path in CORE.rglob("*.py"))

# A module imports from its own package, and from packages of lower floors.
FLOORS = {
    "cli": 5,
    "cluster": 4,
    "extension": 3,
    "image": 2,
    "clusterfile": 2,
    "kubefile": 2,
    "templates": 2,
    "defaults": 1,
    "documents": 1,
    "errors": 1,
    "events": 1,
    "home_safety": 1,
    "hosts": 1,
    "phases": 1,
    "redaction": 1,
    "settings": 1,
    "suggestions": 1,
}
# Beside the floors: the kit for authors of plugins may use everything, nothing may use it; so it is with `__main__`.
BESIDE = {"testing": 6, "__main__": 6, "": 0}
# Packages of floor 2 may use one another without a circle.
SAME_FLOOR = {("image", "kubefile"), ("image", "templates"), ("templates", "clusterfile")}
# Vocabulary that builds on vocabulary.
SAME_FLOOR |= {("errors", "redaction"), ("events", "redaction"), ("hosts", "redaction"), ("settings", "errors")}
SAME_FLOOR |= {("settings", "home_safety"), ("home_safety", "errors"), ("settings", "defaults")}
SAME_FLOOR |= {("defaults", "documents"), ("defaults", "errors"), ("defaults", "home_safety")}

TRADES = {"paramiko", "kubernetes", "asyncssh", "fabric"}
# Names of drivers that are nothing else, wherever they stand.
DRIVERS = {"standalone", "baremetal", "k3s", "k0s", "nspawn", "docker", "ali_cloud"}
# Names that are also words of a Clusterfile (spec.ssh, kubeadm documents): looked for where a driver is meant.
DRIVERS_AND_WORDS = {"ssh", "local", "registry", "kubeadm", "external"}
DRIVER = re.compile("transport|provider|runtime|driver", re.IGNORECASE)


def package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(name: str) -> int:
    assert name in FLOORS or name in BESIDE, (
        f"sealer.{name} has no floor: give it one in this test, with a decision record"
    )
    return FLOORS.get(name, BESIDE.get(name, 0))


def dotted(path: Path) -> str:
    parts = ("sealer", *path.relative_to(CORE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere in a file, in functions and for type checkers too, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            if node.module == "sealer":
                yield from ((f"sealer.{alias.name}", node.lineno) for alias in node.names if alias.name[0] != "_")
            elif node.module:
                yield node.module, node.lineno


def name(path: Path) -> str:
    return str(path.relative_to(CORE))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_go_downwards(path: Path) -> None:
    own = package(dotted(path))
    wrong = []
    for module, line in imports(path):
        other = package(module)
        if not module.startswith("sealer.") or other == own or (own, other) in SAME_FLOOR:
            continue
        if floor(other) >= floor(own) or (other == "testing"):
            wrong.append(
                f"{name(path)}:{line}: {own or 'sealer'} (floor {floor(own)}) imports {module} ({floor(other)})"
            )
    assert not wrong


def test_the_exceptions_on_one_floor_make_no_circle() -> None:
    assert not {(second, first) for first, second in SAME_FLOOR} & SAME_FLOOR


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_kernel_knows_no_plugin_and_no_trade(path: Path) -> None:
    wrong = [
        f"{name(path)}:{line}: {module}"
        for module, line in imports(path)
        if module.startswith("sealer_plugin_") or module.split(".")[0] in TRADES
    ]
    assert not wrong


def texts(node: ast.AST | None) -> Iterator[str]:
    """The text constants that a node is, or lists."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.lower()
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for element in node.elts:
            yield from texts(element)


def meant_as_drivers(node: ast.AST) -> Iterator[str]:
    """Texts that are compared with, given to or kept in something called a driver, transport, provider or runtime."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(DRIVER.search(ast.unparse(side)) for side in sides):
            for side in sides:
                yield from texts(side)
    elif isinstance(node, ast.Call) and DRIVER.search(ast.unparse(node.func)):
        # load_driver("registry", ...): the first argument is a kind of drivers, not one of them
        arguments = node.args[1:] if ast.unparse(node.func).endswith("load_driver") else node.args
        for argument in [*arguments, *(keyword.value for keyword in node.keywords)]:
            yield from texts(argument)
    elif isinstance(node, ast.keyword) and DRIVER.search(node.arg or ""):
        yield from texts(node.value)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(DRIVER.search(ast.unparse(target)) for target in targets):
            yield from texts(node.value)


def named_drivers(source: ast.Module) -> set[str]:
    found = {text for node in ast.walk(source) for text in texts(node) if text in DRIVERS}
    return found | {text for node in ast.walk(source) for text in meant_as_drivers(node) if text in DRIVERS_AND_WORDS}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_drivers_are_named_in_the_settings_alone(path: Path) -> None:
    assert path.name == "settings.py" or not named_drivers(tree(path))


@pytest.mark.parametrize(
    "source",
    [
        "x = 'NSPAWN'",
        "if host.transport == 'ssh': pass",
        "if choice.name in ('local', 'ssh') and choice.is_driver('ssh'): pass",
        "DriverChoice('registry')",
        "load_driver('registry', 'registry')",
        "connect(transport='local')",
        "DEFAULT_TRANSPORT: str = 'ssh'",
    ],
)
def test_a_named_driver_is_found(source: str) -> None:
    assert named_drivers(ast.parse(source))


def test_the_default_drivers_are_among_those_looked_for() -> None:
    kinds = ("RUNTIME", "PROVIDER", "TRANSPORT", "REGISTRY")
    defaults = {value for key, value in vars(settings).items() if key.startswith("DEFAULT_") and key.endswith(kinds)}
    assert len(defaults) == 6
    assert defaults <= DRIVERS | DRIVERS_AND_WORDS


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path))


def test_the_command_line_starts_without_heavy_libraries() -> None:
    heavy = {"paramiko", "oras", "requests", "rich", "structlog", "stevedore", "jsonschema", "isal", "asyncio", "yaml"}
    command = [sys.executable, "-X", "importtime", "-c", "import sealer.cli"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    loaded = {
        line.rsplit("|", 1)[-1].strip().split(".")[0] for line in told.splitlines() if line.startswith("import time")
    }
    assert "sealer" in loaded
    assert not loaded & heavy
