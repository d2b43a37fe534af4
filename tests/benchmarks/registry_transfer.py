"""How push and pull compare with skopeo's, on this machine, right now: the same bytes and registry, in turns.

Run: python tests/benchmarks/registry_transfer.py [--rounds N] [--megabytes N] [--only WORD] [--json FILE]

The aims: push to an empty registry and pull into an empty store in at most 1.2 of skopeo's time, push again with one
small layer changed in at most 0.4 s, 30 container images in at most half the time of 30 calls of skopeo, at most 120 MB
of memory each, also for a layer of 2 GB; killed at half and started again, at most 55 % (pull) and 65 % (push) more.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from measuring import MB, MEMORY, SEALER, Run, in_turns, keep, machine, median, ratio, run, show

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "peers"))

from docker_registry import OBSTACLE, DockerRegistry  # noqa: E402  # a module of the tests
from faulty_proxy import FaultyProxy  # noqa: E402

BINARIES = ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/git-core", "/usr/lib")
FETCH = """\
import sys
from pathlib import Path
from sealer.events import EventStream
from sealer.image.registry.fetch import fetch_images
from sealer.image.registry.registries import Registries
from sealer.image.store import Store
store = Store(Path(sys.argv[1]))
with store.stage() as staging:
    fetch_images(sys.argv[2:], ["linux/amd64"], staging=staging, store=store,
                 registries=Registries.of(Path(sys.argv[1])), events=EventStream())
"""


class Site:
    """Images, and registries that begin empty."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self._number = 0

    def new(self) -> Path:
        """An empty directory."""
        self._number += 1
        made = self.directory / f"dir{self._number}"
        made.mkdir()
        return made

    def sealer(self, *words: str | Path, home: Path | None = None) -> Run:
        """The command, as a user starts it."""
        return run([SEALER, "-q", *words], {"SEALER_HOME": str(home or self.home)})

    def build(self, name: str, files: dict[str, Iterator[bytes]]) -> Run:
        """An image with one layer for each file."""
        context = self.new()
        lines = ["FROM scratch"]
        for file, blocks in files.items():
            with (context / file).open("wb") as opened:
                for block in blocks:
                    opened.write(block)
            lines.append(f"COPY {file} data/")
        (context / "Kubefile").write_text("\n".join(lines) + "\n")
        built = self.sealer("build", "-t", name, context)
        shutil.rmtree(context)
        return built


def main() -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts")
    parser.add_argument("--megabytes", type=int, default=216, help="of binaries in the image")
    parser.add_argument("--only", default="", help="leave out the measurements whose name does not have this word")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if OBSTACLE or not shutil.which("skopeo"):
        print(OBSTACLE or "skopeo is not installed", file=sys.stderr)
        return 1
    figures: dict[str, float] = {"load before": os.getloadavg()[0]}
    print(machine())
    for measure in (moving, many, memory, large, killed_pull, killed_push):
        if arguments.only in measure.__name__:
            with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
                found = measure(Site(Path(directory)), arguments.rounds, arguments.megabytes)
            figures |= found
            show(found)
    figures["load after"] = os.getloadavg()[0]
    print(machine())
    keep(figures, arguments.json)
    return 0


def moving(site: Site, rounds: int, megabytes: int) -> dict[str, float]:
    """push, push again, pull of an image of binaries."""
    site.build("app:v1", {"binaries": binaries(megabytes * MB)})
    layout = f"oci:{site.home / 'images'}:app:v1"
    runs: dict[str, list[Run]] = {}
    for number in range(rounds):
        with ExitStack() as stack:
            ours, theirs, kept = (stack.enter_context(DockerRegistry(site.new())) for _ in range(3))
            name, there = f"{ours.address}/ns/app:v1", f"docker://{theirs.address}/ns/app:v1"
            keeping = f"docker://{kept.address}/ns/app:v1"
            site.sealer("tag", "app:v1", name)
            in_turns(
                runs,
                number,
                {
                    "push": partial(site.sealer, "push", name),
                    "skopeo push": partial(skopeo, "--all", layout, there),
                    "skopeo push, digests kept": partial(skopeo, "--all", "--preserve-digests", layout, keeping),
                },
            )
            context = site.new()
            (context / "Kubefile").write_text(f"FROM {name}\nCOPY small data/\n")
            (context / "small").write_text(f"{number}\n" * 10_000)
            changed = name.replace(":v1", ":v2")
            site.sealer("build", "-t", changed, context)
            runs.setdefault("push again", []).append(site.sealer("push", changed))
            copies = [f"oci:{site.new()}:app:v1" for _ in range(2)]
            in_turns(
                runs,
                number,
                {
                    "pull": partial(site.sealer, "pull", name, home=site.new()),
                    "skopeo pull": partial(skopeo, "--all", there, copies[0]),
                    "skopeo pull, digests kept": partial(skopeo, "--all", "--preserve-digests", keeping, copies[1]),
                },
            )
            site.sealer("rmi", name, changed)
        clean(site)
    found = medians(runs)
    for what in ("push", "pull"):
        found[f"{what}: of skopeo's time"] = ratio(runs[what], runs[f"skopeo {what}"])
        found[f"{what}: of skopeo's time, digests kept"] = ratio(runs[what], runs[f"skopeo {what}, digests kept"])
    return found


def many(site: Site, rounds: int, _: int) -> dict[str, float]:
    """30 container images of 5 layers each."""
    for number in range(30):
        files = {f"layer{layer}": noise(MB // 2, number * 10 + layer) for layer in range(5)}
        site.build(f"c{number}:v1", files)
    runs: dict[str, list[Run]] = {}
    with DockerRegistry(site.new()) as registry:
        names = [f"{registry.address}/containers/c{number}:v1" for number in range(30)]
        for number, name in enumerate(names):
            layout = f"oci:{site.home / 'images'}:c{number}:v1"
            skopeo(layout, f"docker://{name}")
        for number in range(rounds):
            ways = {
                "30 images": lambda: run([sys.executable, "-c", FETCH, site.new(), *names]),
                "30 images by skopeo": lambda: one_by_one(names, site.new()),
            }
            in_turns(runs, number, ways)
            clean(site, but=registry.storage.parent)
    return {**medians(runs), "30 images: of skopeo's time": ratio(runs["30 images"], runs["30 images by skopeo"])}


def one_by_one(names: Sequence[str], target: Path) -> Run:
    """A call of skopeo for each image."""
    each = [skopeo(f"docker://{name}", f"oci:{target}:c{number}") for number, name in enumerate(names)]
    return Run(sum(one.seconds for one in each), max(one.megabytes for one in each))


def memory(site: Site, _: int, megabytes: int) -> dict[str, float]:
    """The memory that each command needs for the image of binaries."""
    return peaks(site, f"{megabytes} MB", binaries(megabytes * MB))


def large(site: Site, *_: int) -> dict[str, float]:
    """The memory that each command needs for a layer of 2 GB."""
    return peaks(site, "2 GB", noise(2000 * MB, 1))


def peaks(site: Site, size: str, content: Iterator[bytes]) -> dict[str, float]:
    """Megabytes that each command had at most, with one layer."""
    archive = site.new() / "image.tar"
    runs = {"build": site.build("one:v1", {"file": content})}
    with DockerRegistry(site.new()) as registry:
        name = f"{registry.address}/ns/one:v1"
        site.sealer("tag", "one:v1", name)
        runs["save"] = site.sealer("save", "-o", archive, name)
        shutil.rmtree(site.home)
        runs["load"] = site.sealer("load", "-i", archive)
        archive.unlink()
        runs["push"] = site.sealer("push", name)
        shutil.rmtree(site.home)
        runs["pull"] = site.sealer("pull", name)
    return {f"{what} of {size}: MB of memory": one.megabytes for what, one in runs.items()}


def killed_pull(site: Site, *_: int) -> dict[str, float]:
    """Killed at half of 1 GB, in ten layers; what the second run moves."""
    site.build("app:v1", {f"file{number}": noise(100 * MB, number) for number in range(10)})
    with DockerRegistry(site.new()) as registry, FaultyProxy(registry.address) as proxy:
        name = f"{proxy.address}/ns/app:v1"
        site.sealer("tag", "app:v1", name)
        site.sealer("push", name)
        home = site.new()
        killed_at(proxy, 500 * MB, ["pull", name], home)
        proxy.open_gate()
        proxy.down = 0
        site.sealer("pull", name, home=home)
        return {"killed pull: % moved by the second run": proxy.down / (10 * MB)}


def killed_push(site: Site, *_: int) -> dict[str, float]:
    """Killed at half of ten blobs of 100 MB; what the second run moves."""
    site.build("app:v1", {f"file{number}": noise(100 * MB, number) for number in range(10)})
    with DockerRegistry(site.new()) as registry, FaultyProxy(registry.address) as proxy:
        name = f"{proxy.address}/ns/app:v1"
        site.sealer("tag", "app:v1", name)
        killed_at(proxy, 500 * MB, ["push", name], site.home)
        proxy.open_gate()
        proxy.up = 0
        site.sealer("push", name)
        return {"killed push: % moved by the second run": proxy.up / (10 * MB)}


def killed_at(proxy: FaultyProxy, count: int, words: Sequence[str], home: Path) -> None:
    """Run a command until so many bytes have passed, then kill it."""
    proxy.gate = count
    environment = {**os.environ, "SEALER_HOME": str(home)}
    with subprocess.Popen([SEALER, "-q", *words], env=environment) as process:
        if not proxy.reached.wait(300):
            raise RuntimeError("the proxy was never reached")
        process.kill()


def skopeo(*words: str) -> Run:
    """`skopeo copy`, with a registry of the loopback."""
    return run(["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *words])


def binaries(size: int) -> Iterator[bytes]:
    """The first bytes of this machine's programs and libraries, which compress as such do."""
    left = size
    for directory in BINARIES:
        for path in sorted(Path(directory).iterdir()):
            if left > 0 and path.is_file() and not path.is_symlink() and path.stat().st_size > 200_000:
                with path.open("rb") as file:
                    while left > 0 and (block := file.read(min(MB, left))):
                        left -= len(block)
                        yield block


def noise(size: int, seed: int) -> Iterator[bytes]:
    """Bytes that nothing compresses."""
    block, offset = random.Random(seed).randbytes(4 * MB), 0
    while offset < size:
        yield (offset.to_bytes(8, "big") + block)[: min(4 * MB, size - offset)]
        offset += 4 * MB


def medians(runs: dict[str, list[Run]]) -> dict[str, float]:
    """Seconds, and the most memory, of each."""
    found: dict[str, float] = {}
    for name, each in runs.items():
        found[f"{name}: s"] = median(each)
        found[f"{name}: MB of memory"] = max(one.megabytes for one in each)
    return found


def clean(site: Site, but: Path | None = None) -> None:
    """Give back the memory that a round has used."""
    for path in site.directory.glob("dir*"):
        if path != but:
            shutil.rmtree(path)


if __name__ == "__main__":
    sys.exit(main())
