"""The scripts of the tree as a shell and shellcheck see them; on real hosts they run in tests/kubernetes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import sealer_plugin_kubeadm

SCRIPTS = sorted((Path(sealer_plugin_kubeadm.__file__).parent / "tree" / "scripts").glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    checker = shutil.which("shellcheck")
    if not checker:
        pytest.skip("there is no shellcheck here")
    done = subprocess.run(
        [checker, "--external-sources", "--source-path=SCRIPTDIR", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_posix_shell_can_read_it(script: Path) -> None:
    assert script.read_text().startswith(("#!/bin/sh\n", "# shellcheck shell=sh\n"))
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-ABC - [0:0]
:DOCKER - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m comment --comment "not for KUBE-SERVICES" -j DOCKER
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-ABC
-A DOCKER -j RETURN
COMMIT
*filter
:FORWARD DROP [5:300]
-A FORWARD -j ACCEPT
COMMIT
"""


def test_chains_are_taken_out_of_the_rules_of_others(tmp_path: Path) -> None:
    # No real iptables: that is what the tests on hosts have. Here it is about rules that no test host has.
    (tmp_path / "iptables-save").write_text(f"#!/bin/sh\ncat <<'EOF'\n{SAVED}EOF\n")
    (tmp_path / "iptables-restore").write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/asked; cat >>{tmp_path}/asked\n')
    (tmp_path / "ip6tables-save").write_text("#!/bin/sh\nexit 1\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    [script] = [path for path in SCRIPTS if path.name == "iptables.sh"]
    subprocess.run(["sh", script, "KUBE-", "CNI-"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--noflush",
        "*nat",
        ":KUBE-SERVICES - [0:0]",
        ":KUBE-SVC-ABC - [0:0]",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-X KUBE-SERVICES",
        "-X KUBE-SVC-ABC",
        "COMMIT",
    ]
