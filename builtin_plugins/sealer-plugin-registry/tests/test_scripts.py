"""The scripts that run on hosts, as shellcheck sees them: whole, with the settings that are put before them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from sealer.image.oci import INDEX, Descriptor
from sealer_plugin_registry import serving, trusting
from sealer_plugin_registry.filling import Pinned, link_script
from sealer_plugin_registry.trusting import Login, Server

PATHS = serving.Paths("/var/lib/sealer/data/c", "/var/lib/sealer/data/c/rootfs")
CONTENT = trusting.files("c", ("docker.io",), [Server("sea.hub:5000", ca=PATHS.ca, login=Login("admin", "it's $HOME"))])
SCRIPTS = {
    "start": serving.start_script("c", PATHS, 5000),
    "stop": serving.stop_script("c"),
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
