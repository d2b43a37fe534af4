"""What `sealer check` and `sealer status` show of a cluster's health: a table for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sealer.cli.failures import LINES_SHOWN, error_record
from sealer.cli.tables import some, table
from sealer.cli.views.words import one_line
from sealer.cluster.health import Finding, Health
from sealer.events import Json
from sealer.extension.operation import Node, RecordedHost

_WORDS = {"well": "passed", "warning": "warning", "failed": "FAILED", "unknown": "unknown"}
# The wrong ones first in the eye, at the end of what scrolls by.
_ORDER = {"well": 0, "warning": 1, "unknown": 2, "failed": 3}


def as_json(health: Health) -> dict[str, Json]:
    """For a program."""
    return {
        "cluster": health.cluster,
        "well": health.well,
        "checks": [
            {
                "check": finding.check,
                "plugin": finding.plugin,
                "title": finding.title,
                "host": finding.host,
                "state": finding.state,
                "error": error_record(finding.error) if finding.error else None,
                "notes": list(finding.notes),
            }
            for finding in health.findings
        ],
    }


def as_text(health: Health) -> str:
    """For a person: what reads alike stands in one row, what is wrong stands last and says why and what to do."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in health.findings:
        groups.setdefault((_ORDER[finding.state], finding.check, *_reasons(finding)), []).append(finding)
    rows = []
    for group in sorted(groups.values(), key=lambda group: _ORDER[group[0].state]):  # sorting keeps the plan's order
        first = group[0]
        hosts = some([finding.host for finding in group]) or "-"
        why, *more = _reasons(first) or [""]
        rows.append((hosts, first.title, _WORDS[first.state], why))
        rows += [("", "", "", line) for line in more]
    return table(("host", "check", "state", "why"), rows)


def _reasons(finding: Finding) -> list[str]:
    """Why, what the host said, and what to do."""
    error = finding.error
    if error is None:
        return [one_line(note) for note in finding.notes]
    lines = [f"{error.what}: {error.why}" if error.why else error.what]
    lines += [f"| {one_line(line)}" for line in error.output[-LINES_SHOWN:]]
    return [*map(one_line, lines), *([f"what to do: {error.remedy}"] if error.remedy else [])]


def summary(health: Health) -> str:
    """`2 of 9 checks failed, 1 unknown`."""
    count = Counter(finding.state for finding in health.findings)
    total = f"{len(health.findings)} check{'s' if len(health.findings) != 1 else ''}"
    if health.well:
        return f"{total} passed" + (f", {count['warning']} with a warning" if count["warning"] else "")
    failed, unknown = count["failed"], count["unknown"]
    if not failed:
        return f"{unknown} of {total} unknown"
    return f"{failed} of {total} failed" + (f", {unknown} unknown" if unknown else "")


# -- one host, for `sealer status` ---------------------------------------------------------------------------------


def node_of(entry: RecordedHost, health: Health) -> Node | None:
    """The host's node; None: it has none, or nobody answered."""
    return next((node for node in health.nodes or () if node.address == entry.host.address), None)


def now_text(entry: RecordedHost, health: Health) -> str:
    """How a host is now, as far as anybody said: `ready`, or `No answer within 5 s; ready by the cluster's API`."""
    words = [_host_words(entry, health)]
    if health.keeps_nodes:
        words.append(_node_words(entry, health))
    return "; ".join(filter(None, words))


def now_json(entry: RecordedHost, health: Health) -> dict[str, Json]:
    """The same for a program."""
    node = node_of(entry, health)
    return {
        "reached": health.reached.get(entry.host.id),
        "why": health.lost.get(entry.host.id, ""),
        "off": entry.host.id in health.off,
        "node": {"name": node.name, "ready": node.ready, "reason": node.reason} if node else None,
    }


def _host_words(entry: RecordedHost, health: Health) -> str:
    if entry.host.id in health.off:
        return "off"
    match health.reached.get(entry.host.id):
        case True:
            return "" if health.keeps_nodes and health.nodes is not None else "answers"
        case False:
            return one_line(health.lost.get(entry.host.id, "")) or "does not answer"
        case None:
            return "unknown" if entry.host.address else "was never created"


def _node_words(entry: RecordedHost, health: Health) -> str:
    if health.nodes is None:
        return "the cluster's API does not answer"
    node = node_of(entry, health)
    if node is None:
        return "no node of the cluster" if entry.member else "no node yet"
    # What the API has of a host that is silent may be older than the silence.
    by_whom = "" if health.reached.get(entry.host.id) else " by the cluster's API"
    words = "ready" if node.ready else "not ready"
    return words + by_whom + (f": {one_line(node.reason)}" if node.reason and not node.ready else "")


def strangers(recorded: Sequence[RecordedHost], health: Health) -> list[Node]:
    """Nodes that are no host of ours."""
    known = {entry.host.address for entry in recorded}
    return [node for node in health.nodes or () if node.address not in known]
