"""Hosts that are not as they were recorded: other keys, a refused login, a full disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_site import Site

from sealer_plugin_nspawn.testing import on_host

pytestmark = pytest.mark.lab

LOGINS = "journalctl -u ssh --no-pager | grep -c Accepted || true"
OTHER_KEYS = (
    "mkdir -p /root/kept && cp -p /etc/ssh/ssh_host_* /root/kept && rm /etc/ssh/ssh_host_* && ssh-keygen -A "
    "&& systemctl restart ssh"
)
OLD_KEYS = (
    "[ ! -d /root/kept ] || { rm /etc/ssh/ssh_host_*; cp -p /root/kept/* /etc/ssh; rm -r /root/kept; "
    "systemctl restart ssh; }"
)
FULL = (
    "mkdir /root/data && cp -a /var/lib/sealer/. /root/data && mount -t tmpfs -o size=4m tmpfs /var/lib/sealer "
    "&& cp -a /root/data/. /var/lib/sealer && rm -r /root/data; head -c 9m /dev/zero > /var/lib/sealer/data/site/full; "
    "[ $(df --output=avail /var/lib/sealer | tail -n 1) = 0 ]"
)
NOT_FULL = "rm -rf /root/data; ! mountpoint -q /var/lib/sealer || umount /var/lib/sealer"


@pytest.fixture
def changed(site: Site, tmp_path: Path) -> Iterator[Site]:
    """A cluster made with a key that can be exchanged; at the end the hosts are what they were."""
    key = tmp_path / "key"
    shutil.copy(site.hosts[0].ssh.private_key, key)
    key.chmod(0o600)
    site.write(ssh={"pk": str(key)})
    site.apply()
    try:
        yield site
    finally:
        for host in site.hosts:
            on_host(host, f"{OLD_KEYS}; {NOT_FULL}")


def logins(site: Site, number: int) -> int:
    """How often somebody logged in to a host, but for this question."""
    return int(site.on(number, LOGINS).strip())


def test_a_host_with_other_keys_is_not_logged_in_to_and_forgotten_with_force(changed: Site) -> None:
    three = changed.hosts[2].address
    changed.on(2, OTHER_KEYS)
    (changed.home / "known_hosts").unlink()
    before = logins(changed, 2)
    for words in (("exec", "true"), ("delete", "-n", three, "--yes"), ("check",)):
        printed = changed.sealer(*words, "--name", changed.name, status=1)
        assert "not the one recorded of it" in printed
    printed = changed.sealer("delete", "-n", three, "--name", changed.name, "--yes", "--force")
    assert f"forgotten, not cleaned: {three}" in printed
    assert logins(changed, 2) == before + 1, "the question itself"
    assert three not in changed.sealer("status", "--name", changed.name, "--recorded")
    changed.on(2, "rm -rf /var/lib/sealer")  # another machine, which had nothing of it
    key = changed.hosts[2].ssh.private_key
    changed.sealer("scale-up", "-n", three, "--name", changed.name, "--pk", key)
    assert three in changed.sealer("status", "--name", changed.name, "--recorded")
    changed.delete()


def test_a_host_that_refuses_the_login_is_forgotten_with_force(changed: Site, tmp_path: Path) -> None:
    three = changed.hosts[2].address
    changed.on(2, "sed -i /sealer-site/d /root/.ssh/authorized_keys")
    (tmp_path / "key").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    refused = changed.sealer("delete", "-n", three, "--name", changed.name, "--yes", status=1)
    assert "add --force" in refused
    printed = changed.sealer("delete", "-n", three, "--name", changed.name, "--yes", "--force")
    assert f"forgotten, not cleaned: {three}" in printed
    assert "what to do" not in printed
    changed.delete()
    assert changed.on(0, "ls /var/lib/sealer 2>/dev/null || true") == ""


def test_a_full_disk_is_freed_by_a_delete(changed: Site) -> None:
    """What must not run twice needs room for the note that it began; with force it is left out."""
    changed.on(2, FULL)
    refused = changed.delete(status=1)
    assert "No space left on device" in refused
    assert "add --force" in refused
    changed.delete("--force")
    assert changed.on(2, "ls -A /var/lib/sealer; ls -d /run/sealer 2>/dev/null || true") == ""
    assert "clean" in [mark.split()[0] for mark in changed.marks()[changed.hosts[2].address]]
