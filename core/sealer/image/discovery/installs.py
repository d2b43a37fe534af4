"""The charts that an image's commands install, and with which values: `helm upgrade --install web charts/web -f x`.

What a chart runs follows from its values, and those are the Kubefile's choice. Commands are shell; of shell, only what
such commands are made of is understood: words and quotes, `cd`, `&&` and `;`, variables whose values are known.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile

from sealer.events import Json

PROGRAM = "helm"
_VERBS = frozenset({"install", "upgrade", "template"})
_VALUES = frozenset({"-f", "--values"})
_SETTINGS = frozenset({"--set", "--set-string", "--set-json", "--set-literal"})
# Flags of helm whose value is a word of its own. Any other flag stands alone.
_WITH_VALUE = frozenset(
    {"-n", "--namespace", "--version", "--repo", "--timeout", "--kube-context", "--kubeconfig", "--username"}
    | {"--password", "--ca-file", "--cert-file", "--key-file", "--keyring", "--description", "--history-max"}
    | {"--post-renderer", "--post-renderer-args", "-o", "--output", "--output-dir", "--name-template", "--set-file"}
    | {"--kube-version", "-a", "--api-versions", "-s", "--show-only", "-l", "--labels", "--kube-apiserver"}
    | {"--kube-token", "--kube-as-user", "--kube-as-group", "--kube-ca-file", "--registry-config"}
    | {"--repository-cache", "--repository-config", "--burst-limit", "--qps"}
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ASSIGNED = re.compile(r"\w+=")
_PLAIN_KEY = re.compile(r"[\w-]+(?:\.[\w-]+)*")


@dataclass(frozen=True)
class Command:
    """A command that an image runs when it is installed.

    :param text: for the shell.
    :param directory: of the rootfs, in which it runs; empty: its root.
    :param env: the variables it has, as far as they are known.
    """

    text: str
    directory: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Install:
    """One chart, installed once.

    :param chart: its directory or archive in the rootfs; `.` for the rootfs itself.
    :param values: files of the rootfs, the last of which wins.
    :param settings: pairs of a flag like `--set`, and its value; they go over the files.
    """

    chart: str
    values: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> Json:
        """All of it, for a key."""
        return [self.chart, list(self.values), [list(pair) for pair in self.settings]]

    @property
    def set_values(self) -> bytes:
        """What the settings say as values, in JSON; lists and what has escapes is left out."""
        document: dict[str, Json] = {}
        for flag, text in self.settings:
            for pair in text.split(",") if flag != "--set-literal" else [text]:
                key, equals, value = pair.partition("=")
                if equals and _PLAIN_KEY.fullmatch(key) and not value.startswith("{") and flag != "--set-json":
                    _put(document, key.split("."), value)
        return json.dumps(document).encode()


def installs(commands: Iterable[Command]) -> tuple[Install, ...]:
    """What commands install of the rootfs's own charts, each once; charts that helm would fetch are left out."""
    return tuple(dict.fromkeys(one for command in commands for one in _installs(command)))


def _installs(command: Command) -> Iterator[Install]:
    directory = command.directory
    for simple in _simple_commands(command):
        words = list(dropwhile(_ASSIGNED.match, simple))
        if words[:1] == ["cd"] and len(words) > 1:
            directory = posixpath.join(directory, words[1])
        elif words and words[0].rpartition("/")[2] == PROGRAM and (found := _install(words[1:], directory)):
            yield found


def _simple_commands(command: Command) -> Iterator[list[str]]:
    def known(match: re.Match[str]) -> str:
        return command.env.get(match[1] or match[2], match[0])

    for line in command.text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(_VARIABLE.sub(known, line), posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            for word in lexer:
                if word and not word.strip(";&|()"):
                    yield words
                    words = []
                else:
                    words.append(word)
        except ValueError:  # a quote that is not closed here: no command of this simple kind
            continue
        yield words


def _install(words: Sequence[str], directory: str) -> Install | None:
    values: list[str] = []
    settings: list[tuple[str, str]] = []
    names: list[str] = []
    waiting = ""
    for word in words:
        flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if waiting:
            flag, value, waiting = waiting, word, ""
        elif flag in _VALUES | _SETTINGS | _WITH_VALUE and not equals:
            waiting = flag
            continue
        if flag in _VALUES:
            values += value.split(",")
        elif flag in _SETTINGS:
            settings.append((flag, value))
        elif not flag:
            names.append(word)
    if len(names) < 2 or names[0] not in _VERBS:
        return None
    chart = _within(directory, names[-1])
    files = [_within(directory, file) for file in values if "://" not in file]
    if chart is None or "://" in names[-1]:
        return None
    return Install(chart, tuple(file for file in files if file is not None), tuple(settings))


def _within(directory: str, path: str) -> str | None:
    """A path in the rootfs; None: it leads out."""
    found = posixpath.normpath(posixpath.join(directory, path))
    return None if found.startswith(("/", "..")) else found


def _put(document: dict[str, Json], keys: Sequence[str], value: str) -> None:
    for key in keys[:-1]:
        inner = document.get(key)
        if not isinstance(inner, dict):
            inner = document[key] = {}
        document = inner
    document[keys[-1]] = value
