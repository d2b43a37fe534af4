"""The kit for authors of plugins: what a hook or a driver is asked about, where a step can run without hosts, and what
every extension of a kind must hold to.

Needs the extra `sealer[testing]`. Names are imported when they are used: a suite for types does not import transports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sealer.testing.answers import Answers, Reply
    from sealer.testing.clusters import make_document, make_host, make_operation
    from sealer.testing.context import Call, RecordedContext
    from sealer.testing.operator_context import OperatorContext, run_on_operator
    from sealer.testing.provider_contract import ProviderContract
    from sealer.testing.real_hosts import RealHosts
    from sealer.testing.running import Recording, run_steps
    from sealer.testing.runtime_contract import RuntimeContract
    from sealer.testing.sshd import LoopbackSshd
    from sealer.testing.transport import RecordedConnection, RecordedTransport
    from sealer.testing.transport_contract import TransportContract
    from sealer.testing.type_contract import BadData, PluginTypeContract

_MODULES = {
    "Answers": "answers",
    "BadData": "type_contract",
    "Call": "context",
    "LoopbackSshd": "sshd",
    "OperatorContext": "operator_context",
    "PluginTypeContract": "type_contract",
    "ProviderContract": "provider_contract",
    "RealHosts": "real_hosts",
    "RecordedConnection": "transport",
    "RecordedContext": "context",
    "RecordedTransport": "transport",
    "Recording": "running",
    "Reply": "answers",
    "RuntimeContract": "runtime_contract",
    "TransportContract": "transport_contract",
    "make_document": "clusters",
    "make_host": "clusters",
    "make_operation": "clusters",
    "run_on_operator": "operator_context",
    "run_steps": "running",
}

__all__ = [
    "Answers",
    "BadData",
    "Call",
    "LoopbackSshd",
    "OperatorContext",
    "PluginTypeContract",
    "ProviderContract",
    "RealHosts",
    "RecordedConnection",
    "RecordedContext",
    "RecordedTransport",
    "Recording",
    "Reply",
    "RuntimeContract",
    "TransportContract",
    "make_document",
    "make_host",
    "make_operation",
    "run_on_operator",
    "run_steps",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
