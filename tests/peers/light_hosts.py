"""Hosts that cost nothing: directories of this machine, each with an identity, a disk and logins of its own.

What runs on them is the real `sh`, in a mount namespace in which the host's disk lies where the cluster's data root is.
A transport, `door`, lets in whoever has the password or the cluster's key; a provider, `maker`, makes hosts by count.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sealer.cluster.choices import Choices
from sealer.cluster.home import ClusterHome
from sealer.cluster.lifecycle import Lifecycle
from sealer.clusterfile.model import Clusterfile
from sealer.clusterfile.reading import read
from sealer.errors import SealerError
from sealer.events import Event, EventStream
from sealer.extension.manager import PluginManager
from sealer.image.build import BuildRequest, build
from sealer.image.store import Store
from sealer.settings import Settings

PASSWORD = "right-one"  # of every host
ENTRY_POINTS = """
[sealer.transports]
door = sealer_light_hosts:Door
[sealer.providers]
maker = sealer_light_hosts:Maker
"""
DRIVERS = '''
import secrets
import shutil
from pathlib import Path

from sealer.errors import AuthenticationError, HostKeyError, HostUnreachableError
from sealer.extension import ADDED, OPERATOR, REMOVED, Provider, Step
from sealer.extension.drivers import HOSTS_MADE
from sealer.hosts import Host
from sealer_plugin_local import LocalConnection, LocalTransport

SITE = Path({site!r})
ENTER = """mount --bind "$1/machine-id" /etc/machine-id && mount --bind "$1/disk" "$0" || exit 1
shift; exec "$@" """


def said(machine, name, default=""):
    path = machine / name
    return path.read_text().strip() if path.exists() else default


class Entered(LocalConnection):
    host_key = ""


class Door(LocalTransport):
    schema = {{"type": "object", "additionalProperties": False, "properties": {{"token": {{"type": "string"}}}}}}

    def connect(self, host):
        machine = SITE / "machines" / host.address
        listens = int(said(machine, "port", "22"))
        if not machine.exists() or (machine / "off").exists() or (host.ssh.port or 22) != listens:
            raise HostUnreachableError("nobody answers", where=host.address)
        shown, known = said(machine, "host-key"), self.host_keys.get(host.address, "")
        if known and shown != known:
            raise HostKeyError("the host's key has changed", where=host.address)
        with (SITE / "logins").open("a") as log:
            log.write(host.address + "\\n")
        key = said(self.credentials, "door.key") if self.credentials else ""
        password = host.ssh.password.reveal() if host.ssh.password else ""
        if self.options.get("token", "") != said(SITE, "token"):  # of the whole site, beside the hosts' passwords
            raise AuthenticationError("the token is refused", where=host.address)
        right = password == said(machine, "password") or (key and key in said(machine, "authorized"))
        user = host.ssh.user or said(machine, "found-user", "root")
        if not right or user != said(machine, "user", "root"):
            raise AuthenticationError(
                "the login is refused", where=host.address, why=f"tried: {{'password' if password else 'nothing'}}"
            )
        enter = ("unshare", "--mount", "/bin/sh", "-c", ENTER, str(SITE / "disk"), str(machine))
        connection = Entered(host.address, enter)
        connection.host_key, connection.user = shown, user
        return connection

    def authorize(self, operation):
        def make(context):
            self.credentials.mkdir(parents=True, exist_ok=True)
            (self.credentials / "door.key").write_text(operation.cluster + "-key")

        def put(context):
            with (SITE / "machines" / context.host.address / "authorized").open("a") as file:
                file.write(operation.cluster + "-key\\n")

        return [Step("make-key", "Make the key", OPERATOR, make), Step("authorize", "Let it in", ADDED, put)]

    def revoke(self, operation):
        def take(context):
            context.query(":")
            (SITE / "machines" / context.host.address / "authorized").unlink(missing_ok=True)

        return [Step("revoke", "Let nobody in any more", REMOVED, take, unreachable="skip")]


class Maker(Provider):
    makes_hosts = True

    def place(self, cluster, name):
        return SITE / "made" / cluster / name

    def running(self, cluster):
        made = [path.read_text() for path in (SITE / "made" / cluster).glob("*")]
        return frozenset(address for address in made if not (SITE / "machines" / address / "off").exists())

    def reconcile(self, operation):
        names = [host.placeholder for host in operation.added if host.placeholder]

        def make(context):
            made = {{}}
            for name in names:
                place = self.place(operation.cluster, name)
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    taken = {{said(path.parent, path.name) for path in (SITE / "made").glob("*/*")}}
                    address = next(f"10.0.1.{{n}}" for n in range(1, 99) if f"10.0.1.{{n}}" not in taken)
                    place.with_name(f".{{name}}").write_text(address)
                    place.with_name(f".{{name}}").replace(place)
                address = place.read_text()
                machine = SITE / "machines" / address
                (machine / "disk").mkdir(parents=True, exist_ok=True)
                (machine / "machine-id").write_text(f"{{int(address.rpartition('.')[2]) + 1000:032x}}\\n")
                (machine / "host-key").write_text(f"KEY:{{address}}")
                made[name] = {{"address": address, "user": "root"}}
                if (SITE / "passwords").exists():  # of its own, said once
                    made[name]["password"] = secrets.token_hex(12)
                    with (SITE / "passwords").open("a") as log:
                        log.write(made[name]["password"] + "\\n")
                (machine / "password").write_text(made[name].get("password", {password!r}))
            context.give(HOSTS_MADE, made)

        return [Step("make", "Make hosts", OPERATOR, make, {{"names": names}}, gives=frozenset({{HOSTS_MADE}}))]

    def destroy(self, operation):
        names = [host.placeholder for host in operation.removed if host.placeholder]

        def take(context):
            places = [self.place(operation.cluster, name) for name in names]
            if operation.kind == "delete":
                places = list((SITE / "made" / operation.cluster).glob("[!.]*"))
            for place in places:
                if place.exists():
                    machine = SITE / "machines" / place.read_text()
                    if machine.exists():  # half of a machine would be another one
                        shutil.rmtree(SITE / "scrap", ignore_errors=True)
                        machine.replace(SITE / "scrap")
                    place.unlink()

        return [Step("destroy", "Take hosts away", OPERATOR, take, {{"names": names}})]

    def switch(self, cluster, hosts, verb):
        if (SITE / "cannot").exists():
            return None
        names = [host.placeholder for host in hosts]

        def turn(context):
            for name in names:
                off = SITE / "machines" / self.place(cluster, name).read_text() / "off"
                off.touch() if verb == "stop" else off.unlink(missing_ok=True)
                with (SITE / "switched").open("a") as log:
                    log.write(verb + " " + name + "\\n")

        return [Step(verb, verb.capitalize() + " " + ", ".join(names), OPERATOR, turn)]

    def start(self, cluster, hosts):
        return self.switch(cluster, hosts, "start")

    def stop(self, cluster, hosts):
        return self.switch(cluster, hosts, "stop")

    def find(self, cluster):
        places = (SITE / "made" / cluster).glob("[!.]*")
        return [Host(place.read_text(), (place.name.partition("-")[0],), placeholder=place.name) for place in places]
'''


class LightHosts:
    """A home, and machines 10.0.0.1 to 10.0.0.4; those that the provider makes are 10.0.1.1 and so on.

    :param directory: for all of it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(home=directory / "home", parallel_hosts=4)
        self.images = Store(self.settings.images)
        self.events: list[Event] = []
        for place in (directory / "disk", directory / "site", directory / "context"):
            place.mkdir()
        for number in range(1, 5):
            self.new_machine(number, number)
        package = directory / "site/sealer_light_hosts-1.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-light-hosts\nVersion: 1\n")
        (package / "entry_points.txt").write_text(ENTRY_POINTS)
        text = DRIVERS.format(site=str(directory), password=PASSWORD)
        (directory / "site/sealer_light_hosts.py").write_text(text)

    # -- machines ------------------------------------------------------------------------------------------------

    def machine(self, number: int | str) -> Path:
        """What is particular to a machine; a file `off` in it makes nobody answer."""
        address = number if isinstance(number, str) else f"10.0.0.{number}"
        return self.directory / "machines" / address

    def new_machine(self, number: int, identity: int) -> None:
        """The machine at an address, in place of the one that was there.

        :param identity: makes its machine-id and host key.
        """
        machine = self.machine(number)
        shutil.rmtree(machine, ignore_errors=True)
        (machine / "disk").mkdir(parents=True)
        (machine / "machine-id").write_text(f"{identity:032x}\n")
        (machine / "host-key").write_text(f"KEY:{identity}")
        (machine / "password").write_text(PASSWORD)

    @property
    def machines(self) -> list[Path]:
        """All that there are now."""
        return sorted((self.directory / "machines").iterdir())

    def cut(self, *machines: Path) -> None:
        """Nobody answers there."""
        for machine in machines:
            (machine / "off").touch()

    def mend(self) -> None:
        """Every machine answers."""
        for machine in self.machines:
            (machine / "off").unlink(missing_ok=True)

    def left(self) -> list[str]:
        """Everything that lies on the machines' disks, and every key that is let in."""
        found = [path for machine in self.machines for path in (machine / "disk").rglob("*")]
        found += [machine / "authorized" for machine in self.machines if (machine / "authorized").exists()]
        return [str(path.relative_to(self.directory)) for path in found]

    def logins(self) -> list[str]:
        """The hosts that have been logged in to since the last call, by address."""
        log = self.directory / "logins"
        found = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return found

    # -- clusters ------------------------------------------------------------------------------------------------

    def build(self, files: Mapping[str, str], kubefile: str = "", name: str = "demo:1") -> None:
        """An image of files."""
        for path, text in files.items():
            file = self.directory / "context" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        recipe = self.directory / "Kubefile"
        recipe.write_text(f"FROM scratch\nCOPY . .\n{kubefile}\n")
        build(self.images, BuildRequest(self.directory / "context", recipe, (name,)), EventStream())

    def desired(
        self,
        machines: Sequence[int] = (),
        *,
        made: tuple[int, int] = (0, 0),
        password: str = PASSWORD,
        name: str = "here",
        **fields: str,
    ) -> Clusterfile:
        """A Clusterfile of machines by address, the first the master, or of hosts that are made.

        :param made: how many masters and nodes.
        :param fields: further ones of `spec`, YAML each.
        """
        spec = {"image": "demo:1", "dataRoot": f"{self.directory}/disk/sealer", "transport": "door"}
        spec |= {"ssh": f"{{passwd: {password}}}"} if password else {}
        spec |= {"provider": "maker"} if any(made) else {}
        lines = [f"  {field}: {value}" for field, value in (spec | fields).items()]
        documents = [f"apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {{name: {name}}}\nspec:\n"]
        if machines:
            lines += ["  hosts:"]
            for place, number in enumerate(machines):
                lines += [f"  - ips: [10.0.0.{number}]", f"    roles: [{'node' if place else 'master'}]"]
        documents[0] += "\n".join(lines) + "\n"
        if any(made):
            groups = [f"{{role: {role}, count: {n}}}" for role, n in zip(("master", "node"), made, strict=True) if n]
            documents.append(f"apiVersion: sealer.io/v2\nkind: Infra\nspec: {{hosts: [{', '.join(groups)}]}}\n")
        return read("\n---\n".join(documents), "Clusterfile")

    def lifecycle(self, **choices: Any) -> Lifecycle:
        """As a process of its own would have it; whoever is asked says yes."""
        stream = EventStream()
        self.events.clear()
        stream.subscribe(self.events.append)
        plugins = PluginManager(self.settings, stream)
        plugins.load_installed()
        given = {"command": "sealer test", "confirm": lambda question: True, **choices}
        return Lifecycle(self.settings, plugins, stream, choices=Choices(**given))

    def home(self, name: str = "here") -> ClusterHome:
        """What is recorded of a cluster."""
        return ClusterHome.of(self.settings.clusters, name)

    def warned(self) -> str:
        """What the last lifecycle warned of."""
        return "\n".join(event.message for event in self.events if event.state.value == "warning")

    # -- killed --------------------------------------------------------------------------------------------------

    def process(
        self,
        do: Callable[[Lifecycle], object],
        at: int | Callable[[], bool],
        then: Callable[[], object] | None = None,
        **choices: Any,
    ) -> int:
        """Do it in a process of its own.

        :param at: the number of the operation on a file before which something happens, or whether it is time now; 0:
            never.
        :param then: what happens; None: the process is killed.
        :returns: how it ended: 0: well; 1: with an error of ours; 2: with another, which lies in `trace`; -9: killed.
        """
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        try:
            sys.stderr = sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            _count(at, then or (lambda: os.kill(os.getpid(), signal.SIGKILL)), self.settings.clusters)
            do(self.lifecycle(**choices))
            os._exit(0)
        except SealerError as error:
            (self.directory / "trace").write_text(f"{error}\n{error.remedy}\n{getattr(error, 'failures', '')}")
            os._exit(1)
        except BaseException:
            (self.directory / "trace").write_text(traceback.format_exc())
            os._exit(2)


_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"})


def _count(at: int | Callable[[], bool], then: Callable[[], object], below: Path) -> None:
    """Let `then` happen before the operation number `at` that changes a file below a directory."""
    seen = 0
    looking = False

    def step() -> None:
        nonlocal seen, looking
        if looking:
            return
        looking, seen = True, seen + 1
        if seen == at if isinstance(at, int) else at():
            then()
        looking = False

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not opened and event not in _CHANGES:
            return
        path = arguments[0]
        if isinstance(path, str | os.PathLike) and (str(path).startswith(str(below)) or "/" not in str(path)):
            step()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            step()
            return function(*arguments)

        return call

    if at:
        sys.addaudithook(audit)
        os.fsync, os.fdatasync = counted(os.fsync), counted(os.fdatasync)
