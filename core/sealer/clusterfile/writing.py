"""A Clusterfile as text again: in one form, and without secrets."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from sealer.clusterfile.model import (
    Cluster,
    Clusterfile,
    ConfigDocument,
    DriverChoice,
    HostGroup,
    KubeadmDocument,
    LocalRegistry,
    PluginDocument,
    RegistrySpec,
)
from sealer.clusterfile.scalars import resolve
from sealer.clusterfile.secrets import without_secrets
from sealer.clusterfile.tables import API_VERSIONS
from sealer.events import Json
from sealer.hosts import Host, Ssh

Fields = dict[str, Json]
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write(clusterfile: Clusterfile) -> str:
    """The Clusterfile in its second form, which :func:`~sealer.clusterfile.reading.read` makes the same model of.

    Passwords, passphrases and private keys are left out, and so are hosts that have no address yet: their groups stay.
    """
    text: str = yaml.dump_all(
        documents_of(clusterfile), Dumper=_Dumper, sort_keys=False, allow_unicode=True, explicit_start=True, width=2**20
    )
    return text


def documents_of(clusterfile: Clusterfile) -> list[Fields]:
    """The documents that :func:`write` writes."""
    clean = without_secrets(clusterfile)
    return [
        *(_cluster_documents(clean.cluster) if clean.cluster else ()),
        *({"apiVersion": it.api_version, "kind": it.kind, **it.content} for it in clean.kubeadm),
        *(_config(config) for config in clean.configs),
        *(_plugin(plugin) for plugin in clean.plugins),
    ]


def spec_fields(cluster: Cluster) -> Fields:
    """A Cluster document's `spec` without its hosts, as :func:`write` writes it."""
    spec = next(iter(_cluster_documents(dataclasses.replace(cluster, hosts=(), groups=()))))["spec"]
    assert isinstance(spec, dict)
    return spec


def config_fields(config: ConfigDocument) -> Fields:
    """A Config document's `spec`."""
    spec = _config(config)["spec"]
    assert isinstance(spec, dict)
    return spec


def plugin_fields(plugin: PluginDocument) -> Fields:
    """A Plugin document's `spec`."""
    spec = _plugin(plugin)["spec"]
    assert isinstance(spec, dict)
    return spec


def kubeadm_fields(document: KubeadmDocument) -> Fields:
    """The fields of a document of kubeadm, kubelet or kube-proxy."""
    return {"apiVersion": document.api_version, **document.content}


class _Dumper(_DUMPER):  # type: ignore[misc]  # which of the two it is, is known at run time only
    """Texts stay texts, whoever reads them: PyYAML leaves `08` and `1e5` bare, which Kubernetes takes for numbers."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif not isinstance(resolve(text), str):
        style = "'"
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)


def _document(kind: str, metadata: Mapping[str, Json], spec: Mapping[str, Json]) -> Fields:
    return {
        "apiVersion": API_VERSIONS[0],
        "kind": kind,
        "metadata": _given(metadata),
        "spec": _given(spec),
    }


def _given(fields: Mapping[str, Json]) -> Fields:
    """Without what was not given."""
    return {name: value for name, value in fields.items() if value not in ("", [], {}, None)}


def _cluster_documents(cluster: Cluster) -> Iterable[Fields]:
    metadata: Fields = {
        "name": cluster.name,
        "labels": dict(cluster.labels),
        "annotations": dict(cluster.annotations),
    }
    spec: Fields = {
        "image": cluster.image,
        "env": dict(cluster.env),
        "ssh": {**_ssh(cluster.ssh), **({} if cluster.authorize_key else {"authorizeKey": False})},
        "provider": _choice(cluster.provider),
        "transport": _choice(cluster.transport),
        "runtime": _choice(cluster.runtime),
        "registry": _registry(cluster.registry),
        "network": _given({"podCIDR": cluster.pod_cidr, "svcCIDR": cluster.service_cidr}),
        "certSANS": list(cluster.cert_sans),
        "containerRuntime": cluster.container_runtime,
        "hostAliases": [{"ip": it.ip, "hostnames": list(it.hostnames)} for it in cluster.host_aliases],
        "dataRoot": cluster.data_root,
        "cmd": list(cluster.cmd),
        "cmd_args": list(cluster.cmd_args),
        "appNames": None if cluster.app_names is None else list(cluster.app_names) or [""],
        "hosts": list(_hosts(cluster)),
    }
    yield _document("Cluster", metadata, spec)
    if cluster.groups:
        yield _document("Infra", {}, {"hosts": [_group(group) for group in cluster.groups]})


def _hosts(cluster: Cluster) -> Iterable[Fields]:
    """Neighbours that differ in their address alone are written as one entry."""
    described = [(host.address, _host(host, cluster.ssh)) for host in cluster.hosts if host.address]
    for fields, group in itertools.groupby(described, key=lambda pair: pair[1]):
        yield {"ips": [address for address, _ in group], **fields}


def _host(host: Host, ssh: Ssh) -> Fields:
    own = {name: value for name, value in _ssh(host.ssh).items() if _ssh(ssh).get(name) != value}
    return _given(
        {
            "roles": list(host.roles),
            "env": dict(host.env),
            "ssh": own,
            "labels": dict(host.labels),
            "taints": list(host.taints),
        }
    )


def _ssh(ssh: Ssh) -> Fields:
    return _given(
        {
            "user": ssh.user,
            "pk": ssh.private_key,
            "port": ssh.port or None,
            "config": ssh.config,
            "alias": ssh.alias,
        }
    )


def _choice(choice: DriverChoice) -> Json:
    return {**({"name": choice.name} if choice.name else {}), **choice.options} if choice.options else choice.name


def _registry(registry: RegistrySpec) -> Fields:
    external = registry.external
    return _given(
        {
            "driver": _choice(DriverChoice(registry.driver, registry.options)),
            "localRegistry": _local(registry.local),
            "externalRegistry": _given(
                {"domain": external.domain, "port": external.port or None, "username": external.username}
            )
            if external
            else {},
        }
    )


def _local(registry: LocalRegistry) -> Fields:
    if registry == LocalRegistry():
        return {}
    names = _given({"dnsNames": list(registry.cert_dns_names), "ips": list(registry.cert_ips)})
    return _given(
        {
            "domain": registry.domain,
            "port": registry.port,
            "username": registry.username,
            "ha": registry.ha,
            "insecure": registry.insecure,
            "cert": {"subjectAltName": names} if names else {},
        }
    )


def _group(group: HostGroup) -> Fields:
    return _given(
        {
            "role": group.role,
            "count": group.count,
            "cpu": group.cpu or None,
            "memory": f"{group.memory}Mi" if group.memory else "",
            "systemDisk": group.system_disk or None,
            "dataDisks": list(group.data_disks),
        }
    )


def _config(config: ConfigDocument) -> Fields:
    spec: Fields = {"path": config.path, "strategy": config.strategy, "process": "|".join(config.process)}
    document = _document("Config", {"name": config.name}, spec)
    document["spec"] = {**_given(spec), "data": config.data}  # which is needed, also when it is empty
    return document


def _plugin(plugin: PluginDocument) -> Fields:
    spec: Fields = {"type": plugin.type, "action": "|".join(plugin.phases), "on": plugin.on, "data": plugin.data}
    return _document("Plugin", {"name": plugin.name}, spec)
