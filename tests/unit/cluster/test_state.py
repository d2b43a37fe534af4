"""The recorded state of a cluster, on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.cluster import state
from sealer.cluster.files import write_atomically
from sealer.cluster.home import ClusterHome
from sealer.clusterfile.model import Cluster, Clusterfile
from sealer.errors import SealerError
from sealer.extension import Recorded, RecordedHost
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabcdef\n-----END OPENSSH PRIVATE KEY-----\n"
LOGIN = Ssh("admin", Secret("pass-of-host"), "/keys/id", Secret("phrase-of-key"), 2222)
HOST = Host("10.0.0.1", ("master", "etcd"), LOGIN, {"A": "1"}, {"zone": "b"}, ("a=b:NoSchedule",), "master-0")
CLUSTER = Cluster(name="here", image="demo:1", env={"B": "x"}, hosts=(Host("10.0.0.1", ("master",), LOGIN),), ssh=LOGIN)
RECORDED = Recorded(
    "here",
    "changing",
    (RecordedHost(HOST, "m" * 32, "SHA256:abc", member=True), RecordedHost(Host("", ("node",), placeholder="node-0"))),
    Clusterfile(cluster=CLUSTER),
    "demo:1",
    "sha256:" + "1" * 64,
    {"app": "sha256:" + "2" * 64},
)
# Replaces a file by two contents in turn, as fast as it can.
REPLACE = """
import sys
from pathlib import Path
from sealer.cluster.files import write_atomically
print("begun", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomically(Path(sys.argv[1]), letter * 100_000)
"""


@pytest.fixture
def home(tmp_path: Path) -> ClusterHome:
    home = ClusterHome.of(tmp_path, "here")
    home.directory.mkdir()
    return home


def saved(home: ClusterHome, recorded: Recorded = RECORDED) -> ClusterHome:
    state.save_pending(home, recorded.clusterfile)
    state.settle_pending(home)
    state.save(home, recorded)
    return home


def test_what_is_saved_is_loaded_without_secrets(home: ClusterHome) -> None:
    loaded = state.load(saved(home))
    assert loaded
    without = Ssh("admin", None, "/keys/id", None, 2222)
    assert loaded.hosts == (
        RecordedHost(replace(HOST, ssh=without), "m" * 32, "SHA256:abc", member=True),
        RECORDED.hosts[1],
    )
    assert replace(loaded, hosts=(), clusterfile=Clusterfile()) == replace(
        RECORDED, hosts=(), clusterfile=Clusterfile()
    )
    cluster = loaded.clusterfile.cluster
    assert cluster
    assert (cluster.name, cluster.image, cluster.env, cluster.ssh) == ("here", "demo:1", {"B": "x"}, without)


def test_no_secret_is_on_disk(home: ClusterHome) -> None:
    key = replace(HOST, ssh=replace(LOGIN, private_key=KEY))
    one_line = replace(HOST, address="10.0.0.2", ssh=replace(LOGIN, private_key=KEY.replace("\n", "")))
    cluster = replace(CLUSTER, hosts=(key, one_line), ssh=replace(LOGIN, private_key=KEY))
    recorded = replace(RECORDED, hosts=(RecordedHost(key), RecordedHost(one_line)), clusterfile=Clusterfile(cluster))
    saved(home, recorded)
    state.save_pending(home, recorded.clusterfile)
    written = {path.name: path.read_text() for path in home.directory.iterdir()}
    assert set(written) == {"state.json", "Clusterfile", "Clusterfile.pending"}
    for text in written.values():
        assert "10.0.0.2" in text
        for secret in ("pass-of-host", "phrase-of-key", "BEGIN OPENSSH", "abcdef"):
            assert secret not in text
    assert {path.stat().st_mode & 0o777 for path in home.directory.iterdir()} == {0o600}


def test_a_cluster_that_nothing_is_recorded_of(home: ClusterHome) -> None:
    assert state.load(home) is None
    assert state.load_pending(home) is None
    state.settle_pending(home)  # as after a crash between the rename and what comes next
    assert not home.exists


def test_a_create_that_did_not_end_has_what_it_is_about(home: ClusterHome) -> None:
    state.save_pending(home, RECORDED.clusterfile)
    state.save(home, RECORDED)
    loaded, pending = state.load(home), state.load_pending(home)
    assert loaded
    assert pending
    assert loaded.clusterfile.cluster == pending.cluster


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "name": "here", "hosts": [{}]}', "\x00\x00", "\xff"]
)
def test_a_damaged_file_is_an_error_that_names_it(home: ClusterHome, damage: str) -> None:
    saved(home).state.write_bytes(damage.encode("latin-1"))
    with pytest.raises(SealerError, match="record of the cluster 'here' is damaged") as error:
        state.load(home)
    assert error.value.where == str(home.state)
    assert error.value.remedy


def test_the_state_of_another_sealer_is_not_guessed_at(home: ClusterHome) -> None:
    content = json.loads(saved(home).state.read_text())
    home.state.write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(SealerError, match="another version") as error:
        state.load(home)
    assert error.value.why == "format 2, this sealer reads 1"


def test_hosts_are_changed_and_left_out() -> None:
    changed = state.change_hosts(RECORDED, lambda entry: replace(entry, machine_id="x") if entry.member else None)
    assert [(entry.host.id, entry.machine_id) for entry in changed.hosts] == [("10.0.0.1", "x")]


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"a" * 100_000)
    for _ in range(10):
        command = [sys.executable, "-c", REPLACE, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"begun\n"
            first = path.stat().st_ino
            while path.stat().st_ino == first:  # it is at work
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 100_000, b"b" * 100_000)


def test_a_full_disk_leaves_the_old_file_and_is_no_bug(small_disk: Path) -> None:
    home = ClusterHome.of(small_disk, "here")
    home.directory.mkdir()
    before = saved(home).state.read_bytes()
    crowded = replace(
        RECORDED, hosts=tuple(RecordedHost(Host(f"10.0.{number // 250}.{number % 250}")) for number in range(500))
    )
    with pytest.raises(SealerError, match="cannot be written") as error:
        state.save(home, crowded)
    assert (error.value.where, error.value.why) == (str(home.state), "No space left on device")
    assert home.state.read_bytes() == before
    assert {path.name for path in home.directory.iterdir()} == {"state.json", "Clusterfile"}
