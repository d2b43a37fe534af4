"""`sealer login`."""

from __future__ import annotations

import sys
from typing import Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.passwords import password
from sealer.cli.registry_options import RegistryOptions, registries, registry_options
from sealer.errors import InputError


@click.command("login")
@click.argument("registry", default="docker.io")
@click.option("-u", "--username", help="Default: it is asked for.")
@click.option("-p", "--passwd", metavar="PASSWORD", help="Better not: the shell's history keeps it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin, one line.")
@registry_options
@pass_app
def command(
    app: App,
    registry: str,
    *,
    username: str | None,
    passwd: str | None,
    password_stdin: bool,
    **options: Unpack[RegistryOptions],
) -> None:
    """Sign in to REGISTRY: the name and password are tried, and kept where docker and podman find them too.

    They go to the credential store that docker's configuration names, else into its file, readable by you alone.
    """
    from sealer.image.registry.credentials import Credential  # noqa: PLC0415
    from sealer.image.registry.login import login  # noqa: PLC0415
    from sealer.image.registry.names import registry_of  # noqa: PLC0415

    name = registry_of(registry)
    known = registries(app, options)
    if password_stdin and not username:
        raise InputError("--password-stdin", why="stdin cannot give the name as well", remedy="Use --username.")
    if not username:
        if not sys.stdin.isatty():
            raise InputError("there is no terminal to ask for the name on", remedy="Use --username.")
        username = str(click.prompt("Username", err=True))
    secret = password(passwd, "-" if password_stdin else None, not passwd and not password_stdin, app.events)
    if not secret or ":" in username:
        raise InputError("a name without a colon, and a password, are needed")
    done = login(known, name, Credential(username, secret))
    if not done.needed:
        app.events.warn(f"{name} lets everyone in: whether the password is right did not show")
    app.show(
        {"registry": name, "username": username, "kept": done.kept}, f"signed in to {name}; it is kept in {done.kept}"
    )
