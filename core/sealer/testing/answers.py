"""What recorded hosts answer."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """What a command gives: its output and status, or an error instead of both.

    :param error: raised; an error of the connection, say.
    """

    stdout: str = ""
    status: int = 0
    stderr: str = ""
    error: Exception | None = None


@dataclass
class Answers:
    """Replies by rule: the first whose pattern is found in the command answers; without one, status 0 and no output.

    ::

        answers = Answers().on(r"\\bhostname\\b", Reply("old-name\\n"), Reply("new-name\\n"))

    :param strict: a command that no rule answers is an AssertionError.
    """

    strict: bool = False
    _rules: list[tuple[re.Pattern[str], str, list[Reply]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, pattern: str, *replies: Reply, host: str = "") -> Answers:
        """Answer commands in which the regular expression `pattern` is found.

        :param replies: one after the other, the last one for ever after; none: status 0 and no output.
        :param host: only on the host with this address.
        """
        self._rules.append((re.compile(pattern), host, list(replies) or [Reply()]))
        return self

    def reply(self, host: str, command: str) -> Reply:
        """The reply to `command` on `host`."""
        with self._lock:
            for pattern, only, replies in self._rules:
                if only in ("", host) and pattern.search(command):
                    return replies.pop(0) if len(replies) > 1 else replies[0]
        if self.strict:
            raise AssertionError(f"{host}: no rule answers: {command}")
        return Reply()
