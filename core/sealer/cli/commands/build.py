"""`sealer build`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.build_images import ImageOptions, image_options, image_record, image_request, image_table
from sealer.cli.registry_options import registries
from sealer.errors import InputError
from sealer.events import Json
from sealer.redaction import Secret

_PATH = click.Path(path_type=Path)
_MODE = click.Choice(["lite", "all"])
PULL = ("always", "true", "ifnewer", "newer", "missing", "ifnotpresent", "ifmissing", "false", "never")


class _BuildCommand(click.Command):
    """`--pull` may stand alone, and then takes no value from the word that follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        for number, word in enumerate(args[:end]):
            if word == "--pull" and args[number + 1 : number + 2] not in ([policy] for policy in PULL):
                args = [*args[:number], "--pull=always", *args[number + 1 :]]
        return super().parse_args(ctx, args)


@click.command("build", cls=_BuildCommand)
@click.argument("context", default=".", type=_PATH)
@click.option(
    "-t", "--tag", "--imageName", "tags", multiple=True, required=True, metavar="NAME", help="The image's name."
)
@click.option("-f", "--file", "--kubefile", "kubefile", type=_PATH, help="The Kubefile; default: CONTEXT/Kubefile.")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="Value of an ARG.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Add a label to those of the Kubefile.")
@click.option(
    "--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Add an annotation to the image."
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH,...",
    help="Platforms to build; several make one multi-platform image.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["kube-installer", "app-installer"]),
    help="Type of the image; default: that of the base image.",
)
@click.option("--base", type=bool, default=True, metavar="BOOL", help="false: leave out the files of the base image.")
@click.option(
    "-m",
    "--build-mode",
    "--mode",
    "mode",
    type=click.Choice(["lite", "all"]),
    default="lite",
    help="Ignored, accepted for compatibility.",
)
@click.option(
    "--pull", "policy", type=click.Choice(PULL), default="missing", metavar="[POLICY]",
    help="When to pull FROM and container images: always, ifnewer, missing (the default), never.",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Do not use the build cache.")
@click.option("--network", type=click.Choice(["host", "none"]), default="host", help="Network of every RUN.")
@click.option(
    "--run-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Time limit of every RUN."
)
@click.option(
    "--allow-uncontained-run", is_flag=True, help="As root: run RUN without isolation where isolation is not possible."
)
@click.option(
    "--secret", "secrets", multiple=True, metavar="id=NAME,src=FILE", help="Secret for RUN --mount=type=secret."
)
@image_options
@pass_app
def command(
    app: App,
    *,
    context: Path,
    tags: tuple[str, ...],
    kubefile: Path | None,
    build_args: tuple[str, ...],
    labels: tuple[str, ...],
    annotations: tuple[str, ...],
    platforms: tuple[str, ...],
    kind: str | None,
    base: bool,
    mode: str,
    policy: str,
    no_cache: bool,
    network: str,
    run_timeout: float | None,
    allow_uncontained_run: bool,
    secrets: tuple[str, ...],
    **options: Unpack[ImageOptions],
) -> None:
    """Build a cluster image from a Kubefile and the files in CONTEXT.

    RUN uses the programs of this machine. Its working directory is the image's rootfs, whose bin is first on PATH;
    changes outside the rootfs are discarded. Instructions whose input did not change come from the build cache.

    --pull without a value means always: query the registry, and fail if it does not answer. ifnewer queries it, too,
    but uses the local image if it does not answer. missing pulls only what is not in the local store, never does not
    pull.

    At the end, sealer adds the container images that the image's files mention: from --image-archive, from images of
    the local store, and from registries, in this order.
    """
    from sealer.image.build import BuildRequest, build  # noqa: PLC0415  # only this command builds
    from sealer.image.gathering.gather import Gathered  # noqa: PLC0415
    from sealer.image.pull_policy import WORDS  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415

    gathered: list[Gathered] = []
    images = image_request(app, context, options, gathered.append, remembering=not no_cache)
    request = BuildRequest(
        context=context,
        kubefile=_kubefile(context, kubefile),
        names=tags,
        build_args=_pairs("--build-arg", build_args),
        labels=_pairs("--label", labels),
        annotations=_pairs("--annotation", annotations),
        platform=",".join(platforms),
        type=kind or "",
        base=base,
        cache=not no_cache,
        network=network,
        run_timeout=run_timeout,
        allow_uncontained_run=allow_uncontained_run,
        secrets=dict(map(_secret, secrets)),
        pull=WORDS[policy],
        registries=images.registries if images else lambda: registries(app, options),
        images=images,
    )
    with app.watch():
        image = build(Store(app.settings.images), request, app.events)
    found = gathered[0] if gathered else Gathered()
    record: dict[str, Json] = {"image": {"names": list(tags), "digest": image.digest}, **image_record(found)}
    app.show(record, lambda: f"{image_table(found)}{tags[0]} {image.digest}")


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


def _secret(text: str) -> tuple[str, Secret]:
    """As Docker writes it: `id=NAME,src=FILE`, or `id=NAME,env=VARIABLE`."""
    options = dict(part.partition("=")[::2] for part in text.split(","))
    if unknown := set(options) - {"type", "id", "src", "source", "env"}:
        raise InputError(f"--secret {text}", why=f"it has '{min(unknown)}'; it is id=NAME,src=FILE")
    name, variable = options.get("id", ""), options.get("env", "")
    source = options.get("src") or options.get("source") or ""
    if not name or bool(variable) == bool(source):
        raise InputError(f"--secret {text}", why="it is not of the form id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if variable:
        if variable not in os.environ:
            raise InputError(f"--secret {text}", why=f"the variable {variable} is not set")
        return name, Secret(os.environ[variable])
    try:
        return name, Secret(Path(source).read_bytes().decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise InputError(f"--secret {text}", where=source, why=error.strerror or str(error)) from error
