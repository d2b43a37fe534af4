"""What can be set from outside, and the only place where default drivers are named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sealer.errors import InputError

DEFAULT_RUNTIME = "standalone"
DEFAULT_FOREIGN_RUNTIME = "external"  # of clusters that sealer did not make
DEFAULT_PROVIDER = "baremetal"
DEFAULT_TRANSPORT = "ssh"
DEFAULT_LOCAL_TRANSPORT = "local"
DEFAULT_REGISTRY = "registry"
DEFAULT_DATA_ROOT = "/var/lib/sealer"
DEFAULT_CLUSTER_NAME = "my-cluster"
DEFAULT_PARALLEL_HOSTS = 32


@dataclass(frozen=True)
class Settings:
    """The environment of one process.

    :param home: where images and clusters are kept (`SEALER_HOME`, default `~/.sealer`).
    :param parallel_hosts: how many hosts are worked on at once (`SEALER_PARALLEL`, default 32).
    :param disabled_plugins: names of plugins to leave out (`SEALER_DISABLE_PLUGINS`, comma list; `*` for all).
    :param trace_plugins: print every hook call (`SEALER_TRACE_PLUGINS`).
    """

    home: Path
    parallel_hosts: int = DEFAULT_PARALLEL_HOSTS
    disabled_plugins: frozenset[str] = frozenset()
    trace_plugins: bool = False

    @property
    def images(self) -> Path:
        """The OCI image layout."""
        return self.home / "images"

    @property
    def clusters(self) -> Path:
        """One directory a cluster."""
        return self.home / "clusters"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the `SEALER_*` variables.

        :raises InputError: `SEALER_PARALLEL` is no positive number, or `SEALER_HOME` leads nowhere.
        """
        parallel = environment.get("SEALER_PARALLEL", "") or str(DEFAULT_PARALLEL_HOSTS)
        if not parallel.isdigit() or int(parallel) < 1:
            raise InputError("SEALER_PARALLEL", why=f"a whole number from 1 is needed, not '{parallel}'")
        return cls(
            home=_home(environment.get("SEALER_HOME", "") or "~/.sealer"),
            parallel_hosts=int(parallel),
            disabled_plugins=frozenset(
                name.strip() for name in environment.get("SEALER_DISABLE_PLUGINS", "").split(",") if name.strip()
            ),
            trace_plugins=environment.get("SEALER_TRACE_PLUGINS", "") not in ("", "0"),
        )


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # the working directory is gone, or nobody knows this user's home
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InputError(
            f"SEALER_HOME {text}", why=why, remedy="set SEALER_HOME to the absolute path of a directory of yours"
        ) from None
