"""`spec.on` of a Plugin document: on which hosts it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sealer.clusterfile.kubernetes_names import wrong_label_key, wrong_label_value
from sealer.clusterfile.report import not_one_of
from sealer.hosts import LARGEST_RANGE, MASTER, NODE, parse_addresses

FIRST_MASTER = "master0"
_WORDS = (MASTER, NODE, FIRST_MASTER)


@dataclass(frozen=True)
class EveryHost:
    """Nothing was given: all hosts."""


@dataclass(frozen=True)
class HostsWithRole:
    """`master` or `node`."""

    role: str


@dataclass(frozen=True)
class FirstMaster:
    """`master0`: the first master alone."""


@dataclass(frozen=True)
class HostsByAddress:
    """Addresses, one by one and as ranges.

    :param single: those named one by one, in the order written.
    :param ranges: the addresses of each range; of these, only some need be hosts of the cluster.
    """

    single: tuple[str, ...] = ()
    ranges: tuple[frozenset[str], ...] = ()

    @property
    def addresses(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.single).union(*self.ranges)


@dataclass(frozen=True)
class HostsWithLabel:
    """Hosts whose node has a label.

    :param value: None where any value will do.
    """

    key: str
    value: str | None


Selector = EveryHost | HostsWithRole | FirstMaster | HostsByAddress | HostsWithLabel


def parse(text: str) -> Selector:
    """Understand an `on`: nothing, `master`, `node`, `master0`, addresses, or a label.

    A label is `key=value`, `key=` (which has the empty value), or a key with a slash in it, for any value.

    :raises ValueError: with a message that says what is wrong.
    """
    text = text.strip()
    if not text:
        return EveryHost()
    if text in (MASTER, NODE):
        return HostsWithRole(text)
    if text == FIRST_MASTER:
        return FirstMaster()
    if "=" in text or "/" in text:
        return _label(text)
    # Behind a '%' stands the name of a network interface, which may have any letters.
    addresses = re.sub("%[^],]*", "", text)
    if any(char.isdigit() for char in text) and all(char in "0123456789abcdefABCDEF.:,-[] " for char in addresses):
        return _addresses(text)
    rule = "on takes nothing (all hosts), 'master', 'node', addresses or a label key=value"
    raise ValueError(not_one_of(rule, text, _WORDS))


def _addresses(text: str) -> HostsByAddress:
    single: list[str] = []
    ranges: list[frozenset[str]] = []
    for part in text.split(","):
        found = [address for address, _ in parse_addresses(part)]
        if "-" in part:
            ranges.append(frozenset(found))
        else:
            single.extend(found)
        if len(single) + sum(map(len, ranges)) > LARGEST_RANGE:
            raise ValueError(f"on has more than {LARGEST_RANGE} addresses")
    if not single and not ranges:
        raise ValueError("on has no address between its commas")
    return HostsByAddress(tuple(single), tuple(ranges))


def _label(text: str) -> HostsWithLabel:
    key, equals, value = text.partition("=")
    value = value.removeprefix("=")
    if "," in text or key.endswith("!"):
        raise ValueError("on takes one label, key=value; it knows neither lists nor other comparisons")
    if wrong := wrong_label_key(key.strip()) or wrong_label_value(value.strip()):
        raise ValueError(wrong)
    return HostsWithLabel(key.strip(), value.strip() if equals else None)
