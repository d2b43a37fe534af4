"""What is still known of a cluster whose record is damaged: enough to delete it with force."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealer.cluster import state
from sealer.cluster.files import make_private_directory, writing
from sealer.cluster.home import ClusterHome
from sealer.clusterfile.model import Cluster, Clusterfile, DriverChoice
from sealer.documents import DocumentError, load_json
from sealer.errors import SealerError
from sealer.events import EventStream
from sealer.extension.drivers import Provider
from sealer.extension.loading import driver_class, driver_names, load_driver
from sealer.extension.operation import Recorded, RecordedHost
from sealer.hosts import MASTER, Host
from sealer.image.store import Store
from sealer.settings import Settings


@dataclass
class Salvage:
    """What the files of a damaged record still say.

    :ivar recorded: the cluster as far as it is known.
    :ivar lost: what could not be read, one line each.
    """

    recorded: Recorded
    lost: list[str] = field(default_factory=list)


def salvage(home: ClusterHome) -> Salvage | None:
    """Read each file of a record for itself; None: there is nothing of a cluster.

    :raises SealerError: the record is of another version of sealer, and whole.
    """
    found = Salvage(Recorded(home.name, "deleting", (), Clusterfile(), runtime="", registry=""))
    content = _state(home, found)
    clusterfiles = list(_clusterfiles(home, found))
    addresses = list(_journal_hosts(home))
    if not (home.exists or clusterfiles or addresses):
        return None
    cluster = _cluster(home, content, clusterfiles)
    hosts: dict[str, RecordedHost] = {}
    for entry in _hosts_of_state(content, found):
        hosts.setdefault(entry.host.id, entry)
    for host in (host for it in clusterfiles if it.cluster for host in it.cluster.hosts):
        hosts.setdefault(host.id, RecordedHost(replace(host, ssh=host.ssh.filled_from(cluster.ssh))))
    for address in addresses:
        hosts.setdefault(address, RecordedHost(Host(address, ssh=cluster.ssh)))
    first = clusterfiles[0] if clusterfiles else Clusterfile()
    found.recorded = replace(
        found.recorded,
        hosts=tuple(sorted(hosts.values(), key=lambda entry: MASTER not in entry.host.roles)),
        clusterfile=replace(first, cluster=cluster, text=""),
        image=_text(content, "image") or cluster.image,
        image_digest=_text(content, "imageDigest"),
        runtime=_text(content, "runtime"),
        registry=_text(content, "registry"),
        foreign=content.get("foreign") is True,
        id=_text(content, "id") or state.kept_id(home),
    )
    return found


def known(home: ClusterHome, settings: Settings, images: Store, events: EventStream) -> Salvage | None:
    """What a record still says, with what the providers that make hosts and the image say; None: nobody says anything.

    :raises SealerError: the record is of another version of sealer, and whole.
    """
    found = salvage(home)
    made = tuple(_made(home.name, found, settings, events))
    if found is None and not made:
        return None
    if found is None:
        found = Salvage(Recorded(home.name, "deleting", (), Clusterfile(Cluster(name=home.name))))
        found.lost.append("nothing is recorded")
    recorded = found.recorded
    cluster = recorded.clusterfile.cluster or Cluster(name=home.name)
    for provider, hosts in made:
        if not cluster.provider.name:
            cluster = replace(cluster, provider=DriverChoice(provider))
        have = {entry.host.placeholder for entry in recorded.hosts}
        further = tuple(RecordedHost(host) for host in hosts if host.placeholder not in have)
        recorded = replace(recorded, hosts=(*recorded.hosts, *further))
    recorded = replace(recorded, clusterfile=replace(recorded.clusterfile, cluster=cluster))
    if recorded.image and not (recorded.image_digest and recorded.runtime):
        with contextlib.suppress(SealerError):
            image = images.find(recorded.image_digest or recorded.image)
            recorded = replace(
                recorded,
                image_digest=image.digest,
                runtime=recorded.runtime or image.first.runtime,
                registry=recorded.registry or image.first.registry,
            )
    found.recorded = recorded
    return found


def _made(
    name: str, found: Salvage | None, settings: Settings, events: EventStream
) -> Iterator[tuple[str, Sequence[Host]]]:
    """The hosts that providers made for a cluster, where what is recorded does not tell."""
    cluster = found.recorded.clusterfile.cluster if found else None
    chosen = cluster.provider if cluster else DriverChoice()
    for provider in [chosen.name] if chosen.name else driver_names("provider", settings):
        try:
            if not issubclass(of := driver_class("provider", provider, settings), Provider) or not of.makes_hosts:
                continue
            hosts = load_driver("provider", provider, settings, events, chosen.options).find(name)
        except Exception as error:  # what it says of itself is of no use: it may be anything
            if found is not None:
                found.lost.append(f"the provider {provider} does not tell what it made: {error}")
            continue
        if hosts:
            yield provider, hosts


def store(home: ClusterHome, recorded: Recorded) -> None:
    """Put what is known in place of what is damaged, which stays beside it until the cluster is gone.

    :raises SealerError: it cannot be written.
    """
    make_private_directory(home.directory)
    for path in (home.state, home.clusterfile):
        aside = path.with_name(f"{path.name}.damaged")
        if path.is_dir():
            with writing(path):
                path.rename(aside)
        else:
            with contextlib.suppress(OSError):  # it is there already, or there is nothing
                os.link(path, aside)
    state.save_settled(home, recorded.clusterfile)
    state.save(home, recorded)


def _state(home: ClusterHome, found: Salvage) -> Mapping[str, Any]:
    """The content of `state.json`, as much of it as is there."""
    try:
        content = load_json(home.state.read_bytes())
    except FileNotFoundError:
        found.lost.append(f"{home.state} is missing")
        return {}
    except (OSError, DocumentError) as error:
        found.lost.append(f"{home.state}: {error}")
        return {}
    if not isinstance(content, dict):
        found.lost.append(f"{home.state}: it holds no record")
        return {}
    if isinstance(content.get("format"), int) and content["format"] > state.FORMAT:
        state.load_state(home)  # which says so
    return content


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _hosts_of_state(content: Mapping[str, Any], found: Salvage) -> Iterator[RecordedHost]:
    entries = content.get("hosts")
    for entry in entries if isinstance(entries, list) else ():
        try:
            yield state.host_from_json(entry)
        except state.UNREADABLE:
            found.lost.append(f"a host of state.json: {json.dumps(entry)[:200]}")


def _clusterfiles(home: ClusterHome, found: Salvage) -> Iterator[Clusterfile]:
    """Those that can be read, the one that was applied last first."""
    for path in (home.clusterfile, home.pending_clusterfile):
        try:
            yield state.load_clusterfile(home, path)
        except SealerError as error:
            if path.exists() or path == home.clusterfile:
                found.lost.append(f"{path}: {error.why}")


def _cluster(home: ClusterHome, content: Mapping[str, Any], clusterfiles: Sequence[Clusterfile]) -> Cluster:
    known = next((it.cluster for it in clusterfiles if it.cluster), None)
    if known is not None:
        return replace(known, name=home.name)
    cluster = Cluster(name=home.name)
    essentials = content.get("cluster")
    if not isinstance(essentials, dict):
        return cluster
    return replace(
        cluster,
        data_root=_text(essentials, "dataRoot") or cluster.data_root,
        provider=_choice(essentials.get("provider")),
        transport=_choice(essentials.get("transport")),
    )


def _choice(content: object) -> DriverChoice:
    if not isinstance(content, dict):
        return DriverChoice("")
    options = content.get("options")
    return DriverChoice(_text(content, "name"), options if isinstance(options, dict) else {})


def _journal_hosts(home: ClusterHome) -> Iterator[str]:
    """Addresses of the hosts that the last operation was about."""
    try:
        lines = home.journal.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            for name in load_json(line)["operation"]["hosts"]:
                with contextlib.suppress(ValueError):
                    yield str(ipaddress.ip_address(name))
