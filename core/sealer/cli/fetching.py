"""The image of a run: fetched from its registry where the store lacks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sealer.cli.app import App
from sealer.cli.registry_options import RegistryOptions, registries, registry_options
from sealer.errors import ImageNotFoundError

Function = TypeVar("Function", bound=Callable[..., Any])
Fetch = Callable[[str], None]


def fetch_options(function: Function) -> Function:
    """`--pull`, and how to speak with the registry."""
    pull = click.option(
        "--pull",
        type=click.Choice(["always", "missing", "never"]),
        default="missing",
        show_default=True,
        help="When to get the image from its registry.",
    )
    return pull(registry_options(function))


def fetching(app: App, values: Mapping[str, Any]) -> Fetch:
    """What brings an image into the store, if it is not there.

    :param values: of the options of :func:`fetch_options`, among others.
    """
    options = RegistryOptions(
        authfile=values["authfile"], skip_tls_verify=values["skip_tls_verify"], plain_http=values["plain_http"]
    )

    def fetch(image: str) -> None:
        if image and _wanted(app, image, values["pull"]):
            _pull(app, image, options)

    return fetch


def _wanted(app: App, image: str, policy: str) -> bool:
    from sealer.image.store import Store  # noqa: PLC0415  # `--help` does without

    if policy == "always":
        return True
    try:
        Store(app.settings.images).find(image)
    except ImageNotFoundError:
        if policy == "never" or not _says_from_where(app, image):
            raise
        return True
    return False


def _says_from_where(app: App, image: str) -> bool:
    """Whether a name leads to a registry that somebody chose.

    A mistyped short name is not told to a public registry, and nobody without internet waits for one.
    """
    from sealer.image.reference import SHORT_ID, Reference  # noqa: PLC0415  # most runs find their image here
    from sealer.image.registry.configuration import read_configuration  # noqa: PLC0415
    from sealer.image.registry.names import DEFAULT_REPOSITORY  # noqa: PLC0415

    if SHORT_ID.fullmatch(image):
        return False
    return bool(Reference.parse(image).domain) or (
        read_configuration(app.settings.home).default_repository != DEFAULT_REPOSITORY
    )


def _pull(app: App, image: str, options: RegistryOptions) -> None:
    from sealer.image.registry.pull import pull  # noqa: PLC0415  # most runs find their image here
    from sealer.image.store import Store  # noqa: PLC0415

    with app.watch(plugins=False):
        try:
            pull(Store(app.settings.images), registries(app, options), app.events, image)
        except ImageNotFoundError as error:
            raise ImageNotFoundError(
                f"no image '{image}', neither in the local store nor in its registry",
                where=error.where,
                why=error.why,
                remedy=error.remedy,
            ) from error
