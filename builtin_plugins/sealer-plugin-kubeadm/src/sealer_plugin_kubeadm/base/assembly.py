"""From what was asked for to a build context: programs of a directory or of their publishers, images by kubeadm."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealer.errors import InputError, SealerError
from sealer.events import EventStream
from sealer.image.gathering.archives import ImageArchives
from sealer.image.platforms import host_platform
from sealer.image.progress import Progress
from sealer.image.storage import storage_errors
from sealer.image.store import Store
from sealer_plugin_kubeadm.base import control_plane
from sealer_plugin_kubeadm.base.context import Plan, place, write_tree
from sealer_plugin_kubeadm.base.packages import Packages, place_packages, read_packages
from sealer_plugin_kubeadm.base.payload import NEEDED_PLUGINS, Payload, files, read_payload
from sealer_plugin_kubeadm.base.releases import Fetcher, Release, releases, unpack
from sealer_plugin_kubeadm.base.versions import ARCHITECTURES, Versions, versions_of


@dataclass(frozen=True)
class BaseRequest:
    """What base image is wanted.

    :param version: of Kubernetes; empty: that of the kubeadm in `source`.
    :param architectures: empty: those of `source`, or this machine's.
    :param source: directory that everything is taken from, without any network; None: from the publishers.
    :param packages: directory of packages that hosts may need; None: the image carries none.
    :param network: `bridge` or `none`.
    :param archives: of container images.
    :param given: versions of parts, over the usual ones.
    :param balancer: the image of the workers' balancer; empty: the usual one.
    :param mirror: URL below which the publishers' files are; empty: the publishers themselves.
    """

    version: str
    architectures: tuple[str, ...] = ()
    source: Path | None = None
    packages: Path | None = None
    network: str = "bridge"
    archives: tuple[Path, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    balancer: str = ""
    mirror: str = ""


class Assembly:
    """Makes build contexts.

    :param store: gives room for what is temporary, and keeps downloads.
    """

    def __init__(self, store: Store, events: EventStream) -> None:
        self._store = store
        self._events = events

    def write(self, request: BaseRequest, directory: Path, *, link: bool = False) -> Plan:
        """Write the context of a base image.

        :param directory: empty.
        :param link: True to let it share files with their source where that can be; then it must not be edited.
        :raises InputError: what is asked for cannot be had; nothing was written.
        :raises SealerError: something cannot be downloaded or written.
        """
        for architecture in request.architectures:
            if architecture not in ARCHITECTURES:
                raise InputError(f"--arch {architecture}", why=f"there are programs for {', '.join(ARCHITECTURES)}")
        if request.source is not None:
            return self._from_directory(request, request.source, directory, link=link)
        return self._from_publishers(request, directory)

    def write_lasting(self, request: BaseRequest, target: Path) -> Plan:
        """Write a context that somebody wants to have; it appears when it is whole.

        :param target: a directory that does not exist, or is empty.
        :raises InputError: there is something in it.
        """
        with storage_errors("the build context could not be written", target):
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise InputError(f"--output-context {target}", why="it is there, and not empty")
            target.absolute().parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
        try:
            plan = self.write(request, partial)
            with storage_errors("the build context could not be written", target):
                partial.chmod(0o755)
                partial.rename(target.absolute())
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return plan

    def _from_directory(self, request: BaseRequest, source: Path, directory: Path, *, link: bool) -> Plan:
        plugins = NEEDED_PLUGINS if request.network == "bridge" else ("loopback",)
        payload = read_payload(source, request.architectures, plugins)
        archives = (*request.archives, *([payload.images] if payload.images else []))
        packages = _packages(request, tuple(payload.programs))
        kubernetes = _version_of(request.version, payload)
        versions = versions_of(kubernetes, request.given)
        wanted = self._images(
            versions, {name: programs / "kubeadm" for name, (programs, _) in payload.programs.items()}
        )
        balancer = request.balancer or versions.parts["haproxy"]
        images = control_plane.available(wanted, balancer, self._references(archives))
        for _, text in images.lacking:
            self._events.warn(f"the image archives lack {text}")
        plan = Plan(
            versions.kubernetes, tuple(payload.programs), request.network, images, archives, packages=bool(packages)
        )
        write_tree(directory, plan)
        _place(packages, directory)
        for architecture, (programs, cni) in payload.programs.items():
            place(files(programs), directory / "bin" / architecture, link=link)
            place(files(cni), directory / "cni" / architecture, link=link)
        return plan

    def _from_publishers(self, request: BaseRequest, directory: Path) -> Plan:
        if not request.version:
            raise InputError("no version of Kubernetes given", remedy="add --version v1.30.4")
        own = host_platform().split("/")[1]
        architectures = request.architectures or (own,)
        packages = _packages(request, architectures)
        versions = versions_of(request.version, request.given)
        if not versions.known:
            self._events.warn(
                f"this version of sealer does not know which containerd and crictl go with {versions.kubernetes}; "
                "it takes those of the newest version that it knows"
            )
        with self._store.stage() as staging:
            fetcher = Fetcher(self._store.downloads, staging.directory)
            programs: dict[str, Path] = {}
            for architecture in architectures:
                for release in releases(versions, architecture, request.mirror):
                    file = self._fetch(fetcher, release, architecture)
                    target = directory / release.into / architecture
                    with storage_errors("the build context could not be written", target):
                        target.mkdir(parents=True, exist_ok=True)
                    unpack(release, file, target)
                programs[architecture] = directory / "bin" / architecture / "kubeadm"
            if own not in programs and own in ARCHITECTURES:  # only to ask it
                [kubeadm] = [one for one in releases(versions, own, request.mirror) if one.name == "kubeadm"]
                file = self._fetch(fetcher, kubeadm, own)
                [programs[own]] = unpack(kubeadm, file, staging.directory)
            wanted = self._images(versions, programs)
        images = control_plane.complete(wanted, request.balancer or versions.parts["haproxy"])
        plan = Plan(
            versions.kubernetes, architectures, request.network, images, request.archives, packages=bool(packages)
        )
        write_tree(directory, plan)
        _place(packages, directory)
        return plan

    def _fetch(self, fetcher: Fetcher, release: Release, architecture: str) -> Path:
        progress = Progress(
            self._events, f"base/{architecture}/{release.name}", f"Download {release.url}", {"platform": architecture}
        )

        def told(done: int, total: int) -> None:
            progress.total = total
            progress.bytes(done)

        with progress.told():
            file, progress.cached = fetcher.fetch(release, told)
        return file

    def _images(self, versions: Versions, kubeadms: Mapping[str, Path]) -> Sequence[str]:
        """What kubeadm asks for: that of this machine's architecture says it."""
        own = kubeadms.get(host_platform().split("/")[1])
        asked = control_plane.ask_images(own, versions.kubernetes) if own else []
        if not asked:
            self._events.warn("kubeadm cannot be asked on this machine: the images of its version come from a table")
        return asked or control_plane.table_images(versions)

    def _references(self, archives: Sequence[Path]) -> Collection[str]:
        with self._store.stage() as staging:
            return ImageArchives(archives, staging, lambda text: None).references


def _packages(request: BaseRequest, architectures: Sequence[str]) -> Mapping[str, Packages]:
    """The packages that the image is to carry, by architecture."""
    if request.packages is None:
        return {}
    return {name: read_packages(request.packages, name) for name in architectures}


def _place(packages: Mapping[str, Packages], directory: Path) -> None:
    for architecture, found in packages.items():
        place_packages(found, directory / "packages" / architecture)


def _version_of(given: str, payload: Payload) -> str:
    """The version of a payload: what is given and what its kubeadm says must agree.

    :raises InputError: they do not; or neither is there.
    """
    own = payload.programs.get(host_platform().split("/")[1])
    said = control_plane.ask_version(own[0] / "kubeadm") if own else ""
    if not given and not said:
        raise InputError(
            "the version of Kubernetes is unknown",
            why="its kubeadm does not run on this machine",
            remedy="add --version",
        )
    if given and said and said != f"v{given.removeprefix('v')}":
        raise InputError(f"--version {given}", why=f"the kubeadm in --from is of {said}")
    return given or said


def no_registry() -> SealerError:
    """Of an image that is mentioned and not in the archives, where nothing may be asked of the network."""
    return InputError(
        "the image's files mention container images that the archives lack",
        why="with --from no registry is asked",
        remedy="add archives with --image-archive",
    )
