"""Reads the Clusterfile that a command names, with everything installed to check it against."""

from __future__ import annotations

from collections.abc import Mapping

from sealer.cli.app import App
from sealer.clusterfile.driver_choices import DriverCheck
from sealer.clusterfile.model import Clusterfile, DriverChoice
from sealer.clusterfile.reading import read_file
from sealer.events import Json
from sealer.extension.loading import Kind, check_options, driver_class
from sealer.extension.missing_types import all_types
from sealer.hosts import Resolve
from sealer.settings import Settings

Options = Mapping[str, Mapping[str, Json]]


def read_clusterfile(app: App, path: str, options: Options | None = None, ssh_config: str = "") -> Clusterfile:
    """Read and check `path`; its warnings become events.

    :param ssh_config: the command line's choice of ssh's configuration, over the file's.
    :param options: fields of drivers that the command line gives over the file's, by the kind of driver.
    :raises InputError: with every mistake.
    """
    return read_file(
        path,
        plugin_types=all_types(app.plugins),
        check_driver=driver_check(app.settings, options),
        warn=lambda problem: app.events.warn(str(problem)),
        resolve=resolver(app, ssh_config),
    )


def resolver(app: App, ssh_config: str = "") -> Resolve:
    """Finds the addresses of hosts that are named.

    :param ssh_config: the command line's choice of ssh's configuration.
    """
    return lambda name, config: app.host_names.resolve(name, ssh_config or config)


def driver_check(settings: Settings, options: Options | None = None) -> DriverCheck:
    """Sees that a driver can be had, and that its options are what it takes.

    :param options: further ones, by the kind of driver.
    """

    def check(kind: Kind, choice: DriverChoice) -> None:
        given = {**choice.options, **(options or {}).get(kind, {})}
        check_options(kind, driver_class(kind, choice.name, settings), given, choice.position)

    return check
