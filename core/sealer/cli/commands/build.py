"""`sealer build`."""

from __future__ import annotations

from pathlib import Path

import click

from sealer.cli.app import App, pass_app
from sealer.errors import InputError

_PATH = click.Path(path_type=Path)


@click.command("build")
@click.argument("context", default=".", type=_PATH)
@click.option("-t", "--tag", "tags", multiple=True, required=True, metavar="NAME", help="Name of the image.")
@click.option("-f", "--file", "--kubefile", "kubefile", type=_PATH, help="The Kubefile; default: CONTEXT/Kubefile.")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="Value of an ARG.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label, besides the Kubefile's.")
@click.option("--platform", default="", metavar="OS/ARCH", help="What the image is for; default: this machine's.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["kube-installer", "app-installer"]),
    help="Makes a cluster, or goes onto one; default: the base's.",
)
@click.option("-m", "--mode", type=click.Choice(["lite"]), default="lite", help="How to build; there is one way.")
@click.option("--no-cache", is_flag=True, help="Accepted; every build executes every instruction.")
@pass_app
def command(
    app: App,
    *,
    context: Path,
    tags: tuple[str, ...],
    kubefile: Path | None,
    build_args: tuple[str, ...],
    labels: tuple[str, ...],
    platform: str,
    kind: str | None,
    mode: str,
    no_cache: bool,
) -> None:
    """Build a cluster image from a Kubefile and the files in CONTEXT.

    RUN executes on this machine, with the image's files as working directory and their bin first on PATH.
    """
    from sealer.image.build import BuildRequest, build  # noqa: PLC0415  # only this command builds
    from sealer.image.store import Store  # noqa: PLC0415

    request = BuildRequest(
        context=context,
        kubefile=_kubefile(context, kubefile),
        names=tags,
        build_args=_pairs("--build-arg", build_args),
        labels=_pairs("--label", labels),
        platform=platform,
        type=kind or "",
    )
    with app.watch():
        image = build(Store(app.settings.images), request, app.events)
    app.show({"image": {"names": list(tags), "digest": image.digest}}, f"{tags[0]} {image.digest}")


def _kubefile(context: Path, given: Path | None) -> Path | None:
    """As Docker: a name is looked for from here; one that is only in the context is meant there."""
    if given is None or given.is_absolute() or given.exists() or not (context / given).exists():
        return given
    return context / given


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InputError(f"{option} {text}", why="it is not of the form NAME=VALUE")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise InputError(f"{option} {text!a}", why="it is not UTF-8 text")
        pairs[name] = value
    return pairs
