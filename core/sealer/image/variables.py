"""ARG and ENV while a Kubefile is built: which value a name has where."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

from sealer.errors import InputError, Problem
from sealer.kubefile.expansion import ExpansionError, expand, expand_document
from sealer.kubefile.model import Arg, Env, Word

# Known without an ARG, as in Docker: a proxy is the build machine's affair.
_PROXIES = frozenset(
    name
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (proxy, proxy.lower())
)
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Variables:
    """The names that an instruction may use.

    :param given: from `--build-arg`.
    :param platform: `linux/amd64`, what is built for: TARGETPLATFORM, TARGETOS, TARGETARCH, TARGETVARIANT, and ARCH.
    :param host: the platform of this machine: BUILDPLATFORM, BUILDOS, BUILDARCH, BUILDVARIANT.
    :param escape: of the Kubefile.
    """

    def __init__(self, given: Mapping[str, str], platform: str, escape: str, host: str) -> None:
        names = {**_names("TARGET", platform), **_names("BUILD", host)}
        self._platform = {**names, "ARCH": names["TARGETARCH"]}
        self._given = given
        self._escape = escape
        self._global: dict[str, str] = {}
        self._args: dict[str, str] = {}
        self._used: set[str] = set(_PROXIES)
        self.env: dict[str, str] = {}

    def copy(self) -> Variables:
        """The same, for a look ahead."""
        other = copy.copy(self)
        other._args, other.env, other._used = dict(self._args), dict(self.env), set(self._used)
        return other

    def declare_global(self, arg: Arg) -> None:
        """An ARG before FROM: FROM may use it, and a later `ARG name` takes its value over.

        :raises InputError: its default cannot be expanded.
        """
        for name, value in self._defaults(arg, {**self._platform, **self._global}):
            self._global[name] = value

    def enter_stage(self, env: Mapping[str, str]) -> None:
        """FROM is done: `env` is what the base brings."""
        self.env = dict(env)

    def declare(self, arg: Arg) -> None:
        """An ARG after FROM. For the errors see :meth:`declare_global`."""
        for name, value in self._defaults(arg, self.known):
            self._args[name] = value

    def set_env(self, env: Env) -> None:
        """An ENV; its values see the names as they were before it.

        :raises InputError: a value cannot be expanded.
        """
        known = self.known
        self.env.update({name: self.expand(word, known) for name, word in env.pairs})

    @property
    def known(self) -> dict[str, str]:
        """What an instruction may use: an ENV wins over an ARG of its name."""
        return {**self._platform, "PATH": _USUAL_PATH, **self._args, **self.env}

    @property
    def environment(self) -> dict[str, str]:
        """What a RUN gets."""
        proxies = {name: value for name, value in self._given.items() if name in _PROXIES}
        return {**proxies, **self._args, **self.env}

    @property
    def unused(self) -> tuple[str, ...]:
        """Names of `--build-arg` that no ARG asked for."""
        return tuple(sorted(set(self._given) - self._used))

    def expand_global(self, word: Word) -> str:
        """A word of FROM. For the errors see :meth:`expand`."""
        return self.expand(word, {**self._platform, **self._global})

    def expand(self, word: Word, known: Mapping[str, str] | None = None) -> str:
        """A word's value.

        :raises InputError: a variable that must be set is not.
        """
        return self._read(expand, word, self.known if known is None else known)

    def expand_document(self, word: Word) -> str:
        """The text of a here-document. For the errors see :meth:`expand`."""
        return self._read(expand_document, word, self.known)

    def _read(self, reader: Callable[[Word, Mapping[str, str], str], str], word: Word, known: Mapping[str, str]) -> str:
        try:
            value = reader(word, known, self._escape)
        except ExpansionError as error:
            raise self.wrong(word, error.message, error.offset) from None
        if "\0" in value:
            raise self.wrong(word, "a NUL character")
        return value

    @staticmethod
    def wrong(word: Word, message: str, offset: int = 0) -> InputError:
        """The error that a word's value is none that it can have."""
        problem = Problem(word.at(offset), "", message)
        return InputError("the Kubefile is wrong", where=word.position.file, problems=[problem])

    def _defaults(self, arg: Arg, known: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        for name, default in arg.names:
            self._used.add(name)
            known = {**known}
            if name in self._given:
                value: str | None = self._given[name]
            elif default is not None:
                value = self.expand(default, known)
            else:
                value = self._global.get(name, self._platform.get(name))
            if value is not None:
                known[name] = value
                yield name, value


def _names(prefix: str, platform: str) -> dict[str, str]:
    system, architecture, variant = (*platform.split("/"), "")[:3]
    values = {"PLATFORM": platform, "OS": system, "ARCH": architecture, "VARIANT": variant}
    return {f"{prefix}{name}": value for name, value in values.items()}
