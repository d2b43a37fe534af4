from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.image.ignore import Ignore


@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        # The table and the examples of https://docs.docker.com/build/concepts/context/#syntax
        ("# comment\n", [], ["# comment", "comment"]),
        ("*/temp*", ["d/temporary.txt", "d/temp", "d/temp/x"], ["temp", "d/e/temp"]),
        ("*/*/temp*", ["d/e/temporary.txt"], ["d/temp", "temp"]),
        ("temp?", ["tempa", "tempb", "tempa/x"], ["temp", "tempab", "d/tempa"]),
        ("*.md\n!README.md", ["a.md"], ["README.md", "d/a.md"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md", "README-x.md"]),
        ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README.md", "README-secret.md"]),
        ("**/*.go", ["a.go", "d/a.go", "d/e/f/a.go"], ["go", "a.gox"]),
        ("/foo/bar\n", ["foo/bar", "foo/bar/x"], ["foo", "bar", "d/foo/bar"]),
        ("foo/bar/", ["foo/bar", "foo/bar/x"], ["foo/barx"]),
        ("foo/./bar/../baz//x", ["foo/baz/x"], ["foo/bar"]),
        ("  foo  \n\n   \n", ["foo"], ["  foo  "]),
        (".", [], ["a", "."]),
        ("/\n//\n..\n../a\nb/../../c", [], ["a", "b", "c"]),
        ("Kubefile\n.sealerignore", ["Kubefile", ".sealerignore"], ["Kubefile.app", "d/Kubefile"]),
        # What else there is
        ("\ufeffa\r\nb\r\n", ["a", "b"], ["c"]),
        (" # no comment", ["# no comment"], ["no comment"]),
        ("a#b", ["a#b"], ["a"]),
        ("*.log", ["a.log", ".log"], ["d/a.log", "a.logs"]),
        ("**/*.log", ["a.log", "d/e/a.log"], ["a.txt"]),
        ("**", ["a", "d/e"], []),
        ("*", ["a", "d/e", ".hidden"], []),
        ("**\n!d/**", ["a", "d", "e/d/x"], ["d/x", "d/y/z"]),
        ("**/d", ["d", "e/d", "e/d/x"], ["dd", "e/dd"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "x/a/b"]),
        ("**/**/**/**/**/**/**/**/**/b", ["b", "a/b", "a/" * 100 + "b"], ["a/" * 100 + "c"]),
        ("a**b", ["ab", "ax/b"], ["axb"]),
        ("**.log", ["a.log", "d/a.log", ".log"], ["a.logs"]),
        ("d", ["d", "d/x", "d/e/f"], ["dd", "e/d"]),
        ("d/**", ["d/x", "d/e/f"], ["d"]),
        ("d/*", ["d/x", "d/e", "d/e/f"], ["d"]),
        ("*\n!a", ["b", "c/a"], ["a"]),
        ("*\n! a ", ["b"], ["a"]),
        ("d\n!d/x", ["d", "d/y"], ["d/x"]),
        ("d\n!d/x\nd/x/y", ["d/x/y"], ["d/x", "d/x/z"]),
        ("!a\na", ["a"], ["b"]),
        ("a?c\n[xy]", ["abc", "x"], ["ac", "z", "a/c"]),
        ("[a-c]1", ["a1", "c1"], ["d1", "-1"]),
        ("[^a]", ["b", "!"], ["a"]),
        ("[!a]", ["a", "!"], ["b"]),
        ("[a&&b|~]", ["a", "&", "|", "~"], ["c"]),
        ("[", ["["], ["a"]),
        ("a\\*", ["a*"], ["ab"]),
        ("a.b+(c)|{d}$", ["a.b+(c)|{d}$"], ["axb+(c)|{d}$", "a.bb(c)"]),
        ("ä ö", ["ä ö", "ä ö/x"], ["ä"]),
    ],
)
def test_patterns(rules: str, ignored: list[str], kept: list[str]) -> None:
    ignore = Ignore.parse(rules)
    assert [path for path in ignored + kept if ignore.ignores(path)] == ignored


def test_an_exception_of_nothing_is_told_with_its_place() -> None:
    with pytest.raises(InputError) as caught:
        Ignore.parse("a\n  !\n! \n")
    assert [str(problem) for problem in caught.value.problems] == [
        ".sealerignore:2:3: a pattern is missing after '!'",
        ".sealerignore:3:1: a pattern is missing after '!'",
    ]
