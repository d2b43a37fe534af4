"""Writes the package of a new plugin."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template

from sealer import __version__
from sealer.errors import InputError
from sealer.phases import Phase
from sealer.settings import PLUGIN_PREFIX

DEFAULT_HOOKS = (Phase.POST_INSTALL.hook,)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")
_LONGEST = 40
_PHASES = {phase.hook: phase for phase in Phase}


def write_plugin(name: str, directory: Path, *, type_name: str = "", hooks: Sequence[str] = DEFAULT_HOOKS) -> Path:
    """Write the package `sealer-plugin-NAME`, whole or not at all.

    :param name: of the plugin, with or without `sealer-plugin-`.
    :param directory: where the package's directory is made.
    :param type_name: of the Plugin documents; empty: the plugin's name in upper case.
    :param hooks: lifecycle hooks that it implements, as `post_install`.
    :returns: the package's directory.
    :raises InputError: the name cannot be one, or something is in the way.
    """
    short = _checked_name(name)
    values = _values(short, _checked_type(type_name or short.upper().replace("-", "_")), _checked_hooks(hooks))
    if not directory.is_dir():
        raise InputError(f"there is no directory '{directory}'", remedy="create it, or give another with --directory")
    target = directory / f"{PLUGIN_PREFIX}{short}"
    if target.exists() or target.is_symlink():
        raise InputError(f"'{target}' exists already", remedy="choose another name, or another place with --directory")
    draft = directory / f".{PLUGIN_PREFIX}{short}.new"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write(draft, values)
        draft.rename(target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise InputError(
            f"'{target}' cannot be written",
            why=error.strerror or str(error),
            remedy="choose another place with --directory",
        ) from error
    return target


def _checked_name(name: str) -> str:
    short = name.removeprefix(PLUGIN_PREFIX)
    near = re.sub("[^a-z0-9]+", "-", name.lower().removeprefix(PLUGIN_PREFIX)).strip("-")
    if not _NAME.fullmatch(short) or len(short) > _LONGEST:
        raise InputError(
            f"'{name}' cannot be the name of a plugin",
            why=f"use lower-case letters, digits and single dashes; begin with a letter; at most {_LONGEST} characters",
            remedy=f"for example: sealer plugin new {near if _NAME.fullmatch(near) else 'disk-check'}",
        )
    return short


def _checked_type(type_name: str) -> str:
    if not _TYPE.fullmatch(type_name):
        raise InputError(
            f"'{type_name}' cannot be a type",
            why="capital letters, digits and '_', a letter first",
            remedy="for example: --type DISK_CHECK",
        )
    return type_name


def _checked_hooks(hooks: Sequence[str]) -> tuple[str, ...]:
    unknown = [hook for hook in hooks if hook not in _PHASES]
    if unknown:
        raise InputError(f"'{unknown[0]}' is no lifecycle hook", why=f"they are {', '.join(_PHASES)}")
    return tuple(dict.fromkeys(hooks))


def _values(name: str, type_name: str, hooks: Sequence[str]) -> dict[str, str]:
    major, minor = __version__.split(".")[:2]
    values = {
        "name": name,
        "package": f"{PLUGIN_PREFIX}{name}".replace("-", "_"),
        "type": type_name,
        "class_name": _class_name(name),
        "version": f"{major}.{minor}",
        "next_version": f"{major}.{int(minor) + 1}",
    }
    of_hooks = [{**values, "hook": hook, "phase": _PHASES[hook].value} for hook in hooks]
    values["hooks"] = "".join(_filled("hook.py.in", one) for one in of_hooks).rstrip()
    values["hook_tests"] = "".join(_filled("test_hook.py.in", one) for one in of_hooks).rstrip()
    return values


def _class_name(plugin: str) -> str:
    """`disk-check`: DiskCheck; `step`: StepType, for the package imports a name Step itself."""
    name = "".join(word.capitalize() for word in plugin.split("-"))
    taken = {word for template in ("plugin.py.in", "test_plugin.py.in") for word in re.findall(r"\w+", _text(template))}
    return f"{name}Type" if name in taken or keyword.iskeyword(name) else name


def _text(template: str) -> str:
    return (resources.files("sealer.extension.skeleton") / template).read_text(encoding="utf-8")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return Template(_text(template)).substitute(values)


def _write(draft: Path, values: Mapping[str, str]) -> None:
    package, tests = draft / "src" / values["package"], draft / "tests"
    package.mkdir(parents=True)
    tests.mkdir()
    files = {
        draft / "setup.cfg": "setup.cfg.in",
        draft / "pyproject.toml": "pyproject.toml.in",
        draft / "README.md": "README.md.in",
        package / "__init__.py": "plugin.py.in",
        tests / f"test_{values['package']}.py": "test_plugin.py.in",
    }
    for path, template in files.items():
        path.write_text(_filled(template, values).rstrip("\n") + "\n", encoding="utf-8")
    (package / "py.typed").touch()
