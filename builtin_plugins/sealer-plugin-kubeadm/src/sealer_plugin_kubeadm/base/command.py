"""`sealer kubernetes base`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import click

from sealer.cli.app import App, pass_app
from sealer.cli.build_images import ImageOptions, image_options, image_record, image_request, image_table
from sealer.cli.examples import epilog
from sealer.events import Json
from sealer_plugin_kubeadm.base.context import NETWORKS
from sealer_plugin_kubeadm.base.versions import OVERRIDABLE

if TYPE_CHECKING:
    from sealer.image.registry.registries import Registries
    from sealer_plugin_kubeadm.base.assembly import BaseRequest
    from sealer_plugin_kubeadm.base.context import Plan

EXAMPLES = (
    "sealer kubernetes base --version v1.30.4",
    "sealer kubernetes base --from /media/usb/kubernetes -t kubernetes:site",
    "sealer kubernetes base --version v1.30.4 --arch amd64,arm64 --cni none",
)
Function = TypeVar("Function", bound=Callable[..., Any])
_DIRECTORY = click.Path(file_okay=False, path_type=Path)
MIRROR = "SEALER_KUBERNETES_MIRROR"


def _version_options(function: Function) -> Function:
    for name in reversed(OVERRIDABLE):
        function = click.option(
            f"--{name}-version", f"{name.replace('-', '_')}_version", default="", metavar="VERSION",
            help=f"Version of {name}; default: the one for this Kubernetes version.",
        )(function)  # fmt: skip
    return function


@click.group("kubernetes")
def group() -> None:
    """Make base images of Kubernetes."""


@group.command("base", epilog=epilog(EXAMPLES))
@click.option("--version", "version", default="", metavar="VERSION", help="Version of Kubernetes, such as v1.30.4.")
@click.option(
    "--arch",
    "architectures",
    multiple=True,
    metavar="ARCH,...",
    help="Architectures: amd64, arm64; default: this machine's.",
)
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="NAME", help="The image's name; default: kubernetes:VERSION."
)
@click.option(
    "--from",
    "source",
    type=_DIRECTORY,
    metavar="DIR",
    help="Use the files in DIR/bin, DIR/cni and DIR/images, offline.",
)
@click.option(
    "--packages",
    "packages",
    type=_DIRECTORY,
    metavar="DIR",
    help="Directory of *.deb and *.rpm for hosts that lack a program.",
)
@click.option("--cni", "network", type=click.Choice(NETWORKS), default="bridge", help="The pod network of the image.")
@click.option(
    "--output-context",
    "context",
    type=_DIRECTORY,
    metavar="DIR",
    help="Write the build context to DIR, and do not build.",
)
@click.option(
    "--mirror", default="", envvar=MIRROR, metavar="URL", help=f"Mirror of all publishers; default: ${MIRROR}."
)
@click.option("--haproxy-image", "balancer", default="", metavar="IMAGE", help="Image of the load balancer on workers.")
@_version_options
@image_options
@pass_app
def base(
    app: App,
    *,
    version: str,
    architectures: tuple[str, ...],
    tags: tuple[str, ...],
    source: Path | None,
    packages: Path | None,
    network: str,
    context: Path | None,
    mirror: str,
    balancer: str,
    containerd_version: str,
    runc_version: str,
    cni_plugins_version: str,
    crictl_version: str,
    registry_version: str,
    **options: Unpack[ImageOptions],
) -> None:
    """Make a base image of Kubernetes, for FROM and for `sealer run`.

    Without --from, sealer downloads the released programs from their publishers and verifies the published checksums;
    container images come from --image-archive, from images of the local store, or from registries. With --from, sealer
    uses no network.

    With --output-context, sealer writes the build context only: edit it, then build it with `sealer build`.
    """
    from sealer.image.reference import Reference  # noqa: PLC0415
    from sealer_plugin_kubeadm.base.assembly import BaseRequest  # noqa: PLC0415

    for tag in tags:
        Reference.parse(tag)
    given = dict(
        zip(
            OVERRIDABLE,
            (containerd_version, runc_version, cni_plugins_version, crictl_version, registry_version),
            strict=True,
        )
    )
    request = BaseRequest(
        version=version,
        architectures=tuple(dict.fromkeys(name for text in architectures for name in text.split(","))),
        source=source,
        packages=packages,
        network=network,
        archives=options["image_archives"],
        given={name: text for name, text in given.items() if text},
        balancer=Reference.parse(balancer).tagged if balancer else "",
        mirror=mirror,
    )
    if context is not None:
        _write(app, request, context)
    else:
        _build(app, request, tags, options)


def _write(app: App, request: BaseRequest, target: Path) -> None:
    from sealer.image.store import Store  # noqa: PLC0415
    from sealer_plugin_kubeadm.base.assembly import Assembly  # noqa: PLC0415

    with app.watch():
        plan = Assembly(Store(app.settings.images), app.events).write_lasting(request, target)
    app.show(
        {"kubernetes": _record(plan), "context": str(target)},
        f"{target} is written; its Kubefile says how to build it",
    )


def _build(app: App, request: BaseRequest, tags: tuple[str, ...], options: ImageOptions) -> None:
    from sealer.image.build import BuildRequest, build  # noqa: PLC0415
    from sealer.image.gathering.gather import Gathered  # noqa: PLC0415
    from sealer.image.store import Store  # noqa: PLC0415
    from sealer_plugin_kubeadm.base.assembly import Assembly, no_registry  # noqa: PLC0415

    def refuse() -> Registries:
        raise no_registry()

    store = Store(app.settings.images)
    gathered: list[Gathered] = []
    with app.watch(), store.stage() as staging:
        context = staging.directory / "context"
        context.mkdir()
        plan = Assembly(store, app.events).write(request, context, link=True)
        options["image_archives"] = plan.archives
        images = image_request(app, context, options, gathered.append, remembering=True)
        if images and request.source:
            images = dataclasses.replace(images, registries=refuse)
        names = tags or (f"kubernetes:{plan.kubernetes}",)
        image = build(store, BuildRequest(context, names=names, platform=plan.platforms, images=images), app.events)
    found = gathered[0] if gathered else Gathered()
    record: dict[str, Json] = {
        "image": {"names": list(names), "digest": image.digest},
        "kubernetes": _record(plan),
        **image_record(found),
    }
    app.show(record, lambda: f"{image_table(found)}{names[0]} {image.digest}")


def _record(plan: Plan) -> dict[str, Json]:
    return {
        "version": plan.kubernetes,
        "architectures": list(plan.architectures),
        "network": plan.network,
        "lacking": [name for name, _ in plan.images.lacking],
    }
