"""A key of the cluster's own on its hosts, so that no password needs keeping."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from sealer.extension import ADDED, OPERATOR, REMOVED, Operation, Step, StepContext
from sealer.hosts import DEFAULT_USER, Host

UserOf = Callable[[Host], str]
KEY_FILE = "id_ed25519"

_FILE = """user={user}
home=$(getent passwd "$user" 2>/dev/null | cut -d : -f 6)
[ -n "$home" ] || home=$(eval echo "~$user")
file=$home/.ssh/authorized_keys
key={key}
"""
# What sealer never asks for. Not "restrict": sshd before 7.2 takes no key with an option that it does not know, and a
# forwarded port is how sealer fills a registry.
_RESTRICTIONS = "no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc"
# The file keeps its owner and mode; it is made with those that sshd demands.
_AUTHORIZE = """set -e
# What was there and empty stays when the key goes.
if [ -d "$home/.ssh" ] && [ ! -s "$file" ] && [ ! -e "$home/.ssh/.sealer" ]; then
    was=directory
    [ ! -e "$file" ] || was="directory file"
    (umask 077; echo "$was" > "$home/.ssh/.sealer"); chown "$user:" "$home/.ssh/.sealer"
fi
if [ ! -d "$home/.ssh" ]; then mkdir -m 700 "$home/.ssh"; chown "$user:" "$home/.ssh"; fi
if [ ! -e "$file" ]; then (umask 077; : > "$file"); chown "$user:" "$file"; fi
grep -qF "$key" "$file" && exit 0
[ -z "$(tail -c 1 "$file")" ] || echo >> "$file"
echo "{restrictions} $key" >> "$file"
! command -v restorecon > /dev/null || restorecon -R "$home/.ssh"
"""
# A full disk must not cost the user the keys that let him in: the file is replaced, once what stays of it is written.
_REVOKE = """[ -e "$file" ] && grep -q "$how" -e "$key" "$file" || {
    [ -s "$file" ] || rm -f "$home/.ssh/.sealer" # its run was stopped before it put the key there
    exit 0
}
file=$(readlink -f "$file")
left=$(grep -v "$how" -e "$key" "$file")
was=$(cat "$home/.ssh/.sealer" 2>/dev/null)
if [ -n "$left" ]; then
    new=$file.sealer
    if cp -p "$file" "$new" && (printf '%s\\n' "$left" > "$new") && mv -f "$new" "$file"; then
        case $left in *"{restrictions} "*) ;; *) rm -f "$home/.ssh/.sealer" ;; esac
        exit 0
    fi
    rm -f "$new"
    echo "cannot write $file: the cluster's key is still in it"
    exit 1
fi
case $was in *file*) : > "$file" ;; *) rm -f "$file" ;; esac
rm -f "$home/.ssh/.sealer"
case $was in *directory*) ;; *) rmdir "$home/.ssh" 2>/dev/null ;; esac
exit 0
"""


def _user_given(host: Host) -> str:
    return host.ssh.user or DEFAULT_USER


def authorize(operation: Operation, credentials: Path, user_of: UserOf = _user_given) -> Sequence[Step]:
    """The steps that make the key and put it on `operation.added`.

    :param credentials: directory of the cluster's own keys.
    :param user_of: who is logged in as on a host.
    """
    path = credentials / KEY_FILE

    def make(context: StepContext) -> None:
        make_key(path, f"sealer-{operation.cluster}")

    def put(context: StepContext) -> None:
        context.query(_file_of(user_of(context.host), path) + _AUTHORIZE.replace("{restrictions}", _RESTRICTIONS))

    inputs = {"file": KEY_FILE}
    return [
        Step("make-key", "Create the cluster's SSH key", OPERATOR, make, inputs),
        Step("authorize", "Authorize the cluster's SSH key", ADDED, put, inputs),
    ]


def revoke(operation: Operation, credentials: Path, user_of: UserOf = _user_given) -> Sequence[Step]:
    """The step that takes the key away from `operation.removed`; the connection in use stays open."""
    path = credentials / KEY_FILE
    revoking = _REVOKE.replace("{restrictions}", _RESTRICTIONS)

    def take(context: StepContext) -> None:
        if path.exists():
            context.query(f"how=-F\n{_file_of(user_of(context.host), path)}{revoking}")
        elif operation.cluster_id:  # the key is lost with the record: it is known by its comment
            name = operation.cluster.replace(".", "\\.")
            # Versions before 0.2 put it there without restrictions.
            key = shlex.quote(rf"\({_RESTRICTIONS} \)\{{0,1\}}ssh-ed25519 [^ ]* sealer-{name}")
            user = shlex.quote(user_of(context.host))
            context.query(f"how=-x\n{_FILE.format(user=user, key=key)}{revoking}")

    return [Step("revoke", "Remove the cluster's SSH key", REMOVED, take, {"file": KEY_FILE}, unreachable="skip")]


def make_key(path: Path, comment: str) -> None:
    """Make an Ed25519 key in OpenSSH's format at `path` and `path`.pub; one that is there stays."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # paramiko's library; 60 ms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    _write(path.with_suffix(".pub"), public + f" {comment}\n".encode())
    # The private key comes last: whoever finds it finds its public half too.
    _write(
        path,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ),
    )


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _file_of(user: str, path: Path) -> str:
    key = path.with_suffix(".pub").read_text("utf-8").strip()
    return _FILE.format(user=shlex.quote(user), key=shlex.quote(key))
