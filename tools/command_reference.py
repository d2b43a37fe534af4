"""Writes docs/reference/commands.md from the commands themselves: run it when one changes; a test says when.

With `--check` nothing is written, and the status is 1 when the page is out of date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sealer.cli import contributed
from sealer.cli.app import App
from sealer.cli.root import COMMANDS, root
from sealer.settings import SHIPPED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "commands.md"

HEAD = """\
# Commands

<!-- Made by tools/command_reference.py from the commands themselves; not to be edited. -->

`sealer COMMAND --help` shows the same. The [exit status](exit-status.md) says how a command ended, and `--output json`
gives [JSON](json-output.md). Commands
of sealer's own plugins stand at the end; `sealer --help` lists those of all installed ones.

## Environment variables

| variable | |
|---|---|
| `SEALER_HOME` | where images and what is recorded of clusters are kept; default `~/.sealer` |
| `SEALER_PARALLEL` | how many hosts are worked on at once; default 32; `--parallel` goes over it |
| `SEALER_USER`, `SEALER_PK` | login name and private key for new clusters |
| `SEALER_PROVIDER` | the provider of hosts that are given by count |
| `SEALER_REGISTRY` | the registry of `login` and `logout` |
| `SEALER_PASSWD` | the SSH password; programs that sealer starts do not inherit it |
| `SEALER_PK_PASSWD` | the passphrase of the private key; the same |
| `SEALER_DISABLE_PLUGINS` | names of plugins, packages or drivers to leave out, joined by commas; `*`: all |
| `SEALER_TRACE_PLUGINS` | `1`: print each call of a plugin's hook, how long it took and what came back |
| `NO_COLOR` | anything: no colours; `--color` goes over it |

## Configuration file

`config.yaml` in sealer's home, `~/.sealer/config.yaml` by default, sets defaults of options. All keys are optional.

    user: admin                     # --user
    key: ~/.ssh/site                # --pk
    parallel: 16                    # --parallel
    provider: nspawn                # --provider, for hosts by count
    registry: registry.example.com  # REGISTRY of login and logout

The variables above go over the file, the command line and the Clusterfile over both. `user` and `key` are those of a
new cluster: a recorded cluster keeps the login it was created with. `provider` is used only where masters or nodes are
given by count. A wrong file is refused by every command, with the line of each mistake; `sealer config` shows the
values and where each is set.

## Global options

They may stand before the name of the command, or after it.

"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of sealer and of its own plugins by its full name, nested ones after their group."""
    app = App()
    offered = contributed.names(app.settings)
    ours = {package for packages in SHIPPED.values() for package in packages.values()}
    with click.Context(root, info_name="sealer", obj=app) as context:
        for name in (*COMMANDS, *(name for name, package in offered.items() if package in ours)):
            command = root.get_command(context, name)
            assert command is not None, name
            yield from _with_nested(name, command)


def _with_nested(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for nested in sorted(command.commands):
            yield from _with_nested(f"{name} {nested}", command.commands[nested])


def shown(command: click.Command) -> list[click.Option]:
    """The options of a command's help page, without `--help`."""
    return [option for option in command.params if isinstance(option, click.Option) and not option.hidden]


def page() -> str:
    """The whole page."""
    sections = [HEAD + "\n".join(_options(root))]
    seen: dict[int, str] = {}
    for name, command in commands():
        first = seen.setdefault(id(command.callback), name)
        same = first != name and not isinstance(command, click.Group)
        body = f"The same as [`sealer {first}`](#sealer-{first.replace(' ', '-')})." if same else _body(name, command)
        sections.append(f"## sealer {name}\n\n{body}")
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _body(name: str, command: click.Command) -> str:
    words = ["sealer", name]
    words += ["[OPTIONS]"] if shown(command) else []
    words += [_metavar(command, parameter) for parameter in command.params if isinstance(parameter, click.Argument)]
    words += ["COMMAND"] if isinstance(command, click.Group) else []
    parts = [f"    {' '.join(words)}", _plain(command.help or "")]
    if epilog := _plain(command.epilog or ""):
        parts.append(epilog)
    parts.append("\n".join(_options(command)))
    return "\n\n".join(part for part in parts if part)


def _plain(text: str) -> str:
    """A help text as Markdown; click's mark for a block that keeps its lines becomes an indented block."""
    blocks = []
    for block in inspect.cleandoc(text).split("\n\n"):
        lines = block.splitlines()
        if lines[:1] == ["\b"]:
            if lines[1].endswith(":"):  # the head of examples
                blocks.append(lines.pop(1))
            blocks.append("\n".join("    " + line.strip() for line in lines[1:]))
        else:
            blocks.append(_escaped(" ".join(lines)))
    return "\n\n".join(blocks)


def _escaped(text: str) -> str:
    return text.replace("<", "\\<").replace("*", "\\*").replace("|", "\\|").replace("_", "\\_").replace("--", "\\-\\-")


def _metavar(command: click.Command, parameter: click.Parameter) -> str:
    with click.Context(command) as context:
        return parameter.make_metavar(context)


def _options(command: click.Command) -> Iterator[str]:
    options = shown(command)
    if not options:
        return
    yield "| option | |"
    yield "|---|---|"
    for option in options:
        names = ", ".join(f"`{word}`" for word in [*option.opts, *option.secondary_opts])
        value = "" if option.is_flag or option.count else f" `{_metavar(command, option)}`".replace("|", "\\|")
        yield f"| {names}{value} | {_escaped(option.help or '')} |"


def main() -> int:
    """Write the page, or check it."""
    made = page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text() == made else 1
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
