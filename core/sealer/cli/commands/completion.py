"""`sealer completion`."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from sealer.cli.app import App, pass_app


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@pass_app
def command(app: App, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    \b
    bash: sealer completion bash > /etc/bash_completion.d/sealer
    zsh:  sealer completion zsh > "${fpath[1]}/_sealer"
    fish: sealer completion fish > ~/.config/fish/completions/sealer.fish

    bash needs the package bash-completion. For the shell that runs: source <(sealer completion bash)
    """
    from sealer.cli.root import root  # noqa: PLC0415  # the root imports this module

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three"
    # The base class's method: bash's own starts a bash to look at its version, also on a machine that has none.
    script = ShellComplete.source(kind(root, {}, "sealer", "_SEALER_COMPLETE"))
    app.show({"shell": shell, "script": script}, script)
