"""What `helm template` makes of a chart. helm reads files and writes text; it is kept from everything else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sealer.image.discovery.charts import RELEASE
from sealer.image.discovery.documents import decoded
from sealer.image.discovery.files import HELM
from sealer.image.discovery.manifests import read_manifest
from sealer.image.discovery.model import ImageReference, Mention
from sealer.image.discovery.scope import Scope

RENDERED = "helm"
PROGRAM = "helm"
SECONDS = 120  # for one chart
LARGEST_OUTPUT = 64 * 1024 * 1024

_SOURCE = re.compile(r"(?m)^# Source: (?P<path>\S.*?)\r?$")
_IMAGE_LINE = re.compile(r"image[\"']?\s*:")
# Nobody listens there: a schema that refers to a page, or whatever else would fetch something, fails at once.
_NOWHERE = "http://127.0.0.1:9"


class HelmError(Exception):
    """helm could not render a chart; the message says why in a line."""


def find_helm(rootfs: Path | None = None) -> Path | None:
    """The helm of this machine, or the one that a rootfs brings in its `bin`; None: there is none."""
    if here := shutil.which(PROGRAM):
        return Path(here)
    program = rootfs / HELM if rootfs else None
    if program and program.is_file() and not program.is_symlink() and os.access(program, os.X_OK):
        return program.absolute()
    return None


@dataclass(frozen=True)
class Helm:
    """How charts are rendered.

    :param program: helm.
    :param kubernetes: the version charts are told; empty: helm's own default.
    :param seconds: that one chart may take.
    """

    program: Path
    kubernetes: str = ""
    seconds: float = SECONDS

    def render(
        self,
        files: Mapping[str, bytes],
        place: str,
        values: Sequence[Path | bytes],
        settings: Sequence[tuple[str, str]] = (),
    ) -> list[Mention]:
        """The images of what helm makes of a chart.

        :param files: its files by path.
        :param place: what their paths are below, for messages; with a slash at its end.
        :param values: files of values, or what is in them; the last wins.
        :param settings: flags like `--set`, each with its value.
        :raises HelmError: helm failed, or took too long.
        """
        with tempfile.TemporaryDirectory(prefix="sealer-helm-") as work:
            directory = Path(work) / "chart"
            _write(directory, files)
            given = [_value_file(Path(work), number, one) for number, one in enumerate(values)]
            chosen = [word for file in given for word in ("--values", os.fspath(file.absolute()))]
            text = decoded(self._run(Path(work), directory, [*chosen, *(word for pair in settings for word in pair)]))
        return _mentions(text, files, place)

    def _run(self, work: Path, directory: Path, chosen: Sequence[str]) -> bytes:
        command = [os.fspath(self.program.absolute()), "template", RELEASE, os.fspath(directory), *chosen]
        if self.kubernetes:
            command += ["--kube-version", self.kubernetes]
        output, complaints = work / "output", work / "complaints"
        try:
            with output.open("wb") as out, complaints.open("wb") as err:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=work,
                    env=_environment(work),
                    timeout=self.seconds,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            raise HelmError(f"helm template took more than {self.seconds:g} seconds") from None
        except OSError as error:
            raise HelmError(f"{self.program} cannot be run: {error.strerror}") from error
        if done.returncode:
            raise HelmError(_reason(complaints))
        if output.stat().st_size > LARGEST_OUTPUT:
            raise HelmError(f"helm template wrote more than {LARGEST_OUTPUT} bytes")
        return output.read_bytes()


def _environment(work: Path) -> dict[str, str]:
    """No configuration, plugin, cluster or network of the user's takes part."""
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.fspath(work),
        "KUBECONFIG": os.devnull,
        **{f"HELM_{name}_HOME": os.fspath(work / name.lower()) for name in ("CACHE", "CONFIG", "DATA")},
        **dict.fromkeys(proxies, _NOWHERE),
    }


def _value_file(work: Path, number: int, values: Path | bytes) -> Path:
    if isinstance(values, Path):
        return values
    file = work / f"values-{number}.yaml"
    file.write_bytes(values)
    return file


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _reason(complaints: Path) -> str:
    with complaints.open("rb") as file:
        lines = [line.strip() for line in decoded(file.read(65536)).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["helm template failed and said nothing"])[0]


def _mentions(text: str, files: Mapping[str, bytes], place: str) -> list[Mention]:
    sources = list(_SOURCE.finditer(text))
    starts = [text.count("\n", 0, source.start()) + 1 for source in sources]
    found = []
    for one in read_manifest("rendered.yaml", text.encode("utf-8", "replace"), Scope(rule=RENDERED)):
        number = bisect_right(starts, one.line) - 1
        path = sources[number]["path"].partition("/")[2] if number >= 0 else "Chart.yaml"
        found.append(replace(one, file=f"{place}{path}", line=_line(one, files.get(path, b""))))
    return found


def _line(one: Mention, template: bytes) -> int:
    """Where a template mentions what was rendered from it; 0 where several lines may."""
    where = decoded(template).splitlines()
    if isinstance(one, ImageReference):
        literal = [number for number, line in enumerate(where, start=1) if one.image in line]
        if literal:
            return literal[0]
    named = [number for number, line in enumerate(where, start=1) if _IMAGE_LINE.search(line) and "{{" in line]
    return named[0] if len(named) == 1 else 0
