from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.image.reference import Reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest"),
    [
        ("app", "", "app", "latest", ""),
        ("app:v1.19.8", "", "app", "v1.19.8", ""),
        ("ns/app", "", "ns/app", "latest", ""),
        ("registry.example.com/ns/app:1", "registry.example.com", "ns/app", "1", ""),
        ("localhost/app", "localhost", "app", "latest", ""),
        ("localhost:5000/app", "localhost:5000", "app", "latest", ""),
        ("sea.hub:5000/a/b/c:t", "sea.hub:5000", "a/b/c", "t", ""),
        ("[fd00::1]:5000/app", "[fd00::1]:5000", "app", "latest", ""),
        ("[fd00::1]/app:t", "[fd00::1]", "app", "t", ""),
        (f"app@{DIGEST}", "", "app", "", DIGEST),
        (f"r.io:1/app:t@{DIGEST}", "r.io:1", "app", "t", DIGEST),
        ("a__b/c-d.e", "", "a__b/c-d.e", "latest", ""),
    ],
)
def test_names_are_read(text: str, domain: str, path: str, tag: str, digest: str) -> None:
    assert Reference.parse(text) == Reference(domain, path, tag, digest)


@pytest.mark.parametrize("text", ["app:latest", "r.io:1/a/b:t", f"app@{DIGEST}", f"r.io/a:t@{DIGEST}"])
def test_a_full_name_is_written_as_it_was(text: str) -> None:
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the name is missing"),
        (":v1", "the name is missing"),
        ("App", "names are written in lower case: 'app'"),
        ("app:", "'' is not a valid tag"),
        ("app:.x", "'.x' is not a valid tag"),
        ("app:" + "x" * 129, "is not a valid tag"),
        ("app@sha256:12", "'sha256:12' is no digest"),
        ("app@md5:" + "0" * 32, "is no digest"),
        ("-r.io/app", "'-r.io' is no registry's name"),
        ("r.io:x/app", "'r.io:x' is no registry's name"),
        ("a//b", "'a//b' is not a valid name"),
        ("a b", "'a b' is not a valid name"),
        ("app\n", "is not a valid name"),
        ("../app", "'..' is no registry's name"),
        ("a" * 256, "at most 255"),
    ],
)
def test_what_is_no_name_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        Reference.parse(text)
    assert why in caught.value.why


@pytest.mark.parametrize("text", [f"app@{DIGEST}", f"r.io/app:t@{DIGEST}", "ab" * 32, "App"])
def test_what_cannot_be_given_as_a_name(text: str) -> None:
    with pytest.raises(InputError):
        Reference.to_give(text)
    assert Reference.to_give("app").tagged == "app:latest"


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=40)
    | st.text(alphabet="aA0.-_:/@[]", max_size=40)
    | st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(["", "r.io/", "localhost:5000/", "[fd00::1]:5000/", "r.io:99999/", "-/"]),
        st.text(alphabet="ab/._-", max_size=12),
        st.sampled_from(["", ":v1", ":", ":a:b", ":" + "x" * 129]),
        st.sampled_from(["", "@" + DIGEST, "@sha256:0", "@" + DIGEST + "0"]),
    )
)
def test_any_text_is_a_name_or_refused(text: str) -> None:
    """What is a name is written so that it is read as the same one; and a file of that name would lie nowhere else."""
    try:
        found = Reference.parse(text)
    except InputError as error:
        assert error.why
        assert error.remedy
        return
    assert Reference.parse(str(found)) == found
    assert Reference.parse(found.tagged).tagged == found.tagged or not found.tag
    assert ".." not in found.path.split("/")
    assert not found.path.startswith("/")
