"""Reads the Clusterfile that a command names, with everything installed to check it against."""

from __future__ import annotations

from sealer.cli.app import App
from sealer.clusterfile.model import Clusterfile, DriverChoice
from sealer.clusterfile.reading import read_file
from sealer.extension.loading import Kind, check_options, driver_class


def read_clusterfile(app: App, path: str) -> Clusterfile:
    """Read and check `path`; its warnings become events.

    :raises InputError: with every mistake.
    """
    return read_file(
        path,
        plugin_types=app.plugins.plugin_types(),
        check_driver=check_driver,
        warn=lambda problem: app.events.warn(str(problem)),
    )


def check_driver(kind: Kind, choice: DriverChoice) -> None:
    """See that a driver is installed, and that its options are what it takes.

    :raises InputError: with all problems.
    """
    check_options(kind, driver_class(kind, choice.name), choice.options, choice.position)
