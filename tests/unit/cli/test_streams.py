"""Standard streams that are closed, full or no longer read: a message where one can be given, and the right status."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /dev/full")


def shell(line: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, in which `sealer` is the command, its output buffered as when a user calls it."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    function = f'sealer() {{ {sys.executable} -m sealer "$@"; }}; '
    return subprocess.run(
        ["/bin/bash", "-c", function + line],
        env=outside | environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("sealer version >&-", 0),
        ("sealer images >&-", 0),
        ("sealer version 2>&-", 0),
        ("sealer nonsense 2>&-", 2),
        ("sealer nonsense --output json >&- 2>&-", 2),
        ("sealer validate -f - <&-", 2),
        ("sealer run x -m 127.0.0.1 --passwd-file - <&-", 2),
        ("sealer run x -m 127.0.0.1 --ask-passwd <&-", 2),
    ],
)
def test_a_closed_stream_leads_nowhere(line: str, status: int) -> None:
    done = shell(line)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_what_is_meant_for_a_closed_stream_gets_into_no_file() -> None:
    code = (
        "import sys; from sealer.cli.streams import replace_closed; replace_closed();"
        "file = open(sys.argv[1], 'w+'); print('an error', file=sys.stderr, flush=True); file.seek(0);"
        "sys.exit(file.read() != '' or file.fileno() < 3)"
    )
    assert shell(f'{sys.executable} -c "{code}" $(mktemp) <&- >&- 2>&-').returncode == 0


@pytest.mark.parametrize("words", ["version", "version -q", "images", "--help", "schema"])
def test_a_full_disk_below_stdout_is_said(words: str) -> None:
    done = shell(f"sealer {words} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("sealer: error: something cannot be written or read: No space left on device\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("words", "status"), [("nonsense", 2), ("", 2), ("images --nonsense --output json", 2)])
def test_a_full_disk_below_stderr_changes_no_status(words: str, status: int) -> None:
    assert shell(f"sealer {words} 2> /dev/full").returncode == status


@pytest.mark.parametrize(
    ("words", "status"), [("version", 1), ("version -q", 1), ("images", 1), ("nonsense --output json", 2)]
)
def test_a_reader_that_leaves_ends_it_without_a_complaint(words: str, status: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = shell(f"sealer {words}", stdout=writer)
    os.close(writer)
    assert done.returncode == status
    assert done.stderr == "" or status == 2
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_run_goes_on_when_its_log_is_full() -> None:
    code = (
        "from sealer.cli.app import App; from sealer.events import State; import sys\n"
        "app = App()\n"
        "with app.watch():\n"
        "    for number in range(3): app.events.emit(State.WARNING, message='x' * 10_000)\n"
        "print('the end', file=sys.stderr)\n"
    )
    done = shell(f'{sys.executable} -c "$CODE" > /dev/full', CODE=code)
    assert (done.returncode, done.stderr) == (
        0,
        "sealer: warning: what happens is no longer printed: No space left on device\nthe end\n",
    )
