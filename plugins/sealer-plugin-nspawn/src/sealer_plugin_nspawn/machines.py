"""The hosts of one cluster as a thing to work with: make them, break them, take them away."""

from __future__ import annotations

import contextlib
import operator
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError
from sealer.hosts import MASTER, NODE, Host, Ssh
from sealer_plugin_nspawn import base, boot, known_hosts, limits, network, tree
from sealer_plugin_nspawn.cgroups import HostGroups
from sealer_plugin_nspawn.locks import exclusive
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Lab, Machine, Records
from sealer_plugin_nspawn.tools import ensure_tools, require_machine


class GoneError(InputError):
    """There is no such cluster: it never was, or another process took it away meanwhile."""


@dataclass(frozen=True)
class Wanted:
    """A host to be made.

    :param name: unique within the cluster, e.g. `master-0`.
    :param role: `master` or `node`.
    :param cpu: cores; 0: all that the machine has.
    :param memory: MiB; 0: all that the machine has.
    """

    name: str
    role: str = NODE
    cpu: int = 0
    memory: int = 0


@dataclass(frozen=True)
class MachineState:
    """A host as it is now.

    :param running: some process of it exists, and it was not told to shut down.
    :param connected: its network leads to the bridge.
    """

    name: str
    address: str
    role: str
    running: bool
    connected: bool
    private_key: str

    @property
    def host(self) -> Host:
        """The host as sealer knows it."""
        ssh = Ssh(user="root", private_key=self.private_key, port=22)
        return Host(self.address, roles=(self.role,), ssh=ssh, placeholder=self.name)


def wanted(count: int, masters: int = 1) -> list[Wanted]:
    """`count` hosts, the first `masters` of them masters, named as the kernel names them."""
    nodes = [Wanted(f"{NODE}-{index}", NODE) for index in range(count - masters)]
    return [*(Wanted(f"{MASTER}-{index}", MASTER) for index in range(min(count, masters))), *nodes]


def _silent(_: object) -> None:
    return None


class Machines:
    """The hosts of one cluster.

    Every method finds out by itself what exists, so that it does not matter which process did what before, or where
    it was killed: the same call again completes its work.

    :param owner: tells clusters of the same name apart; the provider gives its `SEALER_HOME`.
    :param known: file in which the hosts' keys are kept for the ssh transport; None: nowhere.
    :param say: told one line about what takes long.
    """

    def __init__(
        self,
        cluster: str,
        *,
        owner: str,
        options: Options | None = None,
        known: Path | None = None,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self.cluster = cluster
        self.owner = owner
        self.options = options or Options()
        self.known = known
        self._say = say
        self._records = Records(self.options.state)

    # -- making ---------------------------------------------------------------------------------------------------

    def prepare(self) -> Path:
        """See to the machine's programs and the base tree; gives its directory.

        :raises SealerError: not root, not Linux, or something is missing that may not be installed.
        """
        require_machine()
        ensure_tools(self.options.install_tools, self._say, nat=self.options.nat)
        return base.ensure_base(self.options.cache, self.options.release, self._say)

    def reserve(self, hosts: Sequence[Wanted]) -> None:
        """Settle the cluster's network and the address of each host, and make the network."""
        require_machine()
        with self._records.locked():
            lab = self._with(self._lab() or self._new_lab(), hosts)
            try:
                self._settle(lab)
            except network.TakenError:
                if any(lab.files(machine).exists() for machine in lab.machines.values()):
                    raise  # the hosts that exist know their addresses
                self._records.remove(lab)
                self._settle(self._with(self._new_lab(), hosts))

    def up(
        self, hosts: Sequence[Wanted], tick: Callable[[int], None] = _silent, *, also: Collection[str] = ()
    ) -> list[MachineState]:
        """Make these hosts, boot those that do not run, and wait until all of them answer; gives their states.

        :param also: names or addresses of hosts that exist, which must run too.
        :param tick: called about every two seconds with the number of hosts that answer; may raise to end the waiting.
        :raises HostUnreachableError: a host does not come up.
        """
        tree_directory = self.prepare()
        self.reserve(hosts)
        names = [host.name for host in hosts]
        with self._changing() as (_, lock):
            lab = self._update(lambda lab: lab.with_base(tree_directory))
            kept = [machine for name in also if (machine := lab.machine(name)) and machine.name not in names]
            machines = [*(lab.machines[name] for name in names), *kept]
            self._start(lab, machines, lock)
        self.settle()
        boot.await_answers(lab, machines, tick)
        return [self._state(lab, machine) for machine in machines if machine.name in names]

    def boot(self, name: str = "") -> list[MachineState]:
        """Boot a host that is off, or every one that is, with the files it had."""
        return self.start([name] if name else [machine.name for machine in self._existing().machines.values()])

    def start(self, names: Collection[str], tick: Callable[[int], None] = _silent) -> list[MachineState]:
        """Boot those of these hosts that are off, with the files they had, and wait until all of them answer.

        :param names: names or addresses.
        :param tick: as of :meth:`up`.
        :raises HostUnreachableError: a host does not come up.
        """
        with self._changing() as (lab, lock):
            machines = [self._machine(lab, name) for name in names]
            network.ensure_bridge(lab, self.options.nat)
            self._start(lab, machines, lock)
        self.settle()
        boot.await_answers(lab, machines, tick)
        return [self._state(lab, machine) for machine in machines]

    def shut_down(self, names: Collection[str], tick: Callable[[int], None] = _silent) -> Sequence[str]:
        """Shut hosts down as `poweroff` does, and wait until they are off; their files stay.

        :param names: names or addresses.
        :param tick: called about every two seconds with the number of hosts that are off; may raise to end the waiting.
        :returns: the names of those that did not end in time, and were killed.
        """
        with self._changing() as (lab, _):
            return self._shut_down(lab, [self._machine(lab, name) for name in names], tick)

    # -- breaking -------------------------------------------------------------------------------------------------

    def cut(self, name: str) -> None:
        """The network of a host falls silent: nothing is told, nothing closes. :meth:`mend` ends it."""
        with self._changing() as (lab, _):
            network.unplug(lab, self._machine(lab, name))

    def mend(self, name: str) -> None:
        """The network of a host works again."""
        with self._changing() as (lab, _):
            network.plug(lab, self._machine(lab, name))

    def kill(self, name: str) -> None:
        """Pull the plug on a host: silent at once, then dead. Its files stay; :meth:`boot` boots it again."""
        with self._changing() as (lab, _):
            self._kill(lab, self._machine(lab, name))

    # -- taking away ----------------------------------------------------------------------------------------------

    def remove(self, names: Collection[str]) -> None:
        """Take hosts away, by name or address; those that do not exist are none."""
        require_machine()
        if not self._lab():
            return
        with contextlib.suppress(GoneError), self._changing() as (lab, _):
            for machine in [found for name in names if (found := lab.machine(name))]:
                self._remove(lab, machine)
                self._update(operator.methodcaller("without_machine", machine.name))

    def down(self) -> None:
        """Take everything of the cluster away: hosts, network, key and record."""
        require_machine()
        if self._lab():
            with contextlib.suppress(GoneError), self._changing() as (lab, _):
                for machine in lab.machines.values():
                    self._remove(lab, machine)
                network.remove_bridge(lab)
                with self._records.locked():
                    self._records.remove(lab)
        else:
            with contextlib.suppress(FileNotFoundError), self._records.locked():
                pass  # what a killed process left half recorded is swept
        base.sweep(self.options.cache)

    # -- looking --------------------------------------------------------------------------------------------------

    def list(self) -> list[MachineState]:
        """Every host of the cluster, in the order of their numbers."""
        lab = self._lab()
        machines = sorted(lab.machines.values(), key=lambda machine: machine.index) if lab else []
        return [self._state(lab, machine) for machine in machines] if lab else []

    def settle(self) -> None:
        """Wait for whoever changes the hosts right now: until then one that boots does not count as running."""
        if self._lab():
            with contextlib.suppress(GoneError), self._changing():
                pass

    def console(self, name: str) -> str:
        """What a host printed on its console."""
        lab = self._existing()
        return (lab.files(self._machine(lab, name)) / "console.log").read_text(errors="replace")

    # -- within ---------------------------------------------------------------------------------------------------

    def _lab(self) -> Lab | None:
        return self._records.find(self.cluster, self.owner)

    def _existing(self) -> Lab:
        if lab := self._lab():
            return lab
        raise GoneError(
            f"there is no cluster {self.cluster} with hosts of NSPAWN", why=f"none of {self.owner} is recorded"
        )

    @staticmethod
    def _machine(lab: Lab, name: str) -> Machine:
        if machine := lab.machine(name):
            return machine
        raise InputError(f"{lab.cluster} has no host {name}", why=f"it has {', '.join(lab.machines) or 'none'}")

    def _new_lab(self) -> Lab:
        labs = self._records.all()
        used = {lab.number for lab in labs}
        number = next(at for at in range(10_000) if at not in used and not network.exists(f"snb{at}"))
        taken = [*network.networks_in_use(), *(lab.subnet for lab in labs)]
        subnet = network.free_subnet(self.options.subnet, taken)
        return Lab(self.cluster, self.owner, number, subnet, self.options.state / str(number))

    @staticmethod
    def _with(lab: Lab, hosts: Sequence[Wanted]) -> Lab:
        for host in hosts:
            if host.name not in lab.machines:
                lab = lab.with_machine(host.name, host.role, host.cpu, host.memory)
        return lab

    def _settle(self, lab: Lab) -> None:
        """Record it, then make its network: what exists is recorded."""
        self._records.write(lab)
        network.ensure_bridge(lab, self.options.nat)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[Lab, int]]:
        """Hold the cluster's lock; gives the cluster as it is then, and the lock's descriptor."""
        require_machine()
        number = self._existing().number
        with exclusive(self.options.state / f"{number}.lock") as lock:
            lab = self._lab()
            if not lab or lab.number != number:
                with self._records.locked():
                    pass  # sweeps the lock just made
                raise GoneError(f"{self.cluster} was deleted by another process")
            yield lab, lock

    def _update(self, change: Callable[[Lab], Lab]) -> Lab:
        """Change the record; others may have changed it since it was read."""
        with self._records.locked():
            lab = change(self._existing())
            self._records.write(lab)
            return lab

    def _start(self, lab: Lab, machines: Sequence[Machine], lock: int) -> None:
        self._shut_down(lab, [machine for machine in machines if boot.stopping(lab, machine)], _silent)
        silent = [machine for machine in machines if not boot.running(lab, machine)]
        limits.ensure_room(len(silent), self.options.state)
        limits.ensure(len(silent), self._say)
        tree.ensure_key(lab)
        for machine in machines:
            tree.ensure_tree(lab, machine, self.options.password, self.options.nat)
        if self.known:
            known_hosts.record_keys(
                self.known, {lab.address(machine): tree.host_key(lab, machine) for machine in machines}
            )
        for machine in machines:
            if not boot.running(lab, machine):
                boot.start(lab, machine, lock)
            elif network.exists(network.cable(lab, machine)):
                network.plug(lab, machine)

    def _shut_down(self, lab: Lab, machines: Sequence[Machine], tick: Callable[[int], None]) -> Sequence[str]:
        late = boot.shut_down(lab, machines, tick)
        for machine in late:
            self._kill(lab, machine)
        return [machine.name for machine in late]

    def _kill(self, lab: Lab, machine: Machine) -> None:
        network.unplug(lab, machine)
        HostGroups(lab, machine).kill()
        network.remove_cable(lab, machine)

    def _remove(self, lab: Lab, machine: Machine) -> None:
        self._kill(lab, machine)
        HostGroups(lab, machine).remove()
        if self.known:
            known_hosts.forget_keys(self.known, [lab.address(machine)])
        if lab.files(machine).exists():
            shutil.rmtree(lab.files(machine))

    @staticmethod
    def _state(lab: Lab, machine: Machine) -> MachineState:
        return MachineState(
            name=machine.name,
            address=lab.address(machine),
            role=machine.role,
            running=boot.running(lab, machine) and not boot.stopping(lab, machine),
            connected=network.plugged(lab, machine),
            private_key=str(lab.key),
        )
