"""Building a cluster image from a Kubefile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sealer
from sealer.errors import BuildError, ImageError, InputError, Position, SealerError
from sealer.events import EventStream, State
from sealer.image.copy import Context, CopyPlan
from sealer.image.layer import Entry, has_capabilities, write_layer
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
from sealer.image.reference import Reference
from sealer.image.run import Runner
from sealer.image.staging import Staging
from sealer.image.storage import remove_tree, shown, storage_errors
from sealer.image.store import Store
from sealer.image.tree import Tree
from sealer.image.unpack import Unpacked
from sealer.image.variables import Variables
from sealer.kubefile import read
from sealer.kubefile.model import Arg, Cmd, Copy, Env, From, Instruction, Kubefile, Label, Run

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
    :param platform: empty: this machine's architecture on Linux.
    :param type: `kube-installer` or `app-installer`; empty: the base's, else `kube-installer`.
    :param overlay: False to give every RUN a copy of the rootfs; None: only where there can be no overlay mount.
    """

    context: Path
    kubefile: Path | None = None
    names: tuple[str, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    type: str = ""
    overlay: bool | None = None


def build(store: Store, request: BuildRequest, events: EventStream) -> ClusterImage:
    """Execute a Kubefile and store the image.

    Events have the steps `build/1`, `build/2`, ... with the instructions as titles.

    :raises InputError: the Kubefile, or the request, is wrong; nothing was done.
    :raises BuildError: an instruction failed.
    :raises ImageNotFoundError: the base is not in the store.
    :raises ImageError: the store could not be used.
    """
    for name in request.names:
        Reference.parse(name)
    platform = request.platform or host_platform()
    platform_object(platform)
    if request.type not in ("", KUBE_INSTALLER, APP_INSTALLER):
        raise InputError(f"'{request.type}' is no type of image", remedy=f"it is {KUBE_INSTALLER} or {APP_INSTALLER}")
    kubefile = read(request.kubefile or request.context / "Kubefile")
    for problem in kubefile.warnings:
        events.warn(str(problem))
    with store.stage() as staging:
        index = _Build(
            store=store, staging=staging, request=request, platform=platform, kubefile=kubefile, events=events
        ).run()
        store.commit(staging, index, request.names)
        return read_cluster_image(store, request.names[0] if request.names else index.digest, index)


class _Build:
    """One build: the parts of the image so far, and the rootfs where a RUN needs it."""

    def __init__(
        self,
        *,
        store: Store,
        staging: Staging,
        request: BuildRequest,
        platform: str,
        kubefile: Kubefile,
        events: EventStream,
    ) -> None:
        self._store = store
        self._staging = staging
        self._request = request
        self._kubefile = kubefile
        self._events = events
        self._platform = platform
        self._context = Context(request.context, store.root)
        self._variables = Variables(request.build_args, platform, kubefile.escape)
        self._layers: list[Layer] = []
        self._labels: dict[str, str] = {}
        self._cmds: list[str] = []
        self._history: list[tuple[str, bool]] = []
        self._work = staging.directory / "build"
        self._unpacked: Unpacked | None = None
        self._applied = 0
        self._tree = Tree()
        self._laid = 0
        self._runner = Runner(self._work, request.overlay)

    def run(self) -> Descriptor:
        """Execute everything; the index is returned, staged."""
        for arg in self._kubefile.arguments:
            self._variables.declare_global(arg)
        with self._step(1, self._kubefile.base):
            self._from(self._kubefile.base)
        for number, instruction in enumerate(self._kubefile.body, 2):
            with self._step(number, instruction):
                self._do(instruction, f"build/{number}")
        for name in self._variables.unused:
            self._events.warn(f"--build-arg {name}: no ARG of the Kubefile has this name")
        return self._finish()

    @contextmanager
    def _step(self, number: int, instruction: Instruction) -> Iterator[None]:
        step, title = f"build/{number}", instruction.text
        total = 1 + len(self._kubefile.body)
        self._events.emit(State.STARTED, step=step, title=title, data={"number": number, "total": total})
        try:
            yield
        except SealerError as error:
            self._events.emit(State.FAILED, step=step, title=title, message=str(error))
            raise _placed(error, instruction.position, instruction.text) from error
        except BaseException:
            self._events.emit(State.CANCELLED, step=step, title=title)
            raise
        self._events.emit(State.DONE, step=step, title=title)

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
        self._labels = dict(rootfs.labels)
        self._cmds = list(rootfs.cmds)
        self._history = list(read_history(self._store, rootfs.digest))
        self._variables.enter_stage(rootfs.env)

    def _base(self, name: str) -> Rootfs:
        image = self._store.use(self._staging, name)
        for rootfs in image.rootfs:
            if f"{rootfs.platform}/".startswith(f"{self._platform}/"):  # linux/arm64/v8 will do for linux/arm64
                return rootfs
        have = ", ".join(rootfs.platform for rootfs in image.rootfs)
        raise BuildError(f"'{name}' has no rootfs for {self._platform}", why=f"it has {have}")

    def _do(self, instruction: Instruction, step: str) -> None:
        match instruction:
            case Arg():
                self._variables.declare(instruction)
            case Env():
                self._variables.set_env(instruction)
            case Label():
                self._label(instruction)
            case Cmd():
                self._cmds.append(instruction.command)
            case Copy():
                self._copy(instruction)
            case Run():
                self._run(instruction, step)
        self._history.append((instruction.text, not isinstance(instruction, Copy | Run)))

    def _label(self, label: Label) -> None:
        for name, value in label.pairs:
            key = self._variables.expand(name)
            if key in SETTLED_LABELS:
                raise BuildError(f"the label {key} is sealer's own")
            self._labels[key] = self._variables.expand(value)

    def _copy(self, copy: Copy) -> None:
        sources = [self._variables.expand(source) for source in copy.sources]
        if "" in sources:
            raise BuildError("the name of a source is empty")
        unpack_into = self._staging.directory / "add" if copy.unpack else None
        if unpack_into is not None:
            unpack_into.mkdir()
        plan = CopyPlan(self._context, self._lay_over(), chmod=copy.chmod, unpack_into=unpack_into)
        self._add_layer(plan.entries(sources, self._variables.expand(copy.destination)))
        if unpack_into is not None:
            remove_tree(unpack_into)

    def _run(self, run: Run, step: str) -> None:
        self._unpack()

        def show(line: str) -> None:
            self._events.emit(State.OUTPUT, step=step, title=run.text, message=line)

        self._add_layer(self._runner.run(run.command, self._variables.environment, show))

    def _add_layer(self, entries: list[Entry]) -> None:
        for entry in filter(has_capabilities, entries):
            self._events.warn(
                f"{shown(entry.path)}: its file capabilities do not go into the image; "
                "let scripts/init.sh run setcap on the hosts"
            )
        layer, diff_id = write_layer(self._staging, entries)
        self._layers.append(
            Layer(layer.digest, layer.size, diff_id, self._staging.blobs / layer.digest.removeprefix("sha256:"))
        )

    def _lay_over(self) -> Tree:
        """The rootfs so far, as names."""
        if self._unpacked is not None:
            self._unpack()
            return self._unpacked.tree
        for layer in self._layers[self._laid :]:
            self._tree.lay(layer)
        self._laid = len(self._layers)
        return self._tree

    def _unpack(self) -> None:
        """The rootfs so far, on disk."""
        if self._unpacked is None:
            with storage_errors("the rootfs could not be prepared", self._work):
                self._work.mkdir()
                self._unpacked = Unpacked(self._work / "rootfs")
            self._tree = Tree()  # from now on the unpacked rootfs has one
        for layer in self._layers[self._applied :]:
            self._unpacked.apply(layer)
        self._applied = len(self._layers)

    def _finish(self) -> Descriptor:
        labels = {**self._labels, **self._request.labels}
        labels[TYPE_LABEL] = self._request.type or labels.get(TYPE_LABEL, KUBE_INSTALLER)
        if labels[TYPE_LABEL] not in (KUBE_INSTALLER, APP_INSTALLER):
            raise BuildError(
                f"the label {TYPE_LABEL} is '{labels[TYPE_LABEL]}'", remedy=f"it is {KUBE_INSTALLER} or {APP_INSTALLER}"
            )
        labels[VERSION_LABEL] = sealer.__version__
        labels[CMDS_LABEL] = json.dumps(self._cmds, ensure_ascii=False)
        parts = RootfsParts(
            platform=self._platform,
            layers=tuple((Descriptor(LAYER, layer.digest, layer.size), layer.diff_id) for layer in self._layers),
            env=self._variables.env,
            labels=labels,
            history=tuple(self._history),
        )
        return stage_index(self._staging, [stage_rootfs(self._staging, parts)])


def _placed(error: SealerError, position: Position, title: str) -> SealerError:
    """The error with the instruction's place, where it has none yet."""
    if isinstance(error, InputError):
        return error
    kind = type(error) if isinstance(error, ImageError) else BuildError
    why = ": ".join(part for part in (error.where, error.why) if part)
    return kind(
        f"{title}: {error.what}" if len(title) <= 80 else f"{title[:79]}…: {error.what}",
        where=str(position),
        why=why,
        remedy=error.remedy,
        output=error.output,
    )
