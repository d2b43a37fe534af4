"""The instructions of a Kubefile, executed for one platform: what comes of them is a rootfs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import sealer
from sealer.errors import BuildError, ImageError, InputError, Position, RegistryError, SealerError
from sealer.events import EventStream, Json
from sealer.image.application_build import ApplicationBuild, chart_installs
from sealer.image.applications import DIRECTORY, SUPPORTED_VERSIONS_LABEL, Applications, is_own_label
from sealer.image.bases import Bases
from sealer.image.cache import BuildCache
from sealer.image.copy import Context, CopyPlan, SourceError
from sealer.image.emulation import prepare_run
from sealer.image.gathering.gather import Gathering
from sealer.image.inputs import FileDigests
from sealer.image.layer import Entry, hide_lower
from sealer.image.model import (
    APP_INSTALLER,
    CMDS_LABEL,
    KUBE_INSTALLER,
    TYPE_LABEL,
    VERSION_LABEL,
    Rootfs,
)
from sealer.image.oci import LAYER, Descriptor
from sealer.image.oci_image import RootfsParts, read_history, stage_rootfs
from sealer.image.platforms import host_platform
from sealer.image.progress import Progress
from sealer.image.rehearsal import rehearse, supported_versions
from sealer.image.rootfs_layers import RootfsLayers
from sealer.image.run import Command, Runner
from sealer.image.sources import Sources, place_of, working_directory
from sealer.image.staging import Staging
from sealer.image.store import Store
from sealer.image.variables import Variables
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
from sealer.templates.hostfiles import is_template, template_faults

if TYPE_CHECKING:
    from sealer.image.build import BuildRequest
    from sealer.image.discovery.files import DirectoryFiles

SCRATCH = "scratch"
SETTLED_LABELS = (CMDS_LABEL, VERSION_LABEL)  # sealer's own: no Kubefile sets them


class RootfsBuild:
    """The build of one rootfs.

    :param several: whether it is one of several platforms.
    """

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
        bases: Bases,
        images: Gathering,
        events: EventStream,
    ) -> None:
        self._store = store
        self._staging = staging
        self._request = request
        self._kubefile = kubefile
        self._bases = bases
        self._images = images
        self._events = events
        self._platform = platform
        self._steps = f"build/{platform}" if several else "build"
        self._mark = f"{platform} " if several else ""
        self._context = Context(request.context, store.root)
        self._digests = FileDigests(store.root, self._context.directory)
        self._variables = Variables(request.build_args, platform, kubefile.escape, host_platform())
        self._base_env: Mapping[str, str] = {}
        self._labels: dict[str, str] = {}
        self._cmds: list[str] = []
        self._inherited = Applications()
        self._history: list[tuple[str, bool]] = []
        work = staging.directory / self._steps.replace("/", "-")
        self._layers = RootfsLayers(
            staging, cache, context=self._context, digests=self._digests, work=work, warn=events.warn
        )
        self._runner = Runner(
            work,
            events.warn,
            request.overlay,
            private=(store.root, store.root.parent),
            allow_uncontained=request.allow_uncontained_run,
        )

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
        base, env = self._request.base, self._variables.env
        installs = chart_installs(self._cmds, self._apps.finish(), env)
        layers = self._layers.own(base=base)
        files = cache(lambda: self._layers.files(base=base))
        self._refuse_broken_templates(files)
        self._images.look_through(self._platform, layers, env, files, installs)
        return self._finish()

    def _refuse_broken_templates(self, files: Callable[[], DirectoryFiles]) -> None:
        """See that files which are rendered on each host can be read as templates: hosts are too late to find out."""
        if any(is_template(path) for path, _ in self._layers.lay_over().files()):
            found = files()
            if problems := template_faults(found.paths(), found.read):
                raise InputError("templates of the rootfs cannot be rendered", problems=problems)

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
            raise BuildError(
                f"this build is for {self._platform}, not for {platform}",
                remedy="without --platform the image gets the platform that FROM names",
            )
        name = self._variables.expand_global(base.image)
        if not name:
            raise BuildError("the name of the base is empty", remedy="give the ARG in it a default, or use --build-arg")
        if name.lower() == SCRATCH:
            self._variables.enter_stage({})
            return
        rootfs = self._base(name)
        self._layers.begin(rootfs.layers)
        of_apps = rootfs.applications.labels
        self._labels = {key: value for key, value in rootfs.labels.items() if key not in of_apps}
        self._cmds = list(rootfs.own_cmds)
        self._inherited = rootfs.applications
        self._history = list(read_history(self._store, rootfs.digest))
        self._base_env = _env_of(rootfs)
        self._variables.enter_stage(self._base_env)
        if not self._request.base:
            self._labels, self._cmds, self._history, self._inherited = {}, [], [], Applications()

    def _base(self, name: str) -> Rootfs:
        image, rootfs = self._bases.find(name, self._platform)
        if self._request.base:
            self._images.inherit(image.containers, self._platform)
        return rootfs

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
            if is_settled(key):
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
                plan = CopyPlan(self._context, self._layers.lay_over(), chmod=copy.chmod, unpack_into=archives)
                return plan.entries(sources, destination)

            return self._layers.add_files(how, sources, entries, progress, unpacks=copy.unpack)

    def _app(self, app: App, progress: Progress) -> bool:
        target = f"{DIRECTORY}/{app.name.text}"
        replaces = app.name.text in self._apps
        with working_directory(self._staging.directory / "add") as directory:
            sources = Sources(directory, self._variables).of_app(app)
            plan = CopyPlan(self._context, self._layers.lay_over())
            entries = plan.entries(sources, f"{target}/")
            within = len(f"{target}/")
            read_from = {entry.path[within:]: entry.source for entry in entries if entry.source is not None}
            self._apps.add(app, [path[within:] for path in plan.files], read_from)
            if replaces:
                entries = hide_lower(entries, target)  # nothing of the base's application stays
            return self._layers.add_files(["APP", target, replaces], sources, lambda: entries, progress)

    def _run(self, run: Run, progress: Progress) -> bool:
        environment = {**self._variables.environment, "PATH": self._variables.known["PATH"]}
        network = run.network or self._request.network
        mounts: list[Json] = [[mount.id, mount.target] for mount in run.secrets if mount.id in self._request.secrets]
        how: list[Json] = ["RUN", run.command, dict(environment), self._platform, network, mounts]

        def execute() -> list[Entry]:
            command = Command(
                run.command, environment, self._secrets(run), network == "host", self._request.run_timeout
            )
            advice = prepare_run(self._platform, self._layers.unpack())
            try:
                return self._runner.run(command, progress.line)
            except BuildError as error:
                error.remedy = advice or error.remedy
                raise

        return self._layers.add_command(how, execute, progress)

    def _secrets(self, run: Run) -> dict[str, Secret]:
        found = {}
        for mount in run.secrets:
            if mount.id in self._request.secrets:
                found[mount.target] = self._request.secrets[mount.id]
            elif mount.required:
                raise BuildError(f"the secret '{mount.id}' is not given", remedy=f"add --secret id={mount.id},src=FILE")
        return found

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
        layers, env = self._layers.own(base=self._request.base), self._variables.env
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


def _env_of(rootfs: Rootfs) -> Mapping[str, str]:
    """What a base's ENV means to the programs of this machine and of the hosts.

    A container's PATH leads to the container's programs, and RUN and CMD would find none of theirs.
    """
    own = VERSION_LABEL in rootfs.labels
    return {name: value for name, value in rootfs.env.items() if own or name != "PATH"}


def is_settled(label: str) -> bool:
    """Whether a label is sealer's own, and no Kubefile sets it."""
    return label in SETTLED_LABELS or is_own_label(label)


def _placed(error: SealerError, position: Position, title: str) -> SealerError:
    """The error with the instruction's place, where it has none yet."""
    if isinstance(error, InputError):
        if error.problems or error.where:
            return error
        return InputError(error.what, where=str(position), why=error.why, remedy=error.remedy)
    what = f"{title}: {error.what}" if len(title) <= 80 else f"{title[:79]}…: {error.what}"
    why = ": ".join(part for part in (error.where, error.why) if part)
    if isinstance(error, RegistryError):
        return RegistryError(what, status=error.status, where=str(position), why=why, remedy=error.remedy)
    kind = BuildError if isinstance(error, BuildError) or not isinstance(error, ImageError) else type(error)
    return kind(what, where=str(position), why=why, remedy=error.remedy, output=error.output)
