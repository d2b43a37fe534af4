"""What an apply changes, field by field, old and new, for a person to agree to."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from sealer.cluster.changes import Changes, FieldChange
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.clusterfile.secrets import is_secret, without_secrets
from sealer.clusterfile.writing import config_fields, kubeadm_fields, plugin_fields, spec_fields
from sealer.events import Json
from sealer.extension.operation import Recorded
from sealer.hosts import MASTER, NODE, Host

SECRET = "(secret)"  # noqa: S105  # what is shown in place of one
MOST_LINES = 20  # of a changed text that are shown
_LONGEST = 100  # characters of a value in a line for a person
_PAIR = re.compile(r"""(?P<head>\s*(?:-\s+)?["']?(?P<name>[\w.-]+)["']?\s*[:=])\s*(?P<value>\S.*)""", re.ASCII)


def lines_of_field(change: FieldChange) -> list[str]:
    """One changed field, for a person."""
    if change.secret:
        return [f"~ {change.field}: changed {SECRET}"]
    if any(isinstance(value, str) and "\n" in value for value in (change.before, change.after)):
        return [f"~ {change.field}:", *_difference(change.before, change.after)]
    if change.before is None:
        return [f"+ {change.field}: {_shown(change.after)}"]
    if change.after is None:
        return [f"- {change.field}: {_shown(change.before)}"]
    return [f"~ {change.field}: {_shown(change.before)} -> {_shown(change.after)}"]


def _difference(before: Json, after: Json) -> list[str]:
    old, new = (value.splitlines() if isinstance(value, str) else [] for value in (before, after))
    lines = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    found = [f"    {line[:_LONGEST]}" for line in lines if not line.startswith("@@")]
    more = len(found) - MOST_LINES
    return [*found[:MOST_LINES], *([f"    ... and {more} more lines"] if more > 0 else [])]


def differences(recorded: Recorded, desired: Clusterfile, found: Changes) -> tuple[FieldChange, ...]:
    """Every field of `found.fields`, and of the Plugin documents that changed, with what it was and what it becomes."""
    desired = without_secrets(desired)
    before = recorded.clusterfile.cluster or Cluster(name=recorded.name)
    after = desired.cluster or Cluster(name=recorded.name)
    old_spec, new_spec = spec_fields(before), spec_fields(after)
    hosts = {entry.host.id: entry.host for entry in recorded.hosts}
    kept = {host.id: host for host in found.kept}
    changed: list[FieldChange] = []
    for field in found.fields:
        if of_host := re.fullmatch(r"spec\.hosts\[(?P<id>.+)\]\.(?P<name>\w+)", field):
            id, name = of_host["id"], of_host["name"]
            changed += _compared(field, *(_of_host(one.get(id), name) for one in (hosts, kept)))
        elif field in (f"spec.{MASTER}s", f"spec.{NODE}s"):
            role = field.removeprefix("spec.").removesuffix("s")
            changed += _compared(field, *(_sizes(cluster, role) for cluster in (before, after)))
        elif field == "Config":
            changed += _documents("Config", recorded.clusterfile, desired, _configs)
        elif field == "kubeadm":
            changed += _documents("", recorded.clusterfile, desired, _kubeadms)
        else:
            compared = list(_compared(field, *(_at(spec, field) for spec in (old_spec, new_spec))))
            # What no record shows, and a driver found: a password.
            changed += compared or [FieldChange(field, secret=True)]
    return (*changed, *_documents("Plugin", recorded.clusterfile, desired, _plugins))


def lines_of(found: Changes) -> list[str]:
    """What is about to change, for a person: removed hosts first."""
    return [
        *(f"- host {_host_line(host)}: REMOVED from the cluster, with all that it holds" for host in found.removed),
        *(f"+ host {_host_line(host)}" for host in found.added),
        *(line for change in found.details for line in lines_of_field(change)),
    ]


def as_json(found: Changes) -> dict[str, Json]:
    """The same for a program."""
    return {
        "added": [_host_record(host) for host in found.added],
        "removed": [_host_record(host) for host in found.removed],
        "fields": [
            {"field": it.field, "before": it.before, "after": it.after, "secret": it.secret} for it in found.details
        ],
    }


def _host_line(host: Host) -> str:
    return f"{host.id} ({', '.join(host.roles)})"


def _host_record(host: Host) -> Json:
    return {"host": host.id, "roles": list[Json](host.roles)}


def _at(spec: Mapping[str, Json], field: str) -> Json:
    value: Json = dict(spec)
    for name in field.split(".")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _of_host(host: Host | None, name: str) -> Json:
    value = getattr(host, name, None)
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def _sizes(cluster: Cluster, role: str) -> Json:
    groups = [replace(group, count=0) for group in cluster.groups if group.role == role]
    names = {"cpu": "cpu", "memory": "memory", "systemDisk": "system_disk", "dataDisks": "data_disks"}
    return [
        {name: list(value) if isinstance(value := getattr(group, own), tuple) else value for name, own in names.items()}
        for group in groups
    ]


def _configs(clusterfile: Clusterfile) -> dict[str, Json]:
    return {config.name: config_fields(config) for config in clusterfile.configs}


def _plugins(clusterfile: Clusterfile) -> dict[str, Json]:
    return {plugin.name: plugin_fields(plugin) for plugin in clusterfile.plugins}


def _kubeadms(clusterfile: Clusterfile) -> dict[str, Json]:
    return {document.kind: kubeadm_fields(document) for document in clusterfile.kubeadm}


def _documents(
    kind: str, before: Clusterfile, after: Clusterfile, read: Callable[[Clusterfile], Mapping[str, Json]]
) -> Iterator[FieldChange]:
    old, new = read(before), read(after)
    for name in dict.fromkeys((*old, *new)):
        yield from _compared(f"{kind} {name}".strip() + ":", old.get(name), new.get(name))


def _compared(path: str, before: Json, after: Json) -> Iterator[FieldChange]:
    """The fields that differ; a mapping field by field, anything else as a whole."""
    if before == after:
        return
    if isinstance(before, dict | None) and isinstance(after, dict | None) and (before or after):
        old, new = before or {}, after or {}
        for name in dict.fromkeys((*old, *new)):
            inner = f"{path} {name}" if path.endswith(":") else f"{path}.{name}"
            yield from _compared(inner, old.get(name), new.get(name))
        return
    if is_secret(re.split(r"[. ]", path)[-1]):
        yield FieldChange(path, secret=True)
        return
    yield FieldChange(path, _clean(before), _clean(after))


def _clean(value: Json) -> Json:
    """Without what the name before it says to be a secret, also in a text of several lines."""
    if isinstance(value, str):
        return "\n".join(map(_clean_line, value.split("\n")))
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {name: SECRET if is_secret(name) else _clean(item) for name, item in value.items()}
    return value


def _clean_line(line: str) -> str:
    match = _PAIR.fullmatch(line)
    return f"{match['head']} {SECRET}" if match and is_secret(match["name"]) else line


def _shown(value: Json) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = f"[{', '.join(map(str, value))}]"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
