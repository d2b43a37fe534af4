from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sealer.cli.process_title import secret_spans, without_secrets

SHOW_OWN_TITLE = """
import sys
from sealer.cli.process_title import wipe_secrets
wipe_secrets()
sys.stdout.buffer.write(open('/proc/self/cmdline', 'rb').read())
print(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("line", "secrets"),
    [
        ("run x -p geheim", ["geheim"]),
        ("run x -pgeheim", ["geheim"]),
        ("run x --passwd geheim --name a", ["geheim"]),
        ("run x --passwd=geheim", ["geheim"]),
        ("run x --pk-passwd geheim -p=auch", ["geheim", "=auch"]),
        ("delete -yp geheim", ["geheim"]),
        ("delete -ay", []),
        ("run x --pk ~/.ssh/id --port 22", []),
        ("--no-plugins run x --passwd-file f", []),
        ("exec c -- mysql -p geheim", []),
        ("run x -uprod -p", []),
        ("run x -p --passwd", ["--passwd"]),
        ("run x --provider-option apiToken=geheim --transport-option=password=auch=so", ["geheim", "auch=so"]),
        ("run x --runtime-option token= --provider-option region=north --provider-option", [""]),
        ("run x -e K=geheim --env A=b=c -eL=d --env=M=e", ["geheim", "b=c", "d", "e"]),
        ("run x -e K -ye N=f", ["f"]),
        ("run x --cmd-args --token=geheim --cmd-args=auch", ["--token=geheim", "auch"]),
        ("build --build-arg TOKEN=geheim --build-arg NAME --build-arg=A=b .", ["geheim", "b"]),
    ],
)
def test_finds_what_the_options_say_is_secret(line: str, secrets: list[str]) -> None:
    words = line.encode().split()
    assert [words[index][start:].decode() for index, start in secret_spans(words)] == secrets


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("run x -p a --passwd=b -e K=c --env L=d=e -eM=f --env=N=g", None),
        ("run x -e K", "run x -e K"),
        ("run x --name=a -m 10.0.0.2", "run x --name=a -m 10.0.0.2"),
    ],
)
def test_a_command_line_for_others_has_no_values(line: str, shown: str | None) -> None:
    expected = shown or "run x -p ****** --passwd=****** -e K=****** --env L=****** -eM=****** --env=N=******"
    assert without_secrets(line.split()) == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows the title in /proc")
@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "gehe im"],
        ["-pgehe im"],
        ["--passwd=gehe im"],
        ["--pk-passwd", "gehe im", "--name", "c"],
        ["-e", "K=gehe im"],
        ["--env=K=gehe im"],
        ["--cmd-args", "gehe im"],
        ["--build-arg", "A=gehe im"],
    ],
)
def test_the_title_no_longer_shows_it_and_the_rest_stays(arguments: list[str]) -> None:
    before = [sys.executable, "-c", SHOW_OWN_TITLE, "run", "image", *arguments, "end"]
    done = subprocess.run(before, capture_output=True, check=True)
    title, _, parsed = done.stdout.rpartition(b"\0")
    words = title.split(b"\0")
    assert b"gehe im" not in title
    assert words[3:5] == [b"run", b"image"]
    assert words[-1] == b"end"
    assert b"******" in title
    assert "gehe im" in parsed.decode()  # the program itself still knows it


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows the title in /proc")
def test_a_short_password_keeps_its_room(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SHOW_OWN_TITLE, "-p", "x", "end"], capture_output=True, check=True)
    assert done.stdout.startswith(b"\0".join([sys.executable.encode(), b"-c"]))
    assert b"\0-p\0*\0end\0" in done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows the title in /proc")
def test_the_command_itself_wipes_before_anything_else() -> None:
    # A question keeps the process alive: `completion` reads no stdin, so let python wait at its exit.
    code = (
        "import atexit, sys; atexit.register(lambda: (print('ready', flush=True), sys.stdin.read()));"
        "from sealer.cli import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "run", "--bogus", "-p", "sehrgeheim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        title = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.communicate(b"")
    assert b"sehrgeheim" not in title
    assert b"--bogus" in title
