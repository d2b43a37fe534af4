"""Where symlinks lead, in a tree that is never entered.

A rootfs lies somewhere below a host's root. A link that leads out of it would let a layer write to, or read from, the
host itself.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_LINKS = 40


class LeadsOutError(Exception):
    """The path leads out of the rootfs, or its links form a circle."""


def stays_inside(path: str, target: str) -> bool:
    """Whether a symlink at `path` with that target stays in the rootfs, judged by its text."""
    if target.startswith("/"):
        return False
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return False
        elif part not in ("", "."):
            depth += 1
    return True


def resolve(path: str, readlink: Callable[[str], str | None], *, last: bool) -> str:
    """The path with its symlinks followed.

    :param readlink: gives the target of a symlink of the tree, None for anything else and for what is not there.
    :param last: follow the last part too.
    :raises LeadsOutError: a link leads out, or round in a circle.
    """
    waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    done: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            if not done:
                raise LeadsOutError
            done.pop()
            continue
        here = "/".join((*done, part))
        target = readlink(here) if waiting or last else None
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > MOST_LINKS or target.startswith("/"):
            raise LeadsOutError
        waiting.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
    return "/".join(done)
