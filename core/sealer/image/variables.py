"""ARG and ENV while a Kubefile is built: which value a name has where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sealer.errors import InputError, Problem
from sealer.kubefile.expansion import ExpansionError, expand
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
    :param platform: `linux/amd64`: gives TARGETPLATFORM, TARGETOS, TARGETARCH to an ARG, and ARCH to everyone.
    :param escape: of the Kubefile.
    """

    def __init__(self, given: Mapping[str, str], platform: str, escape: str) -> None:
        parts = platform.split("/")
        self._platform = {"TARGETPLATFORM": platform, "TARGETOS": parts[0], "TARGETARCH": parts[1]}
        self._given = given
        self._escape = escape
        self._global: dict[str, str] = {}
        self._args: dict[str, str] = {}
        self._used: set[str] = set(_PROXIES)
        self.env: dict[str, str] = {}

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
        return {"ARCH": self._platform["TARGETARCH"], "PATH": _USUAL_PATH, **self._args, **self.env}

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
        try:
            value = expand(word, self.known if known is None else known, self._escape)
        except ExpansionError as error:
            raise self._wrong(word, error.message) from None
        if "\0" in value:
            raise self._wrong(word, "a NUL character")
        return value

    def _wrong(self, word: Word, message: str) -> InputError:
        problem = Problem(word.position, "", message)
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
