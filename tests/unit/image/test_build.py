from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import socket
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import BuildError, ImageError, ImageNotFoundError, InputError
from sealer.events import Event, EventStream, State
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.store import Store

Build = Callable[..., ClusterImage]
ROOT = os.geteuid() == 0


def members(image: ClusterImage) -> list[list[str]]:
    """Each layer's members as `mode name[=content or -> target]`."""

    def text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        content = ""
        if member.isreg() and (file := tar.extractfile(member)):
            content = "=" + file.read().decode(errors="replace")
        elif member.issym():
            content = f" -> {member.linkname}"
        elif member.islnk():
            content = f" => {member.linkname}"
        return f"{member.mode:o} {member.name}{'/' if member.isdir() else ''}{content}"

    found = []
    for layer in image.first.layers:
        with tarfile.open(layer.path) as tar:
            found.append([text(tar, member) for member in tar.getmembers()])
    return found


def files(image: ClusterImage) -> dict[str, str]:
    view = RootfsFiles(image.first)
    return {path: view.read(path).decode() for path in view.paths()}


@pytest.fixture
def tree(context: Path) -> Path:
    for name, text in {"a.yaml": "A", "b.yaml": "B", "c.txt": "C", "d/e/f": "F", "d/g": "G"}.items():
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    for directory in ("d", "d/e"):
        (context / directory).chmod(0o755)
    return context


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        ("COPY a.yaml .", ["644 a.yaml=A"]),
        ("COPY a.yaml /x/y", ["755 x/", "644 x/y=A"]),
        ("COPY a.yaml x/", ["755 x/", "644 x/a.yaml=A"]),
        ("COPY a.yaml plugin", ["755 plugin/", "644 plugin/a.yaml=A"]),
        ("COPY ./a.yaml ./manifests", ["755 manifests/", "644 manifests/a.yaml=A"]),
        ("COPY *.yaml x", ["755 x/", "644 x/a.yaml=A", "644 x/b.yaml=B"]),
        ("COPY [ab].yaml c.* /", ["644 a.yaml=A", "644 b.yaml=B", "644 c.txt=C"]),
        ("COPY d x", ["755 x/", "755 x/e/", "644 x/e/f=F", "644 x/g=G"]),
        ("COPY d/ .", ["755 e/", "644 e/f=F", "644 g=G"]),
        ("COPY d/* x/", ["755 x/", "644 x/f=F", "644 x/g=G"]),
        ("COPY --chmod=600 a.yaml d x/", ["755 x/", "600 x/a.yaml=A", "700 x/e/", "600 x/e/f=F", "600 x/g=G"]),
        ('COPY ["a.yaml", "x y"]', ["644 x y=A"]),
        ("ARG D=x\nENV E=${D}1\nCOPY a.yaml ${E:-none}", ["644 x1=A"]),
    ],
)
def test_copy(build_image: Build, tree: Path, copy: str, expected: list[str]) -> None:
    found = members(build_image(f"FROM scratch\n{copy}"))
    if "--chmod" in copy:
        expected = ["700 x/" if line == "755 x/" else line for line in expected]
    assert found == [expected]


def test_copy_into_what_the_rootfs_has(build_image: Build, tree: Path) -> None:
    (tree / "l").symlink_to("d")
    image = build_image("FROM scratch\nCOPY d usr\nCOPY . in/\nCOPY a.yaml usr\nCOPY b.yaml in/l\nCOPY c.txt in/l/c")
    assert members(image)[2:] == [["644 usr/a.yaml=A"], ["644 in/d/b.yaml=B"], ["644 in/d/c=C"]]


def test_copy_follows_links_of_the_rootfs_to_directories(build_image: Build, context: Path) -> None:
    for name in ("lib/tool", "opt/up/notes", "gone/x"):
        (context / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (context / "all" / name).write_text(name)
    (context / "all/file").write_text("new")
    links = "mkdir -p usr/lib srv/deep && echo p > usr/lib/program && ln -s usr/lib lib && ln -s ../srv/deep opt/up"
    links += " && ln -s nowhere gone && echo old > kept && ln -s kept file"
    image = build_image(f"FROM scratch\nRUN mkdir opt && {links}\nCOPY all /")
    assert files(image) == {
        "usr/lib/program": "p\n", "usr/lib/tool": "lib/tool", "srv/deep/notes": "opt/up/notes",
        "gone/x": "gone/x", "file": "new", "kept": "old\n",
    }  # fmt: skip
    assert {"lib", "opt/up"} <= {line.split()[1] for line in members(image)[0] if " -> " in line}
    assert not [line for line in members(image)[1] if line.split()[1].strip("/") in ("lib", "opt/up")]


def test_add_follows_links_of_the_rootfs_to_directories(build_image: Build, context: Path) -> None:
    (context / "lib").mkdir()
    (context / "lib/tool").write_text("t")
    subprocess.run(["tar", "-cf", "lib.tar", "lib"], cwd=context, check=True)
    image = build_image("FROM scratch\nRUN mkdir -p usr/lib && echo p > usr/lib/p && ln -s usr/lib lib\nADD lib.tar /")
    assert files(image) == {"usr/lib/p": "p\n", "usr/lib/tool": "t"}


@pytest.mark.parametrize("copy", ["COPY a.yaml none* x/", "COPY none* d x/", "COPY n?ne <<here x/\n1\nhere"])
def test_a_wildcard_may_match_nothing_beside_other_sources(build_image: Build, tree: Path, copy: str) -> None:
    assert all(path.startswith("x/") for path in files(build_image(f"FROM scratch\n{copy}")))


def test_ignored_files_are_not_copied(build_image: Build, tree: Path) -> None:
    (tree / ".dockerignore").write_text("*\n!a.yaml\n!d\nd/e\n")
    assert set(files(build_image("FROM scratch\nCOPY . /"))) == {"a.yaml", "d/g"}
    with pytest.raises(BuildError) as caught:
        build_image("FROM scratch\nCOPY c.txt /")
    assert "an ignore file leaves it out" in caught.value.remedy


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        ("COPY a.yml x", "'a.yml' is not in the build context"),
        ("COPY *.json x", "'*.json' is not in the build context"),
        ("COPY *.json *.xml x/", "'*.json' is not in the build context"),
        ("COPY a.yml *.yaml x/", "'a.yml' is not in the build context"),
        ("COPY ../x y", "'../x' is outside the build context"),
        ("COPY a.yaml ../x", "the destination '../x' is outside the rootfs"),
        ("COPY out x", "'out' is a link that leads out of the build context"),
        ("COPY dead x", "'dead' is a link to nothing"),
        ("COPY c.txt x\nCOPY a.yaml x/y", "'x/y' cannot be made: 'x' is a file in the rootfs"),
        ("COPY a.yaml .wh.x", "a file cannot go into a layer"),
    ],
)
def test_copy_errors(build_image: Build, tree: Path, store: Store, copy: str, message: str) -> None:
    (tree / "out").symlink_to("/etc")
    (tree / "dead").symlink_to("none")
    with pytest.raises(ImageError) as caught:
        build_image(f"FROM scratch\n{copy}")
    assert message in caught.value.what
    column = 6 if message.endswith(("build context", "link to nothing")) else 1  # of the source, or the instruction
    assert caught.value.where.endswith(f"Kubefile:{2 + copy.count(chr(10))}:{column}")
    assert store.list() == ()
    assert not list((store.root / "tmp").iterdir())


def test_a_near_name_is_offered(build_image: Build, tree: Path) -> None:
    with pytest.raises(BuildError) as caught:
        build_image("FROM scratch\nCOPY d/e/ff x")
    assert caught.value.remedy == "did you mean 'd/e/f'?"


def test_links_sockets_modes_and_empty_directories(build_image: Build, context: Path) -> None:
    (context / "empty").mkdir(mode=0o750)
    (context / "run").write_text("x")
    (context / "run").chmod(0o755)
    (context / "hard").hardlink_to(context / "run")
    (context / "soft").symlink_to("run")
    (context / "absolute").symlink_to("/usr/bin/x")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(os.path.relpath(context / "socket"))
        image = build_image("FROM scratch\nCOPY . s/")
    found = members(image)[0]
    assert found[1:] == [
        "777 s/absolute -> ../usr/bin/x",
        "750 s/empty/",
        "755 s/hard=x",
        "755 s/run => s/hard",
        "777 s/soft -> run",
    ]


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="setting capabilities needs root on Linux")
def test_a_program_that_loses_its_capabilities_is_named(
    build_image: Build, context: Path, events: tuple[EventStream, list[Event]]
) -> None:
    for name in ("ping", "plain"):
        (context / name).write_text("x")
        (context / name).chmod(0o755)
    net_raw = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # vfs_cap_data of linux/capability.h
    os.setxattr(context / "ping", "security.capability", net_raw)
    for cached in (False, True):
        events[1].clear()
        build_image("FROM scratch\nCOPY . bin/")
        assert [event.message for event in events[1] if event.state is State.WARNING] == [
            "bin/ping: its file capabilities do not go into the image; let scripts/init.sh run setcap on the hosts"
        ]
        assert [event.step for event in events[1] if event.state is State.SKIPPED] == ["build/2"] * cached
    os.removexattr(context / "ping", "security.capability")
    events[1].clear()
    build_image("FROM scratch\nCOPY . bin/", cache=False)
    build_image("FROM scratch\nCOPY . bin/")
    assert not [event for event in events[1] if event.state is State.WARNING]


def test_names_that_are_no_text(build_image: Build, context: Path) -> None:
    """What no host would take is no layer's, whether a file or what a link leads to is called so."""
    for name in (b"\xff", b".wh.\xff"):
        odd = context / os.fsdecode(name)
        odd.write_text("x")
        with pytest.raises(ImageError, match="cannot go into a layer") as caught:
            build_image("FROM scratch\nCOPY . d/")
        assert str(caught.value).encode()
        odd.unlink()
    (context / "link").symlink_to(os.fsdecode(b"\xff"))
    with pytest.raises(ImageError, match="its link target is no UTF-8"):
        build_image("FROM scratch\nCOPY . d/")
    with pytest.raises(ImageError, match="its name is no UTF-8"):
        build_image("FROM scratch\nRUN touch $(printf '\\377')")


def test_directories_that_lie_too_deep(build_image: Build) -> None:
    deep = "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done"
    for overlay in (None, False):
        with pytest.raises(ImageError, match="too deep"):
            build_image(f"FROM scratch\nRUN {deep}", overlay=overlay)


def test_the_store_is_not_copied_into_itself(build_image: Build, store: Store) -> None:
    (store.root.parent / "context" / "a").write_text("a")
    image = build_image("FROM scratch\nCOPY . /", context=store.root.parent)
    assert set(files(image)) == {"Kubefile", "context/a"}


def test_links_that_climb_out_are_refused(build_image: Build, context: Path) -> None:
    (context / "d").mkdir()
    (context / "d" / "l").symlink_to("../../x")
    with pytest.raises(ImageError, match="a link leads out of the rootfs"):
        build_image("FROM scratch\nCOPY d d")


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_add_unpacks_archives(build_image: Build, context: Path, compression: str) -> None:
    with tarfile.open(context / "plain.tar", "w") as tar:
        info = tarfile.TarInfo("in/side")
        info.size, info.mode, info.uid = 1, 0o640, 1000
        tar.addfile(info, io.BytesIO(b"S"))
    plain = (context / "plain.tar").read_bytes()
    compressed = {"": plain, "gz": gzip.compress(plain), "bz2": bz2.compress(plain), "xz": lzma.compress(plain)}
    (context / "x.tar").write_bytes(compressed[compression])
    (context / "plain").write_text("P")
    image = build_image("FROM scratch\nADD x.tar plain d/\nCOPY x.tar kept")
    assert members(image)[0] == ["755 d/", "755 d/in/", "640 d/in/side=S", "644 d/plain=P"]
    assert RootfsFiles(image.first).read("kept") == (context / "x.tar").read_bytes()


def test_add_unpacks_what_git_archive_writes(build_image: Build, context: Path) -> None:
    """Its first header is a global one, with the commit."""
    source = context / "source"
    source.mkdir()
    (source / "f").write_text("x")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    archive = context / "a.tar.gz"
    subprocess.run(["git", "-C", str(source), "archive", "--prefix=p/", "-o", str(archive), "HEAD"], check=True)
    assert members(build_image("FROM scratch\nADD a.tar.gz d/"))[0][-1].endswith("d/p/f=x")


def test_add_unpacks_the_oldest_format(build_image: Build, context: Path) -> None:
    """As `make dist` of automake writes it; nothing but its checksum says that it is a tar."""
    (context / "f").write_text("x")
    subprocess.run(["tar", "--format=v7", "-czf", "v7.tgz", "f"], cwd=context, check=True)
    assert members(build_image("FROM scratch\nADD v7.tgz d/"))[0] == ["755 d/", "644 d/f=x"]


def test_add_refuses_a_hostile_archive(build_image: Build, context: Path) -> None:
    with tarfile.open(context / "x.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../x"))
    with pytest.raises(ImageError, match="a layer is refused"):
        build_image("FROM scratch\nADD x.tar d/")
    assert not (context.parent / "x").exists()


RUNS = {
    "new": "mkdir -p n/m && echo x > n/m/f && chmod 600 n/m/f",
    "changed": "echo more >> keep/a && chmod 755 keep/b",
    "touched": "touch keep/a && cp keep/b t && cat t > keep/b && rm t",
    "deleted": "rm keep/a && rm -r gone",
    "directory remade": "rm -r keep && mkdir keep && echo n > keep/new && printf B > keep/b",
    "directory to file": "rm -r gone && echo f > gone",
    "file to directory": "rm file && mkdir file && echo x > file/x",
    "link to directory": "rm link && mkdir link && printf A > link/a",
    "directory to link": "rm -r gone && ln -s keep gone",
    "renamed directory": "mv keep kept",
    "hard links": "echo 1 > one && ln one two && ln keep/a three",
    "absolute links": 'ln -s /usr/x abs && ln -s "$PWD/keep/a" in && ln -s "$PWD" gone/top',
    "deep": "mkdir -p a/b/c/d && rm -r a/b/c && touch a/b/x",
    "sockets": "mkfifo pipe; true",
    "odd names": "touch 'a b' \"$(printf 'n\\nl')\" ./-x && mkdir 'd d' && touch 'd d/\\\\'",
    "nothing": "true",
}


@pytest.mark.parametrize("name", RUNS)
def test_overlay_and_copy_give_the_same_layer(build_image: Build, context: Path, name: str) -> None:
    for path in ("keep/a", "keep/b", "gone/x/y", "file"):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(path[-1].upper())
    (context / "link").symlink_to("keep")
    text = f"FROM scratch\nCOPY . /\nRUN {RUNS[name]}"
    overlaid, copied = build_image(text), build_image(text, overlay=False, cache=False)
    assert members(overlaid) == members(copied)
    assert overlaid.digest == copied.digest


def test_the_rootfs_after_runs(build_image: Build, context: Path) -> None:
    (context / "d").mkdir()
    for name in "abc":
        (context / "d" / name).write_text(name)
    image = build_image("FROM scratch\nCOPY d d\nRUN rm d/a\nRUN rm -r d && mkdir d && echo n > d/n\nRUN ls d > list")
    assert files(image) == {"d/n": "n\n", "list": "n\n"}
    assert RootfsFiles(image.first).removals == ((), ("d/a",), ("d/b", "d/c"), ())


def test_run_environment(build_image: Build, context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "leaked")
    (context / "bin").mkdir()
    (context / "bin" / "tool").write_text("#!/bin/sh\necho from the rootfs\n")
    (context / "bin" / "tool").chmod(0o755)
    image = build_image(
        "ARG G=global\nFROM scratch\nCOPY bin bin\nARG G\nARG X=1 Y=2\nENV E=$X-$Y-$G\nENV X=env\n"
        "RUN tool > out; env | sort > env; pwd > pwd; tool | cat - /dev/null",
        build_args={"Y": "given", "HTTP_PROXY": "p"},
    )
    content = files(image)
    assert content["out"] == "from the rootfs\n"
    env = dict(line.partition("=")[::2] for line in content["env"].splitlines())
    assert {key: env.get(key) for key in ("E", "X", "Y", "G", "HTTP_PROXY")} == {
        "E": "1-given-global",
        "X": "env",
        "Y": "given",
        "G": "global",
        "HTTP_PROXY": "p",
    }
    assert "SECRET_OF_MINE" not in env
    assert env["PATH"].startswith(content["pwd"].strip() + "/bin:")
    assert dict(image.first.env) == {"E": "1-given-global", "X": "env"}


def test_from_inherits(build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    base = build_image(
        "FROM scratch\nCOPY a .\nENV A=1\nLABEL l=1 m=1\nCMD first", names=("base",), type="app-installer"
    )
    image = build_image("ARG B=base\nFROM ${B}:latest\nENV B=$A\nLABEL m=2\nCMD second", labels={"n": "3"})
    assert image.first.layers == base.first.layers
    assert dict(image.first.env) == {"A": "1", "B": "1"}
    assert image.first.cmds == ("first", "second")
    assert image.first.type == "app-installer"
    assert {key: image.first.labels[key] for key in "lmn"} == {"l": "1", "m": "2", "n": "3"}
    assert image.first.labels["io.sealer.version"]


def test_a_missing_base_and_a_foreign_platform(build_image: Build) -> None:
    with pytest.raises(ImageNotFoundError, match="no image 'none'"):
        build_image("FROM none")
    build_image("FROM scratch", names=("arm",), platform="linux/arm64")
    with pytest.raises(BuildError, match="has no rootfs for linux/amd64"):
        build_image("FROM arm", platform="linux/amd64")
    with pytest.raises(InputError, match="no platform"):
        build_image("FROM scratch", platform="windows")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM ${X:?name-it}", "X must be set: name-it"),
        ("FROM scratch\nENV A=${B?}", "B must be set"),
        ("FROM scratch\nCOPY ${NONE} x", "the name of a source is empty"),
    ],
)
def test_variables_that_must_be_set(build_image: Build, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_image(text)
    assert caught.value.problems[0].message == message


@pytest.mark.parametrize("overlay", [None, False])
def test_a_run_sees_one_time_on_all_files(build_image: Build, context: Path, overlay: bool | None) -> None:
    """Else an archive that it makes of them would differ from build to build."""
    (context / "d" / "e").mkdir(parents=True)
    (context / "d" / "file").write_text("x")
    (context / "d" / "hard").hardlink_to(context / "d" / "file")
    (context / "d" / "soft").symlink_to("file")
    (context / "d" / "gone").write_text("x")
    image = build_image(
        "FROM scratch\nCOPY d d\nRUN echo x > d/e/new && rm d/gone\n"
        "RUN find d -exec stat -c %Y {} + | sort -u > times && find d | wc -l > count",
        overlay=overlay,
    )
    content = files(image)
    assert content["times"] == "315532800\n"
    assert content["count"].strip() == "6"


@pytest.mark.parametrize("overlay", [None, False])
def test_a_failing_run_shows_its_last_lines(
    build_image: Build, store: Store, events: tuple[EventStream, list[Event]], overlay: bool | None
) -> None:
    with pytest.raises(BuildError) as caught:
        build_image("FROM scratch\nRUN seq 30; echo bad >&2; exit 7", overlay=overlay)
    assert "status 7" in caught.value.what
    assert caught.value.where.endswith("Kubefile:2:1")
    assert caught.value.output == (*map(str, range(12, 31)), "bad")
    states = [(event.state, event.step) for event in events[1] if event.state is not State.OUTPUT]
    assert states == [
        (State.STARTED, "build/1"),
        (State.DONE, "build/1"),
        (State.STARTED, "build/2"),
        (State.FAILED, "build/2"),
    ]
    assert [event.message for event in events[1] if event.state is State.OUTPUT] == [*map(str, range(1, 31)), "bad"]
    assert not list((store.root / "tmp").iterdir())


@pytest.mark.parametrize("overlay", [None, False])
def test_what_a_run_leaves_running_is_ended(build_image: Build, overlay: bool | None) -> None:
    mark = f"{600 + os.getpid() / 1e6:.6f}"  # seconds that no other process sleeps
    daemon = "" if overlay is False else f"(setsid sleep {mark} &); "  # on a copy, nothing holds it
    build_image(f"FROM scratch\nRUN sleep {mark} & {daemon}pgrep -f 'sleep {mark}'", overlay=overlay)
    running = subprocess.run(["pgrep", "-af", f"^sleep {mark}"], capture_output=True, text=True, check=False)
    assert running.stdout == ""


def test_progress_bars_and_long_lines(build_image: Build, events: tuple[EventStream, list[Event]]) -> None:
    build_image("FROM scratch\nRUN printf '10%%\\r20%%\\r\\nx\\377y'; head -c 40000 /dev/zero | tr '\\0' z")
    lines = [event.message for event in events[1] if event.state is State.OUTPUT]
    assert lines[0] == "20%"
    assert lines[1].startswith("x\ufffdyzzz")
    assert sum(map(len, lines[1:])) == 40003
    assert max(map(len, lines)) <= 16 * 1024


def test_unused_build_args_are_warned_of(build_image: Build, events: tuple[EventStream, list[Event]]) -> None:
    build_image("FROM scratch\nARG A", build_args={"A": "1", "B": "2"})
    assert [event.message for event in events[1] if event.state is State.WARNING] == [
        "--build-arg B: no ARG of the Kubefile has this name"
    ]


def test_sealers_own_labels_are_its_own(build_image: Build) -> None:
    with pytest.raises(BuildError, match="sealer's own"):
        build_image("FROM scratch\nLABEL io.sealer.cmds=[]")
    with pytest.raises(BuildError, match="the label io"):
        build_image("FROM scratch\nLABEL io.sealer.type=x")


@pytest.mark.skipif(not ROOT, reason="only root can make a device")
@pytest.mark.parametrize(
    ("overlay", "why"), [(None, "the command ended with status 1"), (False, "a device cannot go into a layer")]
)
def test_devices_are_refused(build_image: Build, overlay: bool | None, why: str) -> None:
    with pytest.raises(ImageError, match=why):  # a contained command has no right to make one
        build_image("FROM scratch\nRUN mknod null c 1 3", overlay=overlay)


def test_a_store_whose_path_means_something_to_mount(build_image: Build, tmp_path: Path, context: Path) -> None:
    from sealer.image.build import BuildRequest, build

    (context / "Kubefile").write_text("FROM scratch\nRUN echo x > a\nRUN cat a > b")
    image = build(Store(tmp_path / "a,b:c d'"), BuildRequest(context, names=("app",)), EventStream())
    assert files(image) == {"a": "x\n", "b": "x\n"}


def test_several_platforms_in_one_image(
    build_image: Build, context: Path, store: Store, events: tuple[EventStream, list[Event]]
) -> None:
    (context / "amd64").write_text("A")
    (context / "arm64").write_text("B")
    (context / "same").write_text("S")
    text = "FROM scratch\nARG TARGETARCH\nCOPY same .\nCOPY $TARGETARCH bin/tool\n"
    image = build_image(text, platform="linux/amd64,linux/arm64", build_args={"X": "1"})
    assert [rootfs.platform for rootfs in image.rootfs] == ["linux/amd64", "linux/arm64"]
    assert [RootfsFiles(rootfs).read("bin/tool") for rootfs in image.rootfs] == [b"A", b"B"]
    assert image.rootfs[0].layers[0].digest == image.rootfs[1].layers[0].digest
    assert [event.step for event in events[1] if event.state is State.SKIPPED] == ["build/linux/arm64/3"]
    assert len([event for event in events[1] if event.state is State.WARNING]) == 1
    assert store.list()[0].platforms == ("linux/amd64", "linux/arm64")
    one = build_image(text, platform="linux/arm64")
    assert one.first.digest == image.rootfs[1].digest
    with pytest.raises(InputError, match="twice"):
        build_image(text, platform="linux/arm64,linux/arm64")


def test_several_platforms_of_a_base(build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    both = "linux/amd64,linux/arm64"
    base = build_image("FROM scratch\nARG TARGETARCH\nENV ON=$TARGETARCH", names=("base",), platform=both)
    image = build_image("FROM base\nCOPY a .", platform=both)
    assert [dict(rootfs.env) for rootfs in image.rootfs] == [{"ON": "amd64"}, {"ON": "arm64"}]
    assert [rootfs.platform for rootfs in base.rootfs] == [rootfs.platform for rootfs in image.rootfs]


def test_a_run_for_a_foreign_architecture_uses_this_machines_programs(
    build_image: Build, events: tuple[EventStream, list[Event]]
) -> None:
    image = build_image("FROM scratch\nARG TARGETARCH\nRUN echo $TARGETARCH > arch\nRUN true", platform="linux/toy")
    assert files(image) == {"arch": "toy\n"}
    with pytest.raises(BuildError) as caught:
        build_image("FROM scratch\nRUN false", platform="linux/toy")
    assert "if it starts a program of toy" in caught.value.remedy
    assert "qemu-user-static" in caught.value.remedy


def test_an_image_without_its_base(build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    build_image(
        "FROM scratch\nCOPY a of-base\nCOPY a gone\nENV A=1 B=1\nLABEL of=base\nCMD first",
        names=("base",),
    )
    text = "FROM base\nCOPY a mine\nRUN cat of-base > copied && rm gone\nENV A=$A B=2\nLABEL m=1\nCMD second"
    image = build_image(text, base=False)
    assert files(image) == {"mine": "a", "copied": "a"}
    assert members(image) == [["644 mine=a"], ["644 copied=a", "644 .wh.gone="]]
    assert dict(image.first.env) == {"B": "2"}
    assert image.first.cmds == ("second",)
    assert image.first.type == "app-installer"
    assert image.first.labels["m"] == "1"
    assert "of" not in image.first.labels
    assert build_image(text, base=False, type="kube-installer").first.type == "kube-installer"
    assert files(build_image("FROM base\nRUN ln of-base linked", base=False)) == {"linked": "a"}


def test_annotations(build_image: Build, store: Store) -> None:
    from sealer.image.oci import decode

    image = build_image("FROM scratch", annotations={"b": "2", "a": "1"})
    index = decode(store.path(image.digest).read_bytes(), "index")
    manifest = decode(store.path(image.first.digest).read_bytes(), "manifest")
    assert index["annotations"] == manifest["annotations"] == {"a": "1", "b": "2"}
    assert build_image("FROM scratch").digest != image.digest


@pytest.mark.parametrize("base", ["scratch", "base:1"])
def test_a_template_that_cannot_be_read_is_found_by_the_build(
    build_image: Build, context: Path, store: Store, base: str
) -> None:
    """With its line, and all of them; a variable that only a Clusterfile gives is no mistake."""
    for name, text in {
        "etc/a.conf.tmpl": "x\n{{ if .A }}y\n",
        "etc/b.conf.tmpl": "{{ nosuch .B }}",
        "etc/c.conf.tmpl": "{{ .OnlyOnHosts }}",
        "other.tmpl": "{{",
    }.items():
        (context / name).parent.mkdir(exist_ok=True)
        (context / name).write_text(text)
    build_image("FROM scratch\nCOPY other.tmpl x\n", names=("base:1",))
    before = [image.digest for image in store.list()]
    with pytest.raises(InputError) as caught:
        build_image(f"FROM {base}\nCOPY etc etc\nCOPY other.tmpl x\n")
    assert [problem.position.file for problem in caught.value.problems] == ["etc/a.conf.tmpl", "etc/b.conf.tmpl"]
    assert caught.value.problems[0].position.line == 2
    assert [image.digest for image in store.list()] == before
    (context / "etc/a.conf.tmpl").write_text("{{ if .A }}y{{ end }}")
    (context / "etc/b.conf.tmpl").unlink()
    build_image(f"FROM {base}\nCOPY etc etc\n")
