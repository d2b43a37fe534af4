"""A Clusterfile as it may be kept: without secrets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, KubeadmDocument, RegistrySpec
from sealer.events import Json
from sealer.hosts import DEFAULT_USER, Host, Ssh

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


def is_key_itself(private_key: str) -> bool:
    """Whether `pk` holds a key and not its path."""
    return "\n" in private_key.strip() or private_key.lstrip().startswith("-----BEGIN")


def recordable(ssh: Ssh) -> Ssh:
    """A login without secrets; one that was nothing else keeps its user, so that the host stays one with a login."""
    kept = _ssh(ssh)
    return Ssh(user=DEFAULT_USER) if kept == Ssh() and ssh != Ssh() else kept


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
    return Ssh(user=ssh.user, private_key=key, port=ssh.port)


def _choice(choice: DriverChoice) -> DriverChoice:
    return dataclasses.replace(choice, options=_cleaned(choice.options))


def _registry(registry: RegistrySpec) -> RegistrySpec:
    external = registry.external and dataclasses.replace(registry.external, password=None)
    local = dataclasses.replace(registry.local, password=None)
    return dataclasses.replace(registry, local=local, external=external, options=_cleaned(registry.options))


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
