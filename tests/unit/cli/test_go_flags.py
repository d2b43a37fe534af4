"""Flags with a value, as the original's users write them."""

from __future__ import annotations

import click
import pytest

from sealer.cli.go_flags import without_values


@click.command()
@click.option("-y", "--yes", "--force", "sure", is_flag=True)
@click.option("--base", type=bool)
@click.option("--tag")
def command(sure: bool, base: bool, tag: str) -> None:
    pass


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["--yes=true"], ["--yes"]),
        (["--force=TRUE", "--tag=true"], ["--force", "--tag=true"]),
        (["--yes=1", "word"], ["--yes", "word"]),
        (["--yes=false", "word"], ["word"]),
        (["--yes=F"], []),
        (["--base=false"], ["--base=false"]),  # takes a value anyway
        (["--yes=maybe"], ["--yes=maybe"]),  # click says what is wrong with it
        (["--", "--yes=true"], ["--", "--yes=true"]),
        (["--unknown=true"], ["--unknown=true"]),
    ],
)
def test_what_click_is_given(given: list[str], understood: list[str]) -> None:
    assert without_values(command, given) == understood
