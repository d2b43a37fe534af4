"""Nothing that a host, an image, a registry or a file says has power over the terminal: seen through a real one."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from functools import partial
from pathlib import Path

import pytest

import sealer
from sealer.cli.root import COMMANDS
from sealer.cli.terminal import GuardedStream, style, visible, visible_json

# What a program could do to who looks: title, clipboard, cleared screen, a forged line over another, hidden text, C1's
# own CSI, text from right to left, a bell.
HOSTILE = "\x1b]0;owned\x07|\x1b]52;c;aGk=\x07|\x1b[2J|over\rwritten|\x1b[8mhidden|\x9b31m|\u202etxt.exe|\x7f|\x08"
# All that may reach a terminal: sealer's own colours, and movements of the cursor while a view is drawn.
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[A-K]|\x1b\[\?25[hl]")


def screen(*words: str, home: Path, status: int | None = None, cwd: Path | None = None) -> str:
    """What sealer sends to a terminal of its own."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (40, 200))
    said = bytearray()

    def read() -> None:
        try:
            while block := os.read(ours, 65536):
                said.extend(block)
        except OSError:  # Linux says so when the last one has closed the other end
            pass

    environment = {**os.environ, "SEALER_HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sealer", *words],
        env=environment, stdin=its, stdout=its, stderr=its, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    os.close(its)
    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(120) == status or status is None, said.decode(errors="replace")
    reader.join(20)
    os.close(ours)
    return said.decode("utf-8", "surrogateescape")


def harmless(text: str) -> bool:
    """Whether only sealer's own sequences are in what was sent to a terminal."""
    rest = OWN.sub("", text).replace("\r\n", "\n").replace("\r", "")
    return visible(rest) == rest


def test_control_characters_become_visible() -> None:
    assert visible("a\tb\nc é 漢 ☃") == "a\tb\nc é 漢 ☃"
    assert visible("\x1b[31m\x00\r\x7f\x9b") == r"\x1b[31m\x00\x0d\x7f\x9b"
    assert visible("\u202e\u2066\u200f\udcff") == r"\u202e\u2066\u200f\udcff"
    assert json.loads(visible_json(json.dumps(HOSTILE, ensure_ascii=False))) == HOSTILE


def test_a_stream_knows_sealer_s_own_colours_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    red = r"\x1b[31mred\x1b[0m"
    for coloured, expected in ((True, f"\x1b[31m\x1b[1merror:\x1b[0m {red}\n"), (False, f"error: {red}\n")):
        plain = io.StringIO()
        stream = GuardedStream(plain, partial(bool, coloured))
        monkeypatch.setattr(sys, "stderr", stream)
        stream.write(f"{style('error:', 'red', 'bold')} \x1b[31mred\x1b[0m\n")
        assert plain.getvalue() == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_errors(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Values that a command refuses, in whatever words."""
    from sealer.cli.entry import run

    for words in ([HOSTILE], [f"--{HOSTILE}"], ["--output", HOSTILE], ["--name", HOSTILE, "-f", HOSTILE, HOSTILE]):
        if name != "completion" or words[0].startswith("--"):
            run([name, *words])
        shown = capsys.readouterr()
        assert visible(shown.out + shown.err) == shown.out + shown.err


CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {{name: here}}
spec:
  image: {image}
  dataRoot: {data}
  hosts: [{{ips: [127.0.0.1], roles: [master]}}]
"""


class Local:
    """A cluster that is this machine, from an image whose init.sh says `HOSTILE`, and fails while `broken` is there."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.home = directory, directory / "home"
        self.broken, self.hostile = directory / "broken", directory / "hostile"
        self.hostile.write_text(f"{HOSTILE.replace(chr(13), '')}\n{HOSTILE}\n")
        (directory / "scripts").mkdir()
        script = f"#!/bin/sh\ncat {self.hostile}\n[ ! -e {self.broken} ] || exit 3\n"
        (directory / "scripts/init.sh").write_text(script)
        (directory / "Kubefile").write_text("FROM scratch\nCOPY scripts scripts\n")
        text = CLUSTERFILE.format(image="loud:1", data=directory / "data")
        (directory / "Clusterfile").write_text(text)

    def __call__(self, *words: str, status: int | None = 0) -> str:
        return screen(*words, home=self.home, status=status, cwd=self.directory)


@pytest.fixture
def local(tmp_path: Path) -> Local:
    if os.geteuid() != 0:
        pytest.skip("commands run as root, so the test must too")
    return Local(tmp_path)


def test_a_run_and_a_command_on_a_terminal(local: Local) -> None:
    """The failure block and the lines above it, exec, and what a later look shows."""
    local("build", "-t", "loud:1", "-f", "Kubefile", ".")
    local.broken.touch()
    failed = local("apply", "-f", "Clusterfile", "--yes", status=1)
    assert harmless(failed)
    assert r"\x1b]52;c;aGk=\x07" in failed
    assert "\x1b[31m" in failed  # of sealer's own colours
    local.broken.unlink()
    try:
        assert harmless(local("apply", "-f", "Clusterfile", "--yes"))
        shown = local("exec", "--name", "here", "--", "cat", str(local.hostile))
        assert harmless(shown)
        assert r"\x1b]0;owned\x07" in shown
        assert harmless(local("exec", "--name", "here", "--", f"cat {local.hostile} >&2; exit 1", status=1))
        assert harmless(local("timeline", "--name", "here", status=None))
    finally:
        local("delete", "--all", "--name", "here", "--yes", "--force")


def test_exec_into_a_pipe_is_left_as_it_is(local: Local) -> None:
    local("build", "-t", "loud:1", "-f", "Kubefile", ".")
    local("apply", "-f", "Clusterfile", "--yes")
    try:
        words = [sys.executable, "-m", "sealer", "exec", "--name", "here", "--", "printf 'a\\033[1mb\\007\\n'"]
        done = subprocess.run(
            words, env={**os.environ, "SEALER_HOME": str(local.home)}, capture_output=True, check=True
        )
        assert done.stdout == b"a\x1b[1mb\x07\n"
    finally:
        local("delete", "--all", "--name", "here", "--yes", "--force")


def test_a_build_on_a_terminal(local: Local) -> None:
    local("build", "-t", "loud:1", "-f", "Kubefile", ".")
    loud = f"cat {local.hostile}; printf '\\033]52;c;eA==\\007'; exit 1"
    (local.directory / "Kubefile.run").write_text(f"FROM loud:1\nRUN {loud}\n")
    failed = local("build", "-t", "x:1", "-f", "Kubefile.run", ".", status=1)
    assert harmless(failed)
    assert "]52;c;eA==" in failed
    (local.directory / "Kubefile.odd").write_text(f"FROM scratch\n{HOSTILE.replace(chr(13), '')}\n")
    assert harmless(local("build", "-t", "x:1", "-f", "Kubefile.odd", ".", status=2))


def test_what_is_discovered_on_a_terminal(tmp_path: Path) -> None:
    """Names of files, and what stands in them."""
    context = tmp_path / "context/manifests"
    context.mkdir(parents=True)
    for name in ("\x1b]0;owned\x07.yaml", os.fsdecode(b"\x9b31m\xff.yaml")):
        image = json.dumps("example.com/\x1b[2J{{ .Values.\x1b]52;c;aGk=\x07 }}")
        text = f"kind: Pod\nspec: {{containers: [{{image: {image}}}, {{image: 'example.com/a:1'}}]}}\n"
        (context / name).write_text(text)
    shown = screen("discover", str(context.parent), home=tmp_path / "home")
    assert "example.com/a:1" in shown
    assert r"\x1b]0;owned\x07.yaml" in shown
    assert harmless(shown)


def test_a_log_on_a_terminal(tmp_path: Path) -> None:
    """Colours of the log's own, values made visible; tracebacks too."""
    code = (
        "import logging, sys\n"
        "from sealer.cli import logs, terminal\n"
        "with terminal.guarded(lambda: 'always'):\n"
        "    logs.configure('text', debug=True)\n"
        f"    logging.getLogger('x').warning('%s', {HOSTILE!r})\n"
        f"    try: raise ValueError({HOSTILE!r})\n"
        f"    except ValueError: logging.getLogger('x').exception({HOSTILE!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert r"\x1b]52;c;aGk=\x07" in done.stderr
    assert harmless(done.stderr)


# Ways past the guarded streams, and who may use them: who prints what is sealer's own, and who passes bytes on to a
# program or a file. A raw ESC in the source would be a way, too.
_WAYS_PAST = re.compile(
    r"\bsys\.__std(?:out|err)__|\bsys\.std(?:out|err)\.buffer\b|\bos\.write\([12],|"
    r"\bclick\.(?:style|secho)\b|\bConsole\(|\b(?:unguarded|drawing)\(sys|\x1b"
)
_MAY = {
    "exec.py": {"unguarded(sys"},
    "save.py": {"sys.stdout.buffer"},
    "live.py": {"Console(", "drawing(sys"},
    "watching.py": {"drawing(sys"},
    "interrupts.py": {"os.write(1,", "os.write(2,"},
}


def test_no_command_goes_past_the_guarded_streams() -> None:
    root = Path(sealer.__file__).parents[2]
    sources = [*(root / "core/sealer/cli").rglob("*.py"), *root.glob("*plugins/*/src/*/**/*.py")]
    for path in sources or Path(sealer.__file__).parent.joinpath("cli").rglob("*.py"):
        found = set(_WAYS_PAST.findall(path.read_text("utf-8"))) - _MAY.get(path.name, set())
        assert not found, f"{path} goes past what makes output harmless: {sorted(found)}"
