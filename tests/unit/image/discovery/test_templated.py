"""Text with templates in it keeps its lines and its sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.image.discovery.templated import neutralised


def test_lines_keep_their_numbers() -> None:
    text = 'a: 1\n{{- if .X }}\nb: {{ .Y }}\n{{- end }}\n  {{ include "x" . }}\nc: {{/* a\ncomment */}} 2\n'
    found = neutralised(text)
    assert found.text.count("\n") == text.count("\n")
    assert found.text.splitlines()[1] == ""
    assert found.text.splitlines()[4] == ""
    assert found.actions_in(found.text) == [" .Y "]


def test_the_source_comes_back() -> None:
    text = 'image: "{{ .A }}/{{ printf "%s" .B }}"'
    found = neutralised(text)
    assert "{" not in found.text
    assert found.source(found.text) == text


@pytest.mark.parametrize("text", ["{{ never closed", "{{/* never closed }}", "}} {{", "{" * 100_000, "{{" * 50_000])
def test_what_is_not_closed_stays(text: str) -> None:
    assert neutralised(text).text == text


@given(st.lists(st.sampled_from(["{{", "}}", "a", "\n", "-", "/*", "*/", " ", "if ", "\ue000", "\ue001", "0"])))
def test_any_text(parts: list[str]) -> None:
    found = neutralised("".join(parts))
    found.source(found.text)
    assert found.text.count("\n") == "".join(parts).count("\n")
