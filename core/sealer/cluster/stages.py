"""The order of things: what each kind of operation consists of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import yaml

from sealer.cluster import environment
from sealer.cluster.content import ImageContent
from sealer.cluster.distribution import distribute
from sealer.cluster.hostlock import HostLocks
from sealer.cluster.ownership import Identity, Ownership, identify
from sealer.cluster.plan import Stage, StageBuilder
from sealer.cluster.receipts import prune_spare, spare
from sealer.cluster.rendering import render
from sealer.cluster.scripts import commands, host_script, launched
from sealer.cluster.stand_ins import NoTransport
from sealer.clusterfile.model import ConfigDocument, PluginDocument
from sealer.errors import SealerError
from sealer.events import Json
from sealer.extension.context import StepContext
from sealer.extension.drivers import Provider, Registry, Runtime, Transport
from sealer.extension.guarding import steps_of
from sealer.extension.manager import PluginManager
from sealer.extension.operation import Operation
from sealer.extension.steps import Step
from sealer.extension.targets import ADDED, ALL, ANY, KEPT, REMOVED, Targets
from sealer.hosts import Host
from sealer.phases import Phase

KERNEL = "kernel"
REVOKE = "Revoke"
ENDING = frozenset({"Remove", REVOKE, "Destroy"})
LEAVING = ENDING | {"Leave"}  # phases in which what is to be gone is taken away
# Phases in which a host without a rootfs has nothing to do: an earlier run never got that far with it.
CLEANING = frozenset({Phase.PRE_CLEAN.value, Phase.POST_CLEAN.value, "Clean"})


@dataclass(frozen=True)
class Drivers:
    """The drivers of one cluster; `registry` is None where no private registry is asked for.

    :param runtime_name: what it was chosen by; so is `registry_name`.
    :param missing: of a dry run: those that cannot be had, and what would bring them.
    """

    runtime: Runtime
    provider: Provider
    transports: Sequence[Transport]
    transport_of: Callable[[Host], Transport]
    registry: Registry | None = None
    runtime_name: str = ""
    registry_name: str = ""
    missing: tuple[str, ...] = ()

    def reaches(self, host: Host) -> bool:
        """Whether the host's transport can be had."""
        return not isinstance(self.transport_of(host), NoTransport)


@dataclass
class Composer:
    """Composes the stages of one operation.

    :param content: of the image; None where it is gone, as may be at a delete.
    :param environment_of: what is exported on a host.
    :param architecture_of: of a host, in OCI's words; empty while unknown.
    :param documents: the Plugin documents, which lie in the rootfs on the hosts too.
    :param ownership: what the hosts are to know of the cluster that they belong to.
    :param do_without: told of what cannot be planned of a cleaning, which then goes on without; None: it fails.
    """

    operation: Operation
    plugins: PluginManager
    drivers: Drivers
    content: ImageContent | None
    environment_of: Callable[[Host], Mapping[str, str]]
    architecture_of: Callable[[Host], str]
    documents: Sequence[PluginDocument]
    known_facts: frozenset[str]
    ownership: Ownership
    keep_layers: bool = False
    do_without: Callable[[SealerError], object] | None = None

    def provider_stage(self) -> Stage:
        """Make the hosts that have no address yet."""
        builder = StageBuilder("provider", self.known_facts)
        if any(not host.address for host in self.operation.added):
            self._ask(builder, "Provide", self.drivers.provider.reconcile)
        return builder.build()

    def destroy_stage(self) -> Stage:
        """Take away what the provider made."""
        builder = StageBuilder("destroy", self.known_facts)
        if self.operation.removed or self.operation.kind == "delete":
            self._ask(builder, "Destroy", self.drivers.provider.destroy)
        return builder.build()

    def lock_stage(self, locks: HostLocks) -> Stage:
        """Take the lock on every host that can be reached."""
        builder = StageBuilder("lock", self.known_facts)
        builder.add("Reach", KERNEL, [locks.step(ANY)])
        return builder.build()

    def main_stage(self) -> Stage:
        """Everything between the provider's two turns."""
        builder = StageBuilder("main", self.known_facts)
        if self.operation.kind == "application":
            self._application(builder)
        if self.operation.added:
            self._addition(builder)
        if self.operation.removed and self._foreign:
            builder.add("Remove", KERNEL, [self._remove_files()])
        elif self.operation.removed:
            self._removal(builder)
        if self.operation.kept and self.operation.kind == "scale":
            if not (self.operation.added or self.operation.removed):
                self._registry(builder)  # its login may be another one
            self._update(builder)
        return builder.build()

    # -- parts ---------------------------------------------------------------------------------------------------

    @property
    def _foreign(self) -> bool:
        """Whether nothing of the cluster but applications is sealer's to set up."""
        return self.operation.recorded is not None and self.operation.recorded.foreign

    def _addition(self, builder: StageBuilder) -> None:
        operation, drivers = self.operation, self.drivers
        create = operation.kind == "create"
        self._checks(builder)
        self._identify(builder, ADDED)
        if operation.spec.authorize_key:
            for transport, mine in self._by_transport(operation.added):
                self._ask(builder, "Access", transport.authorize, replace(operation, added=mine))
        self._distribute(builder, ADDED, operation.added)
        self._phase(builder, Phase.PRE_INIT if create else Phase.PRE_JOIN)
        self._script(builder, "init", ADDED)
        self._registry(builder)
        if create:
            self._ask(builder, "Install", drivers.runtime.install)
            self._guest(builder)
        else:
            self._ask(builder, "Join", drivers.runtime.join)
            self._phase(builder, Phase.POST_JOIN)

    def _removal(self, builder: StageBuilder) -> None:
        operation, drivers = self.operation, self.drivers
        self._phase(builder, Phase.PRE_CLEAN)
        if not operation.added and operation.kind == "scale":
            self._registry(builder)  # it may have to run elsewhere from now on
        self._ask(builder, "Leave", drivers.runtime.forget)
        self._ask(builder, "Leave", drivers.runtime.clean)
        if drivers.registry:
            self._ask(builder, "Leave", drivers.registry.remove)
        self._phase(builder, Phase.POST_CLEAN)
        self._script(builder, "clean", REMOVED, "Clean")
        builder.add("Remove", KERNEL, [self._remove_files()])
        # Last of all: a run that is continued after it may find no way in any more.
        for transport, mine in self._by_transport(operation.removed):
            self._ask(builder, REVOKE, transport.revoke, replace(operation, removed=mine))

    def _application(self, builder: StageBuilder) -> None:
        self._checks(builder)
        self._identify(builder, ALL)
        self._distribute(builder, ALL, self.operation.hosts)
        self._registry(builder)
        self._ask(builder, "Receive", self.drivers.runtime.receive)
        self._guest(builder)

    def _registry(self, builder: StageBuilder) -> None:
        """The private registry runs, has the image's container images, and is what hosts pull from."""
        registry, operation = self.drivers.registry, self.operation
        if registry is None:
            return
        if operation.kind != "application":
            self._ask(builder, "Registry", registry.deploy)
        if operation.image is not None:
            self._ask(builder, "Registry", registry.publish)
        if not self._foreign:
            self._ask(builder, "Registry", registry.trust)

    def _update(self, builder: StageBuilder) -> None:
        """What the hosts that stay need to know of the change."""
        self._identify(builder, KEPT, "Update")
        self._render(builder, "Update", KEPT, self.operation.kept)
        self._script(builder, "update", KEPT, "Update")
        self._ask(builder, "Update", self.drivers.runtime.update)

    def _guest(self, builder: StageBuilder) -> None:
        operation, image = self.operation, self.operation.image
        self._phase(builder, Phase.PRE_GUEST)
        cmds = operation.spec.cmd or (launched(image, operation.spec.app_names) if image else ())
        arguments = dict(item.partition("=")[::2] for item in operation.spec.cmd_args)
        steps = commands(cmds, operation.paths.rootfs, arguments, image.digest if image else "")
        builder.add("Guest", KERNEL, steps)
        self._phase(builder, Phase.POST_INSTALL)

    def _ask(
        self,
        builder: StageBuilder,
        phase: str,
        method: Callable[[Operation], Sequence[Step]],
        operation: Operation | None = None,
    ) -> None:
        """Add what a driver's method wants done."""
        name = driver_name(method.__self__)  # type: ignore[attr-defined]  # the method of a driver
        about = operation or self.operation
        with self._doing_without(phase):
            builder.add(phase, name, steps_of(name, method.__name__, lambda: method(about)))

    @contextmanager
    def _doing_without(self, phase: str) -> Iterator[None]:
        try:
            yield
        except SealerError as error:
            if self.do_without is None or phase not in CLEANING | LEAVING:
                raise
            self.do_without(error)

    def _checks(self, builder: StageBuilder) -> None:
        for name, steps in self.plugins.preflight_checks(self.operation):
            builder.add("Preflight", name, steps)

    def _identify(self, builder: StageBuilder, on: Targets, phase: str = "Access") -> None:
        """Hosts know which cluster they belong to, before anything else of it is on them."""
        identity = Identity.of(self.operation, self.drivers.runtime_name, self.drivers.registry_name)
        builder.add(phase, KERNEL, [identify(identity, self.ownership, on, joins=on == ADDED)])

    def _phase(self, builder: StageBuilder, phase: Phase) -> None:
        with self._doing_without(phase.value):
            for name, steps in self.plugins.lifecycle(phase, self.operation):
                builder.add(phase.value, name, steps)

    def _distribute(self, builder: StageBuilder, on: Targets, hosts: Sequence[Host]) -> None:
        if self.content is None:
            return
        paths = self.operation.paths
        steps = distribute(self.content.image, paths, on, paths.rootfs, self.content.removals)
        builder.add("Distribute", KERNEL, steps)
        self._render(builder, "Distribute", on, hosts)

    def _render(self, builder: StageBuilder, phase: str, on: Targets, hosts: Sequence[Host]) -> None:
        content = self.content
        if content is None:
            return
        covers: frozenset[str] = frozenset()
        before: Sequence[ConfigDocument] = ()
        if on == KEPT and self.operation.recorded:  # what these hosts have is what was recorded
            covers = environment.FIELDS | {"Config"} if content.has_templates else frozenset({"Config"})
            before = self.operation.recorded.clusterfile.configs
        by_id = {host.id: host for host in hosts}
        common = {
            f"plugins/{document.name}.yaml": plugin_file(document)
            for document in self.documents
            if not document.source.startswith("plugins/")  # those lie there as they are
        }

        def files_of(host: str) -> Mapping[str, bytes | None]:
            there = by_id[host]
            rendered = content.files_for(
                self.environment_of(there), self.operation.desired.configs, self.architecture_of(there), before
            )
            return {**common, **rendered}

        builder.add(phase, KERNEL, render(list(by_id), files_of, self.operation.paths.rootfs, on, covers=covers))

    def _script(self, builder: StageBuilder, name: str, on: Targets, phase: str = "Init") -> None:
        if self.content is None and name != "clean":
            return
        operation = self.operation
        why = f"{operation.image.digest if operation.image else ''} {' '.join(host.id for host in operation.hosts)}"
        steps = host_script(name, self.content and self.content.paths, operation.paths.rootfs, on, why)  # type: ignore[arg-type]
        builder.add(phase, KERNEL, steps)

    def _remove_files(self) -> Step:
        paths = self.operation.paths
        root, data, layers = (shlex.quote(path) for path in (paths.data_root, paths.data, paths.layers))
        # A cluster that was made from elsewhere, and bears the same name, has its files there too.
        spared = f"[ ! -e {data}/rootfs ] || exit 0\n" if self._foreign else ""
        # The id goes last: a host that keeps anything of the cluster says whose it is.
        script = f"""{spared}[ ! -d {data} ] ||
    find {data} -mindepth 1 -maxdepth 1 ! -name identity -exec rm -rf {{}} + || exit 1
rm -rf {data} {shlex.quote(spare(paths.data))} || exit 1
rmdir {root}/data 2>/dev/null
{prune_spare(paths.data)}
"""
        if not self.keep_layers:
            # Other clusters on the host share the layers; the last one to go takes them along.
            script += f"[ -e {root}/data ] || rm -rf {layers} {root}/layers\n"
        script += f"rmdir {root} 2>/dev/null\nexit 0\n"

        def remove(context: StepContext) -> None:
            context.query(script)

        inputs: dict[str, Json] = {"data": paths.data, "keep": self.keep_layers}
        return Step("files", "Remove sealer's files", REMOVED, remove, inputs, unreachable="skip")

    def _by_transport(self, hosts: Sequence[Host]) -> list[tuple[Transport, tuple[Host, ...]]]:
        """The hosts that each transport leads to, where it leads to any."""
        shares = (
            (transport, tuple(host for host in hosts if self.drivers.transport_of(host) is transport))
            for transport in self.drivers.transports
        )
        return [(transport, mine) for transport, mine in shares if mine]


def driver_name(driver: object) -> str:
    """The driver's name for people: the package it is in."""
    return type(driver).__module__.partition(".")[0].removeprefix("sealer_plugin_").replace("_", "-")


def plugin_file(document: PluginDocument) -> bytes:
    """A Plugin document as it lies in the rootfs on the hosts."""
    spec: dict[str, object] = {"type": document.type}
    if document.phases:
        spec["action"] = "|".join(document.phases)
    if document.on:
        spec["on"] = document.on
    spec["data"] = document.data
    content = {"apiVersion": "sealer.io/v2", "kind": "Plugin", "metadata": {"name": document.name}, "spec": spec}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
