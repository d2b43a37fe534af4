"""The kernel's wheel and nothing else, in a fresh environment: it validates and plans, and says what a run needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from sealer.settings import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import wheels  # noqa: E402  # a script beside the packages

CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {name: alone}
spec:
  image: alone:1
  provider: {name: BAREMETAL}
  transport: {name: ssh, connectTimeout: 5}
  runtime: {name: kubeadm, certificateValidity: 1y}
  hosts:
  - {ips: [192.0.2.7], roles: [master]}
---
apiVersion: sealer.io/v2
kind: Plugin
metadata: {name: names}
spec: {type: HOSTNAME, data: "192.0.2.7 first"}
---
apiVersion: sealer.io/v2
kind: Plugin
metadata: {name: greet}
spec: {type: SHELL, action: PostInstall, on: "app=web", data: "echo hello"}
"""


class Kernel:
    """An environment with the kernel's wheel and what that depends on, used from a directory of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        [tree] = wheels.copy([ROOT], place / "tree")
        wheel = wheels.build("wheel", tree, place / "dist")
        shutil.rmtree(tree)
        venv = place / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        [site] = venv.glob("lib/python*/site-packages")
        shutil.unpack_archive(wheel, site, "zip")
        others = place / "others"
        others.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if "sealer" not in path.name and path.suffix not in (".pth", ".egg-link"):
                (others / path.name).symlink_to(path)
        (site / "others.pth").write_text(f"{others}\n")
        self.python = venv / "bin" / "python"
        self.work = place / "work"
        self.work.mkdir()
        (self.work / "Clusterfile").write_text(CLUSTERFILE)

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.place), "SEALER_HOME": str(self.place / "home")}
        return subprocess.run(
            [self.python, "-m", "sealer", *arguments],
            cwd=self.work,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        result = self(*arguments)
        assert result.returncode == 0, result.stderr + result.stdout
        return result


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    made = Kernel(tmp_path_factory.mktemp("kernel"))
    assert json.loads(made.done("plugin", "list", "--output", "json").stdout)["plugins"] == []
    return made


@pytest.fixture(scope="module")
def image(kernel: Kernel) -> str:
    """An image in the kernel's own store."""
    (kernel.work / "scripts").mkdir()
    (kernel.work / "scripts/init.sh").write_text("#!/bin/sh\necho init\n")
    (kernel.work / "Kubefile").write_text("FROM scratch\nCOPY scripts scripts\nCMD echo done\n")
    kernel.done("build", "-q", "-t", "alone:1", ".")
    return "alone:1"


def test_a_clusterfile_is_valid_without_what_it_names(kernel: Kernel) -> None:
    told = kernel.done("validate").stderr
    for what, package in (
        ("provider 'baremetal'", "sealer-plugin-baremetal"),
        ("transport 'ssh'", "sealer-plugin-ssh"),
        ("runtime 'kubeadm'", "sealer-plugin-kubeadm"),
        ("type 'HOSTNAME'", "sealer-plugin-hostname"),
        ("type 'SHELL'", "sealer-plugin-shell"),
    ):
        (line,) = [line for line in told.splitlines() if what in line]
        assert "is not installed" in line
        assert line.endswith(f"pip install {package}")
        assert "Clusterfile:" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("192.0.2.7]", "192.0.2.700]"), "192.0.2.700"),
        (("roles: [master]", "roles: [mastre]"), "did you mean 'master'"),
        (("name: BAREMETAL", "name: bearmetal"), "did you mean 'baremetal'"),
        (("type: SHELL", "type: SHEL"), "did you mean 'SHELL'"),
        (("action: PostInstall", "action: PostInstal"), "PostInstall"),
    ],
)
def test_mistakes_are_found_and_no_package_of_a_strangers_name_is_proposed(
    kernel: Kernel, change: tuple[str, str], words: str
) -> None:
    (kernel.work / "wrong").write_text(CLUSTERFILE.replace(*change))
    result = kernel("validate", "-f", "wrong")
    assert result.returncode == 2
    assert words in result.stderr
    proposed = [line.rpartition("pip install ")[2] for line in result.stderr.splitlines() if "pip install" in line]
    assert set(proposed) <= {package for packages in SHIPPED.values() for package in packages.values()}


def test_a_plan_is_made_as_far_as_it_goes(kernel: Kernel, image: str) -> None:
    shown = kernel.done("apply", "--dry-run").stdout
    assert "scripts/init.sh" in shown
    assert "Facts of 192.0.2.7: not read" in shown
    for package in ("baremetal", "ssh", "kubeadm", "hostname", "shell"):
        assert f"is not installed; pip install sealer-plugin-{package}" in shown
    plan = json.loads(kernel.done("apply", "--dry-run", "--output", "json").stdout)
    assert (plan["complete"], plan["hostFacts"], plan["unreadHosts"]) == (False, "not read", ["192.0.2.7"])
    assert "provider 'baremetal' is not installed; pip install sealer-plugin-baremetal" in plan["missing"]
    assert not (kernel.place / "home/clusters").exists()


@pytest.mark.parametrize(
    ("hosts", "added", "transport"),
    [
        (("-m", "192.0.2.8", "-n", "192.0.2.9-192.0.2.10"), ["192.0.2.8", "192.0.2.9", "192.0.2.10"], "ssh"),
        (("-m", "127.0.0.1"), ["127.0.0.1"], "local"),
        (("--provider", "NSPAWN", "-m", "1", "-n", "2"), ["master-0", "node-0", "node-1"], "ssh"),
    ],
)
def test_a_plan_of_hosts_on_the_command_line(
    kernel: Kernel, image: str, hosts: tuple[str, ...], added: list[str], transport: str
) -> None:
    plan = json.loads(kernel.done("run", image, *hosts, "--dry-run", "--output", "json").stdout)
    assert plan["added"] == added
    assert [what for what in plan["missing"] if what.startswith("transport")] == [
        f"transport '{transport}' is not installed; pip install sealer-plugin-{transport}"
    ]


def test_a_real_run_is_refused_with_all_that_it_needs(kernel: Kernel, image: str) -> None:
    result = kernel("run", image, "-m", "192.0.2.8")
    assert result.returncode == 2
    packages = "sealer-plugin-baremetal sealer-plugin-ssh sealer-plugin-standalone"
    assert f"pip install {packages}" in result.stderr
    assert "Traceback" not in result.stderr
    result = kernel("apply")
    assert result.returncode == 2
    assert "type 'SHELL' is not installed; pip install sealer-plugin-shell" in result.stderr
    assert not list((kernel.place / "home").glob("clusters/*/state.json"))
