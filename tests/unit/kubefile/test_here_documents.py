from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.kubefile import parse
from sealer.kubefile.model import Cmd, Copy, Env, Run


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("RUN <<EOF\necho a\n  echo b\nEOF", "echo a\n  echo b\n"),
        ("RUN <<EOF\n# stays\n\necho a \\\n  b\nEOF", "# stays\n\necho a \\\n  b\n"),
        ("RUN <<EOF\r\necho a\r\nEOF\r\n", "echo a\n"),
        ("RUN <<-EOF\n\techo a\n\t\tEOF", "echo a\n"),
        ("RUN <<'EOF'\necho $A\nEOF", "echo $A\n"),
        ("RUN <<EOF\nEOF", ""),
        ("RUN cat <<EOF > x\n$A\nEOF", "cat <<EOF > x\n$A\nEOF"),
        ("RUN cat <<-'E' > x && \\\n cat 3<<F\n\ta\n\tE\nb\nF", "cat <<-'E' > x &&  cat 3<<F\n\ta\nE\nb\nF"),
        ("RUN <<A cat\na\nA", "<<A cat\na\nA"),
        (
            "RUN <<EOF\n#!/usr/bin/env -S python3 -u\nprint(1)\nEOF",
            "exec /usr/bin/env '-S python3 -u' /dev/fd/3 3<<'EOF'\n#!/usr/bin/env -S python3 -u\nprint(1)\nEOF\n",
        ),
        ("RUN echo $((1<<2)) '<<EOF' \"<<EOF\" x<<EOF <<", "echo $((1<<2)) '<<EOF' \"<<EOF\" x<<EOF <<"),
        ("RUN cat <<< EOF", "cat <<< EOF"),
        ("RUN cat << EOF > x\n$A\nEOF", "cat << EOF > x\n$A\nEOF"),
        ("RUN cat <<- 'E' 3<<  F > x\n\ta\n\tE\nb\nF", "cat <<- 'E' 3<<  F > x\n\ta\nE\nb\nF"),
        ("RUN << EOF\necho a\nEOF", "echo a\n"),
        ("RUN echo $(( a << b )) << b\nx\nb", "echo $(( a << b )) << b\nx\nb"),
        ("RUN echo '<<' EOF", "echo '<<' EOF"),
    ],
)
def test_run(text: str, command: str) -> None:
    run, *rest = parse(f"FROM scratch\n{text}\nENV A=1").body
    assert isinstance(run, Run)
    assert run.command == command
    assert [type(it) for it in rest] == [Env]


def test_copy() -> None:
    (copy,) = parse('FROM scratch\nCOPY --chmod=755 a <<one <<-"two.txt" b d/\n$A\none\n\t$B\n\ttwo.txt').body
    assert isinstance(copy, Copy)
    assert [source.text for source in copy.sources] == ["a", "b"]
    assert [(file.name, file.content.text, file.expand) for file in copy.files] == [
        ("one", "$A\n", True),
        ("two.txt", "$B\n", False),
    ]
    assert copy.destination.text == "d/"
    assert copy.chmod == 0o755
    assert copy.text == 'COPY --chmod=755 a <<one <<-"two.txt" b d/ ($A...)'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF\nx", "2:5: RUN: the here-document has no end: a line that says EOF alone"),
        ("RUN cat \\\n  <<EOF\n x\n EOF\nEOF ", "3:3: RUN: the here-document has no end: a line that says EOF alone"),
        ("COPY <<A <<B x\nA\nx", "2:10: COPY: the here-document has no end: a line that says B alone"),
        ("COPY <<A\nA", "2:1: COPY needs at least one source and a destination"),
        ("COPY x <<A\nA", "2:8: COPY: the destination is missing after the here-document"),
        ("COPY <<A x\nfine\n  ${}\nA", "4:3: COPY: '${' without a name"),
        ("COPY <<-A x\n\t\tok ${B%}\nA", "3:6: COPY: in '${...}' only ':-', '-', ':+', '+', ':?' and '?' are known"),
        ("RUN <<EOF\n\0\nEOF", "2:5: RUN: a NUL character, which no command may hold"),
        ("COPY <<EOF x\n\0\nEOF", "2:6: COPY: a NUL character, which no command may hold"),
    ],
)
def test_mistakes_have_their_place(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(f"FROM scratch\n{text}")
    assert [str(problem) for problem in caught.value.problems] == [f"Kubefile:{expected}"]


def test_what_comes_after_a_document_has_its_line() -> None:
    with pytest.raises(InputError) as caught:
        parse("FROM scratch\nRUN <<A <<B\n1\nA\n2\n3\nB\n\nNOPE")
    assert [str(problem.position) for problem in caught.value.problems] == ["Kubefile:9:1"]


def test_other_instructions_have_none() -> None:
    env, cmd = parse("FROM scratch\nENV A=1<<EOF\nCMD echo '<<EOF'").body
    assert isinstance(env, Env) and isinstance(cmd, Cmd)
