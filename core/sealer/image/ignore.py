"""`.sealerignore` and `.dockerignore`: which files of the build context no COPY sees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError

FILES = (".sealerignore", ".dockerignore")


@dataclass(frozen=True)
class Ignore:
    """Patterns in the order of the file; the last one that matches a path, or a directory above it, decides.

    :param rules: each with whether it takes files back in (`!pattern`).
    """

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    @classmethod
    def of(cls, context: Path) -> Ignore:
        """The rules of a build context; the first of the two files that is there counts.

        :raises InputError: it cannot be read.
        """
        for name in FILES:
            try:
                text = (context / name).read_text("utf-8")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise InputError("the ignore file cannot be read", where=str(context / name), why=str(error)) from error
            return cls.parse(text)
        return cls()

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """Read the lines of an ignore file."""
        rules = []
        for line in text.removeprefix("\ufeff").splitlines():
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            back = pattern.startswith("!")
            parts = [part for part in pattern[back:].strip().split("/") if part not in ("", ".")]
            if parts:
                rules.append((re.compile(path_pattern("/".join(parts))), back))
        return cls(tuple(rules))

    @property
    def takes_back(self) -> bool:
        """Whether something below an ignored directory may count after all."""
        return any(back for _, back in self.rules)

    def ignores(self, path: str) -> bool:
        """Whether a path, relative to the context, is left out."""
        parts = path.split("/")
        heads = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        ignored = False
        for pattern, back in self.rules:
            if ignored == back and any(pattern.fullmatch(head) for head in heads):
                ignored = not back
        return ignored


def path_pattern(pattern: str) -> str:
    """The regular expression of a pattern: `*` and `?` within a name, `**` across names, `[a-z]`, backslash escapes."""
    found = ""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            across = pattern.startswith("/", at + 2)
            found += "(?:.*/)?" if across else ".*"
            at += 2 + across
            continue
        end = pattern.find("]", at + 2) if char == "[" else -1
        if char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif end > 0:
            inner = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            found += f"(?!/)[{'^' + inner[1:] if inner[0] in '^!' else inner}]"
            at = end
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            found += re.escape(pattern[at])
        else:
            found += re.escape(char)
        at += 1
    try:
        re.compile(found)
    except re.error:
        return re.escape(pattern)
    return found
