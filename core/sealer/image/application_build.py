"""The applications of an image while it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sealer.errors import BuildError, InputError, Problem
from sealer.image.applications import Application, Applications, check_release, recognise
from sealer.image.discovery.installs import Command, Install, installs
from sealer.kubefile.consistency import unknown_names
from sealer.kubefile.model import App, AppCmds, Cmd, Cmds, Kubefile, Launch


class ApplicationBuild:
    """Gathers what a Kubefile says of applications.

    :param inherited: of the base; its LAUNCH is its own affair.
    :raises InputError: an instruction names an application that there is not.
    """

    def __init__(self, kubefile: Kubefile, inherited: Applications) -> None:
        if problems := list(unknown_names(kubefile.body, inherited.by_name)):
            raise InputError("the Kubefile is wrong", where=kubefile.file, problems=problems)
        self._kubefile = kubefile
        self._apps = replace(inherited, launch=())
        self._base_launch = inherited.launch
        self._commands: dict[str, tuple[str, ...]] = {}
        self._env: dict[str, dict[str, str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._apps.by_name

    def add(self, app: App, paths: Sequence[str], sources: Mapping[str, str]) -> None:
        """Add an application, or put it in the place of the base's.

        :param paths: of its files, relative to its directory.
        :param sources: where the content of each is read from.
        :raises BuildError: nothing says how it is installed.
        """
        found = recognise(app.name.text, paths, lambda path: _is_chart(Path(sources[path])))
        found = replace(found, role=app.role)
        if not self._has_commands(found.name):
            check_release(found)
            if not found.commands:
                raise BuildError(
                    f"nothing says how '{found.name}' is installed",
                    why="it is no helm chart, and neither are all of its files manifests, nor all scripts",
                    remedy=f'say it with APPCMDS {found.name} ["command"]',
                )
        self._apps = self._apps.put(found)

    def set_commands(self, name: str, commands: Sequence[str]) -> None:
        """APPCMDS."""
        self._commands[name] = tuple(commands)

    def set_env(self, name: str, env: Mapping[str, str]) -> None:
        """APPENV; later ones win."""
        self._env.setdefault(name, {}).update(env)

    def launch(self, names: Sequence[str]) -> None:
        """LAUNCH."""
        self._apps = replace(self._apps, launch=tuple(names))

    def finish(self) -> Applications:
        """All of them, with the commands and variables that were given, wherever they stood."""
        apps = self._apps
        for name, app in self._apps.by_name.items():
            apps = apps.put(self._finished(app, name))
        return apps

    def _finished(self, app: Application, name: str) -> Application:
        env = {**app.env, **self._env.get(name, {})}
        return replace(app, commands=self._commands.get(name, app.commands), env=env)

    @property
    def warnings(self) -> list[Problem]:
        """What may not be meant as it is written."""
        if any(isinstance(it, Launch) for it in self._kubefile.body):
            return []
        if self._base_launch:
            message = f"the base's LAUNCH does not come along: {' '.join(self._base_launch)}; write it again"
        elif any(isinstance(it, App) for it in self._kubefile.body) and not self._launches_otherwise():
            message = "no LAUNCH: `sealer run` installs no application unless --apps names it"
        else:
            return []
        return [Problem(self._kubefile.base.position, "", message)]

    def _launches_otherwise(self) -> bool:
        return any(isinstance(it, Cmd | Cmds) for it in self._kubefile.body)

    def _has_commands(self, name: str) -> bool:
        return any(isinstance(it, AppCmds) and it.name.text == name for it in self._kubefile.body)


def chart_installs(cmds: Sequence[str], apps: Applications, env: Mapping[str, str]) -> tuple[Install, ...]:
    """The charts of the image that its CMDs and applications install, with the values of their choice.

    :param env: of the image.
    """
    commands = [Command(text, "", env) for text in cmds]
    for app in apps.by_name.values():
        commands += [Command(text, app.directory, {**env, **app.env}) for text in app.commands]
    return installs(commands)


def _is_chart(path: Path) -> bool:
    from sealer.image.discovery.charts import is_packed_chart  # noqa: PLC0415  # 40 ms that only an archive is worth

    return is_packed_chart(path)
