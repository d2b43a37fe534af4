"""Which instructions are executed again, and that the result is the same either way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from sealer.errors import BuildError
from sealer.events import Event, EventStream, State
from sealer.image.files import RootfsFiles
from sealer.image.inputs import FileDigests
from sealer.image.layer import FileRead, files_now
from sealer.image.model import ClusterImage
from sealer.image.store import Store
from sealer.redaction import Secret

Build = Callable[..., ClusterImage]
LONG_AGO = time.time() - 3600


@pytest.fixture
def executed(build_image: Build, events: tuple[EventStream, list[Event]], store: Store) -> Callable[..., str]:
    """Build, and say of each COPY, ADD and RUN whether it was executed (`x`) or known (`-`).

    Executed once more with nothing known, it must have the same digest.
    """

    def run(text: str, **request: object) -> str:
        events[1].clear()
        image = build_image(text, **request)
        told = {State.DONE: "x", State.SKIPPED: "-"}
        found = "".join(
            told[event.state]
            for event in events[1]
            if event.state in told and event.title.partition("] ")[2].startswith(("COPY", "ADD", "RUN"))
        )
        assert all(event.message == "CACHED" for event in events[1] if event.state is State.SKIPPED)
        assert build_image(text, **{**request, "cache": False}).digest == image.digest
        return found

    return run


def test_what_did_not_change_is_not_executed_again(executed: Callable[..., str], context: Path) -> None:
    (context / "a").write_text("a")
    text = "FROM scratch\nCOPY a .\nENV X=1\nRUN echo $X > x\nCOPY a b\nRUN cat a x > c\n"
    assert executed(text) == "xxxx"
    assert executed(text) == "----"
    assert executed(text + "RUN echo more >> c") == "----x"
    assert executed(text.replace("cat a x", "cat x a")) == "---x"
    assert executed(text.replace("X=1", "X=2")) == "-xxx"
    assert executed(text) == "----"
    (context / "a").write_text("b")
    assert executed(text) == "xxxx"
    (context / "a").write_text("a")
    assert executed(text) == "----"
    assert executed(text, cache=False) == "xxxx"


@pytest.mark.parametrize(
    "change",
    [
        "printf 2 > d/f",
        "printf 11 > d/f",
        "chmod 600 d/f",
        "chmod 700 d/e",
        "chmod 700 d",
        "mv d/f d/g",
        "touch d/new",
        "mkdir d/e/new",
        "rm d/f",
        "ln -sf f d/l",
        "ln -f d/f d/hard",
        "cp d/f d/hard2; rm d/hard; mv d/hard2 d/hard",
        "rm d/f; mkdir d/f",
        "rm d/f; ln -s e d/f",
        "echo d/e > .dockerignore",
    ],
)
def test_a_copy_is_known_by_all_that_its_layer_has(executed: Callable[..., str], context: Path, change: str) -> None:
    (context / "d" / "e").mkdir(parents=True)
    (context / "d" / "f").write_text("1")
    (context / "d" / "e" / "x").write_text("x")
    (context / "d" / "f").chmod(0o644)
    (context / "d" / "hard").hardlink_to(context / "d" / "f")
    (context / "d" / "l").symlink_to("e")
    assert executed("FROM scratch\nCOPY d /d") == "x"
    assert executed("FROM scratch\nCOPY d /d") == "-"
    assert os.system(f"cd {context} && {change}") == 0
    assert executed("FROM scratch\nCOPY d /d") == ("-" if change.startswith("ln -f d/f") else "x")
    assert executed("FROM scratch\nCOPY d /d") == "-"


def test_times_and_owners_do_not_count(executed: Callable[..., str], context: Path) -> None:
    (context / "a").write_text("a")
    assert executed("FROM scratch\nCOPY a .") == "x"
    os.utime(context / "a", (1, 1))
    assert executed("FROM scratch\nCOPY a .") == "-"
    shutil.copy(context / "a", context / "b")
    (context / "b").replace(context / "a")
    assert executed("FROM scratch\nCOPY a .") == "-"


@pytest.mark.parametrize(
    "other",
    ["COPY a c", "COPY a b/", "COPY --chmod=600 a b", "ADD a b", "COPY a ./a b/", "COPY [a] b"],
)
def test_a_copy_is_known_by_its_words(executed: Callable[..., str], context: Path, other: str) -> None:
    (context / "a").write_text("a")
    assert executed("FROM scratch\nCOPY a b") == "x"
    assert executed(f"FROM scratch\n{other}") == ("-" if other == "COPY [a] b" else "x")


def test_added_archives(executed: Callable[..., str], build_image: Build, context: Path) -> None:
    def pack(text: str) -> None:
        (context / "f").write_text(text)
        with tarfile.open(context / "x.tar", "w") as tar:
            tar.add(context / "f", "f")

    pack("1")
    assert executed("FROM scratch\nADD x.tar d/") == "x"
    assert executed("FROM scratch\nADD x.tar d/") == "-"
    pack("2")
    assert executed("FROM scratch\nADD x.tar d/") == "x"
    assert RootfsFiles(build_image("FROM scratch\nADD x.tar d/").first).read("d/f") == b"2"


def test_a_run_is_known_by_what_it_sees(executed: Callable[..., str], build_image: Build, context: Path) -> None:
    text = "FROM scratch\nARG A\nARG B=1\nRUN echo $A > a"
    assert executed(text, build_args={"A": "1"}) == "x"
    assert executed(text, build_args={"A": "1"}) == "-"
    assert executed(text, build_args={"A": "2"}) == "x"
    assert executed(text, build_args={"A": "1", "B": "2"}) == "x"
    assert executed(text, build_args={"A": "1", "C": "2"}) == "-"
    assert executed(text, build_args={"A": "1"}, network="none") == "x"
    assert executed(text.replace("RUN", "RUN --network=none"), build_args={"A": "1"}) == "-"
    assert executed(text, build_args={"A": "1"}, labels={"x": "y"}) == "-"


def test_a_step_is_known_by_the_layers_below(executed: Callable[..., str], build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    build_image("FROM scratch\nCOPY a x", names=("one",))
    build_image("FROM scratch\nCOPY a y", names=("two",))
    assert executed("FROM one\nCOPY a z\nRUN ls > list") == "xx"
    assert executed("FROM two\nCOPY a z\nRUN ls > list") == "xx"
    assert executed("FROM one\nCOPY a z\nRUN ls > list") == "--"
    build_image("FROM scratch\nLABEL x=y\nCOPY a x", names=("one",))
    assert executed("FROM one\nCOPY a z\nRUN ls > list") == "--"


def test_steps_before_a_failure_are_known_afterwards(
    build_image: Build, executed: Callable[..., str], store: Store, context: Path
) -> None:
    (context / "a").write_text("a")
    with pytest.raises(BuildError):
        build_image("FROM scratch\nCOPY a .\nRUN echo x > x\nRUN false")
    assert store.list() == ()
    assert executed("FROM scratch\nCOPY a .\nRUN echo x > x\nRUN true") == "--x"


def test_a_removal_takes_the_layers_and_forgets_them(
    executed: Callable[..., str], build_image: Build, store: Store, context: Path
) -> None:
    (context / "a").write_text("a")
    build_image("FROM scratch\nCOPY a b", names=("kept",))
    assert executed("FROM scratch\nCOPY a .\nRUN echo x > x") == "xx"
    store.remove("app:v1")
    wanted = set(store.closure(*store.catalogue().entries))
    assert {f"sha256:{path.name}" for path in store.blobs.iterdir()} == wanted
    assert len(list((store.root / "cache" / "layers").iterdir())) == 1
    assert executed("FROM scratch\nCOPY a b") == "-"
    assert executed("FROM scratch\nCOPY a .\nRUN echo x > x") == "xx"


@pytest.mark.parametrize("damage", ["blob gone", "blob cut", "record cut", "record odd", "record hostile"])
def test_a_record_that_does_not_hold_is_a_miss(
    executed: Callable[..., str], store: Store, context: Path, damage: str
) -> None:
    (context / "a").write_text("a")
    assert executed("FROM scratch\nCOPY a .") == "x"
    (record,) = (store.root / "cache" / "layers").iterdir()
    layer = json.loads(record.read_text())["layers"][0]
    match damage:
        case "blob gone":
            store.path(layer["digest"]).unlink()
        case "blob cut":
            store.path(layer["digest"]).write_bytes(b"x")
        case "record cut":
            record.write_bytes(record.read_bytes()[:20])
        case "record odd":
            record.write_text('{"layers": [1, {"digest": 2}]}')
        case "record hostile":
            record.write_text(json.dumps({"layers": [{**layer, "digest": "sha256:../../../x"}]}))
    assert executed("FROM scratch\nCOPY a .") == "x"
    assert executed("FROM scratch\nCOPY a .") == "-"


@pytest.mark.skipif(os.geteuid() != 0, reason="secrets need root")
def test_secrets_are_in_no_key_and_in_no_record(
    executed: Callable[..., str], store: Store, context: Path, tmp_path: Path
) -> None:
    text = "FROM scratch\nRUN --mount=type=secret,id=t wc -c < /run/secrets/t > n; cat /run/secrets/t; echo"
    assert executed(text, secrets={"t": Secret("first-hush")}) == "x"
    assert executed(text, secrets={"t": Secret("other-hush")}) == "-"
    content = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert content
    assert not [text for text in content if b"hush" in text]


@pytest.mark.parametrize(
    ("changed", "begun", "settled"),
    [
        (5_000_000_001, 5_100_000_000, False),
        (5_000_000_001, 5_100_000_002, True),
        (5_000_000_000, 6_900_000_000, False),  # maybe of a file system that counts seconds
        (5_000_000_000, 7_000_000_001, True),
        (9_000_000_001, 5_000_000_000, False),  # the clock was set back
    ],
)
def test_only_a_file_at_rest_is_remembered(
    tmp_path: Path, context: Path, changed: int, begun: int, settled: bool
) -> None:
    file = context / "a"
    file.write_text("one")
    real = file.stat()
    status = cast(os.stat_result, Status(real, st_ctime_ns=changed))
    digests = FileDigests(tmp_path / "store", context)
    digests.learn(FileRead(str(file), begun, status, status, "0"))
    digests.save()
    assert (tmp_path / "store" / "cache").exists() is settled
    moved = cast(os.stat_result, Status(real, st_ctime_ns=changed, st_mtime_ns=real.st_mtime_ns + 1))
    digests = FileDigests(tmp_path / "other", context)
    digests.learn(FileRead(str(file), begun, status, moved, "0"))
    digests.save()
    assert not (tmp_path / "other" / "cache").exists()  # it was written while it was read


class Status:
    """What the system says of a file, with some of it changed."""

    def __init__(self, real: os.stat_result, **changed: int) -> None:
        self._real = real
        self.__dict__.update(changed)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, context: Path) -> None:
    """By what the digest of a file is after the record was changed by hand: the record's."""
    root, file = tmp_path / "store", context / "a"
    file.write_text("one")
    status = file.stat()
    digests = FileDigests(root, context)
    digests.learn(FileRead(str(file), status.st_ctime_ns + 10**10, status, status, "remembered"))
    digests.save()
    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    (record,) = (root / "cache" / "files").iterdir()
    assert json.loads(record.read_text()) == {
        "files": {str(file): f"3 {times} {status.st_ino} {status.st_dev} remembered"}
    }
    assert FileDigests(root, context).of(str(file)) == "remembered"
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # which changes the other time
    assert FileDigests(root, context).of(str(file)) == hashlib.sha256(b"two").hexdigest()
    record.write_bytes(record.read_bytes()[:20])
    assert FileDigests(root, context).of(str(file)) == hashlib.sha256(b"two").hexdigest()


def test_a_file_written_again_within_a_moment_is_seen(executed: Callable[..., str], context: Path) -> None:
    """Same size, same inode, and times that may be the same too: such a file is read every time."""
    for number in range(20):
        (context / "a").write_text(f"{number:02}")
        assert executed("FROM scratch\nCOPY a .") == "x"


def test_a_file_that_changes_while_it_is_copied_is_recorded_as_it_was_copied(
    build_image: Build, context: Path, events: tuple[EventStream, list[Event]]
) -> None:
    (context / "a").write_text("1")
    (context / "b").write_text("b" * 3_000_000)

    def change(event: Event) -> None:
        if event.state is State.PROGRESS:
            (context / "a").write_text("2")

    unsubscribe = events[0].subscribe(change)
    first = RootfsFiles(build_image("FROM scratch\nCOPY . .").first).read("a")
    unsubscribe()
    assert first == b"1"
    assert (context / "a").read_text() == "2"
    assert RootfsFiles(build_image("FROM scratch\nCOPY . .").first).read("a") == b"2"


def test_a_copy_needs_no_layer_below(executed: Callable[..., str], store: Store, context: Path) -> None:
    """The names in the layers below are known, whether the layers were just made, found, or loaded with a base."""
    (context / "d" / "e").mkdir(parents=True)
    (context / "d" / "\u00e9").write_text("x")
    (context / "a").write_text("a")
    text = "FROM scratch\nCOPY d in/d\nRUN ln -s d in/l && rm -r in/d/e\n"
    assert executed(text + "COPY a in/l\nCOPY a in/d/e") == "xxxx"
    expected = RootfsFiles(store.find("app:v1").first).paths()
    assert expected == ["in/d/a", "in/d/e", "in/d/\u00e9"]
    shutil.rmtree(store.root / "cache" / "members")
    assert executed(text + "COPY a in/l\nCOPY --chmod=600 a in/d/e") == "---x"
    assert RootfsFiles(store.find("app:v1").first).paths() == expected
    assert len(list((store.root / "cache" / "members").iterdir())) == 4
    for file in (store.root / "cache" / "members").iterdir():
        file.write_bytes(file.read_bytes()[:20])
    assert executed(text + "COPY a in/l\nCOPY --chmod=644 a in/d/e") == "---x"
    assert RootfsFiles(store.find("app:v1").first).paths() == expected


def test_a_removal_leaves_alone_what_builds_are_writing(
    executed: Callable[..., str], build_image: Build, store: Store, context: Path
) -> None:
    (context / "a").write_text("a")
    build_image("FROM scratch\nCOPY a b", names=("kept",))
    build_image("FROM scratch\nLABEL a=b", names=("gone",))
    young, old = (store.root / "cache" / "layers" / f".partial-{name}" for name in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (LONG_AGO - 3600, LONG_AGO - 3600))
    store.remove("gone")
    assert young.exists()
    assert not old.exists()
    assert executed("FROM scratch\nCOPY a b") == "-"


def test_builds_and_removals_at_once(store: Store, context: Path) -> None:
    """Records are replaced while others are read and swept; every build has its image, and the same one."""
    from sealer.image.build import BuildRequest, build

    (context / "a").write_text("a")
    (context / "Kubefile").write_text("FROM scratch\nCOPY a b\nCOPY a c\n")

    def come_and_go(number: int) -> set[str]:
        digests = set()
        for _ in range(15):
            image = build(store, BuildRequest(context, names=(f"n{number}",)), EventStream())
            digests.add(image.digest)
            store.remove(f"n{number}", force=True)
        return digests

    with ThreadPoolExecutor(4) as threads:
        assert len(set.union(*threads.map(come_and_go, range(4)))) == 1


def test_builds_and_prunes_at_once(store: Store, context: Path) -> None:
    """What a build has staged, or takes from the cache, is nobody's garbage; its image is whole when it has ended."""
    from sealer.image.build import BuildRequest, build

    kubefile = "FROM scratch\nCOPY a b\n"
    ended = threading.Event()

    def prune() -> int:
        count = 0
        while not ended.is_set():
            store.remove_nameless()
            store.prune()
            count += 1
        return count

    def come(number: int) -> None:
        own = context / f"{number}"
        own.mkdir()
        (own / "Kubefile").write_text(f"{kubefile}COPY c d\n")
        (own / "a").write_text("the same in all of them")
        for turn in range(15):
            (own / "c").write_text(f"{number} {turn}")
            build(store, BuildRequest(own, names=(f"n{number}",)), EventStream())
            for digest, part in store.closure(store.descriptor(f"n{number}")).items():
                assert store.path(digest).stat().st_size == part.size

    with ThreadPoolExecutor(5) as threads:
        pruning = [threads.submit(prune) for _ in range(2)]
        try:
            list(threads.map(come, range(3)))
        finally:
            ended.set()
        assert min(one.result() for one in pruning) > 1
    store.remove_nameless()
    assert sorted(image.reference for image in store.list()) == ["n0:latest", "n1:latest", "n2:latest"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give files the time of their clock")
def test_no_file_is_written_before_now(tmp_path: Path) -> None:
    for number in range(200):
        now = files_now()
        file = tmp_path / f"{number}"
        file.touch()
        assert file.stat().st_ctime_ns >= now
