"""Renders files in Go's template language, as far as files of a rootfs use it."""

from __future__ import annotations

from collections.abc import Mapping

from sealer.errors import InputError, Problem
from sealer.templates.evaluation import Evaluation, TooMuchError
from sealer.templates.lexer import Places, TemplateError
from sealer.templates.parser import parse


def render(text: str, values: Mapping[str, str], file: str) -> str:
    """A template with its variables filled in.

    The language is that of https://pkg.go.dev/text/template with actions `if`, `else if`, `else`, `with`, `range`,
    variables, comments, trimming, pipes and parentheses, and the functions listed in
    :data:`sealer.templates.functions.FUNCTIONS`. A variable that nobody gave is a mistake, unless it is piped into
    `default`, or tested.

    :param values: environment variables; `.name` takes them by their own or their sanitised name,
        `index . "docker-dir"` by a name that Go cannot write.
    :param file: how messages name the template.
    :raises InputError: with every mistake in it.
    """
    nodes, syntax = parse(text)
    evaluation = Evaluation(values)
    faults: list[TemplateError] = list(syntax)
    try:
        evaluation.run(nodes)
    except TooMuchError as much:
        faults.append(TemplateError(str(much), 0))
    faults.extend(evaluation.faults.values())
    _refuse(faults, text, file)
    return evaluation.text


def check(text: str, file: str) -> None:
    """See that a template can be read; what its variables are is not known.

    :param file: how messages name the template.
    :raises InputError: with every mistake of its syntax.
    """
    _, faults = parse(text)
    _refuse(list(faults), text, file)


def _refuse(faults: list[TemplateError], text: str, file: str) -> None:
    if faults:
        places = Places(text, file)
        faults.sort(key=lambda fault: fault.offset)
        problems = [Problem(places.at(fault.offset), "", fault.message) for fault in faults]
        raise InputError("the template cannot be rendered", where=file, problems=problems)
