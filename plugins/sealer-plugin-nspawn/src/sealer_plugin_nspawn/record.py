"""What was made on this machine, written down before it is made."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealer.errors import SealerError
from sealer_plugin_nspawn.locks import exclusive

FIRST_HOST = 11  # the last byte of the first host's address; below lie the bridge (.1) and room for a user's own
LAST_HOST = 250


@dataclass(frozen=True)
class Machine:
    """One host of a cluster.

    :param name: the kernel's placeholder, e.g. `master-0`.
    :param index: from 1; every name and address on the machine follows from it and the cluster's number.
    :param cpu: cores; 0: all.
    :param memory: MiB; 0: all.
    :param base: directory of the base tree.
    """

    name: str
    index: int
    role: str = "node"
    cpu: int = 0
    memory: int = 0
    base: str = ""


@dataclass(frozen=True)
class Lab:
    """The hosts of one cluster of one owner, and their network.

    :param owner: whose cluster it is: another sealer home may have one of the same name.
    :param number: unique on the machine; names of interfaces and cgroups follow from it.
    :param directory: where its files lie.
    """

    cluster: str
    owner: str
    number: int
    subnet: ipaddress.IPv4Network
    directory: Path
    machines: Mapping[str, Machine] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        """The bridge's address: this machine, as the hosts see it."""
        return str(self.subnet.network_address + 1)

    @property
    def bridge(self) -> str:
        """The bridge's name."""
        return f"snb{self.number}"

    @property
    def key(self) -> Path:
        """The private key that opens all hosts of the cluster."""
        return self.directory / "id_ed25519"

    @property
    def lock(self) -> Path:
        """Held by whoever changes the cluster's hosts."""
        return self.directory.with_name(f"{self.number}.lock")

    def address(self, machine: Machine) -> str:
        """The host's address."""
        return str(self.subnet.network_address + FIRST_HOST - 1 + machine.index)

    def unit(self, machine: Machine) -> str:
        """The host's name among all on this machine: at most 12 characters, so that `vb-` and it name an interface."""
        return f"sn{self.number}-{machine.index}"

    def files(self, machine: Machine) -> Path:
        """The host's files."""
        return self.directory / str(machine.index)

    def with_machine(self, name: str, role: str, cpu: int, memory: int) -> Lab:
        """This, with a further host at the lowest free index.

        :raises SealerError: the network is full.
        """
        used = {machine.index for machine in self.machines.values()}
        index = next(number for number in range(1, len(used) + 2) if number not in used)
        if FIRST_HOST - 1 + index > LAST_HOST:
            raise SealerError(
                f"NSPAWN cannot make {name}", why=f"a cluster has at most {LAST_HOST - FIRST_HOST + 1} hosts"
            )
        return replace(self, machines={**self.machines, name: Machine(name, index, role, cpu, memory)})

    def without_machine(self, name: str) -> Lab:
        """This, without that host."""
        return replace(self, machines={key: value for key, value in self.machines.items() if key != name})

    def with_base(self, base: Path) -> Lab:
        """This, with the base tree of new hosts settled: those that have files keep the one they were made on."""
        settled = {name: replace(machine, base=machine.base or str(base)) for name, machine in self.machines.items()}
        return replace(self, machines=settled)

    def machine(self, name: str) -> Machine | None:
        """A host by its name or address."""
        found = (machine for machine in self.machines.values() if name in (machine.name, self.address(machine)))
        return next(found, None)


class Records:
    """All labs of one state directory. Every change is made while the machine-wide lock is held."""

    def __init__(self, state: Path) -> None:
        self.state = state

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the machine-wide lock; at the end nothing is left that belongs to no lab, nor an empty directory."""
        lock = self.state / "lock"
        with exclusive(lock):
            try:
                yield
            finally:
                self._sweep()
                if all(entry == lock for entry in self.state.iterdir()):
                    lock.unlink()
                    with contextlib.suppress(OSError):
                        self.state.rmdir()

    def _sweep(self) -> None:
        for directory in self.state.iterdir():
            if directory.name.isdigit() and not (directory / "record.json").exists():
                shutil.rmtree(directory)
        for lock in self.state.glob("*.lock"):
            if not lock.with_suffix("").is_dir():
                lock.unlink()

    def all(self) -> list[Lab]:
        """Every lab recorded, by number."""
        try:
            directories = [entry for entry in self.state.iterdir() if entry.name.isdigit()]
        except FileNotFoundError:  # no lab, or the last one just went
            return []
        labs = (self._read(directory) for directory in sorted(directories, key=lambda entry: int(entry.name)))
        return [lab for lab in labs if lab]

    def find(self, cluster: str, owner: str) -> Lab | None:
        """That cluster of that owner, if anything of it exists."""
        return next((lab for lab in self.all() if (lab.cluster, lab.owner) == (cluster, owner)), None)

    def write(self, lab: Lab) -> None:
        """Record it: after a crash the old record is there, or the new one."""
        lab.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {
            "cluster": lab.cluster,
            "owner": lab.owner,
            "subnet": str(lab.subnet),
            "machines": {
                name: {key: value for key, value in vars(machine).items() if key != "name"}
                for name, machine in lab.machines.items()
            },
        }
        write_file(lab.directory / "record.json", json.dumps(content, indent=1), 0o600)

    def remove(self, lab: Lab) -> None:
        """Forget it, with all its files; the record goes last, so that what a crash leaves is found again."""
        for entry in lab.directory.iterdir() if lab.directory.exists() else ():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "record.json":
                entry.unlink()
        (lab.directory / "record.json").unlink(missing_ok=True)
        lab.directory.rmdir()
        lab.lock.unlink(missing_ok=True)

    @staticmethod
    def _read(directory: Path) -> Lab | None:
        try:
            content = json.loads((directory / "record.json").read_text())
        except FileNotFoundError:
            return None  # made and not yet recorded, or half removed
        return Lab(
            cluster=content["cluster"],
            owner=content["owner"],
            number=int(directory.name),
            subnet=ipaddress.IPv4Network(content["subnet"]),
            directory=directory,
            machines={name: Machine(name, **fields) for name, fields in content["machines"].items()},
        )


def write_file(path: Path, content: str, mode: int) -> None:
    """Write a file atomically, with exactly this mode whatever the umask."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    temporary.replace(path)
