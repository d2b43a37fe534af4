"""A Clusterfile as it may be kept: without secrets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

from sealer.clusterfile.free_values import without_nothing
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, KubeadmDocument, RegistrySpec
from sealer.events import Json
from sealer.hosts import DEFAULT_USER, Host, Ssh, is_this_machine

# Fields of drivers and of kubeadm that hold secrets, by how their names end. A looser rule would take away fields that
# only speak of secrets, such as kubelet's imagePullCredentialsVerificationPolicy.
_SECRET = re.compile(
    r"(?:passwd|password|passphrase|secret|token|private_?key|certificate_?key|access_?key(?:_?id)?)s?\Z", re.IGNORECASE
)


def without_secrets(clusterfile: Clusterfile) -> Clusterfile:
    """The same without passwords, passphrases, private keys (paths of keys stay), and the text that was read.

    What scripts, `env` and Config documents need stays: it cannot be told from secrets.
    """
    return dataclasses.replace(
        clusterfile,
        cluster=_cluster(clusterfile.cluster) if clusterfile.cluster else None,
        kubeadm=tuple(_kubeadm(document) for document in clusterfile.kubeadm),
        text="",
    )


def secret_fields(clusterfile: Clusterfile) -> tuple[str, ...]:
    """Paths of the fields that :func:`without_secrets` takes away, but for the logins of hosts."""
    cluster = clusterfile.cluster or Cluster()
    found = [
        *_paths(cluster.provider.options, "spec.provider"),
        *_paths(cluster.transport.options, "spec.transport"),
        *_paths(cluster.runtime.options, "spec.runtime"),
        *_paths(cluster.registry.options, "spec.registry"),
    ]
    if cluster.registry.local.password:
        found.append("spec.registry.localRegistry.password")
    if cluster.registry.external and cluster.registry.external.password:
        found.append("spec.registry.externalRegistry.password")
    for document in clusterfile.kubeadm:
        found += _paths(document.content, document.kind)
    return tuple(found)


def with_secrets(clusterfile: Clusterfile, given: Clusterfile) -> Clusterfile:
    """A recorded Clusterfile with the secrets that another one has for the same fields, but for the logins of hosts.

    A field of a driver counts for the same driver, or where the other one names none.
    """
    cluster, other = clusterfile.cluster, given.cluster
    if cluster is None or other is None:
        return clusterfile
    documents = {document.kind: document.content for document in given.kubeadm}
    return dataclasses.replace(
        clusterfile,
        cluster=dataclasses.replace(
            cluster,
            provider=_with_options(cluster.provider, other.provider),
            transport=_with_options(cluster.transport, other.transport),
            runtime=_with_options(cluster.runtime, other.runtime),
            registry=_with_passwords(cluster.registry, other.registry),
        ),
        kubeadm=tuple(
            dataclasses.replace(document, content=_filled(document.content, documents.get(document.kind, {})))
            for document in clusterfile.kubeadm
        ),
    )


def is_key_itself(private_key: str) -> bool:
    """Whether `pk` holds a key and not its path."""
    return "\n" in private_key.strip() or private_key.lstrip().startswith("-----BEGIN")


def recordable(host: Host) -> Ssh:
    """A host's login without secrets; on this machine one that was nothing else keeps its user.

    So the host stays one with a login, which is reached by SSH. Elsewhere ssh's configuration may know the user.
    """
    ssh, kept = host.ssh, _ssh(host.ssh)
    if not host.address or not is_this_machine(host.address):
        return kept
    return dataclasses.replace(kept, user=DEFAULT_USER) if ssh.is_login and not kept.is_login else kept


def is_secret(name: str) -> bool:
    """Whether a field of a driver, or of kubeadm, holds a secret, by its name."""
    return _SECRET.search(name) is not None


def _cluster(cluster: Cluster) -> Cluster:
    ssh = _ssh(cluster.ssh)
    return dataclasses.replace(
        cluster,
        ssh=ssh,
        hosts=tuple(_host(host, ssh) for host in cluster.hosts),
        provider=_choice(cluster.provider),
        transport=_choice(cluster.transport),
        runtime=_choice(cluster.runtime),
        registry=_registry(cluster.registry),
    )


def _host(host: Host, ssh: Ssh) -> Host:
    return dataclasses.replace(host, ssh=_ssh(host.ssh).filled_from(ssh))


def _ssh(ssh: Ssh) -> Ssh:
    key = "" if is_key_itself(ssh.private_key) else ssh.private_key
    return Ssh(user=ssh.user, private_key=key, port=ssh.port, config=ssh.config, alias=ssh.alias)


def _choice(choice: DriverChoice) -> DriverChoice:
    return dataclasses.replace(choice, options=without_nothing(_cleaned(choice.options)))


def _with_options(choice: DriverChoice, given: DriverChoice) -> DriverChoice:
    if given.name and given.name != choice.name:
        return choice
    return dataclasses.replace(choice, options=_filled(choice.options, given.options))


def _with_passwords(registry: RegistrySpec, given: RegistrySpec) -> RegistrySpec:
    local, external = registry.local, registry.external
    if given.external and external and given.external.domain == external.domain:
        external = dataclasses.replace(external, password=external.password or given.external.password)
    return dataclasses.replace(
        registry,
        local=dataclasses.replace(local, password=local.password or given.local.password),
        external=external,
        options=_filled(registry.options, given.options),
    )


def _filled(content: Mapping[str, Json], given: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping with the secrets of another one."""
    filled = dict(content)
    for name, value in given.items():
        there = content.get(name)
        if there is None and _holds_secret(name, value):
            filled[name] = value
        elif there is None and isinstance(value, dict):  # a mapping of secrets alone was left out with them
            if inner := _filled({}, value):
                filled[name] = inner
        elif isinstance(there, dict) and isinstance(value, dict):
            filled[name] = _filled(there, value)
        elif isinstance(there, list) and isinstance(value, list) and len(there) == len(value):
            filled[name] = [
                _filled(one, other) if isinstance(one, dict) and isinstance(other, dict) else one
                for one, other in zip(there, value, strict=True)
            ]
    return filled


def _paths(content: Mapping[str, Json], prefix: str) -> Iterator[str]:
    """Where secrets stand in it."""
    for name, value in content.items():
        path = f"{prefix}.{name}"
        if _holds_secret(name, value):
            yield path
            continue
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, dict):
                yield from _paths(one, f"{path}[{number}]" if isinstance(value, list) else path)


def _registry(registry: RegistrySpec) -> RegistrySpec:
    external = registry.external and dataclasses.replace(registry.external, password=None)
    local = dataclasses.replace(registry.local, password=None)
    return dataclasses.replace(
        registry, local=local, external=external, options=without_nothing(_cleaned(registry.options))
    )


def _kubeadm(document: KubeadmDocument) -> KubeadmDocument:
    return dataclasses.replace(document, content=_cleaned(document.content))


def _cleaned(content: Mapping[str, Json]) -> dict[str, Json]:
    return {name: _clean(value) for name, value in content.items() if not _holds_secret(name, value)}


def _holds_secret(name: str, value: Json) -> bool:
    texts = value if isinstance(value, list) else [value]
    return is_secret(name) and any(isinstance(text, str) for text in texts)


def _clean(value: Json) -> Json:
    if isinstance(value, dict):
        return _cleaned(value)
    return [_clean(item) for item in value] if isinstance(value, list) else value
