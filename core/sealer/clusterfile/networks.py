"""CIDRs: one by one, and against each other and the hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sealer.clusterfile.report import Report, quoted
from sealer.clusterfile.values import Value

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Range:
    """A range of addresses, and where it was given."""

    networks: tuple[Network, ...]
    source: Value


def wrong_cidrs(text: str) -> str:
    """What is wrong with one CIDR, or with two of different families and a comma between; empty if nothing."""
    seen: set[int] = set()
    for part in (part.strip() for part in text.split(",")):
        if wrong := _wrong_cidr(part):
            return wrong
        version = ipaddress.ip_network(part).version
        if version in seen:
            return f"{quoted(text)} has two ranges of IPv{version}"
        seen.add(version)
    return ""


def _wrong_cidr(text: str) -> str:
    if "/" not in text:
        return f"{quoted(text)} is no CIDR such as 100.64.0.0/10"
    try:
        network = ipaddress.ip_network(text, strict=False)
        ipaddress.ip_network(text)
    except ValueError:
        address, _, length = text.partition("/")
        try:
            right = ipaddress.ip_network(f"{address}/{length}", strict=False)
        except ValueError:
            return f"{quoted(text)} is no CIDR such as 100.64.0.0/10"
        return f"{quoted(text)} is an address in a range; did you mean '{right}'?"
    return "" if network.prefixlen else f"{quoted(text)} is every address there is"


def canonical_cidrs(text: str) -> str:
    """The one spelling of it."""
    return ",".join(str(network) for network in parse_cidrs(text))


def parse_cidrs(text: str) -> tuple[Network, ...]:
    """The ranges in a text that :func:`wrong_cidrs` has nothing against."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))


def check_ranges(
    pods: Range | None, services: Range | None, hosts: Sequence[tuple[str, Value]], report: Report
) -> None:
    """See that pods, services and hosts can have their addresses at the same time."""
    if pods and services:
        for pod, service in ((pod, service) for pod in pods.networks for service in services.networks):
            if _overlap(pod, service):
                later, other = sorted((pods, services), key=lambda it: (it.source.line, it.source.column))[::-1]
                mine, theirs = (pod, service) if later is pods else (service, pod)
                report.error(later.source, later.source.path, f"{mine} overlaps {other.source.path} {theirs}")
    for name, given in (("pods", pods), ("services", services)):
        for network in given.networks if given else ():
            _check_hosts(network, name, hosts, report)


def _check_hosts(network: Network, name: str, hosts: Iterable[tuple[str, Value]], report: Report) -> None:
    for address, at in hosts:
        if ipaddress.ip_address(address) in network:
            message = f"host {address} has an address of the {name}' range {network}; neither will be reached reliably"
            report.warn(at, at.path, message)
            return  # one of them says it all


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and int(one[0]) <= int(other[-1]) and int(other[0]) <= int(one[-1])
