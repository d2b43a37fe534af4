"""`provider`, `runtime`, `transport` and `registry.driver`: a name, or a map with the driver's own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from sealer.clusterfile.free_values import Anything, positions, without_nothing
from sealer.clusterfile.model import DriverChoice
from sealer.clusterfile.nodes import documents
from sealer.clusterfile.report import Report
from sealer.clusterfile.values import Value
from sealer.errors import InputError, MissingDriverError, Position, Problem
from sealer.events import Json

DriverKind = Literal["provider", "runtime", "transport", "registry"]
# Sees that the driver is installed and takes its options; raises InputError, with `spec.` and the kind before the paths
# of its problems.
DriverCheck = Callable[[DriverKind, DriverChoice], None]


def read_choice(kind: DriverKind, value: Value | None, report: Report, check: DriverCheck | None) -> DriverChoice:
    """Which driver was chosen; an empty name where none was: fields are for the one that the image chooses, then.

    :param check: None: any name and any field will do.
    """
    if value is None:
        return DriverChoice()
    name = value.get("name") or value
    given: Mapping[str, Json] = {key: own.content for key, own in value.entries().items() if key != "name"}  # type: ignore[misc]  # the shape made JSON of them
    options = without_nothing(given)
    text = name.content if isinstance(name.content, str) else ""
    choice = DriverChoice(text.lower(), options, report.position(name))
    if check and text:
        try:
            check(kind, choice)
        except MissingDriverError as error:  # who only validates or plans goes on; who runs it is refused later
            report.warn(name, value.path, f"{error.what}, and its fields are not checked; {error.remedy}")
        except InputError as error:
            places = positions(value.node, f"spec.{kind}", report.file)
            report.add(_placed(error, choice, value, places))
    return choice


def option_of(text: str, flag: str) -> tuple[str, Json]:
    """A field of a driver as a command line has it, `KEY=VALUE`; the value is YAML, as it would stand in a Clusterfile.

    :param flag: what to call it in messages.
    :raises InputError: it is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"{flag} {text}", why="a field of a driver is given as KEY=VALUE")
    report = Report(f"{flag} {text}")
    roots = list(documents(value, report))
    read = Anything().read(roots[0], key, report) if len(roots) == 1 else None
    if len(roots) > 1:
        report.error(roots[1], key, "one value is needed")
    report.finish(None)
    return key.strip(), "" if read is None else read.content  # type: ignore[return-value]  # the shape made JSON of it


def _placed(error: InputError, choice: DriverChoice, value: Value, places: Mapping[str, Position]) -> list[Problem]:
    """The problems, each where its field stands."""
    if not error.problems:
        remedy = f"; {error.remedy}" if error.remedy else ""
        why = f" ({error.why})" if error.why else ""
        return [Problem(choice.position, value.path, f"{error.what}{why}{remedy}")]
    return [
        Problem(places.get(problem.path, problem.position), problem.path, problem.message) for problem in error.problems
    ]
