"""The tree of files that all hosts of one Debian release begin with; made once and kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from sealer_plugin_nspawn.limits import ensure_room_for_base
from sealer_plugin_nspawn.locks import exclusive
from sealer_plugin_nspawn.programs import run
from sealer_plugin_nspawn.record import write_file

MAKING = 1200.0  # seconds; a slow mirror
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "procps", "hostname", "kmod", "zstd"),
    *("curl", "ca-certificates", "iproute2", "iputils-ping"),
    *("iptables", "conntrack", "ebtables", "socat", "ethtool", "libseccomp2"),  # what a kubelet calls for
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SETUP = "usr/local/lib/sealer-host-setup"
UNIT = """\
[Unit]
Description=Prepare this host
DefaultDependencies=no
Before=sysinit.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /usr/local/lib/sealer-host-setup

[Install]
WantedBy=sysinit.target
"""
# Many connections at once are no attack here.
SSHD = "MaxStartups 200\n"
# Nobody sits at the console; nothing else mounts or configures what the provider does.
MASKED = ("console-getty.service", "systemd-networkd.service", "systemd-resolved.service", "systemd-firstboot.service")


def base_directory(cache: Path, release: str) -> Path:
    """Where the tree of that release lies: the name says what is in it."""
    content = [release, PACKAGES, UNIT, SSHD, MASKED, _setup_script()]
    return cache / hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def ensure_base(cache: Path, release: str, say: Callable[[str], None]) -> Path:
    """The tree, made now if it is not there.

    :param say: told when it has to be made, which takes a minute or more.
    :raises SealerError: it cannot be made; with the last lines of the program that makes it.
    """
    base = base_directory(cache, release)
    if base.is_dir():
        return base
    with exclusive(cache / "lock"):
        _sweep(cache)
        if not base.is_dir():
            ensure_room_for_base(cache)
            say(f"Making the base tree of Debian {release} hosts; this happens once on a machine")
            partial = base.with_name(f"{base.name}.partial")
            scratch = base.with_name(f"{base.name}.scratch.partial")
            scratch.mkdir(mode=0o700)
            partial.mkdir(mode=0o755)
            _unpack(release, partial, scratch)
            _furnish(partial)
            shutil.rmtree(scratch)
            run(["sync", "-f", str(partial)], timeout=MAKING)
            partial.rename(base)
    return base


def sweep(cache: Path) -> None:
    """Remove what an interrupted making of a tree left; one that another process makes right now is let be."""
    if any(cache.glob("*.partial")):
        with contextlib.suppress(BlockingIOError), exclusive(cache / "lock", wait=False):
            _sweep(cache)


def _sweep(cache: Path) -> None:
    for partial in cache.glob("*.partial"):
        shutil.rmtree(partial)


def sources(release: str) -> list[str]:
    """The lines of this machine's own apt sources that offer the release; empty if none does."""
    keys = ("REPO_URI", "RELEASE", "COMPONENT", "SIGNED_BY")
    wanted = "\t".join(f"$({key})" for key in keys)
    listed = run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"], doing="reading the apt sources"
    )
    return source_lines(release, listed)


def source_lines(release: str, listed: str) -> list[str]:
    """Lines for a sources.list out of what apt lists: address, suite, component and keyring, with tabs between."""
    suites = (release, f"{release}-updates", f"{release}-security")
    lines = []
    for line in listed.splitlines():
        address, suite, component, keyring = line.split("\t")
        if suite in suites and component == "main":  # another publisher's archive calls its component otherwise
            # apt names the keyring only where it knows it; the new tree has none of its own yet
            keyring = keyring if keyring.startswith("/") else str(KEYRING)
            signed = f"[signed-by={keyring}] " if Path(keyring).exists() else ""
            lines.append(f"deb {signed}{address} {suite} {component}")
    return list(dict.fromkeys(lines)) if any(line.split()[-2] == release for line in lines) else []


def _unpack(release: str, tree: Path, scratch: Path) -> None:
    # Bound to the life of this process, in namespaces of its own: killed, it leaves neither process nor mount.
    tied = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
    ]
    command = ["mmdebstrap", "--mode=root", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    mirrors: Sequence[str] = sources(release)
    run(
        [*tied, *command, release, str(tree), *mirrors],
        timeout=MAKING,
        environment={"TMPDIR": str(scratch)},
        doing="making the base tree of the hosts",
    )


def _furnish(tree: Path) -> None:
    units = tree / "etc/systemd/system"
    (tree / SETUP).parent.mkdir(parents=True, exist_ok=True)
    write_file(tree / SETUP, _setup_script(), 0o755)
    write_file(units / "sealer-host-setup.service", UNIT, 0o644)
    wants = units / "sysinit.target.wants"
    wants.mkdir(exist_ok=True)
    wants.chmod(0o755)
    (wants / "sealer-host-setup.service").symlink_to("/etc/systemd/system/sealer-host-setup.service")
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    write_file(tree / "etc/ssh/sshd_config.d/sealer.conf", SSHD, 0o644)
    for own in (*(tree / "etc/ssh").glob("ssh_host_*"), tree / "etc/machine-id", tree / "etc/hostname"):
        own.unlink(missing_ok=True)
    os.chmod(tree, 0o755)  # noqa: PTH101, S103  # the root directory of a host


def _setup_script() -> str:
    return resources.files(__package__).joinpath("host_setup.sh").read_text()
