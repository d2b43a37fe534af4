"""Times and sizes, in as few characters as a person needs."""

from __future__ import annotations

import re
import time

from sealer.cli.terminal import visible
from sealer.events import Event

_UNITS = ("B", "kB", "MB", "GB", "TB")


def clock(seconds: float) -> str:
    """Local time of day, `HH:MM:SS`.

    :param seconds: since the epoch.
    """
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `1h02m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def size(count: float) -> str:
    """`512 B`, `1.5 MB`; a kilobyte has 1000 bytes, as disks and networks count."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"


def instruction(event: Event) -> str:
    """`[3/7]` for what an instruction of a build tells; empty for all else."""
    number, total = event.data.get("number"), event.data.get("total")
    return f"[{number}/{total}]" if isinstance(number, int) and isinstance(total, int) else ""


def written(event: Event) -> list[str]:
    """How many bytes a step of a build wrote, and how many a second; empty for all else."""
    count, rate = event.data.get("bytes"), event.data.get("rate")
    if not isinstance(count, int) or not count:
        return []
    return [size(count), f"{size(rate)}/s"] if isinstance(rate, int) and rate else [size(count)]


def about_part(event: Event) -> str:
    """`nginx:1.25 4f4fb700ef54`: which part of what moves, short enough for a line."""
    digest = str(event.data.get("part", "")).rpartition(":")[2][:12]
    owner = one_line(str(event.data.get("of", ""))).partition("@")[0]
    return f"{owner if owner.startswith('rootfs ') else owner.rpartition('/')[2]} {digest}".strip()


# Escape sequences of terminals (colours, cursor movement, titles), then whatever other control character there is: a
# line about what is going on needs no trace of them.
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def one_line(text: str) -> str:
    """What a host printed, as one harmless line: no control codes; of a line that redraws itself, its last state."""
    last = text.rstrip("\r\n").rpartition("\r")[2]
    return visible(_CONTROL.sub("", last)).replace("\t", " ").replace("\n", " ")


def about_host(event: Event) -> str:
    """The message as one line, without the host's name in front: whoever shows it has said that already."""
    return one_line(event.message.removeprefix(f"{event.host}: ") if event.host else event.message)
