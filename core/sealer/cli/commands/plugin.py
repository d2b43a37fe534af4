"""`sealer plugin`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealer.cli.app import App, pass_app
from sealer.cli.completions import plugin_names
from sealer.cli.formats import format_option
from sealer.errors import InputError
from sealer.phases import Phase

if TYPE_CHECKING:
    from sealer.extension.inventory import Package

_MARKS = {"enabled": "", "disabled": " (disabled)", "broken": " (broken)"}


@click.group("plugin")
def command() -> None:
    """List, inspect and create plugins."""


@command.command("list", short_help="List the installed plugins.")
@format_option("plugins", "Name")
@pass_app
def list_plugins(app: App) -> None:
    """List the installed packages that extend sealer, and what each provides.

    A broken plugin is not loaded; the reason is shown below it.
    """
    found = _packages(app)
    app.show({"plugins": [package.as_json() for package in found]}, lambda: _table(found))


@command.command("show")
@click.argument("name", shell_complete=plugin_names)
@pass_app
def show(app: App, name: str) -> None:
    """Show one plugin.

    NAME is the name of the plugin, of its package, or of a driver, type, hook or command that it provides.
    """
    from sealer.extension.inventory import find  # noqa: PLC0415  # only this command needs it
    from sealer.extension.schema import did_you_mean  # noqa: PLC0415

    found = _packages(app)
    package = find(found, name)
    if package is None:
        hint = did_you_mean(name, [one.name for one in found])
        raise InputError(f"no installed plugin is called '{name}'{hint}", remedy="'sealer plugin list' lists them all")
    app.show({"plugin": package.as_json()}, lambda: _details(package))


@command.command("new", short_help="Create a working plugin from a template.")
@click.argument("name")
@click.option(
    "--directory", default=".", type=click.Path(path_type=Path), help="Target directory; default: the current one."
)
@click.option("--type", "type_name", default="", help="The type of its Plugin documents; default: NAME in capitals.")
@click.option(
    "--hook",
    "hooks",
    multiple=True,
    type=click.Choice([phase.hook for phase in Phase]),
    help="A lifecycle hook that it implements; may be repeated; default: post_install.",
)
@pass_app
def new(app: App, name: str, directory: Path, type_name: str, hooks: Sequence[str]) -> None:
    """Write a working plugin: the package sealer-plugin-NAME, with a test that passes."""
    from sealer.extension.scaffold import DEFAULT_HOOKS, write_plugin  # noqa: PLC0415

    target = write_plugin(name, directory, type_name=type_name, hooks=hooks or DEFAULT_HOOKS)
    _warn_of_twins(app, target.name)
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    app.show(
        {"directory": str(target.absolute()), "files": [*files]},
        f"{target} is written. Next:\n\n"
        f"    pip install -e {shlex.quote(f'{target.absolute()}[testing]')}\n"
        f"    sealer plugin show {target.name}\n"
        f"    pytest {shlex.quote(str(target))}",
    )


def _warn_of_twins(app: App, distribution: str) -> None:
    if any(one.distribution == distribution for one in app.plugins.installed):
        app.events.warn(f"a package {distribution} is installed already; pip will replace it by the new one")


def _packages(app: App) -> list[Package]:
    from sealer.extension.inventory import packages  # noqa: PLC0415  # imports every driver

    return packages(app.plugins)


def _table(found: Sequence[Package]) -> str:
    if not found:
        return "No plugins are installed. 'pip install sealer[all]' brings sealer's own."
    rows = [("NAME", "VERSION", "PACKAGE", "PROVIDES")]
    rows += [(one.name, one.version, one.distribution, ", ".join(one.provides) + _MARKS[one.status]) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines: list[str] = []
    for index, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
        lines += [f"    {problem}" for problem in (found[index - 1].problems if index else ())]
    return "\n".join(lines)


def _details(package: Package) -> str:
    lines = [f"{package.name} {package.version}{_MARKS[package.status]}"]
    if package.summary:
        lines.append(package.summary)
    lines.append(f"package: {package.distribution}")
    for driver in package.drivers:
        properties = driver.schema.get("properties")
        fields = ", ".join(properties) if isinstance(properties, dict) and properties else "none"
        lines.append(f"{driver.kind} {driver.name}, fields of its own: {fields}")
    for offer in package.types:
        default = ", ".join(offer.default_phases)
        otherwise = f"without an action in {default}" if default else "needs an action"
        lines.append(f"type {offer.name}: acts in {', '.join(offer.phases)}; {otherwise}")
    lines += [f"hook {hook}" for hook in package.hooks]
    lines += [f"command {name}" for name in package.commands]
    lines += [f"broken: {problem}" for problem in package.problems]
    return "\n".join(lines)
