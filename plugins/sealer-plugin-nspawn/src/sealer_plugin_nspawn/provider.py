"""The provider itself: what is to be done, as steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from sealer.errors import InputError
from sealer.events import EventStream, Json
from sealer.extension import OPERATOR, Operation, Provider, Step, StepContext
from sealer.extension.drivers import HOSTS_MADE
from sealer.hosts import Host
from sealer.settings import Settings
from sealer_plugin_nspawn.machines import Machines, MachineState, Wanted
from sealer_plugin_nspawn.options import SCHEMA, Options

BASE_TIMEOUT = 1800.0  # seconds; a slow mirror
BOOT_TIMEOUT = 300.0
DESTROY_TIMEOUT = 300.0
STOP_TIMEOUT = 300.0


class NspawnProvider(Provider):
    """Makes hosts on this machine with systemd-nspawn."""

    makes_hosts = True
    schema: ClassVar[Mapping[str, Json]] = SCHEMA

    def __init__(self, settings: Settings, events: EventStream, options: Mapping[str, Json]) -> None:
        super().__init__(settings, events, options)
        self._options = Options.from_fields(options)

    def machines(self, cluster: str, context: StepContext | None = None) -> Machines:
        """The hosts of a cluster of this sealer."""
        return Machines(
            cluster,
            owner=str(self.settings.home),
            options=self._options,
            known=self.known_hosts,
            say=context.log if context else self.events.info,
        )

    @property
    def known_hosts(self) -> Path:
        """Where the ssh transport looks up host keys."""
        return self.settings.home / "known_hosts"

    def reconcile(self, operation: Operation) -> Sequence[Step]:
        """Make and boot the hosts of `operation.added`; kept ones that were shut down are booted with them."""
        hosts = self._wanted(operation)
        if not hosts:
            return []

        def prepare(context: StepContext) -> None:
            self.machines(operation.cluster, context).prepare()

        def reserve(context: StepContext) -> None:
            self.machines(operation.cluster, context).reserve(hosts)

        def boot(context: StepContext) -> None:
            def tick(ready: int) -> None:
                waiting = len(hosts) - ready
                context.log(f"{ready} of {len(hosts)} hosts up" + (f", waiting for {waiting}" if waiting else ""))

            kept = [host.id for host in operation.kept]
            states = self.machines(operation.cluster, context).up(hosts, tick, also=kept)
            context.give(HOSTS_MADE, {state.name: _login(state) for state in states})

        release, names = self._options.release, ", ".join(host.name for host in hosts)
        sizes: Json = {host.name: [host.role, host.cpu, host.memory] for host in hosts}
        subnet: Json = str(self._options.subnet)
        return [
            Step(
                "base",
                f"Prepare the base tree of Debian {release} hosts",
                OPERATOR,
                prepare,
                {"release": release},
                timeout=BASE_TIMEOUT,
            ),
            Step("network", "Create the hosts' network", OPERATOR, reserve, {"hosts": sizes, "subnet": subnet}),
            Step(
                "boot",
                f"Boot {names}",
                OPERATOR,
                boot,
                {"hosts": sizes, "password": self._options.password is not None},
                gives=frozenset({HOSTS_MADE}),
                timeout=BOOT_TIMEOUT,
            ),
        ]

    def destroy(self, operation: Operation) -> Sequence[Step]:
        """Take away the hosts of `operation.removed`, or all of a cluster that is deleted."""
        if operation.kind == "delete" and not operation.kept and not operation.added:

            def down(context: StepContext) -> None:
                self.machines(operation.cluster, context).down()

            return [Step("destroy", "Delete all hosts and their network", OPERATOR, down, timeout=DESTROY_TIMEOUT)]
        names = [host.placeholder or host.address for host in operation.removed]
        if not names:
            return []

        def remove(context: StepContext) -> None:
            self.machines(operation.cluster, context).remove(names)

        title = f"Delete {', '.join(host.id for host in operation.removed)}"
        hosts: Json = list(names)
        return [Step("destroy", title, OPERATOR, remove, {"hosts": hosts}, timeout=DESTROY_TIMEOUT)]

    def find(self, cluster: str) -> Sequence[Host]:
        """The hosts of a cluster that run now."""
        machines = self.machines(cluster)
        machines.settle()
        return [state.host for state in machines.list() if state.running]

    def running(self, cluster: str) -> frozenset[str]:
        """The addresses of the hosts that run now; nobody is waited for."""
        return frozenset(state.address for state in self.machines(cluster).list() if state.running)

    def start(self, cluster: str, hosts: Sequence[Host]) -> Sequence[Step]:
        """Boot hosts with the files they had."""
        names = [host.placeholder or host.address for host in hosts]

        def boot(context: StepContext) -> None:
            def tick(ready: int) -> None:
                context.log(f"{ready} of {len(names)} hosts up, waiting for {len(names) - ready}")

            self.machines(cluster, context).start(names, tick)

        return [Step("start", f"Boot {', '.join(names)}", OPERATOR, boot, {"hosts": [*names]}, timeout=BOOT_TIMEOUT)]

    def stop(self, cluster: str, hosts: Sequence[Host]) -> Sequence[Step]:
        """Let hosts power off; their files stay."""
        names = [host.placeholder or host.address for host in hosts]

        def shut_down(context: StepContext) -> None:
            def tick(off: int) -> None:
                context.log(f"{off} of {len(names)} hosts off, waiting for {len(names) - off}")

            for name in self.machines(cluster, context).shut_down(names, tick):
                context.warn(f"{name} did not shut down in time and was switched off")

        title = f"Shut down {', '.join(names)}"
        return [Step("stop", title, OPERATOR, shut_down, {"hosts": [*names]}, timeout=STOP_TIMEOUT)]

    def _wanted(self, operation: Operation) -> list[Wanted]:
        groups = {group.role: group for group in operation.spec.groups}
        hosts = []
        for host in operation.added:
            if not host.placeholder:
                raise InputError(
                    f"NSPAWN cannot give a host the address {host.address}",
                    why="it makes hosts by count and chooses their addresses",
                    remedy="name a count of masters and nodes, or another provider",
                )
            group = groups.get(host.roles[0])
            cpu, memory = (group.cpu, group.memory) if group else (0, 0)
            hosts.append(Wanted(host.placeholder, host.roles[0], cpu, memory))
        if any(group.system_disk or group.data_disks for group in groups.values()) and hosts:
            self.events.warn("NSPAWN ignores systemDisk and dataDisks: its hosts share this machine's disk")
        return hosts


def _login(state: MachineState) -> dict[str, Json]:
    return {"address": state.address, "port": 22, "user": "root", "private_key": state.private_key}
