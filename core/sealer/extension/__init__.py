"""What a plugin author imports: steps, operations, hooks and the interfaces of drivers."""

from sealer.extension.context import Result, StepContext
from sealer.extension.drivers import RUNTIME_FIELDS, Provider, Registry, Runtime, Transport
from sealer.extension.marker import hookimpl
from sealer.extension.node_lookup import hosts_of, nodes_by_address, nodes_that_leave
from sealer.extension.operation import HostPaths, Node, Operation, OperationKind, Recorded, RecordedHost
from sealer.extension.plugin_types import PluginType
from sealer.extension.selecting import select
from sealer.extension.steps import Effect, Fact, Retry, Step
from sealer.extension.targets import (
    ADDED,
    ALL,
    FIRST_MASTER,
    KEPT,
    OPERATOR,
    REMOVED,
    Addresses,
    Labelled,
    Role,
    Targets,
    everyone,
    within,
)
from sealer.extension.transport import Connection, Exit
from sealer.image.discovery.files import Files
from sealer.image.discovery.model import ImageReference, UnresolvedReference

__all__ = [
    "ADDED",
    "ALL",
    "FIRST_MASTER",
    "KEPT",
    "OPERATOR",
    "REMOVED",
    "RUNTIME_FIELDS",
    "Addresses",
    "Connection",
    "Effect",
    "Exit",
    "Fact",
    "Files",
    "HostPaths",
    "ImageReference",
    "Labelled",
    "Node",
    "Operation",
    "OperationKind",
    "PluginType",
    "Provider",
    "Recorded",
    "RecordedHost",
    "Registry",
    "Result",
    "Retry",
    "Role",
    "Runtime",
    "Step",
    "StepContext",
    "Targets",
    "Transport",
    "UnresolvedReference",
    "everyone",
    "hookimpl",
    "hosts_of",
    "nodes_by_address",
    "nodes_that_leave",
    "select",
    "within",
]
