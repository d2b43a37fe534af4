"""What whoever calls decides about a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sealer.clusterfile.secrets import is_secret
from sealer.events import Json


def _nobody(question: str) -> bool:
    return False


def nobody_knows(title: str, host: str) -> bool | None:
    """Where nobody can be asked."""
    return None


@dataclass(frozen=True)
class Choices:
    """The words of the person, or program, behind a run.

    :param command: what was typed, for locks; no secret in it.
    :param dry_run: plan, read facts from hosts, change nothing.
    :param force: at a delete, go on past hosts that are out of reach and past plugins and scripts that fail.
    :param keep_layers: at a delete, leave the verified layers on the hosts.
    :param publish: False: the hosts of a cluster that sealer did not make get an application's images elsewhere.
    :param unfinished: what becomes of an operation that another command left unfinished; empty: refuse.
    :param confirm: asked before hosts are removed, and before this machine is changed that nobody named.
    :param settled: for a step id and host id, whether a ONCE step of unknown outcome is to run again.
    :param ask_outcome: asked where `settled` says nothing, with the step's title and the host's id, from any thread:
        True: run it again, False: it is done, None: nobody can say. May raise InterruptedRunError.
    :param provider_options: fields of the cluster's provider, over those recorded: secrets are not recorded.
    :param announce: told in words what an apply will do before it does it.
    """

    command: str = "sealer"
    dry_run: bool = False
    force: bool = False
    keep_layers: bool = False
    publish: bool = True
    unfinished: Literal["", "continue", "abandon"] = ""
    confirm: Callable[[str], bool] = _nobody
    settled: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    ask_outcome: Callable[[str, str], bool | None] = nobody_knows
    provider_options: Mapping[str, Json] = field(default_factory=dict)
    announce: Callable[[str], None] = lambda text: None

    @property
    def secret_fields(self) -> tuple[str, ...]:
        """Paths of the fields among :attr:`provider_options` that are secret."""
        return tuple(f"spec.provider.{name}" for name in self.provider_options if is_secret(name))

    def settle(self, step: str, title: str, host: str) -> bool | None:
        """The word on a step on a host; None: none was given."""
        given = self.settled.get((step, host))
        return self.ask_outcome(title, host) if given is None else given
