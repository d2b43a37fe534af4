"""What can be known of a Kubefile's words before anything runs: nobody waits for a RUN to learn of a typing mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sealer.errors import InputError, Problem
from sealer.image.sources import app_sources, checksum_of, copy_sources
from sealer.image.variables import Variables
from sealer.kubefile.kube_versions import wrong_constraint
from sealer.kubefile.model import App, AppEnv, Arg, Copy, Env, Instruction, KubeVersion, Label


def rehearse(body: Sequence[Instruction], variables: Variables) -> list[Problem]:
    """Expand all words of the instructions after FROM.

    :param variables: as they are after FROM; they stay so.
    """
    rehearsal = _Rehearsal(variables.copy())
    for instruction in body:
        rehearsal.see(instruction)
    return sorted(rehearsal.problems, key=lambda problem: problem.position)


def supported_versions(version: KubeVersion, variables: Variables) -> str:
    """The constraint of KUBEVERSION.

    :raises InputError: it is none.
    """
    constraint = variables.expand(version.constraint)
    if message := wrong_constraint(constraint):
        raise variables.wrong(version.constraint, message)
    return constraint


class _Rehearsal:
    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self.problems: list[Problem] = []

    def see(self, instruction: Instruction) -> None:
        variables = self._variables
        with self._kept():
            match instruction:
                case Arg():
                    variables.declare(instruction)
                case Env():
                    variables.set_env(instruction)
                case Label():
                    for pair in instruction.pairs:
                        _ = [variables.expand(word) for word in pair]
                case AppEnv():
                    _ = [variables.expand(word) for _, word in instruction.pairs]
                case App():
                    app_sources(instruction, variables)
                case KubeVersion():
                    supported_versions(instruction, variables)
                case Copy():
                    self._see_copy(instruction)

    def _see_copy(self, copy: Copy) -> None:
        variables = self._variables
        with self._kept():
            checksum_of(copy, variables)
        with self._kept():
            copy_sources(copy, variables)
        with self._kept():
            variables.expand(copy.destination)
        for file in copy.files:
            with self._kept():
                if file.expand:
                    variables.expand_document(file.content)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            self.problems += error.problems
