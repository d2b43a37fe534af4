"""ADD of URLs from a server of the test's own, here-documents, and the variables of a platform."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from certificates import Authority

from sealer.errors import BuildError, InputError
from sealer.events import Event, EventStream, State
from sealer.image.download import Limits, download
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.oci_image import read_history
from sealer.image.platforms import host_platform
from sealer.image.store import Store
from sealer.image.tree import Tree

Build = Callable[..., ClusterImage]
Answer = Callable[["Handler"], None]


@dataclass
class Site:
    """A web server on loopback: each path is answered by a function."""

    url: str = ""
    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    secure_port: int = 0
    servers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self, context: ssl.SSLContext | None = None) -> int:
        """Serve on a port, which is returned, until the test ends."""
        handler: type[Handler] = type("Bound", (Handler,), {"site": self})
        server = self.servers.enter_context(Server(("127.0.0.1", 0), handler))
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.servers.callback(thread.join)
        self.servers.callback(server.shutdown)
        return int(server.server_address[1])

    def secure(self, certificate: Path, key: Path) -> int:
        """The same site by https."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.secure_port = self.start(context)
        return self.secure_port

    def serve(self, path: str, content: bytes) -> None:
        self.answers[path] = lambda handler: handler.give(200, content)

    def redirect(self, path: str, target: str, code: int = 302) -> None:
        self.answers[path] = lambda handler: handler.give(code, b"", Location=target)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.site.asked.append((self.path, self.headers.get("Authorization", "")))
        if answer := self.site.answers.get(self.path):
            answer(self)
        else:
            self.give(404, b"not here")

    def give(self, code: int, content: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()
    with site.servers:
        site.port = site.start()
        site.url = f"http://127.0.0.1:{site.port}"
        yield site


def files(image: ClusterImage) -> dict[str, str]:
    view = RootfsFiles(image.first)
    return {path: view.read(path).decode() for path in view.paths()}


def modes(image: ClusterImage) -> dict[str, str]:
    tree = Tree()
    for layer in image.first.layers:
        tree.lay(layer)
    return {path: f"{node.member.mode:o}" for path, node in tree.files()}


def quick(**more: float) -> Limits:
    return Limits(**{"pause": 0.0, "silence": 5, **more})  # type: ignore[arg-type]


# -- ADD of URLs ---------------------------------------------------------------------------------------------------


def test_add_fetches(build_image: Build, site: Site, context: Path) -> None:
    site.serve("/d/a%20b.yaml?token=x", b"A")
    site.serve("/x.tar.gz", b"T")
    (context / "local").write_text("L")
    (context / "local").chmod(0o644)
    image = build_image(
        f"FROM scratch\nARG SITE={site.url}\nADD $SITE/d/a%20b.yaml?token=x local d/\n"
        "ADD --chmod=755 $SITE/x.tar.gz bin/tool\nADD $SITE/x.tar.gz kept"
    )
    assert files(image) == {"d/a b.yaml": "A", "d/local": "L", "bin/tool": "T", "kept": "T"}
    assert modes(image) == {"d/a b.yaml": "600", "d/local": "644", "bin/tool": "755", "kept": "600"}


def test_a_checksum_is_checked(build_image: Build, site: Site) -> None:
    site.serve("/x", b"X")
    right = f"sha256:{hashlib.sha256(b'X').hexdigest()}"
    assert files(build_image(f"FROM scratch\nARG S={right}\nADD --checksum=$S {site.url}/x y")) == {"y": "X"}
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(BuildError, match="is not what it should be") as caught:
        build_image(f"FROM scratch\nADD --checksum={wrong} {site.url}/x y")
    assert caught.value.why == f"its checksum is {right}, not {wrong}"
    assert caught.value.where.endswith("Kubefile:2:1")
    with pytest.raises(InputError) as seen:
        build_image(f"FROM scratch\nARG S=1\nADD --checksum=$S {site.url}/x y")
    assert str(seen.value.problems[0]).endswith("Kubefile:3:16: --checksum takes sha256: and 64 digits of 0-9a-f")


def test_the_same_download_gives_the_same_image(build_image: Build, site: Site) -> None:
    site.serve("/x", b"X")
    text = f"FROM scratch\nADD {site.url}/x y"
    assert build_image(text).digest == build_image(text).digest


def test_passwords_reach_their_server_and_nothing_else(build_image: Build, site: Site, store: Store) -> None:
    site.serve("/x", b"X")
    site.redirect("/same", "/x")
    site.redirect("/other", f"http://localhost:{site.port}/x")
    login = "Basic " + base64.b64encode(b"me:s3cret@").decode()
    url = f"http://me:s3cret%40@127.0.0.1:{site.port}"
    image = build_image(f"FROM scratch\nADD {url}/same a\nADD {url}/other b")
    assert site.asked == [("/same", login), ("/x", login), ("/other", login), ("/x", "")]
    history = [text for text, _ in read_history(store, image.first.digest)]
    assert history == [f"ADD http://******@127.0.0.1:{site.port}/{name}" for name in ("same a", "other b")]
    with pytest.raises(BuildError) as caught:
        build_image(f"FROM scratch\nADD {url}/none x")
    assert "s3cret" not in str(caught.value)
    assert f"http://******@127.0.0.1:{site.port}/none could not be fetched" in caught.value.what
    assert caught.value.why == "the server answered 404 Not Found"
    assert len(site.asked) == 5


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("file:///etc/passwd", "it redirects to file:///etc/passwd, which is not fetched"),
        ("ftp://me:pw@h/x", "it redirects to ftp://******@h/x, which is not fetched"),
        ("/loop", "it redirects too often"),
    ],
)
def test_redirects_that_are_refused(site: Site, tmp_path: Path, target: str, why: str) -> None:
    site.redirect("/loop", target)
    with pytest.raises(BuildError) as caught:
        download(f"{site.url}/loop", tmp_path / "x", quick())
    assert caught.value.why == why


def test_https_and_the_way_out_of_it(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        capture_output=True,
        check=True,
    )
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    site.redirect("/up", f"https://localhost:{site.secure(certificate, key)}/x")
    site.redirect("/down", f"{site.url}/x")
    site.serve("/x", b"X")
    secure = f"https://localhost:{site.secure_port}"
    with pytest.raises(BuildError) as caught:
        download(f"{secure}/x", tmp_path / "x", quick())
    assert caught.value.why.startswith("the server's certificate is not trusted: self")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    download(f"{site.url}/up", tmp_path / "x", quick())
    assert (tmp_path / "x").read_bytes() == b"X"
    with pytest.raises(BuildError) as caught:
        download(f"{secure}/down", tmp_path / "x", quick())
    assert caught.value.why == f"it redirects to {site.url}/x, from https to http"


def test_a_server_that_comes_round_is_asked_again(site: Site, tmp_path: Path) -> None:
    tries: list[int] = []

    def flaky(handler: Handler) -> None:
        tries.append(1)
        if len(tries) == 1:
            handler.give(503, b"", Retry_After="0")
        elif len(tries) == 2:
            handler.give(200, b"half", length=8)
        elif len(tries) == 3:
            handler.connection.close()
        else:
            handler.give(200, b"all of it")

    site.answers["/x"] = flaky
    digest = download(f"{site.url}/x", tmp_path / "x", quick())
    assert digest == f"sha256:{hashlib.sha256(b'all of it').hexdigest()}"
    assert (tmp_path / "x").read_bytes() == b"all of it"
    assert len(tries) == 4


@pytest.mark.parametrize(
    ("answer", "limits", "why", "times"),
    [
        (lambda it: it.give(500, b""), {}, "the server answered 500 Internal Server Error (attempt 4)", 4),
        (lambda it: it.give(503, b"", Retry_After="3600"), {}, "the server answered 503 Service Unavailable", 1),
        (lambda it: it.give(403, b""), {}, "the server answered 403 Forbidden", 1),
        (lambda it: it.give(200, b"12345"), {"size": 4}, "it has 5 bytes, more than 4", 1),
        (lambda it: it.give(200, b"12345", length=9), {}, "the connection ended after 5 of 9 bytes (attempt 4)", 4),
    ],
)
def test_downloads_have_an_end(
    site: Site, tmp_path: Path, answer: Answer, limits: dict[str, float], why: str, times: int
) -> None:
    site.answers["/x"] = answer
    with pytest.raises(BuildError) as caught:
        download(f"{site.url}/x", tmp_path / "x", quick(**limits))
    assert caught.value.why == why
    assert len(site.asked) == times


def test_a_body_without_a_length_is_bounded_too(site: Site, tmp_path: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        handler.wfile.write(b"x" * 5000)

    site.answers["/x"] = endless
    with pytest.raises(BuildError) as caught:
        download(f"{site.url}/x", tmp_path / "x", quick(size=4000))
    assert caught.value.why == "it has more than 4,000 bytes"


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"silence": 0.05, "attempts": 2}, "the server stopped answering (attempt 2)"),
        ({"seconds": 0.05}, "it took longer than 0.05 seconds"),
    ],
)
@pytest.mark.parametrize("begins", [False, True])
def test_a_server_that_falls_silent(
    site: Site, tmp_path: Path, limits: dict[str, float], why: str, begins: bool
) -> None:
    ended = threading.Event()

    def silent(handler: Handler) -> None:
        if begins:
            handler.give(200, b"a", length=2)
        ended.wait(30)

    site.answers["/x"] = silent
    try:
        with pytest.raises(BuildError) as caught:
            download(f"{site.url}/x", tmp_path / "x", quick(**limits))
    finally:
        ended.set()
    assert caught.value.why == why


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("part", ["headers", "body", "redirects"])
def test_a_server_that_is_never_quite_silent(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, secure: bool
) -> None:
    ended = threading.Event()

    def slow(handler: Handler) -> None:
        handler.close_connection = True
        if part == "redirects" and handler.path == "/x":
            handler.give(302, b"", Location="/y")
            return
        start = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
        handler.wfile.write((start + ("\r\n" if part == "body" else "X-Slow: ")).encode())
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                handler.wfile.write(b"x")

    site.answers |= {"/x": slow, "/y": slow}
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    url = f"https://localhost:{site.secure(*authority.server())}" if secure else site.url
    begun = time.monotonic()
    try:
        with pytest.raises(BuildError) as caught:
            download(f"{url}/x", tmp_path / "x", quick(seconds=1, silence=20))
    finally:
        ended.set()
    assert caught.value.why == "it took longer than 1 seconds"
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http:///x", "http:///x is no URL: it names no host"),
        ("http://h:port/x", "http://h:port/x is no URL"),
        ("http://[::1/x", "http://[::1/x is no URL"),
    ],
)
def test_what_is_no_url(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        download(url, tmp_path / "x", quick())
    assert str(caught.value).startswith(message)


def test_a_url_without_a_name_needs_a_destination(build_image: Build, site: Site) -> None:
    site.serve("/d/", b"X")
    assert files(build_image(f"FROM scratch\nADD {site.url}/d/ y")) == {"y": "X"}
    with pytest.raises(BuildError, match="does not say how the file is to be called"):
        build_image(f"FROM scratch\nADD {site.url}/d/ y/")
    site.serve("/%2e%2e", b"X")
    with pytest.raises(BuildError, match="does not say how the file is to be called"):
        build_image(f"FROM scratch\nADD {site.url}/%2e%2e y/")


def test_an_application_from_a_url(build_image: Build, site: Site) -> None:
    site.serve("/calico.yaml", b"kind: List")
    image = build_image(f"FROM scratch\nCNI calico {site.url}/calico.yaml\nLAUNCH calico")
    assert files(image) == {"application/apps/calico/calico.yaml": "kind: List"}
    assert modes(image) == {"application/apps/calico/calico.yaml": "644"}
    assert image.first.cmds == ("cd application/apps/calico || exit\nkubectl apply -f calico.yaml",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COPY ${SITE}/x y", "Kubefile:3:6: COPY takes files of the build context; ADD fetches a URL"),
        (
            "ADD ${SITE}/x.git y",
            "Kubefile:3:5: a git repository is not fetched: clone it before the build, or with RUN",
        ),
        (f"ADD --checksum=sha256:{'0' * 64} $X y", "Kubefile:3:16: --checksum is for a URL"),
    ],
)
def test_urls_in_variables(build_image: Build, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_image(f"FROM scratch\nARG SITE=http://h X=local\n{text}")
    assert str(caught.value.problems[0]).endswith(message)


# -- here-documents ------------------------------------------------------------------------------------------------


def test_here_documents_become_files(build_image: Build, context: Path) -> None:
    (context / "a").write_text("A")
    (context / "a").chmod(0o600)
    image = build_image(
        'FROM scratch\nARG X=1\nENV Y="a b"\n'
        'COPY <<one a <<-"two.sh" etc/\n$X ${Y} "$Y" \'$Y\' \\$X \\\\ \\n \\\njoined $(date) `date` ${Z:-none}\none\n'
        "\t$X\n\t  kept\n\ttwo.sh\n"
        "COPY --chmod=755 <<EOF bin/tool\nEOF\n"
    )
    assert files(image) == {
        "etc/one": "1 a b \"a b\" 'a b' $X \\ \\n joined $(date) `date` none\n",
        "etc/a": "A",
        "etc/two.sh": "$X\n  kept\n",
        "bin/tool": "",
    }
    assert modes(image) == {"etc/one": "644", "etc/a": "600", "etc/two.sh": "644", "bin/tool": "755"}


def test_a_variable_of_a_here_document_is_missed_at_its_place(build_image: Build) -> None:
    with pytest.raises(InputError) as caught:
        build_image("FROM scratch\nCOPY <<EOF x\nfine\n  a ${B:?must be}\nEOF")
    assert str(caught.value.problems[0]).endswith("Kubefile:4:5: B must be set: must be")


@pytest.mark.parametrize("overlay", [None, False])
def test_here_documents_run(build_image: Build, overlay: bool | None) -> None:
    image = build_image(
        "FROM scratch\nARG X=1\n"
        "RUN <<EOF\necho $X > a\ncat <<INNER > b\n'$X'\nINNER\nEOF\n"
        "RUN cat <<-A > c && cat <<'B' > d\n\t$X\nA\n\t$X\nB\n"
        "RUN <<'EOF'\n#!/usr/bin/env -S sh -e\necho $X $0 > e\nEOF\n",
        overlay=overlay,
    )
    assert files(image) == {"a": "1\n", "b": "'1'\n", "c": "1\n", "d": "\t$X\n", "e": "1 /dev/fd/3\n"}


# -- the build cache -----------------------------------------------------------------------------------------------


@pytest.fixture
def executed(build_image: Build, events: tuple[EventStream, list[Event]]) -> Callable[[str], str]:
    """Build, and say of each instruction whether it was executed (`x`) or known (`-`)."""

    def run(text: str) -> str:
        events[1].clear()
        image = build_image(text)
        told = {State.DONE: "x", State.SKIPPED: "-"}
        found = "".join(told[event.state] for event in events[1] if event.state in told)
        assert build_image(text, cache=False).digest == image.digest
        return found

    return run


def test_a_download_is_known_by_its_content(executed: Callable[[str], str], site: Site) -> None:
    site.serve("/x", b"1")
    site.serve("/y", b"1")
    text = f"FROM scratch\nADD {site.url}/x d/\n"
    assert executed(text) == "xx"
    assert executed(text) == "x-"
    assert executed(text.replace("/x", "/y")) == "xx"  # another name
    assert executed(text.replace("ADD", "ADD --chmod=755")) == "xx"
    site.serve("/x", b"2")
    assert executed(text) == "xx"


def test_a_download_with_a_checksum_is_not_made_again(
    build_image: Build, executed: Callable[[str], str], site: Site
) -> None:
    site.serve("/x", b"1")
    checksum = f"sha256:{hashlib.sha256(b'1').hexdigest()}"
    text = f"FROM scratch\nADD --checksum={checksum} {site.url}/x y\n"
    assert executed(text) == "xx"
    site.answers.clear()
    site.asked.clear()
    assert files(build_image(text)) == {"y": "1"}
    assert site.asked == []


def test_here_documents_are_known_by_their_text(executed: Callable[[str], str]) -> None:
    text = "FROM scratch\nARG A=1\nCOPY <<a <<b d/\nsaid\n$A\na\nmore\nb\nRUN cat <<EOF > x\n1\nEOF\n"
    assert executed(text) == "xxxx"
    assert executed(text) == "xx--"
    assert executed(text.replace("\n1\n", "\n2\n")) == "xx-x"
    assert executed(text.replace("more", "less")) == "xxxx"
    assert executed(text.replace("A=1", "A=2")) == "xxxx"
    assert executed(text.replace("<<b", "<<c").replace("\nb\n", "\nc\n")) == "xxxx"


def test_applications_are_known_by_their_files(
    build_image: Build, executed: Callable[[str], str], context: Path, site: Site
) -> None:
    site.serve("/b.yaml", b"b")
    (context / "a.yaml").write_text("a")
    text = f"FROM scratch\nAPP web local://a.yaml {site.url}/b.yaml\nAPPENV web A=1\nLAUNCH web\n"
    assert executed(text) == "xxxx"
    first = build_image(text).first
    assert executed(text) == "x-xx"
    assert build_image(text).first.cmds == first.cmds
    assert executed(text.replace("APP ", "CNI ").replace("A=1", "A=2")) == "x-xx"
    (context / "a.yaml").write_text("b")
    assert executed(text) == "xxxx"
    site.serve("/b.yaml", b"c")
    assert executed(text) == "xxxx"
    build_image(text, names=("base",))
    replaced = text.replace("scratch", "base")
    assert executed(replaced) == "xxxx"
    assert executed(replaced) == "x-xx"


# -- variables -----------------------------------------------------------------------------------------------------


def test_the_names_of_the_platforms(build_image: Build, context: Path) -> None:
    (context / "tool-arm").write_text("arm")
    names = [f"{side}{what}" for side in ("TARGET", "BUILD") for what in ("PLATFORM", "OS", "ARCH", "VARIANT")]
    image = build_image(
        "FROM scratch\nCOPY tool-$ARCH bin/\n"
        f"COPY <<EOF list\n{' '.join(f'{name}=${name}' for name in names)}\nEOF\nRUN echo $TARGETPLATFORM > not\n"
        "ARG TARGETPLATFORM ARCH\nRUN echo $TARGETPLATFORM $ARCH > ran\n",
        platform="linux/arm/v7",
    )
    host = host_platform()
    content = files(image)
    assert content["list"].split(" ") == [
        "TARGETPLATFORM=linux/arm/v7",
        "TARGETOS=linux",
        "TARGETARCH=arm",
        "TARGETVARIANT=v7",
        f"BUILDPLATFORM={host}",
        "BUILDOS=linux",
        f"BUILDARCH={host.split('/')[1]}",
        "BUILDVARIANT=\n",
    ]
    assert content["bin/tool-arm"] == "arm"
    assert (content["not"], content["ran"]) == ("\n", "linux/arm/v7 arm\n")


def test_all_that_is_wrong_is_told_before_anything_runs(build_image: Build, tmp_path: Path) -> None:
    text = f"""ARG OUTER=ftp://h
FROM scratch
RUN touch {tmp_path}/ran
ARG A=1
ENV E=${{NONE:?E}}
LABEL l=${{A}} ${{NONE:?L}}=x
ARG OUTER
ADD $OUTER/x ${{NONE:?D}}
ADD --checksum=$A https://h/x y
COPY <<EOF ${{A:+there}}
${{A:?is there}}
 ${{NONE:?H}}
EOF
APP web local://a $A
APPENV web X=${{NONE:?X}}
KUBEVERSION $OUTER
"""
    with pytest.raises(InputError) as caught:
        build_image(text)
    assert [str(problem).partition("Kubefile:")[2] for problem in caught.value.problems] == [
        "5:7: NONE must be set: E",
        "6:14: NONE must be set: L",
        "8:5: 'ftp://' is not fetched: only http:// and https:// are",
        "8:14: NONE must be set: D",
        "9:16: --checksum takes sha256: and 64 digits of 0-9a-f",
        "12:2: NONE must be set: H",
        "14:19: '1' is no source; a file of the build context is local://1",
        "15:14: NONE must be set: X",
        "16:13: 'ftp://h' is no constraint such as '>= 1.19.8, < 1.31': 'ftp://h' is not understood",
    ]
    assert not (tmp_path / "ran").exists()


def test_from_may_name_the_platform_by_variables(build_image: Build) -> None:
    build_image("FROM scratch", names=("base-amd64",), platform="linux/amd64")
    image = build_image("FROM --platform=$TARGETPLATFORM base-$TARGETARCH", platform="linux/amd64")
    assert image.first.platform == "linux/amd64"


def test_the_kubefile_may_be_ignored_and_is_read_all_the_same(store: Store, context: Path, build_image: Build) -> None:
    (context / "Kubefile").write_text("FROM scratch\nCOPY . /\n")
    (context / ".sealerignore").write_text("Kubefile\n.sealerignore\n")
    (context / ".dockerignore").write_text("a\n")  # the other file counts
    (context / "a").write_text("A")
    image = build_image((context / "Kubefile").read_text(), kubefile=context / "Kubefile")
    assert set(files(image)) == {"a", ".dockerignore"}


# -- downloads that go on ------------------------------------------------------------------------------------------


def ranged(content: bytes, ends_after: int = 1 << 30) -> Answer:
    """Answers as a server that knows ranges, whose connections end after some bytes."""

    def answer(handler: Handler) -> None:
        asked = handler.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(content):
            return handler.give(416, b"", Content_Range=f"bytes */{len(content)}")
        rest, headers = content[start:], {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return handler.give(206 if asked else 200, rest[:ends_after], length=len(rest), **(headers if asked else {}))

    return answer


def test_a_download_goes_on_where_it_broke_off(site: Site, tmp_path: Path) -> None:
    content, told = bytes(range(200)), []
    site.answers["/x"] = ranged(content, ends_after=80)
    digest = download(
        f"{site.url}/x", tmp_path / "x", quick(), resume=True, told=lambda done, total: told.append((done, total))
    )
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (tmp_path / "x").read_bytes() == content
    assert told == [(80, 200), (160, 200), (200, 200)]
    assert len(site.asked) == 3


def test_a_file_of_an_earlier_process_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.answers["/x"] = ranged(b"0123456789")
    (tmp_path / "x").write_bytes(b"01234")
    download(f"{site.url}/x", tmp_path / "x", quick(), resume=True)
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_server_without_ranges_sends_all_of_it(site: Site, tmp_path: Path) -> None:
    site.serve("/x", b"0123")
    (tmp_path / "x").write_bytes(b"0123456789")
    download(f"{site.url}/x", tmp_path / "x", quick(), resume=True)
    assert (tmp_path / "x").read_bytes() == b"0123"


def test_a_file_that_is_too_long_is_begun_anew(site: Site, tmp_path: Path) -> None:
    site.answers["/x"] = ranged(b"0123")
    (tmp_path / "x").write_bytes(b"0123456789")
    download(f"{site.url}/x", tmp_path / "x", quick(), resume=True)
    assert (tmp_path / "x").read_bytes() == b"0123"


def test_without_being_asked_nothing_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.answers["/x"] = ranged(b"0123")
    (tmp_path / "x").write_bytes(b"ab")
    download(f"{site.url}/x", tmp_path / "x", quick())
    assert (tmp_path / "x").read_bytes() == b"0123"
