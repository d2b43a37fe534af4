"""The scripts that steps run, as shellcheck sees them and as a shell runs them where no cluster is needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sealer_plugin_kubeadm.scripts import script

ALONE = ("probe", "check", "receive", "hosts", "etcd", "leave", "images", "pod-ranges", "settle-master")
AFTER_COMMON = ("init", "join-master", "join-node")
SHELLCHECK = ("-s", "sh", "-e", "SC2034", "-")  # variables of `common.sh` that one of the three does not use


@pytest.mark.parametrize(
    "names", [(name,) for name in ALONE] + [("common", name) for name in AFTER_COMMON], ids="-".join
)
def test_shellcheck_has_nothing_to_say(names: tuple[str, ...]) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("this machine has no shellcheck")
    checked = subprocess.run([checker, *SHELLCHECK], input=script(*names), capture_output=True, text=True, check=False)
    assert checked.stdout == ""


def hosts(file: Path, lines: str, cluster: str = "c") -> str:
    text = script("hosts").replace("/etc/hosts", str(file)).replace("/etc/.sealer", str(file.parent / ".sealer"))
    env = {"SEALER_CLUSTER": cluster, "SEALER_LINES": lines, "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", text], check=True, env=env)
    return file.read_text()


def test_lines_of_the_cluster_come_change_and_go(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    before = "127.0.0.1 localhost # sealer: other\n192.0.2.1 a b # mine\n"
    file.write_text(before)
    file.chmod(0o644)
    assert (
        hosts(file, "192.0.2.11 apiserver.cluster.local") == f"{before}192.0.2.11 apiserver.cluster.local # sealer: c\n"
    )
    two = hosts(file, "127.0.0.1 apiserver.cluster.local\n192.0.2.9 db")
    assert two == f"{before}127.0.0.1 apiserver.cluster.local # sealer: c\n192.0.2.9 db # sealer: c\n"
    stamp = file.stat().st_ino, file.stat().st_mtime_ns
    hosts(file, "127.0.0.1 apiserver.cluster.local\n192.0.2.9 db")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == stamp
    assert hosts(file, "") == before
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]
