"""Draws docs/session.svg, the terminal session of the README: runs its commands, and draws what they print.

Needs root on Linux. The cluster is this machine, all files lie in a temporary directory, and at the end it is deleted.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

PAGE = Path(__file__).resolve().parent.parent / "docs" / "session.svg"
COLUMNS = 88
CELL, LINE, MARGIN = 8.4, 20, 18  # pixels: a character's width, a line's height, the border
FILES = {
    "Kubefile": "FROM scratch\nCOPY scripts scripts\n",
    "scripts/init.sh": "#!/bin/sh\necho hello from $HostIP\n",
    "scripts/check.sh": "#!/bin/sh\necho all good\n",
    "Clusterfile": """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {{name: hello}}
spec:
  image: hello:1
  dataRoot: {data}
  hosts: [{{ips: [127.0.0.1], roles: [master]}}]
""",
}
COMMANDS = (
    "sealer build -t hello:1 .",
    "sealer apply Clusterfile --yes",
    "sealer status",
    "sealer check hello",
    "sealer delete hello --yes",
)


def session() -> list[tuple[str, str]]:
    """Each command and what it printed, on both streams.

    :raises subprocess.CalledProcessError: one failed.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "hello"
        for path, text in FILES.items():
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text.format(data=f"{name}/data") if path == "Clusterfile" else text)
            target.chmod(0o755 if path.endswith(".sh") else 0o644)
        environment = {**os.environ, "SEALER_HOME": f"{name}/home", "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
        return [(command, _said(command, work, environment)) for command in COMMANDS]


def _said(command: str, work: Path, environment: dict[str, str]) -> str:
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(
        words, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout


def drawn(commands: Sequence[tuple[str, str]]) -> str:
    """The session as an SVG that loads nothing.

    :param commands: each with its output.
    """
    lines: list[tuple[str, str]] = []
    for command, output in commands:
        lines += [("typed", f"$ {command}"), *(("said", line) for line in _folded(output)), ("said", "")]
    width, height = round(COLUMNS * CELL + 2 * MARGIN), (len(lines) - 1) * LINE + 2 * MARGIN
    texts = "\n".join(
        f'<text class="{kind}" x="{MARGIN}" y="{MARGIN + 14 + number * LINE}" textLength="{len(line) * CELL:.1f}" '
        f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(line)}</text>'
        for number, (kind, line) in enumerate(lines)
        if line
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" aria-label="A terminal session: build an image, create a cluster, check it and delete it">
<style>text {{ font: 14px monospace; fill: #d8dee6; }} .typed {{ fill: #7fd17f; font-weight: bold; }}</style>
<rect width="100%" height="100%" rx="8" fill="#161b22"/>
{texts}
</svg>
"""


def _folded(output: str) -> list[str]:
    """Lines that fit, as a terminal folds them."""
    return [
        line[at : at + COLUMNS] for line in output.rstrip().splitlines() for at in range(0, max(len(line), 1), COLUMNS)
    ]


def main() -> int:
    """Run and draw."""
    if os.geteuid() != 0:
        sys.stderr.write("The session's cluster is this machine: run this as root.\n")
        return 1
    PAGE.write_text(drawn(session()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
