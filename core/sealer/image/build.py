"""Building a cluster image from a Kubefile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sealer
from sealer.errors import BuildError, ImageError, InputError, Position, SealerError
from sealer.events import EventStream, Json
from sealer.image.application_build import ApplicationBuild, chart_installs
from sealer.image.applications import DIRECTORY, SUPPORTED_VERSIONS_LABEL, Applications, is_own_label
from sealer.image.cache import BuildCache
from sealer.image.copy import Context, CopyPlan, Made, SourceError
from sealer.image.discovery.files import DirectoryFiles, stage
from sealer.image.emulation import prepare_run
from sealer.image.gathering.gather import Gathering, ImageRequest
from sealer.image.inputs import CopyInputs, FileDigests
from sealer.image.layer import Entry, FileRead, has_capabilities, hide_lower, write_layer
from sealer.image.model import (
    APP_INSTALLER,
    CMDS_LABEL,
    KUBE_INSTALLER,
    TYPE_LABEL,
    VERSION_LABEL,
    ClusterImage,
    Layer,
    Rootfs,
)
from sealer.image.oci import LAYER, Descriptor
from sealer.image.oci_image import RootfsParts, read_cluster_image, read_history, stage_index, stage_rootfs
from sealer.image.platforms import host_platform, platform_object
from sealer.image.progress import Progress
from sealer.image.reference import Reference
from sealer.image.rehearsal import rehearse, supported_versions
from sealer.image.run import Command, Runner
from sealer.image.sources import Sources, place_of, working_directory
from sealer.image.staging import Staging
from sealer.image.storage import shown, storage_errors
from sealer.image.store import Store
from sealer.image.tree import Tree
from sealer.image.unpack import Unpacked
from sealer.image.variables import Variables
from sealer.kubefile import read
from sealer.kubefile.model import (
    App,
    AppCmds,
    AppEnv,
    Arg,
    Cmd,
    Cmds,
    Copy,
    Env,
    From,
    Instruction,
    Kubefile,
    KubeVersion,
    Label,
    Launch,
    Run,
)
from sealer.redaction import Secret

SCRATCH = "scratch"
SETTLED_LABELS = (CMDS_LABEL, VERSION_LABEL)  # sealer's own: no Kubefile sets them


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built.

    :param context: the directory COPY takes files from.
    :param kubefile: None: `Kubefile` in the context.
    :param names: what the image will be called; none: it is found by its digest.
    :param build_args: values for ARGs.
    :param labels: in addition to the Kubefile's, over which they win.
    :param annotations: of the index, and of each rootfs's manifest.
    :param platform: one, or several with commas between them; empty: this machine's architecture on Linux.
    :param type: `kube-installer` or `app-installer`; empty: the base's, else `kube-installer`.
    :param base: False to leave out what the base brings: the image is then installed onto one that has it.
    :param cache: False to execute every instruction, also those whose layer is known.
    :param network: of every RUN that does not say it itself, `host` or `none`.
    :param secrets: for the RUNs that mount them, by id.
    :param run_timeout: seconds for each RUN; None for no end.
    :param overlay: False to give every RUN a copy of the rootfs; None: only where it cannot be contained.
    :param images: how the container images are found that the rootfs mentions; None: they are not.
    """

    context: Path
    kubefile: Path | None = None
    names: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    type: str = ""
    base: bool = True
    cache: bool = True
    network: str = "host"
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    run_timeout: float | None = None
    overlay: bool | None = None
    images: ImageRequest | None = None


def build(store: Store, request: BuildRequest, events: EventStream) -> ClusterImage:
    """Execute a Kubefile and store the image.

    Events have the steps `build/1`, `build/2`, ... with the instructions as titles; with several platforms
    `build/linux/arm64/1` and so on.

    :raises InputError: the Kubefile, or the request, is wrong; nothing was done.
    :raises BuildError: an instruction failed.
    :raises ImageNotFoundError: the base is not in the store.
    :raises ImageError: the store could not be used.
    """
    for name in request.names:
        Reference.to_give(name)
    platforms = request.platform.split(",") if request.platform else [host_platform()]
    for platform in platforms:
        platform_object(platform)
    if len(set(platforms)) < len(platforms):
        raise InputError(f"'{request.platform}' names a platform twice")
    if request.type not in ("", KUBE_INSTALLER, APP_INSTALLER):
        raise InputError(f"'{request.type}' is no type of image", remedy=f"it is {KUBE_INSTALLER} or {APP_INSTALLER}")
    for label in filter(_is_own, request.labels):
        raise InputError(f"the label {label} is sealer's own")
    kubefile = read(request.kubefile or request.context / "Kubefile")
    for problem in kubefile.warnings:
        events.warn(str(problem))
    with store.stage() as staging:
        cache = BuildCache(store.root, staging.blobs, reading=request.cache)
        manifests = []
        images = Gathering(store, staging, request.images, events)
        for platform in platforms:
            rootfs = _Build(
                store=store,
                staging=staging,
                request=request,
                platform=platform,
                several=len(platforms) > 1,
                kubefile=kubefile,
                cache=cache,
                images=images,
                events=events,
            )
            manifests.append(rootfs.run())
        for name in rootfs.unused:
            events.warn(f"--build-arg {name}: no ARG of the Kubefile has this name")
        index = stage_index(staging, [*manifests, *images.finish()], request.annotations)
        store.commit(staging, index, request.names)
        return read_cluster_image(store, request.names[0] if request.names else index.digest, index)


class _Build:
    """The build of one rootfs: its parts so far, and the rootfs itself where a RUN needs it."""

    def __init__(
        self,
        *,
        store: Store,
        staging: Staging,
        request: BuildRequest,
        platform: str,
        several: bool,
        kubefile: Kubefile,
        cache: BuildCache,
        images: Gathering,
        events: EventStream,
    ) -> None:
        self._store = store
        self._staging = staging
        self._request = request
        self._kubefile = kubefile
        self._images = images
        self._events = events
        self._platform = platform
        self._steps = f"build/{platform}" if several else "build"
        self._mark = f"{platform} " if several else ""
        self._cache = cache
        self._context = Context(request.context, store.root)
        self._digests = FileDigests(store.root, self._context.directory)
        self._variables = Variables(request.build_args, platform, kubefile.escape, host_platform())
        self._base_env: Mapping[str, str] = {}
        self._base_layers = 0
        self._layers: list[Layer] = []
        self._labels: dict[str, str] = {}
        self._cmds: list[str] = []
        self._inherited = Applications()
        self._history: list[tuple[str, bool]] = []
        self._work = staging.directory / self._steps.replace("/", "-")
        self._unpacked: Unpacked | None = None
        self._applied = 0
        self._tree = Tree()
        self._laid = 0
        self._runner = Runner(self._work, events.warn, request.overlay)

    def run(self) -> Descriptor:
        """Execute everything; the manifest is returned, staged."""
        for arg in self._kubefile.arguments:
            self._variables.declare_global(arg)
        with self._step(1, self._kubefile.base):
            self._from(self._kubefile.base)
        self._apps = ApplicationBuild(self._kubefile, self._inherited)
        if problems := rehearse(self._kubefile.body, self._variables):
            raise InputError("the Kubefile is wrong", where=self._kubefile.file, problems=problems)
        for problem in self._apps.warnings:
            self._events.warn(str(problem))
        for number, instruction in enumerate(self._kubefile.body, 2):
            with self._step(number, instruction) as progress:
                progress.cached = self._do(instruction, progress)
        self._digests.save()
        env = self._variables.env
        installs = chart_installs(self._cmds, self._apps.finish(), env)
        self._images.look_through(self._platform, self._own_layers, env, self._files, installs)
        return self._finish()

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of `--build-arg` that no ARG asked for."""
        return self._variables.unused

    @contextmanager
    def _step(self, number: int, instruction: Instruction) -> Iterator[Progress]:
        total = 1 + len(self._kubefile.body)
        title = f"[{self._mark}{number}/{total}] {instruction.text}"
        data: dict[str, Json] = {"number": number, "total": total, "platform": self._platform}
        progress = Progress(self._events, f"{self._steps}/{number}", title, data)
        with progress.told():
            try:
                yield progress
            except SealerError as error:
                raise _placed(error, self._place(error, instruction), instruction.text) from error

    def _place(self, error: SealerError, instruction: Instruction) -> Position:
        """The place of the word that is wrong, where an error is about one."""
        if isinstance(error, SourceError):
            return place_of(error.source, instruction, self._variables)
        return instruction.position

    def _from(self, base: From) -> None:
        platform = self._variables.expand_global(base.platform) if base.platform else self._platform
        if platform != self._platform:
            raise BuildError(f"this build is for {self._platform}, not for {platform}")
        name = self._variables.expand_global(base.image)
        if not name:
            raise BuildError("the name of the base is empty", remedy="give the ARG in it a default, or use --build-arg")
        if name.lower() == SCRATCH:
            self._variables.enter_stage({})
            return
        rootfs = self._base(name)
        self._layers = list(rootfs.layers)
        of_apps = rootfs.applications.labels
        self._labels = {key: value for key, value in rootfs.labels.items() if key not in of_apps}
        self._cmds = list(rootfs.own_cmds)
        self._inherited = rootfs.applications
        self._history = list(read_history(self._store, rootfs.digest))
        self._base_env = rootfs.env
        self._base_layers = len(rootfs.layers)
        self._variables.enter_stage(rootfs.env)
        if not self._request.base:
            self._labels, self._cmds, self._history, self._inherited = {}, [], [], Applications()

    def _base(self, name: str) -> Rootfs:
        image = self._store.use(self._staging, name)
        for rootfs in image.rootfs:
            if f"{rootfs.platform}/".startswith(f"{self._platform}/"):  # linux/arm64/v8 will do for linux/arm64
                if self._request.base:
                    self._images.inherit(image.containers, self._platform)
                return rootfs
        have = ", ".join(rootfs.platform for rootfs in image.rootfs)
        raise BuildError(f"'{name}' has no rootfs for {self._platform}", why=f"it has {have}")

    def _do(self, instruction: Instruction, progress: Progress) -> bool:
        """Whether its layer was known."""
        cached = False
        match instruction:
            case Arg():
                self._variables.declare(instruction)
            case Env():
                self._variables.set_env(instruction)
            case Label():
                self._label(instruction)
            case Cmd():
                self._cmds.append(instruction.command)
            case Cmds():
                self._cmds += instruction.commands
            case Copy():
                cached = self._copy(instruction, progress)
            case Run():
                cached = self._run(instruction, progress)
            case App():
                cached = self._app(instruction, progress)
            case AppCmds():
                self._apps.set_commands(instruction.name.text, instruction.commands)
            case AppEnv():
                self._apps.set_env(
                    instruction.name.text, {key: self._variables.expand(value) for key, value in instruction.pairs}
                )
            case Launch():
                self._apps.launch([name.text for name in instruction.names])
            case KubeVersion():
                self._labels[SUPPORTED_VERSIONS_LABEL] = supported_versions(instruction, self._variables)
        self._history.append((instruction.text, not isinstance(instruction, Copy | Run | App)))
        return cached

    def _label(self, label: Label) -> None:
        for name, value in label.pairs:
            key = self._variables.expand(name)
            if _is_own(key):
                raise BuildError(f"the label {key} is sealer's own")
            self._labels[key] = self._variables.expand(value)

    def _copy(self, copy: Copy, progress: Progress) -> bool:
        destination = self._variables.expand(copy.destination)
        how: list[Json] = ["ADD" if copy.unpack else "COPY", destination, copy.chmod]
        with working_directory(self._staging.directory / "add") as directory:
            sources = Sources(directory, self._variables).of_copy(copy)
            archives = directory / "archives" if copy.unpack else None
            if archives is not None:
                archives.mkdir()

            def entries() -> list[Entry]:
                plan = CopyPlan(self._context, self._lay_over(), chmod=copy.chmod, unpack_into=archives)
                return plan.entries(sources, destination)

            return self._layer_of(how, sources, entries, progress, unpacks=copy.unpack)

    def _app(self, app: App, progress: Progress) -> bool:
        target = f"{DIRECTORY}/{app.name.text}"
        replaces = app.name.text in self._apps
        with working_directory(self._staging.directory / "add") as directory:
            sources = Sources(directory, self._variables).of_app(app)
            plan = CopyPlan(self._context, self._lay_over())
            entries = plan.entries(sources, f"{target}/")
            within = len(f"{target}/")
            read_from = {entry.path[within:]: entry.source for entry in entries if entry.source is not None}
            self._apps.add(app, [path[within:] for path in plan.files], read_from)
            if replaces:
                entries = hide_lower(entries, target)  # nothing of the base's application stays
            return self._layer_of(["APP", target, replaces], sources, lambda: entries, progress)

    def _layer_of(
        self,
        how: list[Json],
        sources: Sequence[str | Made],
        entries: Callable[[], list[Entry]],
        progress: Progress,
        *,
        unpacks: bool = False,
    ) -> bool:
        """Add the layer that files make, unless it is known; whether it was."""
        paths = [source for source in sources if isinstance(source, str)]
        made: list[Json] = [source.key if isinstance(source, Made) else None for source in sources]
        inputs = CopyInputs.of(self._context, paths)
        key = self._cache.key(self._layers, [*how, made], inputs.structure)
        known = self._cache.find(key, lambda: self._digests.content(inputs.files))
        if known is not None:
            return self._take(known)
        archives = self._digests.content(inputs.files) if unpacks else ""
        of_context = frozenset(inputs.files)
        seen: dict[str, str] = {}

        def learn(read: FileRead) -> None:
            if read.source in of_context:
                seen[read.source] = read.digest
                self._digests.learn(read)

        layer = self._add_layer(entries(), progress, learn)
        # What the layer was made from is known only now; what changed meanwhile is recorded for nothing.
        content = self._digests.content(inputs.files, seen)
        if archives in ("", content) and CopyInputs.of(self._context, paths) == inputs:
            self._cache.keep(key, layer, content)
        return False

    def _run(self, run: Run, progress: Progress) -> bool:
        environment = {**self._variables.environment, "PATH": self._variables.known["PATH"]}
        network = run.network or self._request.network
        mounts: list[Json] = [[mount.id, mount.target] for mount in run.secrets if mount.id in self._request.secrets]
        how: list[Json] = ["RUN", run.command, dict(environment), self._platform, network, mounts]
        key = self._cache.key(self._layers, how)
        known = self._cache.find(key)
        if known is not None:
            return self._take(known)
        command = Command(run.command, environment, self._secrets(run), network == "host", self._request.run_timeout)
        advice = prepare_run(self._platform, self._unpack())
        try:
            entries = self._runner.run(command, progress.line)
        except BuildError as error:
            error.remedy = advice or error.remedy
            raise
        self._cache.keep(key, self._add_layer(entries, progress))
        return False

    def _secrets(self, run: Run) -> dict[str, Secret]:
        found = {}
        for mount in run.secrets:
            if mount.id in self._request.secrets:
                found[mount.target] = self._request.secrets[mount.id]
            elif mount.required:
                raise BuildError(f"the secret '{mount.id}' is not given", remedy=f"add --secret id={mount.id},src=FILE")
        return found

    def _add_layer(
        self, entries: list[Entry], progress: Progress, files: Callable[[FileRead], None] | None = None
    ) -> Layer:
        capable = [shown(entry.path) for entry in entries if has_capabilities(entry)]
        self._warn_of_capabilities(capable)
        progress.expect(entries)
        descriptor, diff_id = write_layer(self._staging, entries, progress=progress.bytes, files=files)
        path = self._staging.blobs / descriptor.digest.removeprefix("sha256:")
        layer = Layer(descriptor.digest, descriptor.size, diff_id, path)
        self._layers.append(layer)
        self._cache.keep_members(layer, entries)
        self._cache.keep_capabilities(layer, capable)
        return layer

    def _take(self, known: Layer) -> bool:
        """Add a layer that was made before; True: it was."""
        self._layers.append(known)
        self._warn_of_capabilities(self._cache.capabilities(known))
        return True

    def _warn_of_capabilities(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._events.warn(
                f"{path}: its file capabilities do not go into the image; let scripts/init.sh run setcap on the hosts"
            )

    def _lay_over(self) -> Tree:
        """The rootfs so far, as names."""
        if self._unpacked is not None:
            self._unpack()
            return self._unpacked.tree
        for layer in self._layers[self._laid :]:
            self._cache.lay(self._tree, layer)
        self._laid = len(self._layers)
        return self._tree

    def _unpack(self) -> Path:
        """The directory of the rootfs so far."""
        if self._unpacked is None:
            with storage_errors("the rootfs could not be prepared", self._work):
                self._work.mkdir()
                self._unpacked = Unpacked(self._work / "rootfs")
            self._tree = Tree()  # from now on the unpacked rootfs has one
        for layer in self._layers[self._applied :]:
            self._unpacked.apply(layer)
        self._applied = len(self._layers)
        return self._unpacked.directory

    @property
    def _own_layers(self) -> list[Layer]:
        """The layers of the image, without its base's where that is left out."""
        return self._layers if self._request.base else self._layers[self._base_layers :]

    def _files(self) -> DirectoryFiles:
        """The files of the finished rootfs; of an image without its base, those that are its own."""
        if self._unpacked is None or not self._request.base:
            return stage(self._own_layers, self._work / "discovered")
        return DirectoryFiles(self._unpack())

    def _finish(self) -> Descriptor:
        labels = {**self._labels, **self._request.labels, **self._apps.finish().labels}
        usual = KUBE_INSTALLER if self._request.base else APP_INSTALLER
        labels[TYPE_LABEL] = self._request.type or labels.get(TYPE_LABEL, usual)
        if labels[TYPE_LABEL] not in (KUBE_INSTALLER, APP_INSTALLER):
            raise BuildError(
                f"the label {TYPE_LABEL} is '{labels[TYPE_LABEL]}'", remedy=f"it is {KUBE_INSTALLER} or {APP_INSTALLER}"
            )
        labels[VERSION_LABEL] = sealer.__version__
        labels[CMDS_LABEL] = json.dumps(self._cmds, ensure_ascii=False)
        layers, env = self._own_layers, self._variables.env
        if not self._request.base:
            env = {name: value for name, value in env.items() if self._base_env.get(name) != value}
        parts = RootfsParts(
            platform=self._platform,
            layers=tuple((Descriptor(LAYER, layer.digest, layer.size), layer.diff_id) for layer in layers),
            env=env,
            labels=labels,
            history=tuple(self._history),
            annotations=self._request.annotations,
        )
        return stage_rootfs(self._staging, parts)


def _is_own(label: str) -> bool:
    return label in SETTLED_LABELS or is_own_label(label)


def _placed(error: SealerError, position: Position, title: str) -> SealerError:
    """The error with the instruction's place, where it has none yet."""
    if isinstance(error, InputError):
        return error
    kind = BuildError if isinstance(error, BuildError) or not isinstance(error, ImageError) else type(error)
    why = ": ".join(part for part in (error.where, error.why) if part)
    return kind(
        f"{title}: {error.what}" if len(title) <= 80 else f"{title[:79]}…: {error.what}",
        where=str(position),
        why=why,
        remedy=error.remedy,
        output=error.output,
    )
