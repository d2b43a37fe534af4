from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.errors import Position
from sealer.kubefile.expansion import ExpansionError, check, expand
from sealer.kubefile.model import Word

VARIABLES = {"A": "1", "EMPTY": "", "B_2": "two"}


def word(text: str) -> Word:
    return Word(text, Position("Kubefile", 1, 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$A", "1"),
        ("${A}", "1"),
        ("x${A}y", "x1y"),
        ("$B_2-", "two-"),
        ("$NONE", ""),
        ("${NONE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NONE-x}", "x"),
        ("${A:-x}", "1"),
        ("${A:+x}", "x"),
        ("${NONE:+x}", ""),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-'$A'}", "$A"),
        ("${A:?must}", "1"),
        ("'$A'", "$A"),
        ('"$A b"', "1 b"),
        ('"a\\"b\\$c\\d"', 'a"b$c\\d'),
        ("\\$A", "$A"),
        ("a\\ b", "a b"),
        ("$", "$"),
        ("$5", "$5"),
        ("a\\", "a\\"),
    ],
)
def test_values(text: str, value: str) -> None:
    assert expand(word(text), VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("ab'c", "a single quote that is not closed", 2),
        ('ab"c', "a double quote that is not closed", 2),
        ("a${A", "'${' without its '}'", 1),
        ("${}", "'${' without a name", 0),
        ("${A:x}", "in '${...}' only ':-', '-', ':+', '+', ':?' and '?' are known", 0),
        ("${NONE:?is needed}", "NONE must be set: is needed", 0),
        ("${EMPTY:?}", "EMPTY must be set", 0),
    ],
)
def test_errors(text: str, message: str, offset: int) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(word(text), VARIABLES)
    assert (caught.value.message, caught.value.offset) == (message, offset)


def test_a_check_needs_no_variables() -> None:
    check(word("${NONE:?is needed}"), "\\")
    with pytest.raises(ExpansionError):
        check(word("${A:+'x}"), "\\")


def test_nesting_ends_somewhere() -> None:
    with pytest.raises(ExpansionError, match="nested too deeply"):
        expand(word("${N:-" * 500 + "}" * 500), {})


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="$A{}:-+?'\"\\ x", max_size=20))
def test_what_passes_the_check_expands(text: str) -> None:
    try:
        check(word(text), "\\")
    except ExpansionError:
        return
    try:
        expand(word(text), VARIABLES)
    except ExpansionError as error:
        assert "must be set" in error.message
