"""`kind: Cluster` and `kind: Infra`: one :class:`~sealer.clusterfile.model.Cluster` of both."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from sealer.clusterfile.driver_choices import DriverCheck, DriverKind, read_choice
from sealer.clusterfile.free_values import positions
from sealer.clusterfile.host_sections import HostSections, read_ssh
from sealer.clusterfile.model import (
    Cluster,
    DriverChoice,
    ExternalRegistry,
    HostAlias,
    LocalRegistry,
    RegistrySpec,
)
from sealer.clusterfile.networks import Range, check_ranges, parse_cidrs, wrong_cidrs
from sealer.clusterfile.nodes import Entries
from sealer.clusterfile.report import Report, not_one_of
from sealer.clusterfile.values import Value
from sealer.errors import Position
from sealer.hosts import MASTER, NODE, Resolve, canonical_address
from sealer.settings import DEFAULT_CLUSTER_NAME, DEFAULT_DATA_ROOT


@dataclass
class ClusterReader:
    """Makes a cluster of a Cluster document, an Infra document, or both.

    :param document: `kind: Cluster`.
    :param infra: `kind: Infra`.
    :param resolve: finds the addresses of hosts that are named; None: names are a mistake.
    :param recorded: the documents are sealer's own record, also of a cluster that is on its way to its end.
    :param pods, services: the same ranges in kubeadm's ClusterConfiguration, where it has them.
    """

    report: Report
    document: Value | None
    infra: Value | None
    pods: Value | None = None
    services: Value | None = None
    check_driver: DriverCheck | None = None
    recorded: bool = False
    resolve: Resolve | None = None

    def __post_init__(self) -> None:
        whole = self.document or self.infra
        assert whole is not None
        self._whole = whole
        self._spec = (self.document.get("spec") if self.document else None) or Value(whole.node, "spec", {})
        self._made = (self.infra.get("spec") if self.infra else None) or Value(whole.node, "spec", {})

    def read(self) -> tuple[Cluster, HostSections]:
        """The cluster, and where each of its hosts was named."""
        spec = self._spec
        sections = self._hosts()
        pods = self._range("podCIDR", self.pods)
        services = self._range("svcCIDR", self.services)
        check_ranges(pods, services, list(sections.named.items()), self.report)
        metadata = self._whole.get("metadata") or Value(self._whole.node, "metadata", {})
        runtime = spec.get("containerRuntime", "type") or spec.get("containerRuntime")
        cluster = Cluster(
            name=metadata.value("name", DEFAULT_CLUSTER_NAME),
            image=spec.value("image", ""),
            hosts=tuple(sorted(sections.hosts, key=lambda host: not host.is_master)),
            groups=tuple(sorted(sections.groups, key=lambda group: group.role != MASTER)),
            env=spec.text_map("env"),
            ssh=sections.ssh,
            provider=self._provider(),
            transport=self._choice("transport", spec.get("transport")),
            runtime=self._choice("runtime", spec.get("runtime")),
            registry=self._registry(),
            pod_cidr=_cidr(spec.get("network", "podCIDR")),
            service_cidr=_cidr(spec.get("network", "svcCIDR")),
            cert_sans=tuple(text.strip() for text in spec.texts("certSANS")),
            container_runtime=runtime.the(str) if runtime and isinstance(runtime.content, str) else "",
            host_aliases=tuple(self._alias(alias) for alias in spec.items("hostAliases")),
            data_root=posixpath.normpath(spec.value("dataRoot", DEFAULT_DATA_ROOT)),
            cmd=spec.texts("cmd"),
            cmd_args=self._cmd_args(),
            app_names=tuple(filter(None, spec.texts("appNames"))) if "appNames" in spec else None,
            authorize_key=self._ssh().value("authorizeKey", True),
            labels=metadata.text_map("labels"),
            annotations=metadata.text_map("annotations"),
            positions=self._positions(),
        )
        return cluster, sections

    def _ssh(self) -> Value:
        return self._spec.get("ssh") or self._made.get("ssh") or Value(self._whole.node, "spec.ssh", {})

    def _hosts(self) -> HostSections:
        spec = self._spec
        made = self._made.get("ssh")
        if made and "ssh" in spec:
            self.report.error(made, made.path, "is given by the Cluster document already")
        sections = HostSections(self.report, read_ssh(self._ssh()), spec.entries("env"), resolve=self.resolve)
        first_form = spec.get("masters") or spec.get("nodes")
        if "hosts" in spec and first_form:
            message = "hosts are given either by spec.hosts or by spec.masters and spec.nodes, not by both"
            self.report.error(first_form, first_form.path, message)
            sections.unclear = True
        for entry in spec.items("hosts"):
            sections.read_entry(entry)
        for name, role in (("masters", MASTER), ("nodes", NODE)):
            if section := spec.get(name):
                sections.read_list(section, role)
        for group in self._made.items("hosts"):
            sections.read_group(group, self._group_role(group))
        sections.unclear |= self.recorded or bool((spec.broken | self._made.broken) & {"hosts", "masters", "nodes"})
        sections.check_masters(spec.get("hosts") or spec.get("nodes") or self._made.get("hosts") or self._whole)
        return sections

    def _positions(self) -> dict[str, Position]:
        """Where fields stand; not those of single hosts, of which there may be thousands."""
        spec = self.document.get("spec") if self.document else None
        if spec is None or not isinstance(spec.node, Entries):
            return {}
        found = {"spec": self.report.position(spec)}
        for name, (key, node) in spec.node.entries.items():
            if name not in ("env", "hosts", "masters", "nodes"):
                found.update(positions(node, f"spec.{name}", self.report.file))
                found[f"spec.{name}"] = self.report.position(key)
        for name in ("labels", "taints"):
            given = (entry.get(name) for entry in spec.items("hosts"))
            if first := next((value for value in given if value is not None), None):
                found[f"spec.hosts.{name}"] = self.report.position(first)
        return found

    def _group_role(self, group: Value) -> str:
        given = [role for key in ("role", "roles") for role in group.items(key)]
        if len(given) == 1 and given[0].content in (MASTER, NODE):
            return given[0].the(str)
        if given and given[0].content not in (MASTER, NODE):
            rule = "a host to be made is a master or a node"
            self.report.error(given[0], given[0].path, not_one_of(rule, given[0].the(str), (MASTER, NODE)))
        elif not group.broken & {"role", "roles"}:
            self.report.error(group, f"{group.path}.role", "a host to be made is a master or a node; say which of them")
        return MASTER  # so that no lack of a master is reported on top

    def _choice(self, kind: DriverKind, value: Value | None) -> DriverChoice:
        return read_choice(kind, value, self.report, self.check_driver)

    def _provider(self) -> DriverChoice:
        own, made = self._spec.get("provider"), self._made.get("provider")
        choice = self._choice("provider", own or made)
        if own and made:
            other = read_choice("provider", made, self.report, None)
            if (other.name, other.options) != (choice.name, choice.options):
                self.report.error(made, made.path, f"the Cluster document has another provider, in line {own.line}")
        return choice

    def _registry(self) -> RegistrySpec:
        given = self._spec.get("registry") or Value(self._whole.node, "spec.registry", {})
        driver = self._choice("registry", given.get("driver"))
        return RegistrySpec(
            driver.name, _local(given.get("localRegistry")), _external(given.get("externalRegistry")), driver.options
        )

    def _alias(self, alias: Value) -> HostAlias:
        address = alias.value("ip", "")
        return HostAlias(canonical_address(address) if address else "", alias.texts("hostnames"))

    def _cmd_args(self) -> tuple[str, ...]:
        if named := self._spec.entries("cmd_args"):
            return tuple(f"{key}={value.the(str)}" for key, value in named.items())
        return self._spec.texts("cmd_args") if "cmd_args" in self._spec else ()

    def _range(self, name: str, kubeadm: Value | None) -> Range | None:
        own = self._spec.get("network", name)
        theirs = _parsed(kubeadm, self.report)
        if own is None:
            return theirs
        mine = Range(parse_cidrs(own.the(str)), own)
        if theirs and set(theirs.networks) != set(mine.networks):
            self.report.error(theirs.source, theirs.source.path, f"differs from {own.path} in line {own.line}")
        return mine


def _parsed(value: Value | None, report: Report) -> Range | None:
    if value is None or not isinstance(value.content, str) or not value.content:
        return None
    if wrong := wrong_cidrs(value.content):
        report.error(value, value.path, wrong)
        return None
    return Range(parse_cidrs(value.content), value)


def _cidr(value: Value | None) -> str:
    return ",".join(str(network) for network in parse_cidrs(value.the(str))) if value else ""


def _local(section: Value | None) -> LocalRegistry:
    if section is None:
        return LocalRegistry()
    plain = LocalRegistry()
    names = section.get("cert", "subjectAltName")
    return LocalRegistry(
        domain=section.value("domain", plain.domain),
        port=section.value("port", plain.port),
        username=section.value("username", ""),
        password=section.secret("password"),
        ha=section.value("ha", plain.ha),
        insecure=section.value("insecure", plain.insecure),
        cert_dns_names=names.texts("dnsNames") if names else (),
        cert_ips=tuple(canonical_address(ip) for ip in names.texts("ips")) if names else (),
    )


def _external(section: Value | None) -> ExternalRegistry | None:
    if section is None or "domain" not in section:
        return None
    return ExternalRegistry(
        section.value("domain", ""), section.value("port", 0), section.value("username", ""), section.secret("password")
    )
