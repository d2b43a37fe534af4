"""The Plugin documents of an image and a Clusterfile, as a plugin like any other: through the same seven hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sealer.clusterfile.model import PluginDocument
from sealer.clusterfile.reading import decoded, read_plugins
from sealer.errors import InputError, Problem
from sealer.extension.marker import hookimpl
from sealer.extension.missing_types import MissingType
from sealer.extension.operation import Operation
from sealer.extension.plugin_types import PluginType
from sealer.extension.steps import Step
from sealer.phases import CLEANING_PHASES, Phase

PLUGIN_DIRECTORIES = ("plugin/", "plugins/")


def image_documents(paths: Sequence[str], read: Callable[[str], bytes]) -> tuple[PluginDocument, ...]:
    """The Plugin documents that an image carries, in the order of their paths.

    :param paths: the files of the rootfs.
    :raises InputError: a file cannot be understood, or two documents have one name.
    """
    found: list[PluginDocument] = []
    for path in sorted(paths):
        if path.startswith(PLUGIN_DIRECTORIES) and path.endswith((".yaml", ".yml")):
            text = decoded(read(path), path)
            found += (replace(document, source=path) for document in read_plugins(text, path))
    first: dict[str, PluginDocument] = {}
    problems = [
        Problem(
            document.position,
            f"Plugin {document.name}: metadata.name",
            f"the image has another of this name at {first[document.name].position}; give one of them another name",
        )
        for document in found
        if first.setdefault(document.name, document) is not document
    ]
    if problems:
        raise InputError("Two plugins of the image have one name", problems=problems)
    return tuple(found)


def merged(image: Sequence[PluginDocument], clusterfile: Sequence[PluginDocument]) -> tuple[PluginDocument, ...]:
    """The image's documents, then the Clusterfile's; one with the same name replaces the image's.

    :raises InputError: it has another type.
    """
    given = {document.name: document for document in clusterfile}
    problems = [
        Problem(
            given[document.name].position,
            f"Plugin {document.name}: spec.type",
            f"it is {given[document.name].type} here and {document.type} in the image ({document.source}); "
            "give one of them another name",
        )
        for document in image
        if document.name in given and given[document.name].type != document.type
    ]
    if problems:
        raise InputError("Two plugins have one name", problems=problems)
    return (*(document for document in image if document.name not in given), *clusterfile)


@dataclass(frozen=True)
class Parsed:
    """A document with what its type made of it."""

    document: PluginDocument
    type: PluginType[Any]
    data: Any

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Where it acts."""
        phases = self.document.phases or self.type.default_phases
        joining = getattr(self.type, "joining", None)
        if joining is None or joining in phases or CLEANING_PHASES.issuperset(phases):
            return phases
        return (*phases, joining)


def parse(documents: Sequence[PluginDocument], types: Mapping[str, PluginType[object]]) -> tuple[Parsed, ...]:
    """Let each type read its documents.

    :raises InputError: with the problems of all of them.
    """
    parsed: list[Parsed] = []
    problems: list[Problem] = []
    for document in documents:
        type_ = types.get(document.type)
        if type_ is None:
            message = f"no installed plugin offers the type {document.type}; there are {', '.join(sorted(types))}"
            problems.append(Problem(document.position, f"Plugin {document.name}: spec.type", message))
            continue
        try:
            parsed.append(Parsed(document, type_, type_.parse(document)))
        except InputError as error:
            problems += error.problems or (Problem(document.position, f"Plugin {document.name}", str(error)),)
    if problems:
        raise InputError("The Plugin documents are wrong", problems=problems)
    return tuple(parsed)


def missing_types(parsed: Sequence[Parsed]) -> tuple[str, ...]:
    """The types of documents that cannot be had, and what would bring them; each once."""
    return tuple(dict.fromkeys(entry.type.missing for entry in parsed if isinstance(entry.type, MissingType)))


def refuse_missing(parsed: Sequence[Parsed]) -> None:
    """See that every type can be had: without it a document would do nothing, unseen.

    :raises InputError: with the documents of those that cannot.
    """
    problems = [
        Problem(entry.document.position, f"Plugin {entry.document.name}: spec.type", entry.type.missing)
        for entry in parsed
        if isinstance(entry.type, MissingType)
    ]
    if problems:
        raise InputError("Plugin documents need what is not here", problems=problems)


def check_hosts(parsed: Sequence[Parsed], hosts: Sequence[str], warn: Callable[[str], None]) -> None:
    """See that data about hosts is about hosts of this cluster.

    :param hosts: their addresses.
    :raises InputError: data of the Clusterfile names hosts, and none of them is of the cluster.
    """
    problems = []
    for entry in parsed:
        document = entry.document
        named = entry.type.addresses(entry.data)
        strange = sorted(named.difference(hosts))
        if not strange:
            continue
        message = f"{', '.join(strange[:5])}{' ...' if len(strange) > 5 else ''}: not of this cluster"
        if len(strange) == len(named) and document.source == "Clusterfile":
            problems.append(Problem(document.data_position, f"Plugin {document.name}: spec.data", message))
        else:
            warn(f"{document.data_position}: Plugin {document.name}: {message}")
    if problems:
        raise InputError("Plugin documents are about other hosts", problems=problems)


class DocumentsPlugin:
    """Answers the lifecycle hooks with the steps of the documents."""

    NAME = "documents"

    def __init__(self) -> None:
        self.parsed: tuple[Parsed, ...] = ()

    def _steps(self, operation: Operation, phase: Phase) -> list[Step]:
        found: list[Step] = []
        for entry in self.parsed:
            if phase not in entry.phases:
                continue
            steps = entry.type.steps(operation, phase, entry.document, entry.data)
            name = entry.document.name
            found += (
                replace(
                    step,
                    id=f"{name}/{step.id}",
                    after=None if step.after is None else frozenset(f"{name}/{other}" for other in step.after),
                )
                for step in steps
            )
        return found

    def host_names(self) -> dict[str, str]:
        """The names that documents will give, by address."""
        return {address: name for entry in self.parsed for address, name in entry.type.host_names(entry.data).items()}

    @hookimpl
    def pre_init(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PreInit."""
        return self._steps(operation, Phase.PRE_INIT)

    @hookimpl
    def pre_join(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PreJoin."""
        return self._steps(operation, Phase.PRE_JOIN)

    @hookimpl
    def post_join(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PostJoin."""
        return self._steps(operation, Phase.POST_JOIN)

    @hookimpl
    def pre_guest(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PreGuest."""
        return self._steps(operation, Phase.PRE_GUEST)

    @hookimpl
    def post_install(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PostInstall."""
        return self._steps(operation, Phase.POST_INSTALL)

    @hookimpl
    def pre_clean(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PreClean."""
        return self._steps(operation, Phase.PRE_CLEAN)

    @hookimpl
    def post_clean(self, operation: Operation) -> Sequence[Step]:
        """Documents with the action PostClean."""
        return self._steps(operation, Phase.POST_CLEAN)
