"""The group `sealer`: which commands there are, and how one is loaded when it is named."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from sealer.cli import contributed
from sealer.cli.app import App
from sealer.cli.go_flags import without_values
from sealer.cli.options import GLOBAL_OPTIONS, accept_global_options, version_option
from sealer.suggestions import close_matches

# Name, its module in sealer.cli.commands, and its line in `sealer --help`; the order is that of the help page.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "build": ("build", "Build a cluster image from a Kubefile."),
    "discover": ("discover", "List the container images that files mention."),
    "images": ("images", "List the images of this machine."),
    "inspect": ("inspect", "Show the details of an image."),
    "history": ("history", "Show the history of an image."),
    "tag": ("tag", "Tag an image."),
    "rmi": ("rmi", "Remove images."),
    "prune": ("prune", "Remove unused data."),
    "save": ("save", "Save an image to an archive."),
    "load": ("load", "Load an image from an archive."),
    "push": ("push", "Push an image to its registry."),
    "pull": ("pull", "Pull an image from its registry."),
    "login": ("login", "Log in to a registry."),
    "logout": ("logout", "Log out of a registry."),
    "run": ("run", "Create a cluster from an image, or install an application image."),
    "apply": ("apply", "Create or change a cluster to match a Clusterfile."),
    "scale-up": ("scale_up", "Add hosts to a cluster."),
    "join": ("scale_up", "The same as scale-up."),
    "delete": ("delete", "Delete a cluster, or remove hosts from it."),
    "status": ("status", "List clusters, or show the hosts of one."),
    "ps": ("status", "The same as status."),
    "get": ("get", "Print the Clusterfile of a cluster."),
    "check": ("check", "Check the health of a cluster."),
    "start": ("start", "Start the hosts that a provider made for a cluster."),
    "stop": ("stop", "Shut down the hosts that a provider made for a cluster."),
    "timeline": ("timeline", "Show how long the steps of a run took."),
    "exec": ("exec", "Run a command on the hosts of a cluster."),
    "validate": ("validate", "Check a Clusterfile without touching a host."),
    "schema": ("schema", "Print the JSON Schema of the Clusterfile."),
    "plugin": ("plugin", "List, inspect and create plugins."),
    "config": ("config", "Show the defaults of options, and where each is set."),
    "help": ("help", "Show the help page of a command."),
    "version": ("version", "Show the version."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class Root(click.Group):
    """A group that imports a command's module when the command is named, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, without importing any."""
        return [*COMMANDS, *(name for name in self._contributed(ctx) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None: there is none of that name.

        :raises PluginError: an installed package offers it, and it cannot be loaded.
        """
        if cmd_name in COMMANDS:
            from sealer.cli.examples import with_examples  # noqa: PLC0415  # `sealer --help` does without

            name = COMMANDS[cmd_name][0]
            module = importlib.import_module(f"sealer.cli.commands.{name}")
            return accept_global_options(with_examples(name, module.command))
        if cmd_name in self._contributed(ctx):
            return accept_global_options(contributed.load(cmd_name))
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with."""
        if not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            self._unknown(ctx, args[0])
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, without_values(command, rest) if command else rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help page, without importing any."""
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        lines = contributed.lines()
        offered = [(name, lines.get(name, f"From {package}.")) for name, package in self._contributed(ctx).items()]
        if offered:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(offered)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options that begin with `incomplete`."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        lines = contributed.lines()
        items = [
            CompletionItem(name, help=COMMANDS[name][1] if name in COMMANDS else lines.get(name)) for name in names
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def _contributed(self, ctx: click.Context) -> Mapping[str, str]:
        app = ctx.find_object(App)
        return contributed.names(app.settings) if app else {}

    def _unknown(self, ctx: click.Context, name: str) -> NoReturn:
        app = ctx.find_object(App)
        if app and name in contributed.names(dataclasses.replace(app.settings, disabled_plugins=frozenset())):
            raise click.UsageError(f"the command '{name}' is disabled by {app.settings.disabled_by}", ctx=ctx)
        close = close_matches(name, self.list_commands(ctx), n=1, cutoff=0.6)
        mend = f" Did you mean '{close[0]}'?" if close else ""
        raise click.UsageError(f"there is no command '{name}'.{mend}", ctx=ctx)


root = Root(
    name="sealer",
    help="sealer seals a distributed application into one image, and turns bare hosts into a running cluster.",
    epilog="Run 'sealer COMMAND --help' for more about a command.",
    params=[*GLOBAL_OPTIONS, version_option],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
