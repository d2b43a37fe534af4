"""`sealer login`."""

from __future__ import annotations

import sys
from typing import Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.passwords import password
from sealer.cli.registry_options import RegistryOptions, registries, registry_options
from sealer.errors import InputError
from sealer.redaction import Secret


@click.command("login")
@click.argument("registry", default="")
@click.option("-u", "--username", help="Default: prompt for it.")
@click.option("-p", "--passwd", metavar="PASSWORD", help="Not recommended: the shell's history keeps it.")
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
    """Log in to REGISTRY: check the credentials, and store them where docker and podman find them, too.

    Stores them in the credential store of docker's configuration, or else in docker's file, which only you can read.
    """
    from sealer.image.registry.credentials import Credential  # noqa: PLC0415
    from sealer.image.registry.login import login  # noqa: PLC0415
    from sealer.image.registry.names import DOCKER_HUB, registry_of  # noqa: PLC0415

    name = registry_of(registry or app.settings.registry or DOCKER_HUB)
    known = registries(app, options, signing_in=True)
    if password_stdin and not username:
        raise InputError("--password-stdin", why="stdin cannot give the name as well", remedy="Use --username.")
    if password_stdin and passwd:
        raise InputError("--passwd and --password-stdin exclude each other", remedy="Give the password in one way.")
    username = username or _asked("name", "--username", hidden=False)
    if password_stdin:
        secret = password(None, "-", False, app.events)
    else:
        secret = Secret(passwd or _asked("password", "--password-stdin", hidden=True))
    if not secret or ":" in username:
        raise InputError("a name without a colon, and a password, are needed")
    done = login(known, name, Credential(username, secret))
    if not done.needed:
        app.events.warn(f"{name} lets everyone in: whether the password is right did not show")
    app.show(
        {"registry": name, "username": username, "kept": done.kept}, f"signed in to {name}; it is kept in {done.kept}"
    )


def _asked(what: str, option: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise InputError(f"no terminal to prompt for the {what}", remedy=f"Use {option}.")
    return str(click.prompt(what.capitalize(), hide_input=hidden, err=True))
