"""When masters may leave etcd."""

from __future__ import annotations

import pytest

from sealer_plugin_kubeadm.etcd import Member, loss, parse


def members(text: str) -> list[Member]:
    """`a+ b- c+`: names, and whether each answers."""
    return [Member(word[0], word[0], word.endswith("+")) for word in text.split()]


@pytest.mark.parametrize(
    ("known", "leaving"),
    [
        ("a+ b+ c+", "c"),
        ("a+ b+ c+", "bc"),  # one after the other: three, two, one
        ("a+ b+ c-", "c"),  # a dead one is missed by nobody
        ("a+ b+ c-", "bc"),  # the dead one first
        ("a+ b+", "b"),
        ("a+ b+ c+ d+ e-", "ab"),
    ],
)
def test_masters_leave_while_a_majority_answers(known: str, leaving: str) -> None:
    assert loss(members(known), set(leaving)) == ""


@pytest.mark.parametrize(
    ("known", "leaving", "why"),
    [
        ("a+ b+ c-", "b", "of 2 members 1 would answer; down: c"),
        ("a+ b- c-", "c", "of 3 members 1 would answer; down: b, c"),
        ("a+ b-", "b", "of 2 members 1 would answer; down: b"),
        ("a+ b+ c+ d- e-", "a", "of 4 members 2 would answer; down: d, e"),
    ],
)
def test_it_is_refused_where_the_majority_would_be_lost(known: str, leaving: str, why: str) -> None:
    assert loss(members(known), set(leaving)) == why


def test_members_are_read_as_the_host_prints_them() -> None:
    assert parse("8e9e05c52164694d 192.0.2.11 yes\nbad\nabc fd00::2 no\n") == [
        Member("8e9e05c52164694d", "192.0.2.11", True),
        Member("abc", "fd00::2", False),
    ]
