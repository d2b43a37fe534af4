"""What hosts are told: to ask the private registry first, for every domain whose images it has.

https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import base64
import ipaddress
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from sealer_plugin_registry.names import below

DIRECTORY = "/etc/containerd/certs.d"
_MARK = "# Written by sealer for the cluster "
_TO_CONNECT = "3s"  # before the next registry is asked
_PUBLIC = {"docker.io": "registry-1.docker.io"}  # where a domain's own registry has another name


@dataclass(frozen=True)
class Login:
    """How the registry is signed in to; empty: nobody has to.

    :param generated: the password was made here, of random bytes.
    """

    username: str = ""
    password: str = ""
    generated: bool = False

    @property
    def header(self) -> str:
        """The value of an Authorization header (RFC 7617); empty where nobody has to sign in."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Basic {pair}" if self.username else ""


@dataclass(frozen=True)
class Server:
    """One registry that hosts ask.

    :param address: `sea.hub:5000`.
    :param ca: path on the hosts of what its certificate is signed by; empty: the system's own CAs.
    :param skip_verify: its certificate is not checked.
    """

    address: str
    plain_http: bool = False
    ca: str = ""
    login: Login = Login()
    skip_verify: bool = False

    @property
    def url(self) -> str:
        """With scheme."""
        return f"{'http' if self.plain_http else 'https'}://{self.address}"


def mark(cluster: str) -> str:
    """The first line of every file of ours."""
    return f"{_MARK}{cluster}."


def hosts_toml(cluster: str, domain: str, servers: Sequence[Server]) -> str:
    """`certs.d/<domain>/hosts.toml`: the private registry first, the domain's own after it."""
    own = f"https://{_PUBLIC.get(domain, domain)}"
    lines = [mark(cluster), f"server = {_quoted(own)}"]
    for server in servers:
        lines += ["", *_entry(server, f"{server.url}/v2/{below(domain)}", override=True, alone=len(servers) == 1)]
    return "\n".join(lines) + "\n"


def own_hosts_toml(cluster: str, server: Server) -> str:
    """The same for names that say the private registry itself."""
    return "\n".join([mark(cluster), f"server = {_quoted(server.url)}", "", *_entry(server, server.url)]) + "\n"


def files(cluster: str, domains: Iterable[str], servers: Sequence[Server]) -> dict[str, str]:
    """Content by path of all files of ours below :data:`DIRECTORY`."""
    found = {f"{DIRECTORY}/{domain}/hosts.toml": hosts_toml(cluster, domain, servers) for domain in domains}
    for server in servers:
        found[f"{DIRECTORY}/{server.address}/hosts.toml"] = own_hosts_toml(cluster, server)
    return found


def trust_script(cluster: str, data: str, content: Mapping[str, str], address: str, domain: str) -> str:
    """Puts the files in their place, and the registry's name into the hosts file.

    :param data: the cluster's directory on the host.
    :param content: by path; files of ours that are not among them go.
    :param address: what `domain` leads to; empty: it is found in some other way.
    """
    named = "" if _is_address(domain) else address
    lines = [_setup(cluster, data)]
    lines += [f"put {shlex.quote(path)} {shlex.quote(text)} || exit 1" for path, text in sorted(content.items())]
    lines.append(f"keep_only {shlex.join(content)} || exit 1")
    lines.append(f"name_registry {shlex.quote(named)} {shlex.quote(domain)}")
    return "\n".join(lines) + "\n"


def check_script(
    cluster: str, data: str, content: Mapping[str, str], address: str, domain: str, *, cas: Sequence[str]
) -> str:
    """Prints a line for all that is not as :func:`trust_script` left it.

    :param cas: paths of the CAs' certificates.
    """
    lines = [_setup(cluster, data)]
    lines += [f"look {shlex.quote(path)} {shlex.quote(text)}" for path, text in sorted(content.items())]
    lines += [f"[ -s {shlex.quote(ca)} ] || echo {shlex.quote(f'{ca} is missing')}" for ca in cas]
    if address and not _is_address(domain):
        lines.append(f"look_up {shlex.quote(address)} {shlex.quote(domain)}")
    return "\n".join(lines) + "\ntrue\n"


def untrust_script(cluster: str, data: str) -> str:
    """Takes away what :func:`trust_script` did."""
    return f"{_setup(cluster, data)}\nkeep_only '' || exit 1\nname_registry '' '' || exit 1\nforget_directories\n"


def _setup(cluster: str, data: str) -> str:
    values = {
        "mark": mark(cluster),
        "mark_of": _MARK,
        "line_mark": f"# registry of sealer's cluster {cluster}",
        "data": data,
    }
    settings = "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    return f"certs={DIRECTORY}\n{settings}\n{resources.files(__package__).joinpath('trust.sh').read_text()}"


def _entry(server: Server, address: str, *, override: bool = False, alone: bool = True) -> list[str]:
    name = f"host.{_quoted(address)}"
    lines = [f"[{name}]", '  capabilities = ["pull", "resolve"]']
    lines += ["  override_path = true"] if override else []
    # Of one that is dead; containerd before 2.1 does not know the field, and waits for 30 seconds.
    lines += [] if alone else [f'  dial_timeout = "{_TO_CONNECT}"']
    lines += [f"  ca = {_quoted(server.ca)}"] if server.ca else []
    lines += ["  skip_verify = true"] if server.skip_verify else []
    if server.login.header:
        lines += [f"  [{name}.header]", f"    Authorization = {_quoted(server.login.header)}"]
    return lines


def _quoted(text: str) -> str:
    """A TOML string; none of these texts has quotes or control characters."""
    return f'"{text}"'


def bracketed(host: str) -> str:
    """A host as addresses with a port have it; one that has its port already stays as it is."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
