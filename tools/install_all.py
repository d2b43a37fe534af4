"""Installs distributions of this tree, editable, into the environment that runs this: all, or those named.

Editable, because an in-tree build leaves `build/` directories from which deleted modules find their way into the next
wheel. Done again only when a distribution came, went or changed its metadata (an entry point, say).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"


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
    stamp = Path(sys.prefix) / "sealer-installed"
    wanted = fingerprint(paths)
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, "--no-build-isolation"]
    editable = [word for path in paths for word in ("-e", str(path))]
    status = subprocess.run([*command, "-c", str(CONSTRAINTS), *editable], check=False).returncode
    if status == 0:
        stamp.write_text(wanted)
    return status


if __name__ == "__main__":
    sys.exit(main())
