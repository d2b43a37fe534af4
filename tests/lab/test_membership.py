"""Hosts come and go, by commands, by options and by a Clusterfile; what the image carries runs on whom it is for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_site import Site

pytestmark = pytest.mark.lab

PASSWORD = "Ops-passw0rd"


def new_marks(site: Site, number: int) -> list[str]:
    """What scripts have left on a host since this was last asked, each without what stands behind its name."""
    lines = site.on(number, "cat /root/marks 2>/dev/null; rm -f /root/marks").splitlines()
    return [line.split()[0] for line in lines]


def members(site: Site) -> list[str]:
    shown = site.sealer("status", "--name", site.name)
    return [host.address for host in site.hosts if host.address in shown]


def test_hosts_are_added_and_removed_by_commands(site: Site) -> None:
    one, two, three = (host.address for host in site.hosts)
    key = site.hosts[0].ssh.private_key
    site.sealer("run", "marks:1", "-m", one, "-n", two, "--name", site.name, "--pk", key)
    assert new_marks(site, 0) == ["pre-init", "init", "pre-guest", "cmd-1", "cmd-2", "post-install"]
    assert new_marks(site, 1) == ["pre-init", "init", "post-install"]

    site.sealer("join", "-n", three, "--name", site.name, "--pk", key)
    assert members(site) == [one, two, three]
    assert new_marks(site, 2) == ["pre-join", "init", "post-join"]
    assert (new_marks(site, 0), new_marks(site, 1)) == (["update"], ["update"])
    assert f"nodes={two} {three} " in site.on(0, f"cat /var/lib/sealer/data/{site.name}/rootfs/etc/site.conf")

    plan = site.sealer("delete", "-n", two, "--name", site.name, "--dry-run")
    assert f"out  {two}" in plan
    refused = site.sealer("delete", "-n", two, "--name", site.name, status=3)
    assert two in refused
    assert "add --yes" in refused
    assert members(site) == [one, two, three]
    assert not any(new_marks(site, number) for number in range(3))
    site.sealer("delete", "-n", two, "--name", site.name, "--yes")
    assert members(site) == [one, three]
    assert new_marks(site, 1) == ["pre-clean", "post-clean", "clean"]
    assert (new_marks(site, 0), new_marks(site, 2)) == (["update"], ["update"])
    assert site.on(1, "ls /var/lib/sealer 2>/dev/null || true") == ""

    site.sealer("scale-up", "-n", two, "--name", site.name, "--pk", key)
    assert members(site) == [one, two, three]
    site.delete()


def test_one_apply_adds_and_removes_and_says_so_before(site: Site) -> None:
    one, two, three = (host.address for host in site.hosts)
    site.write(hosts=site.hosts[:2])
    site.apply()
    for number in range(3):
        new_marks(site, number)
    site.write(hosts=[site.hosts[0], site.hosts[2]])
    refused = site.sealer("apply", "-f", str(site.clusterfile), status=3)
    assert two in refused
    assert "add --yes" in refused
    assert members(site) == [one, two]
    assert not any(new_marks(site, number) for number in range(3))

    lines = site.apply().splitlines()
    [said] = [number for number, line in enumerate(lines) if f"add {three} (node)" in line and f"remove {two}" in line]
    assert said < next(number for number, line in enumerate(lines) if line.endswith(": started"))
    assert members(site) == [one, three]
    assert new_marks(site, 1) == ["pre-clean", "post-clean", "clean"]
    assert new_marks(site, 2) == ["pre-join", "init", "post-join"]
    assert new_marks(site, 0) == ["update"]
    assert "already up to date" in site.apply()
    site.delete()


@pytest.fixture
def ops(site: Site) -> Iterator[str]:
    """A user with sudo and a password, whom sshd also hears on port 2022."""
    for number in range(3):
        site.on(number, f"useradd -m -s /bin/bash ops && echo 'ops:{PASSWORD}' | chpasswd")
        site.on(number, "echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops")
        site.on(number, "printf 'Port 22\\nPort 2022\\n' > /etc/ssh/sshd_config.d/port.conf; systemctl restart ssh")
    yield "ops"
    for number in range(3):
        site.on(number, "userdel -r ops 2>/dev/null; rm -f /etc/sudoers.d/ops /etc/ssh/sshd_config.d/port.conf")
        site.on(number, "systemctl restart ssh")


@pytest.mark.parametrize("way", ["a password", "a file with it", "a key with a passphrase"])
def test_the_options_say_how_to_log_in(site: Site, ops: str, way: str, tmp_path: Path) -> None:
    one, two, three = (host.address for host in site.hosts)
    login = ["-u", ops, "--port", "2022"]
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    login += {"a password": ["-p", PASSWORD], "a file with it": ["--passwd-file", str(file)]}.get(way, [])
    if way == "a key with a passphrase":
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "geheime-phrase", "-f", key], check=True)
        public = key.with_suffix(".pub").read_text().strip()
        for number in range(3):
            site.on(number, f"install -d -m 700 -o ops -g ops ~ops/.ssh; echo '{public}' > ~ops/.ssh/authorized_keys")
            site.on(number, "chown ops:ops ~ops/.ssh/authorized_keys; chmod 600 ~ops/.ssh/authorized_keys")
        login += ["--pk", str(key), "--pk-passwd", "geheime-phrase", "-p", PASSWORD]
    # Neither agent nor default keys of whoever runs the tests may let it in.
    nobody = {"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""}
    words = ("run", "marks:1", "-m", one, "-n", f"{two},{three}", "--name", site.name, "-e", "GREETING=salve", *login)
    output = site.sealer(*words, **nobody)  # type: ignore[arg-type]  # `env` has no name of a parameter
    assert site.marks()[one][4] == "cmd-2 salve"
    words = ("delete", "--all", "--name", site.name, "--yes", *login)
    output += site.sealer(*words, **nobody)  # type: ignore[arg-type]
    assert PASSWORD not in output
    assert "geheime-phrase" not in output
    assert site.on(2, "ls /var/lib/sealer 2>/dev/null || true") == ""
