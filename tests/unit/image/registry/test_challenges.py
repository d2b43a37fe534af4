from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.image.registry.challenges import Challenge, parse

REALM = "https://auth.docker.io/token"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            [f'Bearer realm="{REALM}",service="registry.docker.io",scope="repository:a/b:pull,push"'],
            [("bearer", {"realm": REALM, "service": "registry.docker.io", "scope": "repository:a/b:pull,push"})],
        ),
        (['Basic realm="a b"'], [("basic", {"realm": "a b"})]),
        (["basic REALM=plain"], [("basic", {"realm": "plain"})]),
        (['Basic realm="a", Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        (['Basic realm="a"', 'Bearer realm="b", error="insufficient_scope"'],
         [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "error": "insufficient_scope"})]),
        ([r'Bearer realm="with \"quotes\"" , service = x'], [("bearer", {"realm": 'with "quotes"', "service": "x"})]),
        (["Negotiate, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        ([""], []),
        ([",,,"], []),
    ],
)  # fmt: skip
def test_ways_to_sign_in(headers: list[str], found: list[tuple[str, dict[str, str]]]) -> None:
    assert parse(headers) == tuple(Challenge(scheme, parameters) for scheme, parameters in found)


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_header_is_read(headers: list[str]) -> None:
    parse(headers)
