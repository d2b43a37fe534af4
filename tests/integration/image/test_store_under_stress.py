"""Builds that are killed, run side by side, and handle layers larger than memory may be."""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_disk import MIB, fill, needs_root, small_disk

from sealer.events import EventStream
from sealer.image.archive import load, save
from sealer.image.build import BuildRequest, build
from sealer.image.store import Store


def sealer(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sealer", *arguments],
        env={**os.environ, "SEALER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def assert_valid(store: Store) -> None:
    """Every image is whole, and every blob is what its name says."""
    for image in store.list():
        assert image.problem == ""
        for digest in store.closure(store.descriptor(image.digest)):
            assert "sha256:" + hashlib.sha256(store.path(digest).read_bytes()).hexdigest() == digest


def context(directory: Path, kubefile: str, **files: bytes) -> Path:
    directory.mkdir()
    (directory / "Kubefile").write_text(kubefile)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


def test_a_build_killed_in_its_run_leaves_nothing_but_a_valid_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store(home / "images")
    directory = context(tmp_path / "context", "FROM scratch\nCOPY a .\nRUN echo begun; sleep 300", a=b"a")
    process = sealer(home, "build", "-t", "app", str(directory))
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("begun" in line and "RUN" not in line for line in lines)
    (area,) = (store.root / "tmp").iterdir()
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()  # ends when the command, which has the same pipe's other end, is gone too
    process.stdout.close()
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert "done" not in rest
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert_valid(store)
    assert store.list() == ()
    assert area.exists()
    with store.stage():
        assert not area.exists()


def test_a_build_killed_in_its_copy_leaves_nothing_but_a_valid_store(tmp_path: Path) -> None:
    """Killed at many moments of the writing of a layer, as its bytes are told."""
    home = tmp_path / "home"
    store = Store(home / "images")
    directory = context(tmp_path / "context", "FROM scratch\nCOPY a .\nCOPY b .", a=b"a", b=b"")
    noise = random.Random(1).randbytes(MIB)
    with (directory / "b").open("wb") as file:
        for _ in range(400):
            file.write(noise)
    process = sealer(home, "--output", "json", "build", "-t", "app", str(directory))
    assert process.stdout is not None
    told = (json.loads(line) for line in iter(process.stdout.readline, ""))
    done = next(event["data"]["done"] for event in told if event["state"] == "progress")
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert 0 < done < 400 * MIB
    assert_valid(store)
    assert store.list() == ()
    (directory / "b").write_bytes(noise)
    image = build(store, BuildRequest(directory, names=("app",)), EventStream())
    assert_valid(store)
    assert not list((store.root / "tmp").iterdir())
    assert (
        image.digest == build(Store(tmp_path / "fresh"), BuildRequest(directory, names=("app",)), EventStream()).digest
    )


COUNTED = textwrap.dedent("""
    import os, signal, sys
    calls, last = 0, int(sys.argv[1])
    def counted(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call
    for name in ("fsync", "rename", "replace", "unlink", "link", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    from pathlib import Path
    from sealer.events import EventStream
    from sealer.image.build import BuildRequest, build
    from sealer.image.store import Store
    build(Store(Path(sys.argv[2])), BuildRequest(Path(sys.argv[3]), names=("app", "new")), EventStream())
    print(calls)
""")


def test_a_build_killed_at_any_change_of_the_disk_leaves_a_valid_store(tmp_path: Path) -> None:
    """Killed right before each rename, sync, unlink and mkdir that a build makes."""
    before = Store(tmp_path / "before")
    text = "FROM scratch\nCOPY a .\nCOPY b .\n"
    directory = context(tmp_path / "context", text, a=b"a", b=random.Random(1).randbytes(MIB))
    old = build(before, BuildRequest(directory, names=("app",)), EventStream()).digest
    (directory / "a").write_bytes(b"other")

    def attempt(name: str, last: int) -> tuple[Store, subprocess.CompletedProcess[str]]:
        shutil.copytree(before.root, tmp_path / name)
        command = [sys.executable, "-c", COUNTED, str(last), str(tmp_path / name), str(directory)]
        return Store(tmp_path / name), subprocess.run(command, check=False, capture_output=True, text=True)

    whole, result = attempt("whole", 0)
    new = whole.find("app").digest
    calls = int(result.stdout)
    assert calls > 20
    for last in range(1, calls + 1):
        store, result = attempt(f"killed-{last}", last)
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert_valid(store)
        assert store.find("app").digest in (old, new)
        assert build(store, BuildRequest(directory, names=("app",)), EventStream()).digest == new
        assert_valid(store)
        assert not list((store.root / "tmp").iterdir())


def test_areas_that_are_just_removed_are_not_taken_for_dead_ones(tmp_path: Path) -> None:
    """Each area is looked at by those who open another while its owner removes it."""

    def come_and_go(_: int) -> None:
        for _ in range(100):
            with Store(tmp_path / "images").stage() as staging:
                for name in ("a", "b", "z"):
                    (staging.directory / name).mkdir()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    assert list((tmp_path / "images" / "tmp").iterdir()) == []


def test_two_builds_at_once_both_land(tmp_path: Path) -> None:
    home = tmp_path / "home"
    names = ["one", "two"]
    for name in names:
        context(tmp_path / name, "FROM scratch\nCOPY a .\nCOPY b .\nRUN echo x > c", a=b"same", b=name.encode())
    processes = [
        sealer(home, "build", "-t", f"{name}:{number}", str(tmp_path / name)) for number in range(2) for name in names
    ]
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    store = Store(home / "images")
    assert [image.reference for image in store.list()] == ["one:0", "one:1", "two:0", "two:1"]
    assert store.find("one:0").digest == store.find("one:1").digest
    assert_valid(store)


def test_names_given_and_taken_by_many_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store(home / "images")
    for name in ("one", "two"):
        directory = context(tmp_path / name, "FROM scratch\nCOPY a .", a=name.encode())
        build(store, BuildRequest(directory, names=(name,)), EventStream())
    processes = [sealer(home, "tag", "one", f"one:{number}") for number in range(4)]
    processes.append(sealer(home, "rmi", "two"))
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert [image.reference for image in store.list()] == ["one:0", "one:1", "one:2", "one:3", "one:latest"]
    assert_valid(store)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4 * MIB) as place:
        yield place


@needs_root
def test_on_a_full_disk_images_can_be_saved_elsewhere_and_removed(tmp_path: Path, disk: Path) -> None:
    """What the message about a full disk advises must work on one."""
    home = disk
    store = Store(home / "images")
    noise = random.Random(1)
    for name in ("one", "two"):
        directory = context(tmp_path / name, "FROM scratch\nCOPY a .", a=noise.randbytes(MIB))
        build(store, BuildRequest(directory, names=(name,)), EventStream())
    fill(home)
    for arguments in (("save", "-o", str(tmp_path / "one.tar"), "one"), ("rmi", "one"), ("rmi", "two")):
        process = sealer(home, *arguments)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert store.list() == ()
    assert not list(store.blobs.iterdir())
    assert load(Store(tmp_path / "other"), tmp_path / "one.tar")[0][0] == "one:latest"


RSS = textwrap.dedent("""
    import json, sys
    from pathlib import Path
    from sealer.events import EventStream
    from sealer.image.archive import load, save
    from sealer.image.build import BuildRequest, build
    from sealer.image.files import RootfsFiles
    from sealer.image.store import Store
    import isal.isal_zlib, isal.igzip
    def memory(what):  # getrusage would count what the parent had at the fork
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what + ":"))
    idle = memory("VmRSS")
    store, context = Store(Path(sys.argv[1])), Path(sys.argv[2])
    image = build(store, BuildRequest(context, names=("large",)), EventStream())
    files = RootfsFiles(image.first).paths()
    save(store, ["large"], context.parent / "x.tar")
    load(Store(context.parent / "other"), context.parent / "x.tar")
    print(json.dumps({"idle": idle, "peak": memory("VmHWM"), "files": len(files), "size": image.first.layers[0].size}))
""")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    directory = context(tmp_path / "context", "FROM scratch\nCOPY . /data\nRUN echo x >> data/small", small=b"x")
    noise = random.Random(1).randbytes(32 * MIB)
    with (directory / "noise").open("wb") as file:
        for _ in range(3):
            file.write(noise)
    with (directory / "sparse").open("wb") as file:
        file.truncate(128 * MIB)
    for number in range(2000):
        (directory / f"file-{number:04}").write_bytes(b"%d" % number)
    command = [sys.executable, "-c", RSS, str(tmp_path / "images"), str(directory)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    measured = json.loads(result.stdout)
    assert measured["size"] > 96 * MIB
    assert measured["files"] == 2004
    assert measured["peak"] - measured["idle"] < 64 * MIB, measured


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_its_like_end_the_command_and_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    directory = context(tmp_path / "context", "FROM scratch\nRUN echo begun; sleep 300")
    process = sealer(home, "build", "-t", "app", str(directory))
    assert process.stdout is not None
    assert any("begun" in line and "RUN" not in line for line in iter(process.stdout.readline, ""))
    os.kill(process.pid, number)
    readable, _, _ = select.select([process.stdout], [], [], 30)
    assert readable
    process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=30) == 130
    assert not list((home / "images" / "tmp").iterdir())


@pytest.mark.parametrize("ending", ["done", "killed"])
def test_a_base_that_is_removed_while_a_build_needs_it(tmp_path: Path, ending: str) -> None:
    """Refused as long as the build lives; by force the name goes, and the build has all of the base to its end."""
    home = tmp_path / "home"
    store = Store(home / "images")
    base = build(
        store,
        BuildRequest(context(tmp_path / "base", "FROM scratch\nCOPY a .", a=b"a"), names=("base",)),
        EventStream(),
    )
    gate = socket.create_server(("127.0.0.1", 0))  # what a contained RUN shares with us is the network
    wait = f"import socket; socket.create_connection(('127.0.0.1', {gate.getsockname()[1]})).recv(1)"
    directory = context(tmp_path / "context", f'FROM base\nRUN echo begun; python3 -c "{wait}"; cat a > b')
    process = sealer(home, "build", "-t", "app", str(directory))
    assert process.stdout is not None
    assert any("begun" in line and "RUN" not in line for line in iter(process.stdout.readline, ""))
    refused = sealer(home, "rmi", "base")
    said, _ = refused.communicate(timeout=60)
    assert refused.returncode == 3, said
    assert f"'base' is in use by process {process.pid}" in said
    if ending == "killed":
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert store.remove("base")[0].digest == base.digest  # a lease ends with its process
        assert not list(store.blobs.iterdir())
        gate.close()
        return
    forced = sealer(home, "rmi", "--force", "base")
    said, _ = forced.communicate(timeout=60)
    assert forced.returncode == 0, said
    assert base.first.layers[0].path.exists()
    gate.accept()[0].close()
    gate.close()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert_valid(store)
    image = store.find("app")
    assert image.first.layers[0] == base.first.layers[0]
    assert {path.name for path in store.blobs.iterdir()} == {
        digest.removeprefix("sha256:") for digest in store.closure(store.descriptor("app"))
    }


@pytest.mark.parametrize("ending", ["done", "killed"])
def test_prune_while_a_build_runs(tmp_path: Path, ending: str) -> None:
    """Its base, which has lost its name, and what it has made so far stay; what it leaves when it is killed goes."""
    home = tmp_path / "home"
    store = Store(home / "images")
    for content in (b"first", b"second"):  # the second takes the name
        directory = context(tmp_path / content.decode(), "FROM scratch\nCOPY a .", a=content)
        base = build(store, BuildRequest(directory, names=("base",)), EventStream())
    other = build(
        store, BuildRequest(context(tmp_path / "o", "FROM scratch\nCOPY a .", a=b"o"), names=("other",)), EventStream()
    )
    gate = socket.create_server(("127.0.0.1", 0))
    wait = f"import socket; socket.create_connection(('127.0.0.1', {gate.getsockname()[1]})).recv(1)"
    text = f'FROM base\nCOPY b .\nRUN echo begun; python3 -c "{wait}"; cat a > c'
    process = sealer(home, "build", "-t", "app", str(context(tmp_path / "context", text, b=b"b" * MIB)))
    assert process.stdout is not None
    assert any("begun" in line and "RUN" not in line for line in iter(process.stdout.readline, ""))
    store.tag("other", ["base"])  # the base of the build has no name any more
    said, _ = (pruning := sealer(home, "prune")).communicate(timeout=60)
    assert pruning.returncode == 0, said
    assert said.startswith("1 images and ")  # the first, which nobody uses
    assert base.first.layers[0].path.exists()
    if ending == "killed":
        os.kill(process.pid, signal.SIGKILL)
    else:
        gate.accept()[0].close()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if ending == "killed" else 0), output
    gate.close()
    assert_valid(store)
    if ending == "done":
        assert store.find("app").first.layers[0] == base.first.layers[0]
    said, _ = (pruning := sealer(home, "prune")).communicate(timeout=60)
    assert pruning.returncode == 0, said
    assert not list((store.root / "tmp").iterdir())
    images = {image.digest for image in store.list()}
    assert images == {other.digest, *([store.find("app").digest] if ending == "done" else [])}
    assert_valid(store)


def test_prune_beside_many_builds(tmp_path: Path) -> None:
    """None of them ever lacks a blob, whenever the others are pruned."""
    home = tmp_path / "home"
    store = Store(home / "images")
    for number in range(4):
        text = f"FROM scratch\nCOPY a .\nCOPY b {number}"
        context(tmp_path / str(number), text, a=b"same", b=random.Random(number).randbytes(MIB))
    builds = [sealer(home, "build", "-q", "-t", f"app:{number}", str(tmp_path / str(number))) for number in range(4)]
    while any(process.poll() is None for process in builds):
        store.prune()
        assert_valid(store)
    for process in builds:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert [image.reference for image in store.list()] == [f"app:{number}" for number in range(4)]
    assert_valid(store)


LOADED_WHILE_REMOVED = textwrap.dedent("""
    import sys
    from pathlib import Path
    from sealer.image.archive import load
    from sealer.image.store import Store
    class Watched(Store):
        def _write(self, catalogue):
            super()._write(catalogue)
            print(len(catalogue.entries), flush=True)
            sys.stdin.readline()
    print(load(Watched(Path(sys.argv[1])), Path(sys.argv[2])), flush=True)
""")


def test_images_of_one_archive_enter_together(tmp_path: Path) -> None:
    """Nobody ever sees some of them: so no removal finds blobs that are only about to be named."""
    store = Store(tmp_path / "images")
    for name in ("one", "two"):
        directory = context(tmp_path / name, "FROM scratch\nCOPY a .", a=name.encode())
        build(store, BuildRequest(directory, names=(name,)), EventStream())
    save(store, ["one", "two"], tmp_path / "x.tar")
    target = Store(tmp_path / "target")
    target.prune()
    command = [sys.executable, "-c", LOADED_WHILE_REMOVED, str(target.root), str(tmp_path / "x.tar")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "2\n"
    process.stdin.close()
    assert "one:latest" in process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert [image.reference for image in target.list()] == ["one:latest", "two:latest"]
