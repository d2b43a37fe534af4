"""`.sealerignore` and `.dockerignore`: which files of the build context no COPY sees.

Both mean the same: https://docs.docker.com/build/concepts/context/#syntax
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError, Position, Problem

FILES = (".sealerignore", ".dockerignore")
_TWICE = re.compile(r"(?<!\\)(?:\*\*/){2,}")  # means no more than once, and takes a long time to match


@dataclass(frozen=True)
class Ignore:
    """Patterns in the order of the file; the last one that matches a path, or a directory above it, decides.

    :param rules: each with whether it takes files back in (`!pattern`).
    """

    rules: tuple[tuple[re.Pattern[str], bool], ...] = ()

    @classmethod
    def of(cls, context: Path) -> Ignore:
        """The rules of a build context; the first of the two files that is there counts.

        :raises InputError: it cannot be read, or is wrong.
        """
        for name in FILES:
            try:
                text = (context / name).read_text("utf-8")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise InputError("the ignore file cannot be read", where=str(context / name), why=str(error)) from error
            return cls.parse(text, str(context / name))
        return cls()

    @classmethod
    def parse(cls, text: str, file: str = FILES[0]) -> Ignore:
        """Read the lines of an ignore file.

        :param file: the name for messages.
        :raises InputError: an exception has no pattern.
        """
        rules, problems = [], []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            pattern = line.strip()
            if not pattern or line.startswith("#"):
                continue
            back = pattern.startswith("!")
            pattern = pattern[back:].strip()
            if not pattern:
                column = len(line) - len(line.lstrip()) + 1
                problems.append(Problem(Position(file, number, column), "", "a pattern is missing after '!'"))
                continue
            path = _TWICE.sub("**/", posixpath.normpath(pattern).lstrip("/"))
            if path not in ("", "."):
                rules.append((re.compile(path_pattern(path), re.DOTALL), back))
        if problems:
            raise InputError("the ignore file is wrong", where=file, problems=problems)
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
    """The regular expression of a pattern: `*` and `?` within a name, `**` across names, `[a-z]`, backslash escapes.

    What `**` means without a slash after it is what Docker makes of it.
    """
    found = ""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            across = pattern.startswith("/", at + 2)
            at += 2 + across
            found += ".*" if at == len(pattern) or (not across and not found) else "(?:.*/)?"
            continue
        end = pattern.find("]", at + 2) if char == "[" else -1
        if char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif end > 0:
            inner = re.sub(r"[\\\[&|~]", r"\\\g<0>", pattern[at + 1 : end])
            found += f"(?!/)[{inner}]"
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
