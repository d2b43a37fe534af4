"""`--format`: what a command shows as JSON, YAML, a table, or line by line as a Go template says, as with Docker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sealer.cli.app import App
from sealer.events import Json

C = TypeVar("C", bound=Callable[..., Any])
WORDS = ("table", "json", "yaml")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}
_HELP = "table, json, yaml, or a Go template for each line, e.g. '{{{{.{field}}}}}'."


def format_option(rows: str, field: str) -> Callable[[C], C]:
    """`--format`.

    :param rows: the field of the result that is listed; where a result lacks it, the result itself is the only line.
    :param field: an example of a line's fields.
    """

    def keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        app = context.ensure_object(App)
        if value is None:
            return
        if value not in WORDS and "{{" not in value:
            raise click.BadParameter(f"'{value}' is neither {', '.join(WORDS)} nor a template", param=parameter)
        app.rows = rows
        app.options.format = value

    return click.option("--format", metavar="FORMAT", expose_value=False, callback=keep, help=_HELP.format(field=field))


def formatted(value: Mapping[str, Json], format: str, rows: str) -> str:
    """A result as YAML, or as a template says.

    :param value: the result, with its `apiVersion`.
    :param format: `yaml` or a template.
    :param rows: as of :func:`format_option`.
    :raises InputError: the template is wrong, or names a field that there is not.
    """
    if format == "yaml":
        import yaml  # noqa: PLC0415  # 30 ms that not every command needs

        text: str = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)
        return text.rstrip("\n")
    from sealer.templates.gotemplate import render  # noqa: PLC0415

    for written, meant in _ESCAPES.items():
        format = format.replace(written, meant)
    items = value.get(rows, value)
    lines = items if isinstance(items, list) else [items]
    return "\n".join(render(format, _fields(line), "--format") for line in lines if isinstance(line, dict))


def _fields(line: Mapping[str, Json]) -> dict[str, str]:
    """The fields of a line as texts, under the names of the JSON output and with a capital, as Go writes them."""
    texts = {name: _text(value) for name, value in line.items() if name != "apiVersion"}
    return {name[:1].upper() + name[1:]: text for name, text in texts.items()} | texts


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def check_format(app: App) -> None:
    """See that `--format` and `--output` agree; JSON is the same by either.

    :raises click.UsageError: they do not.
    """
    if not app.options.format:
        return
    if app.options.output == "json" and app.options.format != "json":
        raise click.UsageError(f"--output json and --format {app.options.format} exclude each other")
    if app.options.format == "json":
        app.options.output = "json"
