"""Whether the directory that holds images, clusters and their keys is the user's own."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

from sealer.errors import InputError

_PARTS = ("", "images", "clusters")


@lru_cache(maxsize=16)
def check_home(home: Path) -> None:
    """Refuse a home in which somebody else could put keys, images or records. One that does not exist yet is fine.

    :raises InputError: it, or what lies in it, is of another user, or others may write it.
    """
    for name in _PARTS:
        path = home / name
        try:
            status = path.stat()
        except OSError:
            continue  # whoever uses it says what is wrong
        if why := _unsafe(status):
            own = "" if status.st_uid == os.geteuid() else f"chown {os.geteuid()} {path}; "
            remedy = f"run `{own}chmod go-w {path}` if what it holds is yours, or set SEALER_HOME to another directory"
            raise InputError(f"{path} cannot be used", why=why, remedy=remedy)


def _unsafe(status: os.stat_result) -> str:
    """Why a directory cannot be trusted; empty if it can."""
    user = os.geteuid()
    allowed = {user}
    if user == 0 and (caller := os.environ.get("SUDO_UID", "")).isdecimal():
        allowed.add(int(caller))
    if status.st_uid not in allowed:
        return f"it belongs to {_name(status.st_uid)}, who could change images and keys in it"
    if status.st_mode & stat.S_IWOTH:
        return "every user of this machine may write in it"
    if status.st_mode & stat.S_IWGRP and status.st_gid != _own_group(status.st_uid):
        return f"the group {_group_name(status.st_gid)} may write in it"
    return ""


def _own_group(user: int) -> int:
    import pwd  # noqa: PLC0415  # rarely needed

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return -1


def _name(user: int) -> str:
    import pwd  # noqa: PLC0415  # rarely needed

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _group_name(group: int) -> str:
    import grp  # noqa: PLC0415  # rarely needed

    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
