"""The hosts of a cluster, out of either form."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sealer.clusterfile.environment import check_names, shell_name
from sealer.clusterfile.kubernetes_names import likely_role, wrong_role
from sealer.clusterfile.model import HostGroup
from sealer.clusterfile.nodes import Items, Node, Scalar
from sealer.clusterfile.report import Report, not_one_of, quoted
from sealer.clusterfile.secrets import is_key_itself
from sealer.clusterfile.values import Value
from sealer.hosts import LARGEST_RANGE, MASTER, NODE, Host, NamedHost, Resolve, Ssh, parse_hosts
from sealer.redaction import redactor

_ROLES = (MASTER, NODE)


@dataclass
class HostSections:
    """Everything that names hosts, read one section after the other.

    :ivar named: where each address was named first.
    :ivar unclear: some host's role or address was not understood, so that nobody can say what is missing.
    :ivar resolve: finds the addresses of hosts that are named; None: names are a mistake.
    :ivar crowded: there are too many hosts; that is reported, and further ones are not looked at.
    """

    report: Report
    ssh: Ssh
    env: Mapping[str, Value]
    hosts: list[Host] = field(default_factory=list)
    groups: list[HostGroup] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)
    unclear: bool = False
    crowded: bool = False
    resolve: Resolve | None = None

    def __post_init__(self) -> None:
        self._shell_names = {shell_name(key): key for key in self.env}

    def read_entry(self, entry: Value) -> None:
        """An entry of `spec.hosts`, second form."""
        roles = self._roles(entry)
        env = entry.entries("env")
        check_names(env, self.report, self._shell_names)
        ssh = read_ssh(entry.get("ssh")).filled_from(self.ssh)
        labels = entry.text_map("labels")
        texts = entry.text_map("env")
        for named in self._addresses(entry, "ips", ssh):
            self.hosts.append(Host(named.address, roles, named.login(ssh), texts, labels, entry.texts("taints")))

    def read_list(self, section: Value, role: str) -> None:
        """`spec.masters` or `spec.nodes`, first form: by address, or by count."""
        count = section.get("count")
        if count is not None and "ipList" in section:
            self.report.error(count, count.path, "hosts are given by ipList or by count, not by both")
        for named in self._addresses(section, "ipList", self.ssh):
            self.hosts.append(Host(named.address, (role,), named.login(self.ssh)))
        if count is not None:
            self.read_group(section, role)
            return
        for name in ("cpu", "memory", "systemDisk", "dataDisks"):
            if size := section.get(name):
                self.report.warn(size, size.path, "has no effect: only hosts made by count have a size to choose")

    def read_group(self, section: Value, role: str) -> None:
        """Hosts by count."""
        if section.value("count", 0) == 0:
            return
        self.groups.append(
            HostGroup(
                role,
                section.value("count", 0),
                section.value("cpu", 0),
                section.value("memory", 0),
                section.value("systemDisk", 0),
                tuple(disk.the(int) for key in ("dataDisks", "dataDisk") for disk in section.items(key)),
            )
        )

    def check_masters(self, at: Value) -> None:
        """See that somebody is to be a master."""
        roles = {role for host in self.hosts for role in host.roles} | {group.role for group in self.groups}
        if roles and MASTER not in roles and not self.unclear:
            self.report.error(at, at.path, "no host is a master; a cluster needs one")

    def _roles(self, entry: Value) -> tuple[str, ...]:
        given = entry.get("roles")
        if given is None:
            self.unclear = True
            return (NODE,)
        roles = [role for role in given.items() if self._is_role(role)]
        texts = tuple(dict.fromkeys(role.the(str) for role in roles))
        chosen = [text for text in texts if text in _ROLES]
        if len(chosen) == 1:
            self._warn_misspelt(roles)
            return (chosen[0], *(text for text in texts if text not in _ROLES))
        self.unclear = True
        if chosen:
            self.report.error(given, given.path, "a host is a master or a node, not both")
        elif texts:
            self.report.error(roles[0], given.path, not_one_of("a host is a master or a node", texts[0], _ROLES))
        elif not given.items():
            self.report.error(given, given.path, "a host is a master or a node; say which")
        return (NODE,)

    def _warn_misspelt(self, roles: list[Value]) -> None:
        for role in roles:
            text = role.the(str)
            if text not in _ROLES and (near := likely_role(text)):
                self.report.warn(role, role.path, f"{quoted(text)} becomes a label; did you mean {quoted(near)}?")

    def _is_role(self, role: Value) -> bool:
        text = role.the(str)
        if wrong := wrong_role(text):
            self.report.error(role, role.path, wrong)
            return False
        return True

    def _addresses(self, section: Value, key: str, ssh: Ssh) -> Iterator[NamedHost]:
        given = section.get(key)
        if given is not None:
            self._check_list(given, given.node)
        for value in section.items(key):
            for part in value.the(str).split(","):
                yield from self._named_once(part, value, ssh)

    def _named_once(self, part: str, value: Value, ssh: Ssh) -> Iterator[NamedHost]:
        if self.crowded:
            return
        for named in self._parsed(part, value, ssh):
            address = named.address
            if earlier := self.named.get(address):
                where = "here" if earlier is value else f"as {earlier.path.removeprefix('spec.')}"
                shown = f"{address} ({named.name})" if named.name else address
                self.report.error(value, value.path, f"{shown} is named twice, first {where}")
                continue
            if len(self.named) == LARGEST_RANGE:
                self.report.error(value, value.path, f"more than {LARGEST_RANGE} hosts")
                self.crowded = True
                return
            self.named[address] = value
            yield named

    def _parsed(self, part: str, value: Value, ssh: Ssh) -> Sequence[NamedHost]:
        try:
            if not part.strip():
                raise ValueError("an address is missing")
            found = parse_hosts(part, self.resolve, ssh.config)
        except ValueError as error:
            self.report.error(value, value.path, str(error))
            self.unclear = True
            return []
        return found

    def _check_list(self, given: Value, node: Node) -> None:
        """See that there is something in it, and warn where other readers would take several addresses for one text."""
        if not isinstance(node, Items):
            return
        if not node.items:
            self.report.error(given, given.path, "no address is given")
        if not node.flow:
            return
        pairs = zip(node.items, node.items[1:], strict=False)
        for before, after in pairs:
            if (
                isinstance(before, Scalar)
                and isinstance(after, Scalar)
                and before.plain
                and before.end + 1 == after.start
            ):
                message = f"no blank after a comma; read as {len(node.items)} addresses"
                self.report.warn(after, given.path, message)
                return


def read_ssh(section: Value | None) -> Ssh:
    """`ssh` of the cluster or of a host."""
    if section is None:
        return Ssh()
    private_key = section.value("pk", "")
    if is_key_itself(private_key):
        redactor.add(private_key)
    return Ssh(
        section.value("user", ""),
        section.secret("passwd"),
        private_key,
        section.secret("pkPasswd"),
        section.value("port", 0),
        _config(section.value("config", "")),
        section.value("alias", ""),
    )


def _config(name: str) -> str:
    """A file of ssh's configuration, which is recorded: by its whole path, as commands are called elsewhere, too."""
    return os.path.abspath(os.path.expanduser(name)) if name and name.lower() != "none" else name.lower()  # noqa: PTH100, PTH111  # `~nobody` stays
