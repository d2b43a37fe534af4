"""The registry itself: its configuration, its unit of systemd, and the scripts that start and end it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import bcrypt
import yaml

from sealer_plugin_registry.trusting import Login

FIRST_UNPRIVILEGED_PORT = 1024
_ROUNDS = 10  # of bcrypt, for a password that somebody chose
_ROUNDS_OF_RANDOM = 4  # nobody guesses one that was made here, and each pull of a layer pays for the rounds
# For both instances; of systemd.exec(5), in what systemd 240 knows.
HARDENING = """NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


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
    def filling(self) -> str:
        """What the instance that takes images has, while it does."""
        return f"{self.directory}/filling"

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


def runtime_directory(cluster: str) -> str:
    """Where the service finds what it reads, as its own user sees it; there only while it runs."""
    return f"/run/sealer-registry-{cluster}"


def configuration(cluster: str, port: int, secret: str, *, tls: bool, login: bool) -> bytes:
    """`config.yml` of what hosts pull from: it takes no push and no delete, from anybody.

    https://distribution.github.io/distribution/about/configuration/

    :param secret: signs the state of uploads, the same after a restart.
    """
    run = runtime_directory(cluster)
    http: dict[str, object] = {"addr": f":{port}", "relativeurls": True, "secret": secret}
    if tls:
        http["tls"] = {"certificate": f"{run}/tls.crt", "key": f"{run}/tls.key"}
    # Nothing is written, so there is nothing to purge either.
    maintenance = {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}}
    return _configuration(f"{run}/storage", http, maintenance, f"{run}/htpasswd" if login else "")


def fill_configuration(paths: Paths, port: int, secret: str) -> bytes:
    """`config.yml` of the instance that images are put in through: on the loopback, for one fill and its password."""
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}", "relativeurls": True, "secret": secret}
    return _configuration(paths.storage, http, {}, f"{paths.filling}/htpasswd")


def _configuration(
    storage: str, http: Mapping[str, object], maintenance: Mapping[str, object], htpasswd_file: str
) -> bytes:
    content: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "delete": {"enabled": False},
            **({"maintenance": dict(maintenance)} if maintenance else {}),
        },
        "http": dict(http),
    }
    if htpasswd_file:
        content["auth"] = {"htpasswd": {"realm": "sealer", "path": htpasswd_file}}
    return yaml.safe_dump(content, sort_keys=False).encode()


def unit(cluster: str, paths: Paths, port: int) -> bytes:
    """The service's file (systemd.service(5), systemd.exec(5)).

    It listens on every address, those to come too, so it needs no network to start. It does not want
    `network-online.target`: where nobody says that the network is up, systemd waits for that two minutes at each start.

    It runs as a user that exists only while it runs, and sees of the cluster's files only what is handed to it.
    """
    run = runtime_directory(cluster)
    binding = "CAP_NET_BIND_SERVICE" if port < FIRST_UNPRIVILEGED_PORT else ""
    return f"""[Unit]
Description=Private registry of sealer's cluster {cluster}
After=network.target

[Service]
RuntimeDirectory={run.removeprefix("/run/")}
RuntimeDirectoryMode=0700
ExecStartPre=+/bin/sh {paths.directory}/hand.sh {run}
ExecStart={run}/registry serve {run}/config.yml
Restart=always
RestartSec=2
UMask=0077
# sandbox
DynamicUser=yes
BindReadOnlyPaths={_bound(paths.program)}:{run}/registry {_bound(paths.storage)}:{run}/storage
{HARDENING}CapabilityBoundingSet={binding}
AmbientCapabilities={binding}
# end of sandbox

[Install]
WantedBy=multi-user.target
""".encode()


def htpasswd(login: Login) -> bytes:
    """One user, with bcrypt: the only form that the registry takes."""
    hashed = bcrypt.hashpw(login.password.encode(), bcrypt.gensalt(_ROUNDS_OF_RANDOM if login.generated else _ROUNDS))
    return f"{login.username}:".encode() + hashed + b"\n"


def _bound(path: str) -> str:
    return path.replace(":", "\\:")  # which ends a path there


def hand_script() -> str:
    """What the service's first command runs, as root: hands the service what it may read."""
    return _text("hand.sh")


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


def stop_script(cluster: str, paths: Paths) -> str:
    """Ends it; its unit goes, its files are the cluster's."""
    return _script("stop.sh", unit=unit_name(cluster), directory=paths.directory, filling=filling_name(cluster))


def filling_name(cluster: str) -> str:
    """The service that takes images; there only while it does."""
    return f"sealer-registry-{cluster}-filling.service"


def fill_script(cluster: str, paths: Paths, seconds: float) -> str:
    """Starts the instance that takes images; it ends by itself after some time, should nobody end it."""
    return _script(
        "fill.sh",
        unit=filling_name(cluster),
        program=paths.program,
        directory=paths.filling,
        storage=paths.storage,
        seconds=f"{seconds:.0f}",
        hardening=HARDENING,
    )


def filled_script(cluster: str, paths: Paths) -> str:
    """Ends that instance, and removes its password."""
    return _script("filled.sh", unit=filling_name(cluster), directory=paths.filling)


def _script(name: str, **values: str) -> str:
    settings = "\n".join(f"{key}={shlex.quote(value)}" for key, value in values.items())
    return f"{settings}\n{_text(name)}"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()
