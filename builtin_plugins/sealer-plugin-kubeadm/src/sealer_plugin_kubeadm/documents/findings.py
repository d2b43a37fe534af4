"""What is wrong with documents, collected so that a user sees all of it at once."""

from __future__ import annotations

from collections.abc import Iterable

from sealer.clusterfile.model import KubeadmDocument
from sealer.errors import InputError, Position, Problem


class Findings:
    """Errors and warnings about documents and about the fields of a Clusterfile that go into them."""

    def __init__(self) -> None:
        self._errors: list[Problem] = []
        self._warnings: list[Problem] = []

    def error(self, document: KubeadmDocument, path: str, message: str) -> None:
        """A field of a document that cannot be right."""
        self._errors.append(_problem(document, path, message))

    def warn(self, document: KubeadmDocument, path: str, message: str) -> None:
        """A field of a document that has no effect, or hardly the one that was meant."""
        self._warnings.append(_problem(document, path, message))

    def error_at(self, position: Position, path: str, message: str) -> None:
        """Something elsewhere that cannot be right."""
        self._errors.append(Problem(position, path, message))

    @property
    def has_errors(self) -> bool:
        """Whether anything cannot be right."""
        return bool(self._errors)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All warnings, by place."""
        return _in_order(self._warnings)

    def finish(self) -> None:
        """End it if anything cannot be right.

        :raises InputError: with every error, by place.
        """
        if self._errors:
            raise refusal(self._errors)


def refusal(errors: Iterable[Problem]) -> InputError:
    """The error that has all of `errors`, by place."""
    problems = _in_order(errors)
    what = str(problems[0]) if len(problems) == 1 else f"{len(problems)} mistakes in kubeadm's documents"
    return InputError(what, problems=problems)


def _problem(document: KubeadmDocument, path: str, message: str) -> Problem:
    return Problem(document.at(path), f"{document.kind}.{path}" if path else document.kind, message)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.position))
