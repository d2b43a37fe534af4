"""The Go template language, as files of a rootfs use it. Expected texts are what Go's text/template gives."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.templates.functions import FUNCTIONS
from sealer.templates.gotemplate import render

VALUES = {
    "Port": "5000",
    "Name": "sea.hub",
    "docker-dir": "/data/docker",
    "List": "a b  c",
    "Empty": "",
    "Quoted": 'say "hi"\n',
    "Csv": "x,y",
}


UNKNOWN = "the variable 'X1' is not defined; give it in env, or write '| default \"...\"'"


def rendered(text: str) -> str:
    return render(text, VALUES, "etc/x.tmpl")


def mistakes(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        rendered(text)
    assert caught.value.where == "etc/x.tmpl"
    return [str(problem).removeprefix("etc/x.tmpl:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("no action", "no action"),
        ("port: {{ .Port }}\n", "port: 5000\n"),
        ("{{.Port}}{{.Name}}", "5000sea.hub"),
        ("{{ $.Port }}", "5000"),
        ("{{ .docker_dir }}", "/data/docker"),
        ('{{ index . "docker-dir" }}', "/data/docker"),
        ('{{ index . "docker_dir" }}', "/data/docker"),
        ('{{ index $ "docker-dir" | upper }}', "/DATA/DOCKER"),
        ('{{ .Missing | default "4" }}', "4"),
        ('{{ default "4" .Missing }}', "4"),
        ('{{ .Empty | default "4" }}', "4"),
        ('{{ .Missing | default .Port | quote }}', '"5000"'),
        ('{{ index . "no-such" | default "4" }}', "4"),
        ("{{ .Quoted | quote }}", r'"say \"hi\"\n"'),
        ("{{ .Name | squote }}", "'sea.hub'"),
        ("{{ quote .Name .Port }}", '"sea.hub" "5000"'),
        ("{{ .Name | b64enc }}", "c2VhLmh1Yg=="),
        ('{{ "c2VhLmh1Yg==" | b64dec }}', "sea.hub"),
        ("{{ .Name | upper | lower | trim }}", "sea.hub"),
        ('{{ "a\\nb" | indent 2 }}', "  a\n  b"),
        ('{{ "a\\nb" | nindent 2 }}', "\n  a\n  b"),
        ("{{ .Port | int }}", "5000"),
        ("{{ 7 | toString | quote }}", '"7"'),
        ("{{ len .Name }} {{ len (splitList \",\" .Csv) }}", "7 2"),
        ('{{ printf "%s:%d %q %05d|%4s|%-4s|%%" .Name (int .Port) "é" 42 "ab" "ab" }}',
         'sea.hub:5000 "é" 00042|  ab|ab  |%'),
        ("{{ print .Name \":\" .Port }}", "sea.hub:5000"),
        ('{{ replace "." "-" .Name }}', "sea-hub"),
        ('{{ .Csv | split "," | join " " }}', "x y"),
        ('{{ .Name | trimSuffix ".hub" | trimPrefix "s" }}', "ea"),
        ('{{ index (split "," .Csv) 1 }}', "y"),
        ('{{ coalesce .Missing .Empty .Port }}', "5000"),
        ('{{ ternary "a" "b" (eq .Port "5000") }}', "a"),
        ("{{ true }} {{ 3 }} {{ 1.5 }} {{ 2.0 }} {{ 0x10 }} {{ 010 }} {{ -3 }} {{ 1_000 }}",
         "true 3 1.5 2 16 8 -3 1000"),
        ("{{ `a\\n\"b` }}", 'a\\n"b'),
        (r'{{ "\x41\u00e9\U0001F600\101\t" }}', "Aé😀A\t"),
        ("{{/* a comment */}}x{{- /* another */ -}} y", "xy"),
        ("{{ /* spaced */ }}x", "x"),
        ("a  {{- .Port -}}  \n b", "a5000b"),
        ("a\n{{- \"x\" }} b {{ \"y\" -}}\nc", "ax b yc"),
        ("{{-3}} {{ 3 -}}  x", "-3 3x"),
        ("{{\n  .Port\n}}", "5000"),
        ("}} {x} { {", "}} {x} { {"),
        ("{{ (.Port) }}{{ ((.Port | upper) | lower) }}", "50005000"),
    ],
)  # fmt: skip
def test_values_pipes_and_functions(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ if .Port }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .Missing }}a{{ else }}b{{ end }}", "b"),
        ("{{ if .Empty }}a{{ end }}", ""),
        ('{{ if eq .Port "1" }}a{{ else if eq .Port "5000" }}b{{ else }}c{{ end }}', "b"),
        ('{{ if eq .Port "1" "5000" }}a{{ end }}', "a"),
        ('{{ if ne .Port "1" }}a{{ end }}', "a"),
        ("{{ if and .Port .Missing }}a{{ else }}b{{ end }}", "b"),
        ("{{ if or .Missing .Port }}a{{ end }}", "a"),
        ("{{ or .Missing .Port }} {{ and .Port .Name }}", "5000 sea.hub"),
        ("{{ if not .Missing }}a{{ end }}", "a"),
        ("{{ if .Missing | not }}a{{ end }}", "a"),
        ("{{ if and (gt (int .Port) 1024) (lt (int .Port) 65536) }}a{{ end }}", "a"),
        ("{{ if le 2 2 }}a{{ end }}{{ if ge 1 2.5 }}b{{ end }}{{ if lt \"a\" \"b\" }}c{{ end }}", "ac"),
        ('{{ if "false" }}a{{ end }}', "a"),  # as in Go: a text is true when it is not empty
        ('{{ if and (.Missing) (eq .Missing "x") }}a{{ else }}b{{ end }}', "b"),  # the second is not looked at
        ("{{ range .List }}<{{ . }}>{{ end }}", "<a><b><c>"),
        ('{{ range $i, $e := split "," .Csv }}{{ $i }}={{ $e }};{{ end }}', "0=x;1=y;"),
        ("{{ range $e := .List }}{{ $e }}{{ $.Port }}{{ end }}", "a5000b5000c5000"),
        ("{{ range .Empty }}a{{ else }}none{{ end }}", "none"),
        ("{{ range .List }}{{ range $.List }}.{{ end }}{{ end }}", "........."),
        ("{{ with .Port }}{{ . }}{{ $.Name }}{{ end }}", "5000sea.hub"),
        ("{{ with .Missing }}a{{ else }}b{{ $.Port }}{{ .Port }}{{ end }}", "b50005000"),
        ("{{ with $x := .Port }}{{ $x }}{{ end }}", "5000"),
        ("{{ $x := .Port }}{{ $x }}{{ $x = \"2\" }}{{ $x }}", "50002"),
        ("{{ $x := 1 }}{{ range .List }}{{ $x = . }}{{ end }}{{ $x }}", "c"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ('{{ $x := .Missing }}{{ $x | default "d" }}', "d"),
        ("{{ if $x := .Missing }}a{{ else if $y := .Port }}{{ $y }}{{ $x | default `b` }}{{ end }}", "5000b"),
        ("{{ $.Port }}{{ $d := . }}{{ $d.Port }}", "50005000"),
        ("{{- range $i, $e := .List }}\n- {{ $e }}\n{{- end }}\n", "\n- a\n- b\n- c\n"),
    ],
)  # fmt: skip
def test_blocks_and_variables(template: str, text: str) -> None:
    assert rendered(template) == text


def test_range_over_all_variables_is_sorted_by_name() -> None:
    template = "{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}"
    assert render(template, {"b": "2", "a-c": "1"}, "f") == "a-c=1;b=2;"


def test_a_variable_of_that_very_name_goes_before_a_sanitised_one() -> None:
    assert render("{{ .a_b }}", {"a_b": "own", "a-b": "other"}, "f") == "own"


@pytest.mark.parametrize(
    ("template", "messages"),
    [
        ("a\n  {{ .Prot }}", ["2:6: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ .X1 }}{{ .X1 }}", [f"1:4: {UNKNOWN}", f"1:13: {UNKNOWN}"]),
        ("{{ .Prot | quote }}", ["1:4: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ .Prot | quote | default \"a\" }}", ["1:4: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ('{{ index . "Prot" }}', ["1:4: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ('{{ if eq .Prot "1" }}{{ end }}', ["1:10: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ range .Prot }}{{ end }}", ["1:10: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ range .List }}{{ $.Prot }}{{ end }}", ["1:22: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ and .Port .Prot }}", ["1:14: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ $x := .Prot }}{{ $x }}", ["1:10: the variable 'Prot' is not defined; did you mean 'Port'?"]),
        ("{{ range .List }}{{ .Port }}{{ end }}",
         ["1:21: a text has no '.Port'; all variables are '$', so it may be '$.Port'"]),
        ("{{ . }}", ["1:4: '.' is all variables together; name one of them, as in '.Port'"]),
        ("{{ .docker-dir }}", ["1:4: a name has no '-' here: write '.docker_dir' or 'index . \"docker-dir\"'"]),
        ("{{ .Port", ["1:1: this '{{' is never closed by '}}'"]),
        ("{{ /* x }}", ["1:4: a comment is alone between '{{' and '}}', and ends with '*/'"]),
        ('{{ "a }}', ["1:4: this text is never closed by '\"' on its line"]),
        ("{{ 'a' }}", ["1:4: a text stands between double quotes or back-quotes"]),
        ("{{ 1x }}", ["1:4: this is no number"]),
        ("{{ 99999999999999999999 }}", ["1:4: this number does not fit into 64 bits"]),
        ("{{ " + "9" * 10_000 + " }}", ["1:4: this number does not fit into 64 bits"]),
        (r'{{ "\ud800" }}', ["1:4: the escape '\\ud800' is no character"]),
        (r'{{ "\q" }}', ["1:4: the escape '\\q' is unknown"]),
        ("{{ ? }}", ["1:4: the sign '?' has no meaning here"]),
        ("{{ qoute .Port }}", ["1:4: there is no function 'qoute'; did you mean 'quote'?"]),
        ("{{ Port }}", ["1:4: there is no function 'Port'; write '.Port' for a variable"]),
        ("{{ upper }}", ["1:4: 'upper' takes 1 arguments, here it has 0"]),
        ("{{ default .Port }}", ["1:4: 'default' takes 2 arguments, here it has 1"]),
        ("{{ .Port .Name }}", ["1:4: this is no function, it takes no argument and nothing can be piped into it"]),
        ('{{ .Port | "x" }}', ["1:12: this is no function, it takes no argument and nothing can be piped into it"]),
        ("{{ .Port | }}", ["1:10: a value or a function is missing here"]),
        ("{{ print upper }}", ["1:10: a function that is an argument stands in parentheses"]),
        ("{{ (.Port }}", ["1:4: this '(' is never closed by ')'"]),
        ("{{ .Port) }}", ["1:9: ')' is not expected here"]),
        ("{{ $x }}", ["1:4: the variable '$x' was never declared by ':='"]),
        ("{{ $x = 1 }}", ["1:4: the variable '$x' was never declared by ':='"]),
        ("{{ if .Port }}", ["1:4: this 'if' has no '{{ end }}'"]),
        ("{{ if }}{{ end }}", ["1:4: 'if' needs something to look at"]),
        ("{{ end }}", ["1:4: this 'end' belongs to no 'if', 'with' or 'range'"]),
        ("{{ else }}", ["1:4: this 'else' belongs to no 'if', 'with' or 'range'"]),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", ["1:24: this 'else' belongs to no 'if', 'with' or 'range'"]),
        ('{{ template "x" }}', ["1:4: 'template' is not supported in the templates of a rootfs"]),
        ("{{ if gt .Port 3 }}{{ end }}",
         ["1:7: gt: a text and a number cannot be compared; "
          "variables are texts: compare with \"3\", or write '(int .Name)'"]),
        ("{{ .Name | int }}", ["1:12: int: 'sea.hub' is no whole number"]),
        ("{{ .Name | b64dec }}", ["1:12: b64dec: this is no base64"]),
        ('{{ "/w==" | b64dec }}', ["1:13: b64dec: what this base64 stands for is no UTF-8 text"]),
        ("{{ range 3 }}{{ end }}", ["1:10: 'range' goes over a list, or the words of a text, not over a number"]),
        ("{{ index (split \",\" .Csv) 2 }}", ["1:4: index: there is no element 2 in a list of 2"]),
        ("{{ indent 99999999 .Port }}", ["1:4: indent: an indentation is a number from 0 to 1000"]),
        ('{{ printf "%s %s" .Port }}', ["1:4: printf: there is no argument for '%s'"]),
        ('{{ printf "%d" .Port }}', ["1:4: printf: '%d' needs a number, not a text; write '(int .Name)'"]),
    ],
)  # fmt: skip
def test_mistakes_name_their_place(template: str, messages: list[str]) -> None:
    assert mistakes(template) == messages


def test_all_mistakes_of_a_file_come_at_once_in_the_order_of_the_text() -> None:
    template = """{{ .One }}
{{ qoute .Port }}
{{ if .Two }}not rendered: {{ .Three }}{{ end }}
{{ printf "%s %s" .Four .Five }}
{{ range .List }}{{ $.Six }}{{ end }}
{{ if }}{{ .Seven }}{{ else }}{{ .Eight }}{{ end }}
{{ $a := upper }}{{ $a }}
"""
    places = [message.split(":", 2)[:2] for message in mistakes(template)]
    assert places == [
        ["1", "4"],
        ["2", "4"],
        ["4", "19"],
        ["4", "25"],
        ["5", "22"],
        ["6", "4"],
        ["6", "34"],
        ["7", "10"],
    ]


def test_columns_count_characters_not_bytes() -> None:
    assert mistakes("é😀{{ .X9 }}")[0].startswith("1:6: ")


@pytest.mark.parametrize(
    "template",
    [
        "{{ if 1 }}" * 60 + "{{ end }}" * 60,
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ 1 " + "| print " * 5000 + "}}",
        "{{ .a" + ".b" * 5000 + " }}",
    ],
    ids=["blocks", "parentheses", "pipes", "fields"],
)
def test_nesting_has_a_bound(template: str) -> None:
    assert any("more than 50" in message for message in mistakes(template))


def test_work_has_a_bound() -> None:
    nested = "{{ range $.L }}" * 10 + "x" + "{{ end }}" * 10
    with pytest.raises(InputError) as caught:
        render(nested, {"L": "a " * 50}, "f")
    assert "steps" in caught.value.problems[0].message


def test_output_has_a_bound() -> None:
    with pytest.raises(InputError) as caught:
        render("{{ range .L }}{{ $.Big }}{{ end }}", {"L": "a " * 100, "Big": "b" * 1_000_000}, "f")
    assert "writes more than" in caught.value.problems[0].message


def test_a_value_has_a_bound() -> None:
    doubling = "{{ $x := .Big }}" + "{{ $x = print $x $x }}" * 10
    with pytest.raises(InputError) as caught:
        render(doubling, {"Big": "b" * 1_000_000}, "f")
    assert "would have more than" in caught.value.problems[0].message


LISTS = {
    "one list": '{{ $x := split "" .Big }}',
    "many lists": "".join('{{ $x%d := split " " .Words }}' % number for number in range(100)),  # noqa: UP031  # braces
    "words of a range": "{{ range .Many }}{{ end }}",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_have_a_bound(name: str) -> None:
    values = {"Big": "b" * 4_000_000, "Words": "w " * 40_000, "Many": "w " * 2_000_000}
    tracemalloc.start()
    with pytest.raises(InputError, match="cannot be rendered"):
        render(LISTS[name], values, "f")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 1024 * 1024


PIECES = st.sampled_from(
    ["{{", "}}", "{{-", "-}}", "{{ ", " }}", "{{- ", " -}}", " ", "\n", "|", "(", ")", ":=", "=", ",", ".", "$", "$x",
     "if", "else", "end", "range", "with", "else if", ".Port", ".No", '"a"', "`b`", "1", "-1", "1.5", "true", "nil",
     "/*", "*/", '"', "`", "\\", "é", *FUNCTIONS]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.text(), st.lists(PIECES).map("".join), st.lists(PIECES).map(" ".join)),
    st.dictionaries(st.text(max_size=4), st.text(), max_size=4),
)
@example("{{ $x := ) }}{{ $x }}", {})
@example("{{ if $x := ) }}{{ $x }}{{ end }}", {})
def test_whatever_is_written_ends_in_a_text_or_an_input_error(text: str, values: dict[str, str]) -> None:
    try:
        assert isinstance(render(text, values, "f"), str)
    except InputError as error:
        assert error.problems
        assert all(problem.position.line >= 1 and problem.position.column >= 1 for problem in error.problems)


@settings(max_examples=200, deadline=None)
@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert render(text, {}, "f") == text


ACTIONS = st.lists(
    st.lists(PIECES.filter(lambda piece: "{" not in piece and "}" not in piece), max_size=5).map(
        lambda pieces: "{{ " + " ".join(pieces) + " }}"
    ),
    max_size=8,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(ACTIONS)
def test_whatever_the_actions_are(text: str) -> None:
    try:
        assert isinstance(render(text, VALUES, "f"), str)
    except InputError as error:
        assert error.problems
