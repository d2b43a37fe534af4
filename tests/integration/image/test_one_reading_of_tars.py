"""GNU tar unpacks on hosts what sealer has checked: both must see the same, or sealer must refuse it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import time

import pytest
from gnu_tar import Jail
from tar_mutants import GNU, USTAR, V7, Mutator, piece, record

from sealer.errors import ImageError
from sealer.image.tarstream import BLOCK, Kind, Member, members
from sealer.image.tree import Tree

SECONDS = 45.0  # in CI
SOAK = 1800.0
END = bytes(2 * BLOCK)


@pytest.fixture(scope="module")
def jail(tmp_path_factory: pytest.TempPathFactory) -> Jail:
    return Jail(tmp_path_factory.mktemp("jail"))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The same few files, written by real programs in all formats."""
    root = tmp_path_factory.mktemp("files")
    (root / "d").mkdir(mode=0o750)
    (root / "d" / "a").write_text("five!")
    (root / "d" / "b").write_bytes(b"x" * 1000)
    (root / "d" / "b").chmod(0o4755)
    (root / "d" / "\u00e9").write_text("accent")
    (root / "h").hardlink_to(root / "d" / "a")
    (root / "s").symlink_to("d/a")
    (root / "empty").touch()
    long = root / ("long-" * 20) / ("name-" * 20)
    long.mkdir(parents=True)
    (long / "f").write_text("deep")
    (root / "far").symlink_to("d/" + "t" * 120)
    made = [
        subprocess.run(
            [
                "tar",
                f"--format={form}",
                "-cf",
                "-",
                "-C",
                str(root),
                "--sort=name",
                *(["d", "h", "s", "empty"] if form in ("v7", "ustar") else ["."]),
            ],
            capture_output=True,
            check=True,
        ).stdout
        for form in ("gnu", "oldgnu", "pax", "ustar", "v7")
    ]
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=form) as tar:
            tar.add(root, ".")
        made.append(target.getvalue())
    made += [
        b"".join(one.written() for one in plain) + END
        for plain in (
            [
                piece(b"d/", b"5", magic=V7),
                piece(b"d/a", b"\0", b"five!", magic=V7),
                piece(b"s", b"2", link=b"d/a", magic=V7),
            ],
            [piece(b"g", b"g", record(b"comment", b"a" * 40)), piece(b"d/a", data=b"five!")],
            [
                piece(b"x", b"x", record(b"path", b"d/\xc3\xa9")),
                piece(b"d/e", data=b"five!"),
                piece(b"h", b"1", link=b"d/\xc3\xa9"),
            ],
            [
                piece(b"d", b"5"),
                piece(b".wh.a"),
                piece(b"d/.wh..wh..opq"),
                piece(b"d/a", data=b"1"),
                piece(b"t", b"1", link=b"d/a"),
            ],
            [
                piece(b"d/f", b"7", b"1"),
                piece(b"d/", b"0"),
                piece(b"d/f", data=b"12", magic=GNU),
                piece(b"d", b"5", magic=USTAR),
            ],
        )
    ]
    return made


def ours(archive: bytes) -> tuple[list[Member], dict[str, tuple[str, int, str, bytes]]] | None:
    """What sealer reads: each member, and what lies under each path afterwards. None: it refuses."""
    tree = Tree()
    tree.begin()
    listed, content = [], {}
    try:
        for member, stream in members(io.BytesIO(archive)):
            listed.append(member)
            tree.add(member)
            content[id(member)] = b"".join(stream.chunks())
        tree.end()
    except ImageError:
        return None
    found: dict[str, tuple[str, int, str, bytes]] = {}
    waiting = list(tree.root.children.items())
    while waiting:
        path, node = waiting.pop()
        what = node.member
        waiting += [(f"{path}/{name}", child) for name, child in node.children.items()]
        if what.kind is Kind.SYMLINK:
            found[path] = ("symlink", 0, what.link, b"")
        elif what.kind is Kind.DIRECTORY:
            found[path] = ("directory", what.mode, "", b"")
        else:
            origin = node.origin[1]
            found[path] = ("file", origin.mode, "", content[id(origin)])
    return listed, found


def compare(archive: bytes, jail: Jail) -> bool:
    """Whether sealer reads it. Then GNU tar reads the same."""
    read = ours(archive)
    if read is None:
        return False
    listed, found = read
    answer = jail.read(archive)
    assert answer.faults == "", f"GNU tar fails: {answer.faults}"
    expected = [(*row[:3], _plain(row[3]), _target(row)) for row in answer.listed]
    seen = [_row(member) for member in listed]
    assert seen == expected, f"{set(seen) ^ set(expected)}"
    assert found == answer.unpacked, f"{set(found.items()) ^ set(answer.unpacked.items())}"
    return True


def _row(member: Member) -> tuple[str, int, int, str, str]:
    return (member.kind.value, member.mode, member.size, member.path, member.link)


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _target(row: tuple[str, int, int, str, str]) -> str:
    return _plain(row[4]) if row[0] == "hardlink" else row[4]


def test_what_real_programs_write_is_read_alike(seeds: list[bytes], jail: Jail) -> None:
    for archive in seeds:
        assert list(members(io.BytesIO(archive)))
        assert compare(archive, jail)


def shown(archive: bytes) -> str:
    """The blocks of an archive, with one dot for many NULs."""
    rows = [re.sub(rb"\0{4,}", b"...", archive[at : at + BLOCK]) for at in range(0, len(archive), BLOCK)]
    return "\n".join(f"{row!r:.300}" for row in rows)


def fuzz(seeds: list[bytes], jail: Jail, seed: int, seconds: float) -> tuple[int, int]:
    """How many mutants were made in that time, and how many of them sealer reads."""
    mutator = Mutator(seeds, seed)
    until = time.monotonic() + seconds
    made = read = 0
    while time.monotonic() < until:
        archive = mutator.archive()
        made += 1
        try:
            read += compare(archive, jail)
        except AssertionError as error:
            error.add_note(f"mutant {made} of seed {seed}:\n{shown(archive)}")
            raise
    return made, read


@pytest.mark.timeout(180)
def test_mutants_are_read_alike_or_refused(seeds: list[bytes], jail: Jail, capsys: pytest.CaptureFixture[str]) -> None:
    made, read = fuzz(seeds, jail, 20201, SECONDS)
    with capsys.disabled():
        sys.stdout.write(f"\n{made} mutants of tars, {read} of them accepted and read alike by GNU tar\n")
    assert read > 300


@pytest.mark.soak
def test_many_mutants_are_read_alike_or_refused(
    seeds: list[bytes], jail: Jail, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    made, read = fuzz(seeds, jail, seed, SOAK)
    with capsys.disabled():
        sys.stdout.write(f"\nseed {seed}: {made} mutants of tars, {read} of them accepted and read alike by GNU tar\n")
