"""What a RUN can do to the machine that builds: nothing that stays."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealer.errors import BuildError
from sealer.events import Event, EventStream, State
from sealer.image.build import BuildRequest, build
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.store import Store
from sealer.redaction import Secret

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root on Linux can make namespaces"
)


class Site:
    """A store and a build context, and what the builds told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory / "home" / "images")
        self.context = directory / "context"
        self.context.mkdir()
        self.seen: list[Event] = []
        self.events = EventStream()
        self.events.subscribe(self.seen.append)

    def build(self, body: str, **request: object) -> ClusterImage:
        (self.context / "Kubefile").write_text(f"FROM scratch\n{body}\n")
        return build(self.store, BuildRequest(self.context, names=("app",), **request), self.events)  # type: ignore[arg-type]

    def files(self, body: str, **request: object) -> dict[str, str]:
        view = RootfsFiles(self.build(body, **request).first)
        return {path: view.read(path).decode() for path in view.paths()}

    def messages(self, state: State) -> list[str]:
        return [event.message for event in self.seen if event.state is state]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def await_end(mark: str) -> None:
    """No process of that command line is there, or soon none: the kernel ends those of a namespace one by one."""
    deadline = time.monotonic() + 10
    while found := subprocess.run(["pgrep", "-af", mark], check=False, capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, found
        os.sched_yield()


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path) -> Iterator[None]:
    """No mount and no temporary file is left behind, whatever a test does."""
    yield
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    assert [line for line in mounts if str(tmp_path) in line or line.startswith("sealer ") or " /rootfs " in line] == []
    assert not [path for path in tmp_path.glob("home/images/tmp/*") if not (path / "lock").exists()]


def test_the_machine_is_as_it_was(site: Site, tmp_path: Path) -> None:
    mark = f"sealer-test-{os.getpid()}"
    places = ["/etc", "/usr/bin", "/var/lib", "/tmp", "/run", "/root"]
    touch = " && ".join(f"touch {place}/{mark}" for place in places)
    # Uncontained it would work in a copy elsewhere, and on the very machine.
    found = site.files(f"RUN test $PWD = /rootfs && {touch} && ls /etc/{mark} && rm /etc/passwd && echo it ran > said")
    assert found == {"said": "it ran\n"}
    assert not [place for place in places if Path(place, mark).exists()]
    assert Path("/etc/passwd").exists()


def test_a_file_system_of_its_own_is_covered_too(site: Site) -> None:
    disk = Path(tempfile.mkdtemp(dir="/opt", prefix="a disk, with: odd\tname"))
    disk.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
    try:
        (disk / "there").write_text("there")
        found = site.files(f"RUN cat '{disk}/there' > seen && rm '{disk}/there' && echo x > '{disk}/new'")
        assert found == {"seen": "there"}
        assert [path.name for path in disk.iterdir()] == ["there"]
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()


# Below each, a file of somebody's, as an operator's machine has them; all of it must be out of a RUN's sight.
PRIVATE = (
    "/root",
    "/home/sealer-test",
    "/run",
    "/tmp",
    "/var/tmp",
    "/srv",
    "/sealer-test-data",
    "/var/log",
    "/var/lib",
)


@pytest.fixture
def operators(tmp_path: Path) -> Iterator[list[Path]]:
    """Files of an operator in many places, and a socket on which somebody listens."""
    name = f"sealer-test-{os.getpid()}"
    made: list[Path] = []
    for top in (*PRIVATE, str(tmp_path / "home" / "clusters" / "prod")):
        directory = Path(top) / name
        new = [parent for parent in (directory, *directory.parents) if not parent.exists()]
        directory.mkdir(parents=True)
        (directory / "ca.key").write_text("of-the-operator")
        made.append(new[-1])
    secret = Path("/etc") / name
    secret.mkdir()
    (secret / "token").write_text("of-the-operator")
    (secret / "token").chmod(0o640)
    (secret / "public").write_text("for-all")
    closed = Path("/opt") / name
    closed.mkdir(mode=0o700)
    (closed / "licence").write_text("of-the-operator")
    try:
        yield [*made, secret, closed]
    finally:
        for path in (*made, secret, closed):
            shutil.rmtree(path)


@pytest.mark.parametrize("copied", [False, True])
def test_a_run_sees_nothing_of_the_operators(
    site: Site, operators: list[Path], copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if copied:
        from sealer.image import run

        ways = [run._Way.COPY, run._Way.UNCONTAINED]
        monkeypatch.setattr(run, "_WAYS", ways)  # what a machine does whose store takes no overlay
    name = f"sealer-test-{os.getpid()}"
    found = site.files(
        f"RUN grep -rsl of-the-operator / --include=ca.key --include=token --include=licence > found;"
        f" cat /etc/{name}/public > public; cut -d: -f2 /etc/shadow | sort -u > passwords;"
        " ls -A /root /home /run /tmp > listed; find / -xdev -type s > sockets; true"
    )
    assert found["found"] == ""
    assert found["public"] == "for-all"
    assert found["passwords"] == "*\n"
    assert found["sockets"] == ""
    assert name not in found["listed"]
    assert [path for path in operators if not path.exists()] == []


def test_a_run_is_no_more_than_a_package_manager_needs(site: Site) -> None:
    """What docker's root may do, less devices: no mount, no setting of the kernel, no trace of other programs."""
    core = Path("/proc/sys/kernel/core_pattern").read_text()
    found = site.files(
        "RUN for way in '-o remount,rw /proc/sys' '-t proc proc /opt' '-t tmpfs none /opt' '--bind /etc /opt'; do"
        "   mount $way 2> /dev/null && echo $way >> mounted; done;"
        " (echo x > /proc/sys/kernel/core_pattern) 2> core;"
        " unshare -Urm sh -c 'mount -o remount,rw,bind /proc/sys || mount -t proc proc /proc;"
        " echo x > /proc/sys/kernel/core_pattern' > user 2>&1;"
        " mknod disk b 8 0 2> device; chroot / true && chown 12:34 / && echo yes > allowed;"
        " sed -n 's/^CapEff:[[:blank:]]*//p' /proc/self/status > held;"
        " cat /proc/kcore /proc/keys 2> refused | head -c 1 > memory; true"
    )
    assert "mounted" not in found
    assert "Read-only file system" in found["core"] or "Permission denied" in found["core"]
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core
    assert "disk" not in found
    assert found["allowed"] == "yes\n"
    assert int(found["held"], 16) & ~0x800405FB == 0
    assert found["memory"] == ""


def test_package_managers_work_in_a_run(site: Site) -> None:
    """`dpkg` unpacks, configures, adds a user and triggers; on the machine nothing of it stays."""
    name = f"sealer-test-{os.getpid()}"
    control = f"Package: {name}\\nVersion: 1\\nArchitecture: all\\nMaintainer: t <t@t>\\nDescription: t\\n"
    post = f"#!/bin/sh -e\\nuseradd --system --create-home {name}\\nldconfig\\n"
    found = site.files(
        f"RUN mkdir -p p/DEBIAN p/usr/bin && printf '{control}' > p/DEBIAN/control"
        f" && printf '{post}' > p/DEBIAN/postinst"
        " && chmod 755 p/DEBIAN/postinst && echo x > p/usr/bin/tool && dpkg-deb --build p out.deb > /dev/null"
        f" && dpkg -i out.deb > /dev/null && id -un {name} > user && cat /usr/bin/tool > tool && rm -r p out.deb"
    )
    assert found == {"user": f"{name}\n", "tool": "x\n"}
    assert not Path("/usr/bin/tool").exists()


def test_a_run_sees_its_own_processes_and_devices_alone(site: Site) -> None:
    found = site.files(
        "RUN ls -d /proc/[0-9]* | wc -l > processes; ls /dev > devices; ls /dev/shm > shm; pwd > pwd;"
        " ipcs -q | grep -c 0x > queues;"
        " (echo x > /proc/sys/kernel/hostname) 2> sys; touch /sys/kernel/x 2>> sys; true"
    )
    assert int(found["processes"]) < 6
    assert found["devices"].split() == sorted(
        ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    )
    assert found["shm"] == ""
    assert found["queues"] == "0\n"
    assert found["pwd"] == "/rootfs\n"
    assert found["sys"].count("Read-only file system") == 2


def test_nothing_of_the_environment_leaks_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_MINE", "hush")
    monkeypatch.setenv("PATH", f"/nowhere:{os.environ['PATH']}")
    found = site.files("ENV A=1\nRUN env > env; cat /proc/1/environ > first; echo $0 > shell")
    assert set(found["env"].splitlines()) == {
        "A=1",
        "HOME=/root",
        "PATH=/rootfs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PWD=/rootfs",
    }
    assert found["first"] == ""


def test_networks(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {server.getsockname()[1]}))'"
        site.build(f"RUN {connect}")
        with pytest.raises(BuildError, match="status 1"):
            site.build(f"RUN --network=none {connect}")
        with pytest.raises(BuildError, match="status 1"):
            site.build(f"RUN {connect}", network="none")
        site.build(f"RUN --network=host {connect}", network="none")
    listing = "ls /sys/class/net > all; ip -o link show lo up > lo"
    found = site.files(f"RUN --network=none {listing}")
    assert found["all"] == "lo\n"
    assert "LOOPBACK,UP" in found["lo"]


def test_what_takes_too_long_is_ended_with_all_its_children(site: Site) -> None:
    mark = f"{700 + os.getpid() / 1e6:.6f}"
    begun = time.monotonic()
    with pytest.raises(BuildError) as caught:
        site.build(f"RUN echo begun; (setsid sleep {mark} &); trap '' TERM; sleep {mark}", run_timeout=1.5)
    assert time.monotonic() - begun < 20
    assert "ended after 1.5 seconds" in caught.value.what
    assert caught.value.output == ("begun",)
    assert "--run-timeout" in caught.value.remedy
    await_end(f"sleep {mark}")


def test_a_command_that_closes_its_output_is_ended_in_time(site: Site) -> None:
    with pytest.raises(BuildError, match="ended after 1 seconds"):
        site.build("RUN exec > /dev/null 2>&1; sleep 300", run_timeout=1)


@pytest.mark.parametrize(
    ("command", "what"),
    [("exit 7", "ended with status 7"), ("kill -KILL $$", "was ended by signal 9"), ("none-such", "status 127")],
)
def test_how_it_ended_is_told(site: Site, command: str, what: str) -> None:
    with pytest.raises(BuildError, match=what):
        site.build(f"RUN {command}")
    assert site.messages(State.WARNING) == []


def test_secrets_are_there_and_stay_nowhere(site: Site, tmp_path: Path) -> None:
    secrets = {"token": Secret("hush-hush-1"), "key": Secret("hush-hush-2\nline-of-key\n\udcff")}
    found = site.files(
        "RUN --mount=type=secret,id=token --mount=type=secret,id=key,target=/etc/of-test/key"
        " stat -c '%a %U' /run/secrets/token > mode; wc -c < /etc/of-test/key > size; cat /run/secrets/token;"
        " cat /etc/of-test/key\n"
        "RUN ls /run/secrets /etc/of-test > left 2>&1; true",
        secrets=secrets,
    )
    assert found["mode"] == "400 root\n"
    assert found["size"] == "25\n"
    assert found["left"].count("No such file") == 2
    assert [line for line in site.messages(State.OUTPUT) if "hush" in line or "line-of" in line] == []
    assert "******" in site.messages(State.OUTPUT)
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in stored if b"hush" in text or b"line-of-key" in text]
    assert not Path("/etc/of-test").exists()
    assert not Path("/run/secrets").exists()


def test_a_secret_that_is_not_given(site: Site) -> None:
    with pytest.raises(BuildError) as caught:
        site.build("RUN --mount=type=secret,id=t true")
    assert caught.value.remedy == "add --secret id=t,src=FILE"
    found = site.files("RUN --mount=type=secret,id=t,required=false ls /run/secrets/t 2> there; true")
    assert "No such file" in found["there"]


def test_a_failing_run_with_secrets_hides_them(site: Site) -> None:
    with pytest.raises(BuildError) as caught:
        site.build(
            "RUN --mount=type=secret,id=t echo it is $(cat /run/secrets/t); false", secrets={"t": Secret("hush-hush")}
        )
    assert caught.value.output == ("it is ******",)


def test_where_nothing_can_be_contained_that_is_said_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the program that makes the world denied its namespaces, as in many containers."""
    monkeypatch.setattr("sealer.image.contained._PROGRAM", denied(site.directory))
    found = site.files("RUN pwd > pwd\nRUN cat pwd > again", allow_uncontained_run=True)
    assert found["pwd"] == found["again"] != "/rootfs\n"
    (warning,) = site.messages(State.WARNING)
    assert "RUN is not contained (" in warning
    assert "Operation not permitted" in warning
    assert "sees and can change this machine's files, processes and network" in warning
    for flags, what in (("--network=none", "kept from the network"), ("--mount=type=secret,id=t", "get a secret")):
        with pytest.raises(BuildError, match=f"cannot .*{what}") as caught:
            site.build(f"RUN {flags} true", secrets={"t": Secret("hush-hush")}, allow_uncontained_run=True)
        assert "Operation not permitted" in caught.value.why


@pytest.mark.parametrize("denied_by", ["capability", "user namespace"])
def test_root_that_cannot_mount_is_refused_and_changes_nothing(tmp_path: Path, denied_by: str) -> None:
    """The command itself, as root of a container that may not mount, or of a user namespace."""
    touched = tmp_path / "touched"
    context = tmp_path / "context"
    context.mkdir()
    (context / "Kubefile").write_text(f"FROM scratch\nRUN touch {touched}\n")
    without = {
        "capability": ["setpriv", "--bounding-set=-sys_admin", "--"],
        "user namespace": ["unshare", "--user", "--map-root-user", "--", "setpriv", "--bounding-set=-sys_admin", "--"],
    }[denied_by]
    home = tmp_path / "home"

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [*without, sys.executable, "-m", "sealer", "build", "-t", "app", *options, str(context)]
        environment = {**os.environ, "SEALER_HOME": str(home)}
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)

    refused = run()
    assert refused.returncode == 1
    assert "RUN cannot be contained on this machine" in refused.stderr
    assert "Operation not permitted" in refused.stderr
    assert "--allow-uncontained-run" in refused.stderr
    assert not touched.exists()
    assert not list(home.glob("images/tmp/*/rootfs"))
    allowed = run("--allow-uncontained-run")
    assert allowed.returncode == 0, allowed.stderr
    assert "RUN is not contained (" in allowed.stdout + allowed.stderr
    assert touched.exists()


def test_a_store_on_an_overlay_as_in_a_container(tmp_path: Path, site: Site) -> None:
    """No overlay can lie over it: the rootfs is copied, and the command is contained all the same."""
    body = (
        "RUN echo 1 > a && mkdir -p d/e && ln -s $PWD/a d/l && touch /etc/of-sealer-test\n"
        "RUN --mount=type=secret,id=t rm -r d/e && echo more >> a && wc -c < /run/secrets/t > n;"
        " ls /etc > names; pwd > p"
    )
    secrets = {"t": Secret("hush-hush")}
    usual = site.build(body, secrets=secrets)
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "none", tmp_path / "merged"], check=True)
    try:
        site.store = Store(tmp_path / "merged" / "images")
        found = site.files(body, secrets=secrets)
        assert site.store.find("app").digest == usual.digest
        assert not list((site.store.root / "tmp").iterdir())
    finally:
        subprocess.run(["umount", tmp_path / "merged"], check=True)
    assert (found["p"], found["a"], found["n"]) == ("/rootfs\n", "1\nmore\n", "9\n")
    assert "of-sealer-test" not in found["names"].split()  # each RUN begins with the machine as it is
    assert site.messages(State.WARNING) == []
    assert not Path("/etc/of-sealer-test").exists()


def denied(directory: Path) -> Path:
    """The program that makes the world, run without the right to do so."""
    from sealer.image.contained import _PROGRAM

    program = directory / "denied.py"
    drop = "import ctypes\nfor capability in range(41):\n    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)\n"
    program.write_text(
        f"{drop}import os, sys\n"
        f"header = (ctypes.c_uint32 * 2)(0x20080522, 0)\nctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())\n"
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', {str(_PROGRAM)!r}, *sys.argv[1:]])\n"
    )
    return program


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_kill_in_the_first_moments_of_a_run(site: Site, after: float) -> None:
    """From before there is a namespace until the command runs: no process, no mount, no damage stays."""
    mark = f"{800 + os.getpid() / 1e6 + after:.6f}"
    (site.context / "Kubefile").write_text(f"FROM scratch\nRUN : {mark}; sleep {mark}; :\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "sealer", "build", "-t", "app", str(site.context)],
        env={**os.environ, "SEALER_HOME": str(site.directory / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any("RUN :" in line for line in iter(process.stdout.readline, ""))
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        os.sched_yield()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()  # until every process that has its other end is gone
    process.stdout.close()
    process.wait(timeout=10)
    await_end(mark)
    assert site.store.list() == ()
    assert site.files("RUN echo x > x") == {"x": "x\n"}
    assert not list((site.store.root / "tmp").iterdir())
