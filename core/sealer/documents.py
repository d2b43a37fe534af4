"""YAML and JSON that somebody else wrote: what an image, a host, a registry or a cluster says.

A few hundred bytes can stand for gigabytes (aliases of aliases), and brackets within brackets end in a crash. These
readers are for texts that nobody vouches for; plugins use them, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LARGEST = 32 * 1024 * 1024  # characters or bytes of a text
DEEPEST = 200  # lists and mappings within one another
MOST_VALUES = 200_000  # of a YAML text, each as often as aliases name it
MOST_MARKS = 2_000_000  # commas and opening brackets of a JSON text: each value takes one, and 60 bytes or more


class DocumentError(ValueError):
    """A text that is not YAML or JSON, or more than anybody should work with; the message is one line.

    :ivar why: the message without the place.
    :ivar line, column: where that shows, from 1; 0: unknown.
    """

    def __init__(self, why: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {why}" if line else why)
        self.why = why
        self.line = line
        self.column = column


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    :raises DocumentError: it is no JSON, too large, or nested too deeply.
    """
    _check_size(text)
    marks = sum(map(text.count, (b",", b"[", b"{") if isinstance(text, bytes) else (",", "[", "{")))  # type: ignore[arg-type]
    if marks > MOST_MARKS:
        raise DocumentError(f"more than {MOST_MARKS} values")
    try:
        value = json.loads(text)
    except RecursionError:
        raise DocumentError(f"it is nested more than {DEEPEST} deep") from None
    except ValueError as error:
        raise DocumentError(str(error)) from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST + 1):
        if not level:
            return value
        level = [
            held
            for holder in level
            for held in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(held, dict | list)
        ]
    raise DocumentError(f"it is nested more than {DEEPEST} deep")


def load_yaml(text: str | bytes) -> Any:
    """The value of a YAML text with at most one document; None: it is empty.

    :raises DocumentError: it is no YAML, too large, nested too deeply, or grows too much by its aliases.
    """
    import yaml  # noqa: PLC0415  # 30 ms that not every command needs

    try:
        check_yaml(text)
        return yaml.load(text, Loader=_loader())  # noqa: S506  # it is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError(str(error.problem or error.context), *place) from None
    except DocumentError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, RecursionError) as error:
        raise DocumentError((str(error).splitlines() or ["it cannot be read"])[0]) from None


def check_yaml(text: str | bytes) -> None:
    """Look whether a YAML text, of any number of documents, keeps to the bounds: for those who compose it themselves.

    :raises DocumentError: it is too large, nested too deeply, or grows too much by its aliases.
    :raises yaml.YAMLError: it is no YAML.
    """
    import yaml  # noqa: PLC0415  # 30 ms that not every command needs

    _check_size(text)
    _check_events(yaml.parse(text, Loader=_loader()))


def _loader() -> Any:
    import yaml  # noqa: PLC0415

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_size(text: str | bytes) -> None:
    if len(text) > LARGEST:
        raise DocumentError(f"it has {len(text)} characters; at most {LARGEST} are read")


def _check_events(events: Iterator[Any]) -> None:
    """Count what a composer would make of them: it crashes at what is too deep, and what it makes may be too much."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and how many values came before
    count = 0
    for event in events:
        name = type(event).__name__
        if name in ("MappingEndEvent", "SequenceEndEvent"):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
            continue
        if name not in ("ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent"):
            continue
        if name == "AliasEvent":
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise _at(event, "an alias stands in what it stands for")
            count += sizes.get(event.anchor, 1)
        else:
            count += 1
        if name == "ScalarEvent" and event.anchor:
            sizes[event.anchor] = 1
        if name.endswith("StartEvent"):
            open_nodes.append((event.anchor, count - 1))
        if len(open_nodes) > DEEPEST:
            raise _at(event, f"it is nested more than {DEEPEST} deep")
        if count > MOST_VALUES:
            raise _at(event, f"more than {MOST_VALUES} values, with what aliases stand for")


def _at(event: Any, why: str) -> DocumentError:
    return DocumentError(why, event.start_mark.line + 1, event.start_mark.column + 1)
