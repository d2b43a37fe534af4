"""What an apply would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.clusterfile.secrets import without_secrets
from sealer.errors import RefusedError
from sealer.events import Json
from sealer.extension.operation import Recorded
from sealer.hosts import MASTER, NODE, Host

# Fields of Cluster that are compared host by host, or that are only ways to reach what is the same.
_NOT_COMPARED = {
    *("hosts", "groups", "ssh", "name", "image", "labels", "annotations", "authorize_key", "positions"),
    "on_this_machine",
}
_LOGIN = frozenset({"username", "password"})  # of the private registry: its driver says whether they differ
_SPELLED = {
    "pod_cidr": "spec.network.podCIDR",
    "service_cidr": "spec.network.svcCIDR",
    "cert_sans": "spec.certSANS",
    "container_runtime": "spec.containerRuntime",
    "host_aliases": "spec.hostAliases",
    "data_root": "spec.dataRoot",
    "app_names": "spec.appNames",
}


@dataclass(frozen=True)
class FieldChange:
    """A field that is another than recorded.

    :param field: as the user spells it: `spec.env.A`, `spec.hosts[10.0.0.2].labels.disk`, `Config site: data`.
    :param before, after: None: not given. A secret is never in them.
    :param secret: only that it changed is told.
    """

    field: str
    before: Json = None
    after: Json = None
    secret: bool = False


@dataclass(frozen=True)
class Changes:
    """How the desired cluster differs from the recorded one.

    :param fields: changed fields, as the user spells them.
    :param plugins: names of Plugin documents that were edited, added or removed.
    :param details: of `fields` and `plugins`, what they were and what they become.
    """

    added: tuple[Host, ...] = ()
    removed: tuple[Host, ...] = ()
    kept: tuple[Host, ...] = ()
    fields: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    details: tuple[FieldChange, ...] = ()

    @property
    def none(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.removed or self.fields)


def changes(recorded: Recorded, desired: Clusterfile, wanted: Sequence[Host]) -> Changes:
    """Compare.

    :param wanted: the desired hosts, those a provider is to make with their placeholders.
    """
    known = {entry.host.id: entry for entry in recorded.hosts}
    desired = without_secrets(desired)  # as is recorded
    before = recorded.clusterfile.cluster or Cluster(name=recorded.name)
    after = desired.cluster or Cluster(name=recorded.name)
    names = {host.id for host in wanted}
    kept = tuple(host for host in wanted if host.id in known and known[host.id].member)
    changed = [_SPELLED.get(name, f"spec.{name}") for name in _changed_fields(before, after)]
    changed += [f"spec.{role}s" for role in (MASTER, NODE) if _resized(before, after, role)]
    if before.image and after.image and before.image != after.image:
        changed.append("spec.image")
    for host in kept:
        old = known[host.id].host
        changed += [
            f"spec.hosts[{host.id}].{name}"
            for name in ("roles", "env", "labels", "taints")
            if getattr(old, name) != getattr(host, name)
        ]
    if _without_position(recorded.clusterfile.configs) != _without_position(desired.configs):
        changed.append("Config")
    if _without_position(recorded.clusterfile.kubeadm) != _without_position(desired.kubeadm):
        changed.append("kubeadm")
    return Changes(
        added=tuple(host for host in wanted if host.id not in known or not known[host.id].member),
        removed=tuple(entry.host for entry in recorded.hosts if entry.host.id not in names),
        kept=kept,
        fields=tuple(changed),
        plugins=_changed_plugins(recorded.clusterfile, desired),
    )


def refuse_uncovered(found: Changes, covered: frozenset[str]) -> None:
    """Refuse what no step of the plan would make true.

    :param covered: fields, as `spec.env`; `spec.hosts.env` stands for that field of every host.
    :raises RefusedError: names every field.
    """
    left = [field for field in found.fields if field not in covered and _general(field) not in covered]
    if not left:
        return
    why = []
    if "spec.image" in left:
        why.append("this version of sealer cannot upgrade a cluster to another image")
    if any(field.endswith(".env") for field in left):
        why.append("env is for the templates and the scripts/update.sh of an image, and this one has neither")
    raise RefusedError(
        f"`apply` cannot change {', '.join(left)} of a cluster that runs",
        why="; ".join(why) or "no step of the plan would change it",
        remedy="Undo the change, or delete the cluster and create it again.",
    )


def _general(field: str) -> str:
    head, bracket, rest = field.partition("[")
    return head + rest.partition("]")[2] if bracket else field


def _changed_fields(before: Cluster, after: Cluster) -> list[str]:
    compared = (field.name for field in fields(Cluster) if field.name not in _NOT_COMPARED)
    return [name for name in compared if _plain(getattr(before, name)) != _plain(getattr(after, name))]


def _resized(before: Cluster, after: Cluster, role: str) -> bool:
    """Whether hosts that a provider made are to be other ones; how many there are to be shows in the hosts."""
    old, new = (
        {replace(group, count=0) for group in cluster.groups if group.role == role and group.count}
        for cluster in (before, after)
    )
    return bool(old - new and new - old)  # further groups are for hosts that come, groups that go for hosts that leave


def _plain(value: object) -> object:
    """A value without the place where it was written, and without secrets, which are not recorded."""
    text = getattr(value, "name", None)
    if text is not None and hasattr(value, "options"):
        return (text, dict(value.options))
    local = getattr(value, "local", None)
    if local is not None:
        external = getattr(value, "external", None)
        return (
            getattr(value, "driver", ""),
            tuple(getattr(local, field.name) for field in fields(local) if field.name not in _LOGIN),
            external and tuple(getattr(external, field.name) for field in fields(external) if field.name != "password"),
            dict(getattr(value, "options", {})),
        )
    return value


def _without_position(documents: Sequence[object]) -> list[dict[str, object]]:
    left_out = {"position", "positions", "data_position", "source"}
    return [{key: value for key, value in vars(document).items() if key not in left_out} for document in documents]


def _changed_plugins(before: Clusterfile, after: Clusterfile) -> tuple[str, ...]:
    old = {
        document.name: content
        for document, content in zip(before.plugins, _without_position(before.plugins), strict=True)
    }
    new = {
        document.name: content
        for document, content in zip(after.plugins, _without_position(after.plugins), strict=True)
    }
    return tuple(sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)))
