"""What can be set from outside, and the only place where default drivers are named."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sealer.defaults import defaults
from sealer.errors import InputError
from sealer.home_safety import check_home

DEFAULT_RUNTIME = "standalone"
DEFAULT_FOREIGN_RUNTIME = "external"  # of clusters that sealer did not make
DEFAULT_PROVIDER = "baremetal"
DEFAULT_TRANSPORT = "ssh"
DEFAULT_LOCAL_TRANSPORT = "local"
DEFAULT_REGISTRY = "registry"
DEFAULT_DATA_ROOT = "/var/lib/sealer"
DEFAULT_CLUSTER_NAME = "my-cluster"
DEFAULT_PARALLEL_HOSTS = 32
EVERY_PLUGIN = "*"
PLUGIN_PREFIX = "sealer-plugin-"  # of the names of packages
# What sealer's own packages offer, by kind and name. Only these are proposed for `pip install`: a package with a name
# that a user mistyped may be anybody's.
SHIPPED: Mapping[str, Mapping[str, str]] = {
    "runtime": {
        "external": "sealer-plugin-kubeadm",
        "kubeadm": "sealer-plugin-kubeadm",
        "standalone": "sealer-plugin-standalone",
    },
    "registry": {"registry": "sealer-plugin-registry"},
    "provider": {"baremetal": "sealer-plugin-baremetal", "nspawn": "sealer-plugin-nspawn"},
    "transport": {"local": "sealer-plugin-local", "ssh": "sealer-plugin-ssh"},
    "type": {
        "clustercheck": "sealer-plugin-clustercheck",
        "hostname": "sealer-plugin-hostname",
        "label": "sealer-plugin-label",
        "shell": "sealer-plugin-shell",
        "taint": "sealer-plugin-taint",
    },
}


def normalised(name: str) -> str:
    """One spelling: lower case, a dash for every run of `-`, `_` and `.`, as package names are compared."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def shipped_in(kind: str, name: str) -> str:
    """The package of sealer's own that offers a driver of a kind, or a `type` of Plugin documents; empty: none."""
    return SHIPPED[kind].get(normalised(name), "")


@dataclass(frozen=True)
class Settings:
    """The environment of one process.

    :param home: where images and clusters are kept (`SEALER_HOME`, default `~/.sealer`).
    :param parallel_hosts: how many hosts are worked on at once (`SEALER_PARALLEL`, default 32).
    :param disabled_plugins: names of plugins to leave out (`SEALER_DISABLE_PLUGINS`, comma list; `*` for all).
    :param disabled_by: what said so, for messages.
    :param trace_plugins: print every hook call (`SEALER_TRACE_PLUGINS`).
    :param user, key: login of new clusters, where neither the command line nor the Clusterfile gives one.
    :param provider: of hosts that are given by count, where none is named.
    :param registry: that `login` and `logout` mean, where none is named.
    """

    home: Path
    parallel_hosts: int = DEFAULT_PARALLEL_HOSTS
    disabled_plugins: frozenset[str] = frozenset()
    trace_plugins: bool = False
    disabled_by: str = "SEALER_DISABLE_PLUGINS"
    user: str = ""
    key: str = ""
    provider: str = ""
    registry: str = ""

    def leaves_out(self, name: str, distribution: str, target: str, plugins: Collection[str] = ()) -> bool:
        """Whether an entry point is left out: by its own name, or by what it belongs to.

        :param distribution: the package that brings it, which may be named without `sealer-plugin-`.
        :param target: `module` or `module:object`; each package above the module counts, too.
        :param plugins: the names that the same package has in the group `sealer.plugins`.
        """
        if not self.disabled_plugins or EVERY_PLUGIN in self.disabled_plugins:
            return bool(self.disabled_plugins)
        parts = target.partition(":")[0].strip().split(".")
        modules = (".".join(parts[: number + 1]) for number in range(len(parts)))
        names = {name, distribution, normalised(distribution).removeprefix(PLUGIN_PREFIX), *plugins, *modules}
        return not {normalised(one) for one in names}.isdisjoint(normalised(one) for one in self.disabled_plugins)

    @property
    def enable_again(self) -> str:
        """What to do where something that is disabled is needed."""
        unset = self.disabled_by.startswith("-") or EVERY_PLUGIN in self.disabled_plugins
        return f"run it without {self.disabled_by}" if unset else f"take it out of {self.disabled_by}"

    @property
    def images(self) -> Path:
        """The OCI image layout.

        :raises InputError: somebody else could write there.
        """
        check_home(self.home)
        return self.home / "images"

    @property
    def clusters(self) -> Path:
        """One directory a cluster.

        :raises InputError: somebody else could write there.
        """
        check_home(self.home)
        return self.home / "clusters"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the `SEALER_*` variables, and the defaults in the home's `config.yaml`.

        :raises InputError: `SEALER_PARALLEL` is no positive number, `SEALER_HOME` leads nowhere, or the file is wrong.
        """
        home = _home(environment.get("SEALER_HOME", "") or "~/.sealer")
        given = {name: default.value for name, default in defaults(home, environment).items()}
        parallel = given.pop("parallel", str(DEFAULT_PARALLEL_HOSTS))
        if not parallel.isdigit() or int(parallel) < 1:
            raise InputError("SEALER_PARALLEL", why=f"a whole number from 1 is needed, not '{parallel}'")
        return cls(
            home=home,
            parallel_hosts=int(parallel),
            disabled_plugins=frozenset(
                name.strip() for name in environment.get("SEALER_DISABLE_PLUGINS", "").split(",") if name.strip()
            ),
            trace_plugins=environment.get("SEALER_TRACE_PLUGINS", "") not in ("", "0"),
            **given,
        )


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # the working directory is gone, or nobody knows this user's home
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InputError(
            f"SEALER_HOME {text}", why=why, remedy="set SEALER_HOME to the absolute path of a directory of yours"
        ) from None
