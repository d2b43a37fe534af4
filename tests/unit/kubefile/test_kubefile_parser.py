from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.kubefile import parse, read
from sealer.kubefile.expansion import expand
from sealer.kubefile.model import Arg, Cmd, Copy, Env, Instruction, Label, Run


def body(text: str) -> tuple[Instruction, ...]:
    return parse(f"FROM scratch\n{text}").body


def only(text: str) -> Instruction:
    (instruction,) = body(text)
    return instruction


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("RUN echo a  b", "echo a  b"),
        ("run echo a", "echo a"),
        ("RUN echo a && \\\n    echo b", "echo a &&     echo b"),
        ("RUN echo a && \\\n# said aside\n\n  echo b", "echo a &&   echo b"),
        ("RUN echo a \\  \r\n b\r\n", "echo a  b"),
        ('RUN ["echo", "a b", "$X"]', "echo 'a b' '$X'"),
        ("RUN [ -f x ] && echo y", "[ -f x ] && echo y"),
        ("RUN [ -f x ]", "[ -f x ]"),
        ('RUN [ "$A" = "b" ] && echo y', '[ "$A" = "b" ] && echo y'),
        ("RUN ['a', 'b']", "['a', 'b']"),
        ('RUN ["a", b]', '["a", b]'),
        ("RUN [[ x == y ]] || [ '' ]", "[[ x == y ]] || [ '' ]"),
        ("RUN echo '# no comment'", "echo '# no comment'"),
        ("RUN echo $((1<<2))", "echo $((1<<2))"),
        ("RUN cat <<< word", "cat <<< word"),
    ],
)
def test_run_is_shell_text(text: str, command: str) -> None:
    run = only(text)
    assert isinstance(run, Run)
    assert run.command == command


def test_cmds_keep_their_order_and_forms() -> None:
    cmds = [
        cmd.command
        for cmd in body('CMD kubectl apply -f x.yaml\nCMD ["helm", "install", "a b"]')
        if isinstance(cmd, Cmd)
    ]
    assert cmds == ["kubectl apply -f x.yaml", "helm install 'a b'"]


@pytest.mark.parametrize(
    ("text", "sources", "destination"),
    [
        ("COPY a b c/", ["a", "b"], "c/"),
        ('COPY ["a b", "c"]', ["a b"], "c"),
        ('COPY "a b" c', ['"a b"'], "c"),
        ("COPY a\\ b c", ["a\\ b"], "c"),
        ("ADD x.tar .", ["x.tar"], "."),
    ],
)
def test_copy_splits_words(text: str, sources: list[str], destination: str) -> None:
    copy = only(text)
    assert isinstance(copy, Copy)
    assert [source.text for source in copy.sources] == sources
    assert copy.destination.text == destination
    assert copy.unpack is text.startswith("ADD")


def test_copy_takes_a_mode() -> None:
    copy = only("COPY --chmod=755 a b")
    assert isinstance(copy, Copy)
    assert copy.chmod == 0o755


@pytest.mark.parametrize("owner", ["root", "0", "0:0", "root:root", ":0"])
def test_copy_takes_the_only_owner_that_there_is(owner: str) -> None:
    assert isinstance(only(f"COPY --chown={owner} a b"), Copy)


def test_add_takes_urls_and_shows_no_password() -> None:
    checksum = "sha256:" + "0" * 64
    add = only(f"ADD --checksum={checksum} https://me:secret@example.com/x?a=b@c y")
    assert isinstance(add, Copy)
    assert [source.text for source in add.sources] == ["https://me:secret@example.com/x?a=b@c"]
    assert add.checksum is not None and add.checksum.text == checksum
    assert add.text == f"ADD --checksum={checksum} https://******@example.com/x?a=b@c y"


def test_maintainer_is_a_label() -> None:
    (label,) = (kubefile := parse("FROM scratch\nMAINTAINER John's $HOME <j@example.com>")).body
    assert isinstance(label, Label)
    ((name, value),) = label.pairs
    assert name.text == "org.opencontainers.image.authors"
    assert expand(value, {"HOME": "/root"}) == "John's $HOME <j@example.com>"
    assert [str(warning) for warning in kubefile.warnings] == [
        "Kubefile:2:1: MAINTAINER: write it as LABEL org.opencontainers.image.authors=..."
    ]


def test_names_and_values() -> None:
    env, old, label, arg = body("ENV A=1 B=\"x y\" C=a\\ b\nENV D the rest\nLABEL k=v 'l'=w\nARG X=1 Y")
    assert isinstance(env, Env) and isinstance(old, Env) and isinstance(label, Label) and isinstance(arg, Arg)
    assert [(name, word.text) for name, word in env.pairs] == [("A", "1"), ("B", '"x y"'), ("C", "a\\ b")]
    assert [(name, word.text) for name, word in old.pairs] == [("D", "the rest")]
    assert [(name.text, value.text) for name, value in label.pairs] == [("k", "v"), ("'l'", "w")]
    assert [(name, word.text if word else None) for name, word in arg.names] == [("X", "1"), ("Y", None)]


def test_args_before_from_are_apart() -> None:
    kubefile = parse("ARG A=1\nFROM app:${A}\nARG A")
    assert [arg.names[0][0] for arg in kubefile.arguments] == ["A"]
    assert kubefile.base.image.text == "app:${A}"
    assert len(kubefile.body) == 1


def test_the_escape_directive_changes_continuations() -> None:
    kubefile = parse("# escape=`\nFROM scratch\nRUN a `\n b\\\n")
    run = kubefile.body[0]
    assert isinstance(run, Run)
    assert run.command == "a  b\\"
    assert kubefile.escape == "`"


def test_a_word_after_a_continuation_knows_its_line() -> None:
    copy = only("COPY a \\\n  # said aside\n   b/")
    assert isinstance(copy, Copy)
    assert (copy.sources[0].position.line, copy.sources[0].position.column) == (2, 6)
    assert (copy.destination.position.line, copy.destination.position.column) == (4, 4)


def test_a_byte_order_mark_is_no_instruction() -> None:
    assert parse("\ufeffFROM scratch").base.image.text == "scratch"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "Kubefile:1:1: the Kubefile is empty"),
        ("# nothing\n\n", "Kubefile:1:1: the Kubefile is empty"),
        ("ARG A=1\n", "Kubefile:1:1: there is no FROM; 'FROM scratch' is one"),
        ("RUN x\nFROM scratch", "Kubefile:1:1: FROM must be the first instruction; only ARG may come before it"),
        ("FROM", "Kubefile:1:1: FROM needs an image, or 'scratch'"),
        ("FROM a b", "Kubefile:1:8: FROM takes one image"),
        ("FROM a\nFROM b", "Kubefile:2:1: a second FROM: a Kubefile has one stage"),
        ("FROM a\n  FRMO b", "Kubefile:2:3: unknown instruction 'FRMO'; did you mean FROM?"),
        ("FROM a\nXYZZY b", "Kubefile:2:1: unknown instruction 'XYZZY'"),
        ("FROM a\nAPCMDS x y", "Kubefile:2:1: unknown instruction 'APCMDS'; did you mean APPCMDS?"),
        ("FROM a\nLUANCH x", "Kubefile:2:1: unknown instruction 'LUANCH'; did you mean LAUNCH?"),
        ("FROM a\nkubversion 1", "Kubefile:2:1: unknown instruction 'kubversion'; did you mean KUBEVERSION?"),
        (
            "FROM a\nWORKDIR /x",
            "Kubefile:2:1: WORKDIR has no meaning in a cluster image: "
            "commands run in the rootfs; begin them with 'cd DIRECTORY &&'",
        ),
        ("FROM a\nRUN", "Kubefile:2:1: RUN needs a command"),
        ('FROM a\nCMD ["\\ud800"]', "Kubefile:2:5: CMD: half of a surrogate pair, which is no character"),
        ("FROM a\nCMD []", "Kubefile:2:5: CMD needs a command"),
        (
            "FROM a\nRUN --mount=type=cache x",
            "Kubefile:2:5: RUN: --mount is not supported but for type=secret: RUN sees the whole rootfs anyway",
        ),
        (
            "FROM a\nCMD cat <<EOF > x",
            "Kubefile:2:9: CMD: here-documents are for RUN, COPY and ADD: COPY a script, and run it with CMD",
        ),
        ("FROM a\nCOPY x", "Kubefile:2:1: COPY needs at least one source and a destination"),
        (
            "FROM a\nCOPY --chown=1:1 x y",
            "Kubefile:2:6: COPY: --chown takes root alone: all files of a rootfs belong to root on the hosts",
        ),
        ("FROM a\nCOPY --from=b x y", "Kubefile:2:6: COPY: --from is not supported: a Kubefile has one stage"),
        (
            "FROM a\nCOPY --chmod=u+x x y",
            "Kubefile:2:6: COPY: 'u+x' is no mode: --chmod takes an octal number such as 755",
        ),
        ("FROM a\nCOPY --what x y", "Kubefile:2:6: COPY does not know the flag '--what'"),
        (
            "FROM a\nCOPY a https://example.com/x y",
            "Kubefile:2:8: COPY takes files of the build context; ADD fetches a URL",
        ),
        (
            "FROM a\nADD git@github.com:a/b.git y",
            "Kubefile:2:5: ADD: a git repository is not fetched: clone it before the build, or with RUN",
        ),
        (
            "FROM a\nADD https://example.com/a.git#main:docs y",
            "Kubefile:2:5: ADD: a git repository is not fetched: clone it before the build, or with RUN",
        ),
        ("FROM a\nADD FTP://e/x y", "Kubefile:2:5: ADD: 'ftp://' is not fetched: only http:// and https:// are"),
        (
            "FROM a\nADD --checksum=md5:1 https://e/x y",
            "Kubefile:2:5: ADD: --checksum takes sha256: and 64 digits of 0-9a-f",
        ),
        (f"FROM a\nADD --checksum=sha256:{'0' * 64} x y", "Kubefile:2:5: ADD: --checksum is for a URL"),
        ("FROM a\nADD --checksum=$A https://e/x a y", "Kubefile:2:5: ADD: --checksum is for an ADD of one URL"),
        (
            "FROM a\nCOPY --checksum=x y z",
            "Kubefile:2:6: COPY: --checksum is not supported: only ADD fetches URLs",
        ),
        ("FROM a\nCOPY \\\n  'x y", "Kubefile:2:1: COPY needs at least one source and a destination"),
        ("FROM a\nCOPY x \\\n  ${Y", "Kubefile:3:3: COPY: '${' without its '}'"),
        ("FROM a\nCOPY x ${Y%z}", "Kubefile:2:8: COPY: in '${...}' only ':-', '-', ':+', '+', ':?' and '?' are known"),
        ("FROM a\nENV A", "Kubefile:2:5: ENV A has no value: ENV A=..."),
        ("FROM a\nENV A=1 B", "Kubefile:2:9: ENV: 'B' is not of the form name=value; quote a value that has blanks"),
        ("FROM a\nLABEL =x", "Kubefile:2:7: LABEL: the name before '=' is missing"),
        ("FROM a\nARG $X=1", "Kubefile:2:5: ARG: '$X' is not a valid name of a variable"),
        ("# escape=x\nFROM a", "Kubefile:1:1: escape: the escape character is a backslash or a backtick"),
    ],
)
def test_errors_say_where_and_what(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_all_problems_come_at_once_in_the_order_of_the_text() -> None:
    found = problems("FROM a b\nRUN\nFORM x\nCOPY x\nFROM c\n")
    assert [problem.split(":")[1] for problem in found] == ["1", "2", "3", "4", "5"]


def test_what_is_no_json_list_is_words() -> None:
    copy = only('COPY ["a b" d/')
    assert isinstance(copy, Copy)
    assert ([source.text for source in copy.sources], copy.destination.text) == (['["a b"'], "d/")
    for text, count in (("CMD ['a', 'b']", 1), ('CMD [ "$A" = "b" ] || echo no', 0), ('CMD [ "$A" = "b" ]', 0)):
        warnings = parse(f"FROM a\n{text}").warnings
        assert ["not a JSON list" in str(warning) for warning in warnings] == [True] * count


def test_warnings_for_what_works_all_the_same() -> None:
    warnings = [str(warning) for warning in parse("FROM a AS b\nENV A b").warnings]
    assert warnings == [
        "Kubefile:1:8: FROM: a name for the stage is of no use: a Kubefile has one stage",
        "Kubefile:2:5: ENV: write it as ENV A=...",
    ]


def test_a_file_that_is_no_text_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "Kubefile"
    path.write_bytes(b"FROM scratch\nRUN \xff\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert [str(problem) for problem in caught.value.problems] == [f"{path}:2:5: not UTF-8 text"]
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none")


WORDS = [
    "FROM",
    "RUN",
    "COPY",
    "ADD",
    "ARG",
    "ENV",
    "LABEL",
    "CMD",
    "APP",
    "APPCMDS",
    "APPENV",
    "LAUNCH",
    "CMDS",
    "KUBEVERSION",
    "local://x",
    "https://x",
    "EOF",
    "scratch",
    "--chmod=7",
    "[",
    '["a"]',
    "${A:-",
    "}",
]
PIECES = st.one_of(
    st.sampled_from([*WORDS, " ", "\n", "\\\n", "'", '"', "#", "=", "$", "\t", "<<EOF", "<<-'EOF'", "\nEOF\n", "`"]),
    st.text(max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    try:
        kubefile = parse(text)
    except InputError as error:
        assert error.problems
        lines = re.split(r"\r\n|\n|\r", text)
        for problem in error.problems:
            assert 1 <= problem.position.line <= len(lines)
            assert 1 <= problem.position.column <= len(lines[problem.position.line - 1]) + 1
    else:
        assert kubefile.base.text
