"""Scripts that survive their connection, run by the real shell of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from sealer.cluster.receipts import NOT_BEGUN, Receipt, Script, end_command, launch_command

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the host's side needs Linux")

PATIENCE = 20.0
Launch = Callable[..., Receipt]


class Place:
    """A receipt's place, and a file in which scripts leave marks."""

    def __init__(self, directory: Path) -> None:
        self.receipt = directory / "receipts" / "try-1" / "1"
        self.marks = directory / "marks"
        self.started: list[subprocess.Popen[bytes]] = []

    def script(self, text: str, **more: object) -> Script:
        return Script(text.replace("MARKS", str(self.marks)), {}, **more)  # type: ignore[arg-type]

    def start(self, script: Script, *, once: bool = False) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sh", "-c", launch_command(str(self.receipt), once=once)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdin
        process.stdin.write(script.archive())
        process.stdin.close()
        process.stdin = None
        return process

    def launch(self, script: Script, *, once: bool = False) -> tuple[Receipt, bytes]:
        stdout, stderr = self.start(script, once=once).communicate(timeout=PATIENCE)
        receipt = Receipt.parse(stdout)
        assert receipt, (stdout, stderr)
        return receipt, stderr

    def break_off(self, process: subprocess.Popen[bytes]) -> None:
        """What a broken connection does to whoever watches the script."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def end(self) -> None:
        subprocess.run(["/bin/sh", "-c", end_command(str(self.receipt))], check=True, timeout=PATIENCE)

    def wait_for(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline
            os.sched_yield()

    @property
    def left(self) -> str:
        return self.marks.read_text() if self.marks.exists() else ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_script_runs_once_however_often_it_is_asked_for(place: Place) -> None:
    script = place.script("echo mark >> MARKS; echo out; echo err >&2; exit 3")
    first, live = place.launch(script)
    assert (first.state, first.status) == ("done", 3)
    assert live + first.untold == b"out\nerr\n"
    second, live = place.launch(script)
    assert (second.state, second.status, second.tail) == ("kept", 3, b"out\nerr\n")
    assert live == b""
    assert place.left == "mark\n"


def test_a_script_goes_on_without_its_connection_and_is_attached_to(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    script = place.script(f"echo before; echo mark >> MARKS; read line < {tmp_path}/gate; echo $line")
    first = place.start(script)
    place.wait_for(lambda: place.left == "mark\n")
    place.break_off(first)
    second = place.start(script)
    (tmp_path / "gate").write_text("after\n")
    stdout, _ = second.communicate(timeout=PATIENCE)
    receipt = Receipt.parse(stdout)
    assert receipt
    assert receipt.status == 0
    assert receipt.tail == b"before\nafter\n"
    assert place.left == "mark\n"


def test_launches_at_the_same_time_run_it_once(place: Place) -> None:
    script = place.script("echo mark >> MARKS; echo done")
    launches = [place.start(script) for _ in range(6)]
    receipts = [Receipt.parse(launch.communicate(timeout=PATIENCE)[0]) for launch in launches]
    assert [receipt and (receipt.status, receipt.tail) for receipt in receipts] == [(0, b"done\n")] * 6
    assert place.left == "mark\n"
    assert [path.name for path in place.receipt.parent.iterdir()] == ["1"]


def test_a_script_whose_supervisor_was_killed_is_lost(place: Place, tmp_path: Path) -> None:
    script = place.script(f"echo mark >> MARKS; echo $PPID > {tmp_path}/pid; exec sleep 60")
    first = place.start(script)
    place.wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    os.killpg(int((place.receipt / "pid").read_text().split()[0]), signal.SIGKILL)
    receipt = Receipt.parse(first.communicate(timeout=PATIENCE)[0])
    assert receipt
    assert receipt.state == "lost"
    assert place.launch(script)[0].state == "lost"
    assert place.left == "mark\n"


def test_after_the_host_booted_anew_a_script_that_began_is_lost(place: Place) -> None:
    script = place.script("echo mark >> MARKS")
    place.launch(script)
    (place.receipt / "status").unlink()
    (place.receipt / "pid").write_text(f"{os.getpid()} 1 another-boot\n")
    assert place.launch(script)[0].state == "lost"
    assert place.left == "mark\n"


def test_a_status_that_a_full_disk_kept_from_being_written_is_not_taken_for_success(place: Place) -> None:
    script = place.script("exit 3")
    place.launch(script)
    (place.receipt / "status").write_bytes(b"")
    assert place.launch(script)[0].state == "lost"


@pytest.mark.parametrize("left", [["run"], ["run", "script", "supervise", "digest"]])
def test_what_a_power_cut_left_empty_before_the_script_began_is_begun_anew(place: Place, left: list[str]) -> None:
    place.receipt.mkdir(parents=True)
    for name in left:
        (place.receipt / name).touch()
    assert place.launch(place.script("echo mark >> MARKS"))[0].state == "done"
    assert place.left == "mark\n"


def test_another_script_under_the_same_receipt_differs(place: Place) -> None:
    place.launch(place.script("echo mark >> MARKS"))
    assert place.launch(place.script("echo other >> MARKS"))[0].state == "differs"
    assert place.left == "mark\n"


def test_stdin_environment_directory_and_interpreter(place: Place, tmp_path: Path) -> None:
    script = Script(
        "#!/bin/bash -e\ncat; pwd; echo \"$PLAIN|$0\" | cut -d '|' -f 1; env | grep odd-name\n",
        {"PLAIN": 'it\'s $(echo not run) \\ "x"\nnext', "odd-name": "a b'c"},
        cwd=str(tmp_path),
        stdin=b"given\0bytes\n",
    )
    receipt, _ = place.launch(script)
    expected = f"given\0bytes\n{tmp_path}\nit's $(echo not run) \\ \"x\"\nnext\nodd-name=a b'c\n"
    assert receipt.tail.decode() == expected


def test_nothing_of_a_script_is_on_the_command_line(place: Place) -> None:
    command = launch_command(str(place.receipt), once=True)
    script = place.script("echo secret-text", stdin=b"secret-stdin")
    assert "secret" not in command
    assert script.digest not in command, "a short password could be guessed from it"
    inline, sent = Script("echo secret-text", {"A": "secret"}).inline()
    assert "secret" not in inline
    assert b"secret-text" in sent


def test_what_runs_shows_no_environment_to_other_users(place: Place) -> None:
    place.launch(place.script("true"))
    assert place.receipt.stat().st_mode & 0o077 == 0
    assert (place.receipt / "run").stat().st_mode & 0o077 == 0


def test_what_a_script_makes_is_for_everybody_and_its_receipt_is_not(place: Place, tmp_path: Path) -> None:
    """Whatever the umask of the login is, programs that a script copies can be run and files it writes can be read."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    for number, interpreter in enumerate(("", "#!/bin/bash\n")):
        made = tmp_path / f"made-{number}"
        text = f"mkdir -p {made}/etc && cp {tmp_path}/tool {made}/tool && echo x > {made}/etc/conf && umask"
        place.receipt = tmp_path / "receipts" / str(number)
        before = os.umask(0o077)
        try:
            receipt, _ = place.launch(Script(f"{interpreter}{text}\n", {}))
        finally:
            os.umask(before)
        assert (receipt.status, receipt.text) == (0, "0022\n")
        modes = [(made / name).stat().st_mode & 0o777 for name in ("tool", "etc", "etc/conf")]
        assert modes == [0o755, 0o755, 0o644]
        assert {path.name for path in place.receipt.iterdir() if path.stat().st_mode & 0o077} == set()


@pytest.mark.parametrize("cut", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_an_archive_that_did_not_arrive_whole_is_not_run(place: Place, cut: float) -> None:
    script = place.script("cat > MARKS", stdin=b"x" * 500)
    archive = script.archive()
    arrived = archive[: int((len(archive.rstrip(b"\0")) - 1) * cut)]
    command = launch_command(str(place.receipt), once=False)
    done = subprocess.run(["/bin/sh", "-c", command], input=arrived, capture_output=True, check=False)
    assert done.returncode == NOT_BEGUN
    assert b"cannot keep a receipt" in done.stderr
    assert place.left == ""
    assert place.launch(script)[0].status == 0
    assert place.left == "x" * 500


def test_an_archive_cut_between_two_members_is_not_run(place: Place) -> None:
    """Such a tar is whole to tar: what the script is to read would be missing."""
    script = place.script("cat > MARKS", stdin=b"x" * 500)
    archive = script.archive()
    at = archive.index(b"digest\0")
    command = launch_command(str(place.receipt), once=False)
    done = subprocess.run(["/bin/sh", "-c", command], input=archive[:at], capture_output=True, check=False)
    assert done.returncode == NOT_BEGUN
    assert place.left == ""


def test_an_inline_script_that_did_not_arrive_whole_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "data" / "cluster").mkdir(parents=True)
    command, sent = Script(f"rm -rf {tmp_path}/data/cluster", {}).inline()
    cut = sent.index(b"/cluster")
    done = subprocess.run(["/bin/sh", "-c", command], input=sent[:cut], capture_output=True, check=False)
    assert done.returncode == 255
    assert (tmp_path / "data").exists()
    assert subprocess.run(["/bin/sh", "-c", command], input=sent, check=False).returncode == 0
    assert not (tmp_path / "data" / "cluster").exists()


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(("text", "status"), [("exit 7", 7), ("false", 1), ("set -e\nfalse\ntrue", 1), ("cat", 0)])
def test_an_inline_script_keeps_its_status_and_its_stdin(shell: str, text: str, status: int) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    command, sent = Script(text, {"Ä": "ö"}, stdin="grüß dich\n".encode()).inline()
    done = subprocess.run([shell, "-c", command], input=sent, capture_output=True, check=False)
    assert done.returncode == status
    assert done.stdout.decode() == ("grüß dich\n" if text == "cat" else "")


def test_much_output_stays_on_the_host(place: Place) -> None:
    script = place.script("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last")
    receipt, live = place.launch(script)
    assert (receipt.status, receipt.size) == (0, 100_000_006)
    assert len(receipt.tail) == 65_536
    assert receipt.tail.endswith(b"x\nlast\n")
    assert len(live) < 100_000_000
    (place.receipt / "output").unlink()


def test_ending_a_script_ends_all_it_started(place: Place, tmp_path: Path) -> None:
    """Also what does not listen: a child that ignores the polite signal, after its parents are gone."""
    os.mkfifo(tmp_path / "gate")
    child = f"trap '' TERM; sh -c 'echo $PPID' > {tmp_path}/child; exec 3< {tmp_path}/gate"
    first = place.start(place.script(f"({child}) & wait"))
    place.wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().endswith("\n"))
    child_number = int((tmp_path / "child").read_text())
    place.end()
    receipt = Receipt.parse(first.communicate(timeout=PATIENCE)[0])
    assert receipt
    assert receipt.status == 143
    place.wait_for(lambda: not alive(child_number))


def test_ending_what_has_ended_does_nothing(place: Place) -> None:
    place.launch(place.script("true"))
    place.end()
    shutil.rmtree(place.receipt)
    place.end()


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["launch.sh", "supervise.sh", "end.sh", "lock.sh"])
def test_the_scripts_for_hosts_are_clean(name: str) -> None:
    checker = shutil.which("shellcheck")
    if not checker:
        pytest.skip("there is no shellcheck here")
    text = files("sealer.cluster").joinpath("host", name).read_text("utf-8")
    done = subprocess.run([checker, "-s", "sh", "-"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
