"""What bash, zsh and fish complete: names of clusters, hosts, images, plugins and providers, in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.cli.entry import run
from sealer.cluster.home import ClusterHome
from sealer.cluster.state import save, save_settled
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import Host

# Each gets the line as $LINE, and prints what may stand in place of its last word.
SHELLS = {
    "bash": """
        source <(sealer completion bash) || exit 1
        COMP_LINE=$LINE COMP_POINT=${#LINE}
        _sealer_completion sealer
        printf '%s\\n' "${COMPREPLY[@]}" """,
    "zsh": """
        autoload -Uz compinit && compinit -u -D && eval "$(sealer completion zsh)" || exit 1
        _describe() { for option in ${(P)3}; do print -r -- ${${${option//\\\\:/$X}%%:*}//$X/:}; done }
        compadd() { print -rl -- ${(P)@[-1]} }
        X=$'\\1'
        words=("${(@s: :)LINE}") CURRENT=$#words
        $_comps[sealer]""",
    "fish": 'sealer completion fish | source; complete -C "$LINE" | string split -f 1 \\t',
}
HOSTS = ("192.168.7.1", "192.168.7.2", "192.168.7.3")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clusters, two images."""
    directory = tmp_path_factory.mktemp("completion")
    (directory / "Kubefile").write_text("FROM scratch\nCOPY Kubefile .\nCMD true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALER_HOME", str(directory / "home"))
        assert run(["build", "-q", "-t", "etcd:3.4", "-t", "127.0.0.1:5000/team/web:1.2", str(directory)]) == 0
    for name, hosts in (("prod", HOSTS), ("prelive", HOSTS[:1])):
        members = [Host(address, roles=("master",) if address == HOSTS[0] else ("node",)) for address in hosts]
        cluster = Cluster(name=name, image="etcd:3.4", hosts=tuple(members))
        path = ClusterHome(directory / "home/clusters" / name)
        path.directory.mkdir(parents=True)
        recorded = Recorded(
            name=name,
            status="running",
            image="etcd:3.4",
            hosts=tuple(RecordedHost(host, member=True) for host in members),
            clusterfile=Clusterfile(cluster=cluster),
        )
        save_settled(path, recorded.clusterfile)
        save(path, recorded)
    command = directory / "sealer"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sealer "$@"\n')
    command.chmod(0o755)
    return directory


def completed(shell: str, line: str, home: Path) -> list[str]:
    """The words that a shell would offer, whole."""
    environment = {
        **os.environ,
        "PATH": f"{home}:{os.environ['PATH']}",
        "HOME": str(home),
        "SEALER_HOME": str(home / "home"),
        "LINE": line,
    }
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", SHELLS[shell]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    typed = line.rpartition(" ")[2]
    # bash replaces what stands behind the last ':' only.
    before = typed[: typed.rfind(":") + 1] if shell == "bash" else ""
    return [before + word for word in done.stdout.splitlines() if word]


@pytest.mark.parametrize("shell", SHELLS)
def test_names_are_completed_in_a_real_shell(shell: str, home: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"this machine has no {shell}")
    for line, words in {
        "sealer status pr": ["prelive", "prod"],
        "sealer check --name pro": ["prod"],
        "sealer delete --name prod -n 192": [*HOSTS[1:]],
        "sealer delete --name prod -n 192.168.7.2,192": [f"192.168.7.2,{HOSTS[2]}"],
        "sealer inspect etcd:": ["etcd:3.4"],
        "sealer push 127.0.0.1:5000/team/web:": ["127.0.0.1:5000/team/web:1.2"],
        "sealer plugin show baremet": ["baremetal"],
        "sealer run etcd:3.4 --provider bare": ["baremetal"],
        "sealer help plugin sh": ["show"],
    }.items():
        assert completed(shell, line, home) == words, line


def test_a_damaged_record_completes_nothing_and_says_nothing(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "home", tmp_path / "home")
    (tmp_path / "home/clusters/prod/state.json").write_text("{")
    done = subprocess.run(
        [sys.executable, "-m", "sealer"],
        env={
            **os.environ,
            "SEALER_HOME": str(tmp_path / "home"),
            "_SEALER_COMPLETE": "bash_complete",
            "COMP_WORDS": "sealer delete --name prod -n 1",
            "COMP_CWORD": "5",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
