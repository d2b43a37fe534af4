"""Every method of a driver interface and each of its arguments is documented."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sealer.extension import Connection, Provider, Registry, Runtime, Transport
from sealer.extension.drivers import Driver
from sealer.extension.loading import GROUPS, INTERFACES
from sealer.extension.schema import KEYWORDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "drivers.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S))


def own_members(interface: type) -> set[str]:
    """What the interface adds, as the page writes it: `name`, or `name(argument, *arguments)`."""
    found = set()
    for name, member in vars(interface).items():
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            parameters = list(inspect.signature(member).parameters.values())[1:]
            words, keyword_only = [], False
            for parameter in parameters:
                if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
                    words.append("*")
                    keyword_only = True
                keyword_only = keyword_only or parameter.kind is parameter.VAR_POSITIONAL
                words.append(f"*{parameter.name}" if parameter.kind is parameter.VAR_POSITIONAL else parameter.name)
            found.add(f"{name}({', '.join(words)})")
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("interface", [Driver, Runtime, Registry, Provider, Transport, Connection])
def test_every_member_is_documented(interface: type) -> None:
    documented = set(re.findall(r"^`([^`]+)`\n: ", SECTIONS[interface.__name__], flags=re.M))
    assert documented == own_members(interface)


def test_every_kind_has_its_group_and_interface() -> None:
    for kind, group in GROUPS.items():
        assert f"| `{group}` | `sealer.extension.{INTERFACES[kind].__name__}` |" in PAGE


def test_every_keyword_of_a_schema_is_documented() -> None:
    for keyword in KEYWORDS:
        assert f"`{keyword}`" in SECTIONS["Driver"]


def test_the_example_is_a_driver() -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    module: dict[str, type[Provider]] = {}
    exec(compile(example, "drivers.md", "exec"), module)
    assert issubclass(module["Cloud"], Provider)
    assert not inspect.isabstract(module["Cloud"])
