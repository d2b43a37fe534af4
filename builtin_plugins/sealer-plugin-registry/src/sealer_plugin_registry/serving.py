"""The registry itself: its configuration, its unit of systemd, and the scripts that start and end it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib import resources

import bcrypt
import yaml

from sealer_plugin_registry.trusting import Login


@dataclass(frozen=True)
class Paths:
    """Where things lie on a host.

    :param data: of the cluster.
    :param rootfs: of the cluster's image.
    """

    data: str
    rootfs: str

    @property
    def directory(self) -> str:
        """All of the registry's own."""
        return f"{self.data}/registry"

    @property
    def storage(self) -> str:
        """What it holds."""
        return f"{self.directory}/storage"

    @property
    def ca(self) -> str:
        """What its certificate is signed by; on every host."""
        return f"{self.data}/registry-ca.crt"

    @property
    def external_ca(self) -> str:
        """The same of a registry that exists already."""
        return f"{self.data}/external-registry-ca.crt"

    @property
    def program(self) -> str:
        """The image's own registry."""
        return f"{self.rootfs}/bin/registry"


def unit_name(cluster: str) -> str:
    """The service."""
    return f"sealer-registry-{cluster}.service"


def configuration(paths: Paths, port: int, secret: str, *, tls: bool, login: bool) -> bytes:
    """`config.yml` (https://distribution.github.io/distribution/about/configuration/).

    :param secret: signs the state of uploads, the same after a restart.
    """
    http: dict[str, object] = {"addr": f":{port}", "relativeurls": True, "secret": secret}
    if tls:
        http["tls"] = {"certificate": f"{paths.directory}/tls.crt", "key": f"{paths.directory}/tls.key"}
    content: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": paths.storage}, "delete": {"enabled": True}},
        "http": http,
    }
    if login:
        content["auth"] = {"htpasswd": {"realm": "sealer", "path": f"{paths.directory}/htpasswd"}}
    return yaml.safe_dump(content, sort_keys=False).encode()


def unit(cluster: str, paths: Paths) -> bytes:
    """The service's file (systemd.service(5)).

    It listens on every address, those to come too, so it needs no network to start. It does not want
    `network-online.target`: where nobody says that the network is up, systemd waits for that two minutes at each start.
    """
    return (
        f"[Unit]\nDescription=Private registry of sealer's cluster {cluster}\nAfter=network.target\n\n"
        f"[Service]\nExecStart={paths.program} serve {paths.directory}/config.yml\n"
        "Restart=always\nRestartSec=2\n\n[Install]\nWantedBy=multi-user.target\n"
    ).encode()


def htpasswd(login: Login) -> bytes:
    """One user, with bcrypt: the only form that the registry takes."""
    hashed = bcrypt.hashpw(login.password.encode(), bcrypt.gensalt(10))
    return f"{login.username}:".encode() + hashed + b"\n"


def start_script(cluster: str, paths: Paths, port: int) -> str:
    """Starts it, or starts it again where it runs with something else."""
    return _script(
        "serve.sh",
        unit=unit_name(cluster),
        program=paths.program,
        directory=paths.directory,
        storage=paths.storage,
        port=str(port),
    )


def stop_script(cluster: str) -> str:
    """Ends it; its unit goes, its files are the cluster's."""
    return _script("stop.sh", unit=unit_name(cluster))


def _script(name: str, **values: str) -> str:
    settings = "\n".join(f"{key}={shlex.quote(value)}" for key, value in values.items())
    return f"{settings}\n{resources.files(__package__).joinpath(name).read_text()}"
