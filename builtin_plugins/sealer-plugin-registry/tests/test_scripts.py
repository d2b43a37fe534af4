"""The scripts that run on hosts, as shellcheck sees them: whole, with the settings that are put before them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sealer.image.oci import INDEX, Descriptor
from sealer_plugin_registry import serving, trusting
from sealer_plugin_registry.filling import Pinned, link_script
from sealer_plugin_registry.trusting import Login, Server

PATHS = serving.Paths("/var/lib/sealer/data/c", "/var/lib/sealer/data/c/rootfs")
CONTENT = trusting.files("c", ("docker.io",), [Server("sea.hub:5000", ca=PATHS.ca, login=Login("admin", "it's $HOME"))])
SCRIPTS = {
    "start": serving.start_script("c", PATHS, 5000),
    "stop": serving.stop_script("c", PATHS),
    "hand": serving.hand_script(),
    "fill": serving.fill_script("c", PATHS, 3600),
    "filled": serving.filled_script("c", PATHS),
    "trust": trusting.trust_script("c", PATHS.data, CONTENT, "198.18.0.11", "sea.hub"),
    "trust-elsewhere": trusting.trust_script("c", PATHS.data, CONTENT, "", "sea.hub"),
    "check": trusting.check_script("c", PATHS.data, CONTENT, "198.18.0.11", "sea.hub", cas=[PATHS.ca]),
    "untrust": trusting.untrust_script("c", PATHS.data),
    "link": link_script(PATHS.storage, Pinned("docker.io/library/web", Descriptor(INDEX, "sha256:00", 2), "1")),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("this machine has no shellcheck")
    checked = subprocess.run(
        [checker, "-s", "sh", "-"], input=SCRIPTS[name], capture_output=True, text=True, check=False
    )
    assert checked.stdout == ""
    assert checked.returncode == 0


@pytest.mark.parametrize(("data", "stopped"), [("/var/lib/sealer/data/c", True), ("/srv/sealer/data/c", False)])
def test_only_the_cluster_s_own_registry_is_ended(data: str, stopped: bool, tmp_path: Path) -> None:
    """Two clusters of one name may have their files at two places of a host; a unit has one name."""
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    (tmp_path / "systemctl").chmod(0o755)
    unit = tmp_path / "sealer-registry-c.service"
    unit.write_bytes(serving.unit("c", PATHS, 5000))
    paths = serving.Paths(data, f"{data}/rootfs")
    text = serving.stop_script("c", paths).replace("/etc/systemd/system", str(tmp_path))
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", text], check=True, env=env)
    assert unit.exists() != stopped
    assert (
        "disable --now" in (tmp_path / "called").read_text() if (tmp_path / "called").exists() else False
    ) == stopped
    if not stopped:
        started = serving.start_script("c", paths, 5000).replace("/etc/systemd/system", str(tmp_path))
        (tmp_path / "registry").write_text("#!/bin/sh\n")
        started = started.replace(f"{data}/rootfs/bin/registry", f"{tmp_path}/registry")
        started = started.replace(paths.storage, str(tmp_path / "storage"))
        done = subprocess.run(["sh", "-c", started], check=False, env=env, capture_output=True, text=True)
        assert (done.returncode, "the registry of another cluster of this name" in done.stdout) == (1, True)
