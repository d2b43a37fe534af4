"""The container images of `sealer build`: how they are to be found and had, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealer.cli.app import App
from sealer.cli.discovery_options import (
    DiscoveryOptions,
    discovery_options,
    discovery_request,
    file_readers,
    lists_with_auth,
)
from sealer.cli.registry_options import RegistryOptions, registries, registry_options, require_authfile
from sealer.cli.tables import table
from sealer.events import Json

if TYPE_CHECKING:
    from sealer.image.discovery.files import DirectoryFiles
    from sealer.image.discovery.installs import Install
    from sealer.image.discovery.model import Discovery
    from sealer.image.gathering.gather import Gathered, GatheredImage, ImageRequest

Function = TypeVar("Function", bound=Callable[..., Any])
MOST_PLACES = 3  # of one image, for a person
_PATH = click.Path(path_type=Path)


class ImageOptions(DiscoveryOptions, RegistryOptions):
    """Their values."""

    image_archives: tuple[Path, ...]
    no_images: bool


def image_options(function: Function) -> Function:
    """Add everything about container images to a command."""
    archives = click.option(
        "--image-archive",
        "image_archives",
        multiple=True,
        type=_PATH,
        metavar="PATH",
        help="Images from a docker-archive, an OCI archive or layout, or a folder of them, before any registry.",
    )
    none = click.option("--no-images", is_flag=True, help="Do not discover or pull container images.")
    return archives(discovery_options(none(registry_options(function))))


def image_request(
    app: App, context: Path, options: ImageOptions, report: Callable[[Gathered], None], *, remembering: bool
) -> ImageRequest | None:
    """What `build` is asked for.

    :param context: of the build: its `.sealerignore` counts for the rootfs, too.
    :param report: is told what came of it.
    :param remembering: False to read the files also where the same were read before.
    :raises InputError: a list is wrong, or the file of `--authfile` is not there.
    """
    if options["no_images"]:
        return None
    require_authfile(options)
    from sealer.extension.image_readers import image_finder  # noqa: PLC0415  # loading all of this costs 100 ms
    from sealer.image.discovery.discover import IGNORE_FILE, own_ignore  # noqa: PLC0415
    from sealer.image.discovery.files import DirectoryFiles  # noqa: PLC0415
    from sealer.image.discovery.rendering import find_helm  # noqa: PLC0415
    from sealer.image.gathering.gather import ImageRequest  # noqa: PLC0415
    from sealer.image.ignore import Ignore  # noqa: PLC0415

    with_auth = lists_with_auth(options)
    ignored = own_ignore(DirectoryFiles(context / IGNORE_FILE)) if (context / IGNORE_FILE).is_file() else Ignore()
    request = discovery_request(options, with_auth, ignored)
    find = image_finder(app.plugins)

    def discover(files: DirectoryFiles, env: Mapping[str, str], installs: Sequence[Install]) -> Discovery:
        return find(files, file_readers(options, files.root, env, installs), request)

    given = [one for _, entries in with_auth for one in entries]
    own = find_helm()
    return ImageRequest(
        discover,
        lambda: registries(app, options, given),
        options["image_archives"],
        options["strict"],
        _rules(app, context, options, options["helm"] or own) if remembering else None,
        report,
    )


def _rules(app: App, context: Path, options: ImageOptions, helm: Path | None) -> Json:
    """All that decides about what is found but the files of the rootfs; None: nobody can say, a plugin has its part.

    :param helm: that of this machine, if there is one; one of the rootfs is among its files.
    """
    from sealer.extension.image_readers import NAME  # noqa: PLC0415
    from sealer.image import discovery  # noqa: PLC0415

    if any("image_references" in app.plugins.hooks_of(name) for name in app.plugins.names if name != NAME):
        return None
    code = [path for place in discovery.__path__ for path in sorted(Path(place).glob("*.py"))]
    values = [Path(text.rpartition("=")[2]) for text in options["values"]]
    lists = [*options["lists"], *options["lists_with_auth"], *options["ignored_lists"]]
    texts: list[Json] = [str(path) for path in lists]
    files: list[Json] = [_state(path) for path in (*code, *values, *lists, context / ".sealerignore")]
    return [
        files,
        texts,
        list(options["values"]),
        _state(helm) if helm else None,
        options["no_helm"],
        options["kube_version"],
    ]


def _state(path: Path) -> Json:
    """What changes when a file does."""
    try:
        state = path.stat()
    except OSError:
        return str(path)
    return [str(path), state.st_mtime_ns, state.st_size, state.st_ino]


def image_record(gathered: Gathered) -> dict[str, Json]:
    """What was gathered, for a program."""
    from sealer.cli.commands.discover import found_image, unresolved  # noqa: PLC0415

    return {
        "containerImages": [_record(one) for one in gathered.images],
        "unresolved": [unresolved(one) for one in gathered.unresolved],
        "ignored": [found_image(one) for one in gathered.ignored],
    }


def _record(one: GatheredImage) -> dict[str, Json]:
    places: list[Json] = [{"file": place.file, "line": place.line, "rule": place.rule} for place in one.found]
    return {
        "image": one.container.reference,
        "platform": one.container.platform,
        "digest": one.container.manifest.digest,
        "size": one.size,
        "source": one.source,
        "guess": one.guess,
        "found": places,
    }


def image_table(gathered: Gathered) -> str:
    """What was gathered, for a person: the first places of each image, a line each; empty: nothing."""
    rows = [row for one in gathered.images for row in _rows(one)]
    return table(("image", "platform", "digest", "size", "from", "found in", "rule"), rows) + "\n\n" if rows else ""


def _rows(one: GatheredImage) -> list[tuple[str, ...]]:
    from sealer.cli.views.words import size  # noqa: PLC0415

    container = one.container
    digest = container.manifest.digest.removeprefix("sha256:")[:12]
    head = (container.reference, container.platform, digest, size(one.size), one.source)
    rule = "{} (a guess)" if one.guess else "{}"
    places = [(str(place), rule.format(place.rule)) for place in one.found[:MOST_PLACES]] or [("", "")]
    if len(one.found) > MOST_PLACES:
        places[-1] = (f"and {len(one.found) - MOST_PLACES + 1} more places", "")
    return [(*(head if not number else [""] * len(head)), *place) for number, place in enumerate(places)]
