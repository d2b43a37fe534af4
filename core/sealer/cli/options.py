"""The global options. Users type them after the command's name as well, so every command takes them."""

from __future__ import annotations

import click

from sealer.cli.app import App
from sealer.cli.version import text

_TEXTS = {
    "output": "Text for a person, or JSON for a program.",
    "debug": "Log debug messages, and show tracebacks.",
    "quiet": "Show warnings and errors only.",
    "no_plugins": "Disable all installed plugins.",
    "color": "When to use colours.",
    "log_format": "How log lines on stderr look.",
}


def _choose(context: click.Context, option: click.Parameter, value: object) -> None:
    """Keep a value that was given; the option may stand before the command's name, after it, or at both places."""
    if option.name and context.get_parameter_source(option.name) is not click.core.ParameterSource.DEFAULT:
        setattr(context.ensure_object(App).options, option.name, value)


def _option(names: list[str], type: click.Choice[str] | None = None, default: str | None = None) -> click.Option:
    name = max(names, key=len).lstrip("-").replace("-", "_")
    return click.Option(
        [*names, name],
        type=type,
        is_flag=type is None,
        default=default if type else False,
        expose_value=False,
        is_eager=True,
        callback=_choose,
        help=_TEXTS[name],
    )


GLOBAL_OPTIONS: tuple[click.Option, ...] = (
    _option(["--output"], click.Choice(["text", "json"]), "text"),
    _option(["-d", "--debug"]),
    _option(["-q", "--quiet"]),
    _option(["--no-plugins"]),
    _option(["--color"], click.Choice(["auto", "always", "never"]), "auto"),
    _option(["--log-format"], click.Choice(["auto", "text", "json"]), "auto"),
)


def _show_version(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        click.echo(text(short=False))
        context.exit()


version_option = click.Option(
    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)


def accept_global_options(command: click.Command) -> click.Command:
    """Let `command`, and the commands of a group, take the global options too, except those it has itself.

    They are not on its help page: `sealer --help` has them. An option of its own with the same name wins: the
    `--output` of `sealer save` is a file.
    """
    taken = {word for parameter in command.params for word in (*parameter.opts, parameter.name)}
    for option in GLOBAL_OPTIONS:
        if option.name in taken:
            continue
        words = [word for word in option.opts if word not in taken]
        if words:
            command.params.append(_quiet_copy(option, words))
    if isinstance(command, click.Group):
        for nested in command.commands.values():
            accept_global_options(nested)
    command.context_settings.setdefault("help_option_names", ["-h", "--help"])
    return command


def _quiet_copy(option: click.Option, words: list[str]) -> click.Option:
    return click.Option(
        [*words, option.name or ""],
        type=None if option.is_flag else option.type,
        is_flag=option.is_flag,
        default=option.default,
        expose_value=False,
        is_eager=True,
        callback=_choose,
        hidden=True,
        help=option.help,
    )
