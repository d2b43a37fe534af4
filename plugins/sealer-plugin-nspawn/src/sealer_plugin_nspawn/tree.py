"""The files of one host: what it has of its own over the base tree."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from sealer.errors import SealerError
from sealer.redaction import Secret
from sealer_plugin_nspawn.programs import run
from sealer_plugin_nspawn.record import Lab, Machine, write_file

HOST_KEY = "etc/ssh/ssh_host_ed25519_key"
SHADOW_GROUP = 42  # Debian's fixed number
PASSWORD_LOGIN = "PermitRootLogin yes\nPasswordAuthentication yes\n"  # noqa: S105  # a setting, no password


def ensure_key(lab: Lab) -> None:
    """Make the key pair that opens the cluster's hosts."""
    if not lab.key.with_suffix(".pub").exists():  # ssh-keygen writes it last
        lab.key.unlink(missing_ok=True)
        make_key(lab.key, f"sealer {lab.cluster}")


def make_key(path: Path, comment: str) -> None:
    """Make an ed25519 key pair without a passphrase: `path` (0600) and `path`.pub."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], doing="making a key")


def ensure_tree(lab: Lab, machine: Machine, password: Secret | None, nat: bool) -> None:
    """Make the host's files: all of them, or none after a crash.

    :param nat: whether the host can reach this machine's name servers.
    :raises SealerError: the base tree it was made on is gone.
    """
    files, base = lab.files(machine), Path(machine.base)
    if not base.is_dir():
        raise SealerError(
            f"{machine.name} cannot be booted",
            why=f"its base tree {base} is gone",
            remedy="delete the host and make it again",
        )
    for name in ("work", "root", "containerd"):
        (files / name).mkdir(parents=True, exist_ok=True)
    if (files / "upper").exists():
        return
    new = files / "upper.new"
    shutil.rmtree(new, ignore_errors=True)
    for directory, mode in (("etc/ssh/sshd_config.d", 0o755), ("root/.ssh", 0o700)):
        (new / directory).mkdir(parents=True)
        for path in ((new / directory), *(new / directory).relative_to(new).parents):
            _same_mode(base, new, path if path.is_absolute() else new / path, mode)
    _write_identity(lab, machine, new)
    # Without any the host's own address is asked, which refuses at once; one out of reach costs seconds a name.
    servers = Path("/etc/resolv.conf").read_text() if nat and Path("/etc/resolv.conf").exists() else ""
    write_file(new / "etc/resolv.conf", servers, 0o644)
    if password:
        _set_password(base, new, password)
    new.rename(files / "upper")


def host_key(lab: Lab, machine: Machine) -> str:
    """The public key that the host shows, as `ssh-ed25519 AAAA...`."""
    text = (lab.files(machine) / "upper" / f"{HOST_KEY}.pub").read_text()
    return " ".join(text.split()[:2])


def _same_mode(base: Path, new: Path, path: Path, otherwise: int) -> None:
    """A directory here stands for the base tree's: it must not be more or less open than that."""
    original = base / path.relative_to(new)
    path.chmod(original.stat().st_mode & 0o7777 if original.exists() else otherwise)


def _write_identity(lab: Lab, machine: Machine, tree: Path) -> None:
    address = lab.address(machine)
    write_file(tree / "etc/hostname", f"{machine.name}\n", 0o644)
    write_file(
        tree / "etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{address} {machine.name}\n", 0o644
    )
    write_file(tree / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    write_file(tree / "etc/sealer-host", f"ADDRESS={address}/{lab.subnet.prefixlen}\nGATEWAY={lab.gateway}\n", 0o644)
    write_file(tree / "root/.ssh/authorized_keys", lab.key.with_suffix(".pub").read_text(), 0o600)
    make_key(tree / HOST_KEY, machine.name)


def _set_password(base: Path, tree: Path, password: Secret) -> None:
    hashed = run(["chroot", str(base), "openssl", "passwd", "-6", "-stdin"], stdin=f"{password.reveal()}\n").strip()
    lines = [
        ":".join(["root", hashed, *line.split(":")[2:]]) if line.startswith("root:") else line
        for line in (base / "etc/shadow").read_text().splitlines()
    ]
    write_file(tree / "etc/shadow", "\n".join(lines) + "\n", 0o640)
    os.chown(tree / "etc/shadow", 0, SHADOW_GROUP)
    write_file(tree / "etc/ssh/sshd_config.d/sealer-password.conf", PASSWORD_LOGIN, 0o644)
