"""The options of commands that look for container images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from sealer.errors import InputError

if TYPE_CHECKING:
    from sealer.image.discovery.discover import DiscoveryRequest
    from sealer.image.discovery.installs import Install
    from sealer.image.discovery.lists import RegistryImages
    from sealer.image.discovery.readers import Readers
    from sealer.image.ignore import Ignore

Function = TypeVar("Function", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


class DiscoveryOptions(TypedDict):
    """Their values."""

    strict: bool
    lists: tuple[Path, ...]
    lists_with_auth: tuple[Path, ...]
    ignored_lists: tuple[Path, ...]
    values: tuple[str, ...]
    kube_version: str
    helm: Path | None
    no_helm: bool


def discovery_options(function: Function) -> Function:
    """Add `--strict`, `--image-list` and the like to a command."""
    options = (
        click.option("--strict", is_flag=True, help="Fail if an image reference cannot be resolved."),
        click.option(
            "--image-list",
            "lists",
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="File with more images, one per line.",
        ),
        click.option(
            "--image-list-with-auth",
            "lists_with_auth",
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="YAML file with more images, by registry, and credentials.",
        ),
        click.option(
            "--ignored-image-list",
            "ignored_lists",
            multiple=True,
            type=_FILE,
            metavar="FILE",
            help="File with images to leave out, one per line; nginx is docker.io/library/nginx:latest.",
        ),
        click.option(
            "--values",
            multiple=True,
            metavar="[CHART=]FILE",
            help="Values file for the Helm chart at the path CHART, or for all charts.",
        ),
        click.option(
            "--kube-version", default="", metavar="VERSION", help="The Kubernetes version to render charts for."
        ),
        click.option(
            "--helm",
            type=_FILE,
            metavar="PROGRAM",
            help="Helm to run; default: helm on PATH, or bin/helm of the files.",
        ),
        click.option("--no-helm", is_flag=True, help="Do not run helm; guess the images of charts."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def discovery_request(
    options: DiscoveryOptions,
    with_auth: Sequence[tuple[Path, Sequence[RegistryImages]]],
    ignore: Ignore | None = None,
) -> DiscoveryRequest:
    """What is looked for.

    :param ignore: files that are not read, besides those that the tree itself names.
    :raises InputError: a list is wrong.
    """
    from sealer.image.discovery import lists as image_lists  # noqa: PLC0415  # loading it costs 30 ms
    from sealer.image.discovery.discover import DiscoveryRequest  # noqa: PLC0415
    from sealer.image.ignore import Ignore  # noqa: PLC0415

    if options["helm"] and options["no_helm"]:
        raise click.UsageError("--helm and --no-helm exclude each other.")
    given = [(str(file), image_lists.given_images(file)) for file in options["lists"]]
    given += [(str(file), image_lists.images_of(entries)) for file, entries in with_auth]
    ignored = frozenset().union(*(image_lists.ignored_images(file) for file in options["ignored_lists"]))
    return DiscoveryRequest(ignore=ignore or Ignore(), ignored_images=ignored, given=tuple(given))


def lists_with_auth(options: DiscoveryOptions) -> list[tuple[Path, Sequence[RegistryImages]]]:
    """The files of `--image-list-with-auth`, read.

    :raises InputError: one is wrong.
    """
    from sealer.image.discovery.lists import images_with_auth  # noqa: PLC0415

    return [(file, images_with_auth(file)) for file in options["lists_with_auth"]]


def file_readers(
    options: DiscoveryOptions,
    root: Path,
    variables: Mapping[str, str] | None = None,
    installs: Sequence[Install] = (),
) -> Readers:
    """What reads the files below a directory.

    :param variables: what the templates of a rootfs may name: the environment of the image.
    :param installs: charts that the image's commands install.
    :raises InputError: a file of values, or the chart it is for, is not there.
    """
    from sealer.image.discovery.readers import Readers  # noqa: PLC0415
    from sealer.image.discovery.rendering import Helm, brings_helm, find_helm  # noqa: PLC0415

    helm = None
    if not options["no_helm"]:
        program = options["helm"] or find_helm()
        if program or brings_helm(root):
            helm = Helm(program, options["kube_version"], rootfs=None if program else root)
    values = tuple(_values(root, text) for text in options["values"])
    return Readers(helm, values, tuple(installs), variables or {})


def _values(root: Path, text: str) -> tuple[str, Path]:
    chart, equals, file = text.rpartition("=")
    if not Path(file).is_file():
        raise InputError(f"--values {text}", why=f"there is no file '{file}'")
    if not equals:
        return "", Path(file)
    if not (root / chart).exists():
        raise InputError(f"--values {text}", why=f"there is no chart '{chart}' in {root}")
    return str(PurePosixPath(chart)), Path(file)
