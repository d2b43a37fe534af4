"""What `helm template` makes of a chart. helm reads files and writes text; it is kept from everything else."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sealer.image.contained import Report
from sealer.image.discovery.charts import RELEASE
from sealer.image.discovery.documents import decoded
from sealer.image.discovery.files import HELM
from sealer.image.discovery.manifests import read_manifest
from sealer.image.discovery.model import ImageReference, Mention
from sealer.image.discovery.scope import Scope

if TYPE_CHECKING:
    from sealer.image.containment import Request

RENDERED = "helm"
PROGRAM = "helm"
SECONDS = 120  # for one chart
LARGEST_OUTPUT = 64 * 1024 * 1024

_SOURCE = re.compile(r"(?m)^# Source: (?P<path>\S.*?)\r?$")
_IMAGE_LINE = re.compile(r"image[\"']?\s*:")
# Nobody listens there: a schema that refers to a page, or whatever else would fetch something, fails at once.
_NOWHERE = "http://127.0.0.1:9"
_NOT_CONTAINED = "bin/helm of the image is not run, as it cannot be contained here ({}): name another with --helm"


class HelmError(Exception):
    """helm could not render a chart; the message says why in a line."""


def find_helm() -> Path | None:
    """The helm of this machine; None: there is none."""
    here = shutil.which(PROGRAM)
    return Path(here) if here else None


def brings_helm(rootfs: Path) -> bool:
    """Whether a rootfs has a helm in its `bin`."""
    program = rootfs / HELM
    return program.is_file() and not program.is_symlink() and os.access(program, os.X_OK)


@dataclass(frozen=True)
class Helm:
    """How charts are rendered.

    :param program: helm, of this machine.
    :param rootfs: whose own helm is to be run instead: it is the image's, and sees nothing but itself and the chart.
    :param kubernetes: the version charts are told; empty: helm's own default.
    :param seconds: that one chart may take.
    """

    program: Path | None = None
    kubernetes: str = ""
    seconds: float = SECONDS
    rootfs: Path | None = None

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
            _write(Path(work) / "chart", files)
            (Path(work) / "values").mkdir()
            given = [f"{number}.yaml" for number in range(len(values))]
            for name, one in zip(given, values, strict=True):
                (Path(work) / "values" / name).write_bytes(one if isinstance(one, bytes) else one.read_bytes())
            chosen = [word for pair in settings for word in pair]
            text = decoded(self._run(Path(work), given, chosen))
        return _mentions(text, files, place)

    def _run(self, work: Path, given: Sequence[str], chosen: Sequence[str]) -> bytes:
        output, complaints = work / "output", work / "complaints"
        try:
            with output.open("wb") as out, complaints.open("wb") as err:
                run = self._run_own if self.program else self._run_contained
                status = run(work, given, chosen, (out.fileno(), err.fileno()))
        except subprocess.TimeoutExpired:
            raise HelmError(f"helm template took more than {self.seconds:g} seconds") from None
        except OSError as error:
            raise HelmError(f"{self.program or HELM} cannot be run: {error.strerror}") from error
        if status == -signal.SIGXFSZ or output.stat().st_size > LARGEST_OUTPUT:
            raise HelmError(f"helm template wrote more than {LARGEST_OUTPUT} bytes")
        if status:
            raise HelmError(_reason(complaints))
        return output.read_bytes()

    def _run_own(self, work: Path, given: Sequence[str], chosen: Sequence[str], streams: tuple[int, int]) -> int:
        assert self.program
        command = [os.fspath(self.program.absolute()), *self._arguments(str(work), given, chosen)]
        environment = _environment(work, os.environ.get("PATH", os.defpath))
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=streams[0], stderr=streams[1], cwd=work, env=environment,
            timeout=self.seconds, check=False,
        ).returncode  # fmt: skip

    def _run_contained(self, work: Path, given: Sequence[str], chosen: Sequence[str], streams: tuple[int, int]) -> int:
        if sys.platform != "linux":
            raise HelmError(_NOT_CONTAINED.format("that needs Linux"))
        assert self.rootfs
        (work / "world").mkdir()
        request: Request = {
            "directory": str(work),
            "copied": False,
            "top": "/tmp",  # noqa: S108  # in its own world
            "command": f"exec {shlex.join([f'/rootfs/{HELM}', *self._arguments('', given, chosen)])}",
            "environment": _environment(Path("/tmp"), "/rootfs/bin:/usr/bin:/bin"),  # noqa: S108
            "secrets": {},
            "private": [],
            "rewritten": {},
            "network": False,
            "shown": {
                "/rootfs": str(self.rootfs.absolute()),
                "/chart": str(work / "chart"),
                "/values": str(work / "values"),
            },
        }
        with Report() as report:
            subprocess.run(
                report.arguments, input=json.dumps(request).encode(), stdout=streams[0], stderr=streams[1], cwd="/",
                env={}, timeout=self.seconds, check=False, pass_fds=(report.end,),
            )  # fmt: skip
            status, why = report.outcome()
        if status is None:
            raise HelmError(_NOT_CONTAINED.format(why or "its world could not be made"))
        return status

    def _arguments(self, top: str, given: Sequence[str], chosen: Sequence[str]) -> list[str]:
        """Of helm, which finds the chart and the given files of values below a directory."""
        arguments = ["template", RELEASE, f"{top}/chart"]
        for name in given:
            arguments += ["--values", f"{top}/values/{name}"]
        arguments += chosen
        return [*arguments, "--kube-version", self.kubernetes] if self.kubernetes else arguments


def _environment(work: Path, path: str) -> dict[str, str]:
    """No configuration, plugin, cluster or network of the user's takes part."""
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return {
        "PATH": path,
        "HOME": os.fspath(work),
        "KUBECONFIG": os.devnull,
        **{f"HELM_{name}_HOME": os.fspath(work / name.lower()) for name in ("CACHE", "CONFIG", "DATA")},
        **dict.fromkeys(proxies, _NOWHERE),
    }


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
