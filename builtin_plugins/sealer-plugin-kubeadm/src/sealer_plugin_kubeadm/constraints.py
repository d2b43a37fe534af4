"""Whether a version of Kubernetes is among those that a constraint allows.

The grammar is that of :mod:`sealer.kubefile.kube_versions`, which has found the constraint well formed.
"""

from __future__ import annotations

import re

from sealer.errors import RefusedError
from sealer.extension import Operation
from sealer.hosts import Host
from sealer.image.applications import SUPPORTED_VERSIONS_LABEL

_Triple = tuple[int, int, int]
_VERSION = re.compile(r"v?([0-9]+|[xX*])(?:\.([0-9]+|[xX*]))?(?:\.([0-9]+|[xX*]))?(?:[-+].*)?")
_TERM = re.compile(r"(==|!=|>=|=>|<=|=<|~>|=|>|<|~|\^)?\s*(\S+)")
_JOINT = re.compile(r"\s*,\s*|(?<![=<>~^!,\s])\s+")
_END = 10**9


def wanted_by(operation: Operation) -> str:
    """KUBEVERSION of the application's image; empty: any will do."""
    return operation.image.first.labels.get(SUPPORTED_VERSIONS_LABEL, "") if operation.image else ""


def refuse_unfit(operation: Operation, version: str, host: Host) -> None:
    """See that an application is for a cluster's version.

    :param version: such as `v1.20.2`; empty: it is not known.
    :param host: that was asked.
    :raises RefusedError: it is for others.
    """
    wanted = wanted_by(operation)
    if wanted and version and not satisfies(version, wanted):
        raise RefusedError(
            f"{operation.application} is not for this cluster's Kubernetes",
            where=host.id,
            why=f"it needs {wanted}, and the cluster is {version}",
            remedy="Take a version of the application that supports it.",
        )


def satisfies(version: str, constraint: str) -> bool:
    """Whether a cluster's version, such as `v1.20.2`, fits. Pre-releases and builds count as their release."""
    numbers, _ = _bounds(version)
    return any(_all(numbers, part.strip()) for part in constraint.split("||"))


def _all(version: _Triple, part: str) -> bool:
    if match := re.fullmatch(r"(\S+)\s+-\s+(\S+)", part):
        return _bounds(match[1])[0] <= version < _bounds(match[2])[1]
    return all(_one(version, term) for term in _JOINT.split(part) if term)


def _one(version: _Triple, term: str) -> bool:
    match = _TERM.fullmatch(term)
    assert match  # it was found well formed when the image was built
    operator, (first, end) = match[1] or "=", _bounds(match[2])
    if operator in ("~", "~>"):
        # Without a minor version any will do, with one the patches may differ.
        end = (first[0] + 1, 0, 0) if end[0] > first[0] else (first[0], first[1] + 1, 0)
    if operator == "^":
        end = (first[0] + 1, 0, 0) if first[0] else (0, first[1] + 1, 0)
    return {
        "=": first <= version < end,
        "==": first <= version < end,
        "!=": not first <= version < end,
        ">": version >= end,
        "<": version < first,
        ">=": version >= first,
        "=>": version >= first,
        "<=": version < end,
        "=<": version < end,
        "~": first <= version < end,
        "~>": first <= version < end,
        "^": first <= version < end,
    }[operator]


def _bounds(text: str) -> tuple[_Triple, _Triple]:
    """The first version that a text means, and the first after it that it does not: `1.20` is all of its patches."""
    match = _VERSION.fullmatch(text)
    assert match, text
    numbers = [int(part) if part and part.isdigit() else None for part in match.groups()]
    if numbers[0] is None:
        return (0, 0, 0), (_END, 0, 0)
    if numbers[1] is None:
        return (numbers[0], 0, 0), (numbers[0] + 1, 0, 0)
    if numbers[2] is None:
        return (numbers[0], numbers[1], 0), (numbers[0], numbers[1] + 1, 0)
    whole = (numbers[0], numbers[1], numbers[2])
    return whole, (*whole[:2], whole[2] + 1)
