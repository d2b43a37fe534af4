"""`sealer completion`."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from sealer.cli.app import App, pass_app

# click's own goes by COMP_WORDS, which bash cuts at each ':' and '=': no name of an image would be completed.
_BASH = """\
_sealer_completion() {
    local line=${COMP_LINE:0:COMP_POINT} words cur done= type value
    read -ra words <<< "$line"
    [[ $line != *[[:blank:]] ]] || words+=("")
    cur=${words[-1]}
    [[ $COMP_WORDBREAKS != *:* || $cur != *:* ]] || done=${cur%"${cur##*:}"}
    while IFS=, read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${value#"$done"}") ;;
        esac
    done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _SEALER_COMPLETE=bash_complete "$1")
}

complete -o nosort -F _sealer_completion sealer
"""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@pass_app
def command(app: App, shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    It completes commands and options, and names of clusters, hosts, images, plugins and providers.

    \b
    bash: sealer completion bash > /etc/bash_completion.d/sealer
    zsh:  sealer completion zsh > "${fpath[1]}/_sealer"
    fish: sealer completion fish > ~/.config/fish/completions/sealer.fish

    A file in bash_completion.d needs the package bash-completion. For the shell that runs:
    source <(sealer completion bash)
    """
    from sealer.cli.root import root  # noqa: PLC0415  # the root imports this module

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three"
    script = _BASH if shell == "bash" else ShellComplete.source(kind(root, {}, "sealer", "_SEALER_COMPLETE"))
    # A value may hold commas, as lists of hosts do.
    script = script.replace('string split "," ', 'string split -m 1 "," ')
    app.show({"shell": shell, "script": script}, script)
