"""The options of commands that speak with registries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from sealer.cli.app import App
from sealer.errors import InputError

if TYPE_CHECKING:
    from sealer.image.discovery.lists import RegistryImages
    from sealer.image.registry.registries import Registries

Function = TypeVar("Function", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False, path_type=Path)


class RegistryOptions(TypedDict):
    """Their values."""

    authfile: Path | None
    skip_tls_verify: bool
    plain_http: bool


def registry_options(function: Function) -> Function:
    """Add `--authfile`, `--skip-tls-verify` and `--plain-http` to a command."""
    for option in (
        click.option("--plain-http", is_flag=True, help="Use HTTP instead of HTTPS."),
        click.option("--skip-tls-verify", is_flag=True, help="Do not verify the registry's certificate."),
        click.option("--authfile", type=_FILE, help="File with credentials. Default: docker's, then podman's."),
    ):
        function = option(function)
    return function


def require_authfile(options: RegistryOptions) -> None:
    """Refuse a file of `--authfile` that is not there, which would be no credentials at all.

    :raises InputError: it is not there.
    """
    file = options["authfile"]
    if file and not file.is_file():
        remedy = f"`sealer login REGISTRY --authfile {file}` writes it"
        raise InputError("there is no such file with credentials", where=str(file), remedy=remedy)


def registries(
    app: App, options: RegistryOptions, given: Sequence[RegistryImages] = (), *, signing_in: bool = False
) -> Registries:
    """All registries, with the user's settings and credentials.

    :param given: credentials that go over the user's.
    :param signing_in: the file of `--authfile` is to be written, and need not be there.
    :raises InputError: `registries.yaml` cannot be right, or the file of `--authfile` is not there.
    """
    if not signing_in:
        require_authfile(options)
    from sealer.image.registry.endpoints import Access  # noqa: PLC0415  # only what moves images needs it
    from sealer.image.registry.registries import Registries  # noqa: PLC0415

    access = Access(plain_http=options["plain_http"], skip_tls_verify=options["skip_tls_verify"])
    found = Registries.of(app.settings.home, options["authfile"], access)
    if given:
        from sealer.image.registry.credentials import Credential  # noqa: PLC0415
        from sealer.image.registry.names import registry_of  # noqa: PLC0415

        known = {registry_of(one.registry): Credential(one.username, one.password) for one in given if one.username}
        found.auth = dataclasses.replace(found.auth, given=known)
    return found
