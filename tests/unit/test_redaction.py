"""A secret is recognised in whatever form programs print it, and wherever a stream is cut."""

import base64
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from sealer import redaction
from sealer.cluster.output import Lines
from sealer.cluster.receipts import Receipt
from sealer.extension.tail import Tail
from sealer.image.run import _Lines as BuildLines
from sealer.redaction import Redactor

SECRETS = ["tr0ub4dor&3", 'it\'s "quoted" $HOME `x` \\n', "ünï/cödé+=%", "back\\slash 'n' all", "simple12"]
FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "JSON": lambda text: json.dumps({"password": text}),
    "JSON with letters": lambda text: json.dumps([text], ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "shell": shlex.quote,
    "shell trace": lambda text: "+ login '" + text.replace("'", "'\\''") + "'",
    "bash %q": lambda text: re.sub(r"([^\w@%+=:,./-])", r"\\\1", text),
    "double quotes": lambda text: '"' + re.sub(r'(["$`\\])', r"\\\1", text) + '"',
    "Python": repr,
    "Python bytes": lambda text: repr(text.encode()),
    "YAML": lambda text: "'" + text.replace("'", "''") + "'",
    "URL": lambda text: f"https://u:{quote(text, safe='')}@example.com/",
    "URL path": quote,
    "form": lambda text: f"password={quote_plus(text)}&x=1",
    "URL in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a line": lambda text: base64.b64encode(f"{text}\n".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    **{
        f"Basic {user}": lambda text, user=user: base64.b64encode(f"{user}:{text}".encode()).decode()  # type: ignore[misc]
        for user in ("a", "ab", "abc")
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_every_form_of_a_secret_is_hidden(secret: str, form: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    printed = FORMS[form](secret)
    shown = redactor(f"before {printed} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    kept = shown.removeprefix("before ").removesuffix(" after")
    assert "******" in kept
    assert not _common(printed.encode(), kept.encode(), secret, form)


def _common(printed: bytes, kept: bytes, secret: str, form: str) -> bool:
    """Whether more is left of the printed secret than two characters at the edge of a group of base64."""
    left = kept.replace(b"******", b"\n").split(b"\n")
    if "base64" not in form and "Basic" not in form:
        return any(secret[start : start + 5].encode() in part for part in left for start in range(len(secret) - 4))
    plain = base64.urlsafe_b64decode if "URL" in form else base64.b64decode
    return any(secret.encode()[:3] in plain(part + b"=" * (-len(part) % 4)) for part in left if len(part) > 5)


def test_words_of_others_stay() -> None:
    redactor = Redactor()
    for secret in ("abcd", "secret99"):
        redactor.add(secret)
    text = "an ordinary line with YWJj, words/and=signs and c2Vj of base64"
    assert redactor(text) == text


@pytest.mark.parametrize("lines", [Lines, BuildLines])
def test_no_cut_of_a_long_line_shows_half_of_a_secret(
    lines: Callable[..., Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    redactor = Redactor()
    secret = "correct-horse-battery-staple-0123456789"
    redactor.add(secret)
    for module in ("sealer.cluster.output", "sealer.image.run"):
        monkeypatch.setattr(f"{module}.redactor", redactor)
        monkeypatch.setattr(f"{module}.LONGEST_LINE", 100)
    for offset in range(60, 110):
        for step in (1, 7, 64, 4096):
            told: list[str] = []
            cutting = lines(told.append)
            data = b"x" * offset + secret.encode() + b"y" * 700 + secret.encode() + b"z" * offset
            for start in range(0, len(data), step):
                cutting.feed(data[start : start + step])
            cutting.end()
            shown = "".join(map(redactor, told))
            assert not any(secret[at : at + 5] in shown for at in range(len(secret) - 4)), (offset, step)
            assert shown.count("y") == 700


def test_what_is_kept_of_long_output_begins_with_a_whole_line(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor()
    redactor.add("a-secret-of-some-length")
    monkeypatch.setattr("sealer.extension.tail.redactor", redactor)
    tail = Tail(100)
    for _ in range(50):
        tail.feed(b"password: a-secret-of-some-length\n")
    assert set(tail.text.splitlines()) == {"password: a-secret-of-some-length"}
    flat = Tail(100)
    flat.feed(b"a-secret-of-some-length" * 50)
    assert "secret-of-some-length" not in redactor(flat.text).replace("a-secret-of-some-length", "")
    assert Receipt("done", 0, 70_000, 0, b"some-length\nnext\n").text == "next\n"
    assert Receipt("done", 0, 17, 0, b"some-length\nnext\n").text == "some-length\nnext\n"


def test_the_redactor_of_the_process_knows_forms() -> None:
    redaction.Secret("pass'word-7f1a")
    assert "7f1a" not in redaction.redactor("login 'pass'\\''word-7f1a'")
