"""How long Kubernetes takes from `sealer run` to all nodes ready, beside ssh, tar and kubeadm by hand on hosts alike.

Run: python tests/benchmarks/kubernetes_install.py --lab DIRECTORY [--rounds N] [--only WORD] [--json FILE]

SEALER_KUBERNETES_PAYLOAD names the Kubernetes, as for the tests. DIRECTORY has two programs: `hosts up N` boots hosts
198.18.0.11 and on, which take root's password Seal-er1, in the network namespace `sealer-lab`, and `hosts down` removes
them; `by-hand MASTERS NODES` makes a cluster of such hosts and prints a line `STAGE SECONDS` a stage. Each round takes
both ways one after the other, on hosts just booted.

The aims: one master and one node in at most 1.15 of the time by hand, three masters and one node in at most 0.9, with
at most 150 MB of memory.
"""

# ruff: noqa: T201  # a table is its purpose

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import MB, SEALER, Run, in_turns, keep, machine, run, show

PAYLOAD = "SEALER_KUBERNETES_PAYLOAD"
NAMESPACE = "sealer-lab"
FIRST = 11  # the last number of the first host's address
PASSWORD = "Seal-er1"  # of hosts that live for minutes in a namespace of their own
IMAGE, CLUSTER = "kubernetes:base", "measured"
BY_HAND = 900  # seconds, to its end
STAGE = re.compile(r"^(\S+) (\d*\.\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Lab:
    """Hosts, and the two ways to a cluster of them.

    :param tools: the directory with `hosts` and `by-hand`.
    :param home: of sealer, with the image.
    """

    tools: Path
    home: Path

    def up(self, count: int) -> None:
        """Hosts that nothing has run on."""
        self.down()
        self._hosts("up", str(count))

    def down(self) -> None:
        """No hosts any more."""
        self._hosts("down")

    def by_hand(self, masters: int, nodes: int) -> float:
        """Seconds of all stages, on hosts just booted."""
        self.up(masters + nodes)
        command = [str(self.tools / "by-hand"), str(masters), str(nodes)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=BY_HAND).stdout
        stages = STAGE.findall(said)
        print(f"  by hand: {', '.join(f'{stage} {float(seconds):.1f}' for stage, seconds in stages)}", flush=True)
        return sum(float(seconds) for _, seconds in stages)

    def install(self, masters: int, nodes: int) -> Run:
        """`sealer run`, and a look whether all nodes are ready; the time of both."""
        words = ["--masters", _range(FIRST, masters)]
        words += ["--nodes", _range(FIRST + masters, nodes)] if nodes else []
        installed = self.sealer("run", IMAGE, "--name", CLUSTER, *words, "--passwd", PASSWORD)
        ready = ["wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"]
        waited = self.sealer("kubectl", "--name", CLUSTER, "--", *ready)
        done = Run(installed.seconds + waited.seconds, installed.megabytes)
        print(f"  sealer: {done.seconds:.1f} s, {done.megabytes:.0f} MB, {path_of(self.timeline())}", flush=True)
        return done

    def forget(self) -> None:
        """The cluster's record goes; its hosts are thrown away."""
        shutil.rmtree(self.home / "clusters")
        for name in ("kubeconfig", "known_hosts"):
            (self.home / name).unlink(missing_ok=True)

    def delete(self, *options: str) -> Run:
        """`sealer delete` of the whole cluster."""
        return self.sealer("delete", "--all", "--name", CLUSTER, "--yes", *options)

    def sealer(self, *words: str) -> Run:
        """The command, where the hosts are."""
        command = ["ip", "netns", "exec", NAMESPACE, str(SEALER), "-q", *words]
        return run(command, {"SEALER_HOME": str(self.home), "KUBECONFIG": str(self.home / "kubeconfig")})

    def timeline(self) -> Mapping[str, Any]:
        """What took the time in the last run."""
        command = [str(SEALER), "timeline", "--name", CLUSTER, "--output", "json"]
        environment = {**os.environ, "SEALER_HOME": str(self.home)}
        told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        return json.loads(told)  # type: ignore[no-any-return]  # as documented for the command

    def sent(self) -> int:
        """Bytes that this machine sent to all hosts so far; what hosts sent one another is not in it."""
        command = ["ip", "-n", NAMESPACE, "-s", "-j", "link", "show", "br0"]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return int(json.loads(told)[0]["stats64"]["tx"]["bytes"])

    def _hosts(self, *words: str) -> None:
        subprocess.run([str(self.tools / "hosts"), *words], check=True, capture_output=True, timeout=300)


def main() -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--lab",
        type=Path,
        default=os.environ.get("SEALER_LAB_TOOLS"),
        help="directory with the programs `hosts` and `by-hand`; default: $SEALER_LAB_TOOLS",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--only", default="", help="leave out the measurements whose name does not have this word")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    payload = os.environ.get(PAYLOAD, "")
    if not arguments.lab or not payload:
        print(f"not measured: it takes --lab, and a Kubernetes that {PAYLOAD} names", file=sys.stderr)
        return 0
    figures: dict[str, float] = {"load before": os.getloadavg()[0]}
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(arguments.lab, Path(directory))
        home = {"SEALER_HOME": directory}
        run([SEALER, "-q", "kubernetes", "base", "--from", payload, "-t", IMAGE], home)
        try:
            for measure in (one_and_one, three_and_one, bytes_sent, kept_layers):
                if arguments.only in measure.__name__:
                    found = measure(lab, arguments.rounds)
                    figures |= found
                    show(found)
        finally:
            lab.down()
    figures["load after"] = os.getloadavg()[0]
    print(machine())
    keep(figures, arguments.json)
    return 0


def one_and_one(lab: Lab, rounds: int) -> dict[str, float]:
    """One master and one node."""
    return beside(lab, rounds, 1, 1)


def three_and_one(lab: Lab, rounds: int) -> dict[str, float]:
    """Three masters and one node."""
    return beside(lab, rounds, 3, 1)


def beside(lab: Lab, rounds: int, masters: int, nodes: int) -> dict[str, float]:
    """Both ways in turns."""
    runs: dict[str, list[Run]] = {}

    def ours() -> Run:
        lab.up(masters + nodes)
        done = lab.install(masters, nodes)
        lab.forget()
        return done

    ways: dict[str, Callable[[], Run]] = {"ours": ours, "theirs": lambda: Run(lab.by_hand(masters, nodes), 0)}
    for number in range(rounds):
        in_turns(runs, number, ways)
    name = f"{masters} + {nodes}"
    our_time, their_time = (statistics.median(one.seconds for one in runs[way]) for way in ("ours", "theirs"))
    ratios = [ours.seconds / theirs.seconds for ours, theirs in zip(runs["ours"], runs["theirs"], strict=True)]
    return {
        f"{name}, sealer run, s": our_time,
        f"{name}, by hand, s": their_time,
        f"{name}, ratio": our_time / their_time,
        f"{name}, worst ratio of a round": max(ratios),
        f"{name}, most memory, MB": max(one.megabytes for one in runs["ours"]),
    }


def bytes_sent(lab: Lab, rounds: int) -> dict[str, float]:
    """What leaves this machine for one host, two, and four."""
    found = {}
    for nodes in (0, 1, 3):
        lab.up(1 + nodes)
        before = lab.sent()
        lab.install(1, nodes)
        found[f"sent to {1 + nodes} hosts, MB"] = (lab.sent() - before) / MB
        lab.forget()
    return found


def kept_layers(lab: Lab, rounds: int) -> dict[str, float]:
    """The same hosts again, after `delete --keep-layers`."""
    found: dict[str, float] = {}
    lab.up(2)
    for turn in ("first", "again, layers kept"):
        before = lab.sent()
        done = lab.install(1, 1)
        found[f"1 + 1, {turn}, s"] = done.seconds
        found[f"1 + 1, {turn}, sent, MB"] = (lab.sent() - before) / MB
        found[f"1 + 1, deleted after {turn}, s"] = lab.delete("--keep-layers").seconds
    return found


def path_of(timeline: Mapping[str, Any]) -> str:
    """The longest steps of the critical path."""
    path = timeline["criticalPath"]
    longest = sorted(path, key=lambda step: step["seconds"], reverse=True)[:6]
    waits = sum(step["wait"] for step in path)
    steps = [f"{step['step']} {step['seconds']:.1f}" for step in path if step in longest]
    return f"{', '.join(steps)}, waits {waits:.1f}"


def _range(first: int, count: int) -> str:
    return f"198.18.0.{first}-198.18.0.{first + count - 1}"


if __name__ == "__main__":
    sys.exit(main())
