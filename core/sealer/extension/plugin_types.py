"""The base class of what `kind: Plugin` documents can name in `spec.type`."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from sealer.clusterfile.model import PluginDocument
from sealer.extension.operation import Operation
from sealer.extension.steps import Step
from sealer.phases import Phase

T = TypeVar("T")


class PluginType(abc.ABC, Generic[T]):
    """HOSTNAME, SHELL, LABEL, a vendor's own. `T` is what its data means once parsed.

    :cvar type: the name users write in `spec.type`, upper case.
    :cvar default_phases: when a document has no `spec.action`; empty: every document must have one.
    :cvar phases: the only phases it can act in; any other is refused at validation.
    :cvar joining: `PreJoin` or `PostJoin`, where its data is about single hosts and so is for each host that joins
        later, too: it then acts in this phase whatever `spec.action` says, unless that is about leaving hosts alone.
    """

    type: ClassVar[str]
    default_phases: ClassVar[tuple[Phase, ...]] = ()
    phases: ClassVar[frozenset[Phase]] = frozenset(Phase)
    joining: ClassVar[Phase | None] = None

    @abc.abstractmethod
    def parse(self, document: PluginDocument) -> T:
        """Understand `document.data`.

        :raises InputError: with all problems, made by `document.problem(message, line, column)`.
        """

    @abc.abstractmethod
    def steps(self, operation: Operation, phase: Phase, document: PluginDocument, parsed: T) -> Sequence[Step]:
        """What has to be done in this phase. Step ids need be unique within this answer only."""

    def addresses(self, parsed: T) -> frozenset[str]:
        """The hosts that the data names, so that the kernel can say which of them the cluster does not have."""
        return frozenset()

    def host_names(self, parsed: T) -> Mapping[str, str]:
        """Names that this document will give to hosts, by address."""
        return {}
