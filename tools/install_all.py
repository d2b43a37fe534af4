"""Installs distributions of this tree, editable, into the environment that runs this: all, or those named.

For lint and whoever edits; tests run on what users get, which tools/wheels.py installs. Done again only when a
distribution came, went or changed its metadata (an entry point, say).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
STAMP = Path(sys.prefix) / "sealer-installed"  # what is installed, and how: by this or by tools/wheels.py


def distributions() -> list[Path]:
    """Every directory of this tree that is a distribution, the kernel first."""
    found = sorted(path.parent for kind in ("builtin_plugins", "plugins") for path in ROOT.glob(f"{kind}/*/setup.cfg"))
    return [ROOT, *found]


def fingerprint(paths: list[Path]) -> str:
    """Changes with every distribution's metadata."""
    digest = hashlib.sha256(CONSTRAINTS.read_bytes())
    for path in paths:
        digest.update(f"{path}\0".encode())
        digest.update((path / "setup.cfg").read_bytes() + (path / "pyproject.toml").read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Install what is not installed as it stands."""
    paths = [(ROOT / name).resolve() for name in sys.argv[1:]] or distributions()
    wanted = fingerprint(paths)
    if STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, "--no-build-isolation"]
    editable = [word for path in paths for word in ("-e", str(path))]
    status = subprocess.run([*command, "-c", str(CONSTRAINTS), *editable], check=False).returncode
    if status == 0:
        STAMP.write_text(wanted)
    return status


if __name__ == "__main__":
    sys.exit(main())
