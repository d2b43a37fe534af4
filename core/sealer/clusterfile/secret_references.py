"""Secrets that a Clusterfile only refers to: `NAME:REFERENCE`, such as `vault:path#field`, which a plugin knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from sealer.clusterfile.driver_choices import option_of
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice, ExternalRegistry, LocalRegistry
from sealer.clusterfile.secrets import is_secret
from sealer.events import Json
from sealer.hosts import Ssh
from sealer.redaction import Secret

# The secret of a reference; None: nobody knows it.
Resolve = Callable[[str], Secret | None]
R = TypeVar("R", LocalRegistry, ExternalRegistry)
_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*:[^\s].*")


def resolved(given: Secret | None, resolve: Resolve) -> Secret | None:
    """The secret itself: what a reference stands for, or `given` where it is no reference that anybody knows.

    A password may have a colon in it; what has not the form of a reference is shown to no plugin.
    """
    if given is None or not _REFERENCE.fullmatch(given.reveal()):
        return given
    found = resolve(given.reveal())
    return given if found is None else found


def login_resolved(ssh: Ssh, resolve: Resolve) -> Ssh:
    """A login whose password and passphrase are the secrets themselves."""
    return replace(
        ssh,
        password=resolved(ssh.password, resolve),
        private_key_password=resolved(ssh.private_key_password, resolve),
    )


def option_resolved(text: str, flag: str, resolve: Resolve) -> str:
    """`KEY=VALUE` of a driver's field, as a command line gives it, with the secret that the value refers to.

    :param flag: what to call it in messages.
    :raises InputError: it is no `KEY=VALUE`.
    """
    key, value = option_of(text, flag)
    secret = _field(key, value, resolve)
    return text if secret == value else f"{key}={json.dumps(secret)}"


def all_resolved(clusterfile: Clusterfile, resolve: Resolve) -> Clusterfile:
    """A Clusterfile whose logins, registry passwords and secret fields of drivers and kubeadm are the secrets.

    Each reference is asked for once. What it stands for is recorded as little as other secrets are.
    """
    known: dict[str, Secret | None] = {}

    def once(reference: str) -> Secret | None:
        if reference not in known:
            known[reference] = resolve(reference)
        return known[reference]

    return replace(
        clusterfile,
        cluster=_cluster(clusterfile.cluster, once) if clusterfile.cluster else None,
        kubeadm=tuple(replace(document, content=_fields(document.content, once)) for document in clusterfile.kubeadm),
    )


def _cluster(cluster: Cluster, resolve: Resolve) -> Cluster:
    def chosen(choice: DriverChoice) -> DriverChoice:
        return replace(choice, options=_fields(choice.options, resolve))

    registry = cluster.registry
    return replace(
        cluster,
        ssh=login_resolved(cluster.ssh, resolve),
        hosts=tuple(replace(host, ssh=login_resolved(host.ssh, resolve)) for host in cluster.hosts),
        provider=chosen(cluster.provider),
        transport=chosen(cluster.transport),
        runtime=chosen(cluster.runtime),
        registry=replace(
            registry,
            local=_registry(registry.local, resolve),
            external=_registry(registry.external, resolve) if registry.external else None,
            options=_fields(registry.options, resolve),
        ),
    )


def _registry(registry: R, resolve: Resolve) -> R:
    return replace(registry, password=resolved(registry.password, resolve))


def _fields(content: Mapping[str, Json], resolve: Resolve) -> dict[str, Json]:
    return {name: _field(name, value, resolve) for name, value in content.items()}


def _field(name: str, value: Json, resolve: Resolve) -> Json:
    if isinstance(value, dict):
        return _fields(value, resolve)
    if isinstance(value, list):
        return [_field(name, item, resolve) for item in value]
    if not isinstance(value, str) or not is_secret(name):
        return value
    found = resolved(Secret(value), resolve)
    assert found is not None  # something is given
    return found.reveal()
