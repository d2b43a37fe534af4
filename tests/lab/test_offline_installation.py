"""The file for machines without internet: from a bare Python to a running cluster, and away without a trace."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealer.hosts import Host
from sealer.redaction import Secret
from sealer_plugin_nspawn import base
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.testing import real_hosts

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import offline_file  # noqa: E402  # scripts beside the packages
from install_all import distributions  # noqa: E402
from wheels import build_all, copy  # noqa: E402

pytestmark = pytest.mark.lab
PATIENCE = 300.0  # seconds
PASSWORD = "Open-sesame7"
PYTHON_OF_HOSTS = "3.11"  # of Debian bookworm
ARCHITECTURE = {name: key for key, name in offline_file.MACHINES.items()}.get(platform.machine(), "")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file for this architecture, for the Python of hosts and for that which runs the tests."""
    work = tmp_path_factory.mktemp("offline")
    wheels = build_all("wheel", copy(distributions(), work / "tree"), work / "wheels")
    pythons = sorted({PYTHON_OF_HOSTS, ".".join(map(str, sys.version_info[:2]))})
    files = offline_file.gather(wheels, work / "others", pythons, ARCHITECTURE, ROOT / "constraints.txt")
    return offline_file.pack(files, work, "1.2.3", ARCHITECTURE, also=[ROOT / "LICENSE"], moment=1_700_000_000)


@pytest.fixture
def bundle(archive: Path, tmp_path: Path) -> Path:
    """The unpacked file."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.2 has none, later ones warn without
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(tmp_path)
    return tmp_path / archive.name.removesuffix(".tar.gz")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory that stands for the root of this machine."""
    (tmp_path / "machine/bin").mkdir(parents=True)
    return tmp_path / "machine"


def command(bundle: Path, machine: Path, *words: str) -> list[str]:
    return [str(bundle / "install.sh"), "--prefix", f"{machine}/opt/sealer", "--bin", f"{machine}/bin", *words]


# What a user may have set; an installation heeds none of it.
ENVIRONMENT = {
    "SEALER_PYTHON": sys.executable,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_TARGET": "/nonexistent",
    "PIP_USER": "1",
    "PYTHONPATH": "/nonexistent",
    "PYTHONHOME": "",
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ENVIRONMENT
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)


def tree(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.rglob("*"))


def seal(bundle: Path) -> None:
    """Make SHA256SUMS anew, as somebody would who changes a file on purpose."""
    names = [line.partition("  ")[2] for line in (bundle / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (bundle / "SHA256SUMS").write_text("".join(lines))


def change_about(bundle: Path, **fields: object) -> None:
    about = json.loads((bundle / "about.json").read_text())
    (bundle / "about.json").write_text(json.dumps({**about, **fields}))
    seal(bundle)


def a_wheel(bundle: Path) -> Path:
    return next((bundle / "wheels").glob("click-*.whl"))


def tampered(bundle: Path) -> None:
    with a_wheel(bundle).open("ab") as file:
        file.write(b"more")
    seal(bundle)


def damaged(bundle: Path) -> None:
    content = bytearray(a_wheel(bundle).read_bytes())
    content[len(content) // 2] ^= 1
    a_wheel(bundle).write_bytes(content)


REFUSED: list[tuple[Callable[[Path, Path], object], str]] = [
    (
        lambda bundle, _: change_about(bundle, machine="s390x"),
        "these files are for Linux on s390x, and this is Linux on",
    ),
    (lambda bundle, _: change_about(bundle, pythons=["3.10"]), "there are wheels for 3.10"),
    (lambda bundle, _: change_about(bundle, glibc=999), "the wheels need glibc 2.999 or later"),
    (lambda bundle, _: damaged(bundle), "is damaged or was changed: unpack the archive again"),
    (lambda bundle, _: a_wheel(bundle).unlink(), "is missing: unpack the archive again"),
    (lambda bundle, _: tampered(bundle), "THESE PACKAGES DO NOT MATCH THE HASHES"),
    (
        lambda _, machine: (machine / "bin/sealer").write_text("mine"),
        "bin/sealer is there and is not of this installer",
    ),
    (lambda _, machine: (machine / "opt").write_text("mine"), "opt is no directory"),
    (lambda _, machine: (machine / "opt/sealer/etc").mkdir(parents=True), "has files that are not of this installer"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said.split(":")[0][:40] for _, said in REFUSED])
def test_what_cannot_be_installed_leaves_nothing(
    bundle: Path, machine: Path, change: Callable[[Path, Path], object], said: str
) -> None:
    change(bundle, machine)
    before = tree(machine), tree(bundle)
    done = run(*command(bundle, machine))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tree(machine), tree(bundle)) == before


def test_wrong_arguments_are_refused(bundle: Path, machine: Path) -> None:
    done = run(*command(bundle, machine, "--purge"))
    assert (done.returncode, "unrecognized arguments: --purge" in done.stderr) == (2, True)
    done = run(str(bundle / "install.sh"), "--prefix", f"{machine}/a b'$c")
    assert (done.returncode, "cannot be a directory here" in done.stderr) == (2, True)
    done = run(*command(bundle, machine, "--uninstall"))
    assert (done.returncode, "has no sealer of this installer" in done.stderr) == (1, True)
    assert tree(machine) == [f"{machine}/bin"]


def test_a_python_that_is_too_old_is_named(bundle: Path, machine: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\n[ "$1" != --version ] || exec echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    words = command(bundle, machine)
    done = subprocess.run(
        words, env={**os.environ, "SEALER_PYTHON": str(old)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"sealer needs Python 3.11, 3.12, 3.13 or 3.14; found:  {old} (Python 3.9.2)" in done.stderr
    assert tree(machine) == [f"{machine}/bin"]


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        ("opt", "ro", "opt cannot be written to: run this as root, or choose another directory"),
        ("bin", "ro", "bin cannot be written to: run this as root, or choose another directory"),
        ("opt", "size=40m", "MiB of disk, and 40 are free"),
    ],
)
def test_a_disk_that_will_not_do_is_told(bundle: Path, machine: Path, place: str, options: str, said: str) -> None:
    with mounted(machine / place, options):
        before = tree(machine)
        done = run(*command(bundle, machine))
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert tree(machine) == before


def test_killed_upgraded_and_removed(bundle: Path, machine: Path) -> None:
    """An installation that was killed is completed by the next; one that fails leaves that which is in use."""
    before, unpacked = tree(machine), tree(bundle)
    prefix = machine / "opt/sealer"

    stop_amid_work(bundle, machine, signal.SIGKILL)
    assert not (machine / "bin/sealer").exists()
    assert run(*command(bundle, machine, "--uninstall")).returncode == 0
    assert tree(machine) == before

    process = stop_amid_work(bundle, machine, signal.SIGTERM)
    assert (process.returncode, tree(machine)) == (130, before)

    stop_amid_work(bundle, machine, signal.SIGKILL)
    done = run(*command(bundle, machine))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"sealer 1.2.3 is installed: {machine}/bin/sealer\n")
    [first] = (prefix / "versions").iterdir()
    assert works(machine)
    assert subprocess.check_output([prefix / "current/bin/pip", "--version"], text=True).startswith("pip ")

    tampered(bundle)
    assert run(*command(bundle, machine)).returncode == 1
    assert ([first], works(machine)) == (list((prefix / "versions").iterdir()), True)
    a_wheel(bundle).write_bytes(a_wheel(bundle).read_bytes()[:-4])
    seal(bundle)
    with (prefix / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another installer works in" in run(*command(bundle, machine)).stderr

    change_about(bundle, version="1.3.0")
    assert run(*command(bundle, machine)).returncode == 0
    assert (prefix / "current").resolve().name.startswith("1.3.0-")
    assert first.is_dir(), "a sealer that runs goes on with what it was started with"
    assert works(machine)
    assert run(*command(bundle, machine)).returncode == 0
    assert not first.exists()

    done = run(f"{prefix}/uninstall.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(machine) == before
    assert tree(bundle) == unpacked


def stop_amid_work(bundle: Path, machine: Path, number: int) -> subprocess.Popen[bytes]:
    """Start an installation, and send it a signal when some wheels are installed."""
    words, environment = command(bundle, machine), os.environ | ENVIRONMENT
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not list(machine.glob("opt/sealer/versions/*/lib/python*/site-packages/*/")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(PATIENCE)
    return process


def works(machine: Path) -> bool:
    """Whether the command can be run."""
    listed = subprocess.run([machine / "bin/sealer", "plugin", "list"], capture_output=True, text=True, check=True)
    return "sealer-plugin-kubeadm" in listed.stdout


@pytest.fixture(scope="module")
def bare_hosts() -> Iterator[list[Host]]:
    """Two Debian hosts with a Python that has neither pip nor ensurepip; nothing leads out of their network."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(base, "PACKAGES", (*base.PACKAGES, "python3"))
        with real_hosts(2, "offline-operator", options=Options(password=Secret(PASSWORD))) as hosts:
            yield hosts


def on(host: Host, script: str, stdin: Path = Path(os.devnull), status: int = 0) -> str:
    """Run a script on a host."""
    settings = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-oBatchMode=yes"]
    words = ["ssh", *settings, "-i", host.ssh.private_key, f"root@{host.address}", script]
    with stdin.open("rb") as file:
        done = subprocess.run(words, stdin=file, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == status, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


# All but what the system itself writes meanwhile, and what a user is told that is kept.
FILES = """
find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /var/log -o -path /var/lib/systemd \
    -o -path /root/.sealer -o -path /root/offline \\) -prune -o -path /tmp/systemd-\\* -prune \
    -o -path /var/tmp/systemd-\\* -prune -o -printf '%p %y %m %U:%G %l\\n' | sort
"""
KUBEFILE = """\
FROM scratch
COPY scripts scripts
COPY greeting etc/greeting
"""
INIT = """\
#!/bin/sh
cp "$(dirname "$0")/../etc/greeting" /root/greeting
"""


def test_from_a_bare_python_to_a_cluster_and_away(archive: Path, bare_hosts: list[Host]) -> None:
    operator, node = bare_hosts
    on(operator, "python3 -c 'import pip' 2>/dev/null", status=1)
    on(operator, "python3 -c 'import ensurepip' 2>/dev/null", status=1)
    on(operator, "timeout 5 bash -c ': </dev/tcp/192.0.2.1/443' 2>/dev/null && exit 7 || exit 0")
    before = on(operator, FILES)
    on(operator, "mkdir /root/offline && tar -xzf - -C /root/offline", archive)
    assert "is installed: /usr/local/bin/sealer" in on(operator, "/root/offline/*/install.sh")
    assert on(operator, "stat -c %a /opt/sealer /opt/sealer/current/").split() == ["755", "755"]

    on(
        operator,
        f"""set -e
        mkdir -p /root/offline/app/scripts; cd /root/offline/app
        echo hello from the image >greeting
        cat >Kubefile <<'EOF'\n{KUBEFILE}EOF
        cat >scripts/init.sh <<'EOF'\n{INIT}EOF
        printf '#!/bin/sh\\nrm -f /root/greeting\\n' >scripts/clean.sh
        chmod 755 scripts/*.sh
        sealer build -t app:1 .
        SEALER_PASSWD='{PASSWORD}' sealer run app:1 --name first --masters {node.address} --yes
        sealer check --name first
        """,
    )
    assert on(node, "cat /root/greeting") == "hello from the image\n"
    assert "first" in on(operator, "sealer status")
    on(operator, "sealer delete --all --name first --yes")
    on(node, "test ! -e /root/greeting")

    # This host itself may be the cluster, too.
    on(operator, "sealer run app:1 --name own --yes")
    assert on(operator, "cat /root/greeting") == "hello from the image\n"
    on(operator, "sealer delete --all --name own --yes; test ! -e /root/greeting")

    told = on(operator, "/opt/sealer/uninstall.sh")
    assert "Not removed, as it has your clusters and images: /root/.sealer" in told
    on(operator, "command -v sealer", status=1)
    after = on(operator, FILES)
    assert sorted(set(after.splitlines()) ^ set(before.splitlines())) == []
