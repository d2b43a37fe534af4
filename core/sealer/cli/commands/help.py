"""`sealer help`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from sealer.cli.app import App, pass_app


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    context = ctx.find_root()
    for word in ctx.params.get("words") or ():
        found = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        if found is None:
            return []
        context = click.Context(found, parent=context, info_name=word)
    if not isinstance(context.command, click.Group):
        return []
    return [item for item in context.command.shell_complete(context, incomplete) if not item.value.startswith("-")]


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]", shell_complete=_complete)
@pass_app
def command(app: App, words: tuple[str, ...]) -> None:
    """Show the help page of sealer, or of COMMAND.

    The same as 'sealer COMMAND --help'.
    """
    from sealer.cli.root import root  # noqa: PLC0415  # the root imports this module

    context = root.make_context("sealer", [], obj=app, resilient_parsing=True)
    for number, word in enumerate(words):
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"'{' '.join(['sealer', *words[:number]])}' has no command '{word}'", ctx=context)
        name, found, _ = group.resolve_command(context, [word])
        assert found is not None, "an unknown command has been refused"
        context = found.make_context(name, [], parent=context, resilient_parsing=True)
    page = context.get_help()
    app.show({"command": context.command_path, "help": page}, page)
