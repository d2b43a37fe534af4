"""The demo: an etcd cluster on real hosts of this machine, from a Kubefile to its end. `tox run -e demo` calls it.

It types what a person would type, shows it with a `$` in front, and ends with a status other than 0 as soon as anything
is not as promised. It needs root on Linux, and leaves nothing behind, also when it fails or is interrupted; what a demo
that was killed left behind, the next one clears first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from traces import Trace, hosts_of

EXAMPLE = Path(__file__).resolve().parent
HOME = Path("/var/lib/sealer-etcd-demo")  # always the same, so that the next demo finds what a killed one left
WORK = HOME / "etcd"  # a copy of the example, to work in as a person would
ENVIRONMENT = {**os.environ, "SEALER_HOME": str(HOME / "sealer")}
CLUSTER = "etcd"
CACHE = Path("/var/cache/sealer-nspawn")  # the tree that the provider boots hosts from
VALUE = "written through the first member"


class BrokenPromiseError(Exception):
    """Something is not as the demo says it is."""


def say(text: str = "") -> None:
    """Print a line now, whoever reads it and however slowly."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def promise(kept: bool, text: str) -> None:
    """Say that `text` is so, or fail."""
    if not kept:
        raise BrokenPromiseError(f"not so: {text}")
    say(f"=> {text}")


class Terminal:
    """Where commands are typed.

    :param lock: descriptor that everything started here keeps open, so that what outlives a killed demo is waited for.
    """

    def __init__(self, lock: int) -> None:
        self._lock = lock

    def run(self, *words: str) -> None:
        """Run a command, whose output goes where ours goes: on a terminal sealer shows its live view."""
        self._run(words, capture=False)

    def ask(self, *words: str, status: int = 0) -> list[str]:
        """Run a command, and give the lines that it printed, sorted: hosts answer in any order.

        :param status: that it has to end with.
        """
        return sorted(self._run(words, capture=True, expected=status))

    def _run(self, words: Sequence[str], capture: bool, expected: int = 0) -> list[str]:
        say(f"$ {shlex.join(words)}")
        program = [sys.executable, "-m", "sealer"] if words[0] == "sealer" else [words[0]]
        lines: list[str] = []
        interrupted = False
        with subprocess.Popen(
            [*program, *words[1:]],
            cwd=WORK if WORK.exists() else HOME,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            pass_fds=[self._lock],
            process_group=0,  # Ctrl-C comes to us alone, and sealer gets it from us: once
        ) as process:
            while True:
                try:
                    for line in process.stdout or ():
                        say(line.rstrip())
                        lines.append(line.rstrip())
                    status = process.wait()
                    break
                except KeyboardInterrupt:
                    interrupted = True
                    process.send_signal(signal.SIGINT)
        if interrupted:
            raise KeyboardInterrupt
        if status != expected:
            raise BrokenPromiseError(f"`{shlex.join(words)}` ended with status {status}")
        return lines

    def recorded_hosts(self) -> dict[str, str]:
        """What sealer itself calls its hosts, by their addresses; without a cluster none."""
        words = [sys.executable, "-m", "sealer", "status", "--output", "json"]
        answer = subprocess.run(words, env=ENVIRONMENT, capture_output=True, check=True, text=True).stdout
        clusters = json.loads(answer.splitlines()[-1])["clusters"]
        return {host["address"]: host["placeholder"] for cluster in clusters for host in cluster["hosts"]}


class Demo:
    """The cluster's life, in parts whose time is taken."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.took: dict[str, float] = {}

    @contextlib.contextmanager
    def part(self, title: str) -> Iterator[None]:
        """One part."""
        say(f"\n##### {title}\n")
        begin = time.monotonic()
        yield
        self.took[title] = time.monotonic() - begin

    def run(self) -> None:
        """All of it."""
        terminal = self.terminal
        with self.part("Build the image"):
            terminal.run("sealer", "build", "-t", "etcd:3.4", ".")
            terminal.run("sealer", "images")
        with self.part("Boot three hosts and make a cluster of them"):
            terminal.run("sealer", "apply", "-f", "Clusterfile")
        self.took["  of that: boot them"] = booting()
        trace = Trace.of(hosts_of(ENVIRONMENT))
        with self.part("Look at it"):
            self.healthy(3)
            self.named(3)
            self.checked()
        with self.part("Write through one host, read through the others"):
            first, *others = self.addresses()
            terminal.ask("sealer", "exec", "--hosts", first, "--", "etcdctl", "put", "greeting", VALUE)
            self.readable(others)
        with self.part("Apply the same file again"):
            self.nothing_happens()
        with self.part("Add a fourth host"):
            self.edit(3, 4)
            terminal.run("sealer", "apply", "-f", "Clusterfile")
            self.healthy(4)
            self.named(4)
            self.readable(self.addresses()[3:])
        trace |= Trace.of(hosts_of(ENVIRONMENT))
        with self.part("Remove it again"):
            self.edit(4, 3)
            terminal.run("sealer", "apply", "-f", "Clusterfile", "--yes")
            self.healthy(3)
            self.readable(self.addresses())
        with self.part("Delete everything"):
            terminal.run("sealer", "delete", "--all", "--name", CLUSTER, "--yes")
            promise(not terminal.recorded_hosts(), "sealer has no cluster any more")
            promise(not hosts_of(ENVIRONMENT), "no host is left")
            left = trace.left()
            promise(not left, f"of {trace.size} processes, interfaces and control groups none is left{left}")

    # -- what is promised --------------------------------------------------------------------------------------------

    def addresses(self) -> list[str]:
        """The hosts, in the order in which they were made."""
        hosts = self.terminal.recorded_hosts()
        return sorted(hosts, key=lambda address: int(hosts[address].rpartition("-")[2]))

    def healthy(self, number: int) -> None:
        """Exactly so many members are there, and all are healthy."""
        first = self.addresses()[0]
        answer = self.terminal.ask("sealer", "exec", "--hosts", first, "etcdctl endpoint health --cluster 2>&1")
        healthy = sum(" is healthy" in line for line in answer)
        promise(healthy == number == len(answer), f"{number} members, all healthy")

    def named(self, number: int) -> None:
        """The hosts have the names that the Clusterfile's HOSTNAME document gives them."""
        answer = self.terminal.ask("sealer", "exec", "--", "uname", "-n")
        document = (WORK / "Clusterfile").read_text().partition("type: HOSTNAME")[2]
        names = [line.split() for line in document.splitlines() if line.startswith("    ")]
        promise(
            [line.split() for line in answer] == names[:number],
            f"{number} hosts have the names that the Clusterfile gives them",
        )

    def checked(self) -> None:
        """`sealer check` sees a member that is stopped."""
        last = self.addresses()[-1]
        self.terminal.run("sealer", "check")
        self.terminal.run("sealer", "exec", "--hosts", last, "--", "systemctl", "stop", "etcd-of-sealer")
        found = self.terminal.ask("sealer", "check", status=1)
        names = [line for line in found if line.startswith(last) and "failed" in line.lower()]
        promise(len(names) == 1, f"the check names {last}, whose member is stopped")
        self.terminal.run("sealer", "exec", "--hosts", last, "--", "systemctl", "start", "etcd-of-sealer")
        self.terminal.run("sealer", "check", "-q")

    def readable(self, addresses: Sequence[str]) -> None:
        """The key can be read through each of these hosts."""
        words = ("sealer", "exec", "--hosts", ",".join(addresses), "--", "etcdctl", "get", "greeting")
        answer = self.terminal.ask(*words, "--print-value-only")
        promise(sum(VALUE in line for line in answer) == len(addresses), f"read through {', '.join(addresses)}")

    def nothing_happens(self) -> None:
        """The same Clusterfile again changes nothing: no member was even restarted."""
        show = ("sealer", "exec", "--", "systemctl", "show", "-p", "MainPID,ActiveEnterTimestamp", "etcd-of-sealer")
        before = self.terminal.ask(*show)
        answer = self.terminal.ask("sealer", "apply", "-f", "Clusterfile")
        promise(any("already up to date" in line for line in answer), "sealer found nothing to change")
        promise(self.terminal.ask(*show) == before, "every member is the process that it was")

    def edit(self, before: int, after: int) -> None:
        """Change the number of hosts in the Clusterfile."""
        self.terminal.run("sed", "-i", f"s/count: {before}/count: {after}/", "Clusterfile")

    def times(self) -> None:
        """Say how long each part took."""
        say("\n##### How long it took\n")
        whole = sum(seconds for title, seconds in self.took.items() if not title.startswith(" "))
        for title, seconds in [*self.took.items(), ("all of it", whole)]:
            say(f"{title:<52} {seconds:7.1f} s")


def next_steps() -> None:
    """Say what to do next, and what stays on this machine."""
    say("\n##### What next\n")
    say("Do the same by hand: docs/tutorial/first-cluster.md")
    say("Create a cluster on hosts of yours: sealer run IMAGE --masters ADDRESS --nodes ADDRESS")
    size = sum(path.lstat().st_size for path in CACHE.rglob("*") if path.is_file() and not path.is_symlink())
    if size:
        say("\nThe hosts and the cluster are deleted.")
        say(f"{size / 1e6:.0f} MB stay in {CACHE}: the next demo boots its hosts from them.")
        say(f"To remove them, when no other host of the provider nspawn runs: rm -rf {CACHE}")


def booting() -> float:
    """Seconds that the provider took in the first run, by sealer's own record of it."""
    (events,) = HOME.glob(f"sealer/clusters/{CLUSTER}/runs/*/events.jsonl")
    records = map(json.loads, events.read_text().splitlines())
    times = [record["time"] for record in records if record["phase"] == "Provide"]
    return float(times[-1] - times[0])


def claim() -> int:
    """Take the demo's directory for this process; waits for another demo to end. Gives the lock's descriptor."""
    while True:
        HOME.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(HOME, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another demo runs on this machine, or what it started: waiting for the end of it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(lock).st_ino == HOME.stat().st_ino:
                return lock
        os.close(lock)  # whoever had it took it away at its end


def clear(terminal: Terminal) -> None:
    """Delete the cluster, whatever became of it, and all files."""
    if terminal.recorded_hosts() or hosts_of(ENVIRONMENT):
        say("\n##### Take away what is there\n")
        terminal.run("sealer", "delete", "--all", "--name", CLUSTER, "--yes", "--force")
    for entry in HOME.iterdir():
        shutil.rmtree(entry)


@contextlib.contextmanager
def place(terminal: Terminal) -> Iterator[None]:
    """A copy of the example to work in, and nothing of an earlier demo; afterwards nothing of this one."""
    clear(terminal)
    try:
        shutil.copytree(EXAMPLE, WORK, ignore=shutil.ignore_patterns("__pycache__"))
        yield
    finally:
        clear(terminal)
        HOME.rmdir()


def main() -> int:
    """Run the demo; gives the exit status."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        say("The demo boots hosts on this machine: it needs root, on Linux.")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    status = 1
    try:
        terminal = Terminal(claim())
        demo = Demo(terminal)
        with place(terminal):
            demo.run()
    except BrokenPromiseError as error:
        say(f"\nThe demo failed: {error}")
    except KeyboardInterrupt:
        say("\nThe demo was interrupted.")
        status = 130
    else:
        demo.times()
        next_steps()
        return 0
    if HOME.exists():
        say(f"Not everything could be removed: {HOME} is still there, and the next demo starts with it.")
    return status


if __name__ == "__main__":
    sys.exit(main())
