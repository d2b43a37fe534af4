"""SIGKILL in the middle of a transfer: the store is as it was, and the next run moves little more than the rest."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from faulty_proxy import FaultyProxy
from foreign_images import Variant, tar_of, write_layout
from sample_images import MakeRegistries, blobs_of, cluster_image, noise, skopeo

from sealer.events import EventStream
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.store import Store

BOUND = 60.0  # seconds
MB = 1_000_000


@pytest.fixture(autouse=True)
def _processes() -> Iterator[None]:
    """Nothing that a test started outlives it."""
    yield
    while started:
        kill(started.pop())


started: list[subprocess.Popen[bytes]] = []


def sealer(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sealer", *arguments],
        env={**os.environ, "SEALER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started.append(process)
    return process


def until(condition: Callable[[], bool]) -> None:
    clock = threading.Event()
    for _ in range(int(BOUND / 0.02)):
        if condition():
            return
        clock.wait(0.02)
    raise AssertionError("it did not come to that")


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=BOUND)


def kept(store: Store) -> int:
    return sum(path.stat().st_size for path in store.downloads.iterdir())


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed (apt-get install skopeo)")
class TestBase:
    """Of any image, of which the files are looked through when all of it is here."""

    @pytest.fixture
    def base(self, registry: DockerRegistry, proxy: FaultyProxy, tmp_path: Path) -> str:
        layers = [
            tar_of((f"file{number}", noise(10 * MB, number)), f"link{number} -> /file{number}") for number in (1, 2)
        ]
        write_layout(tmp_path / "layout", [Variant(layers)])
        target = f"docker://{registry.address}/base:1"
        skopeo("copy", "--preserve-digests", "--dest-tls-verify=false", f"oci:{tmp_path / 'layout'}:x:1", target)
        (tmp_path / "context").mkdir()
        (tmp_path / "context" / "Kubefile").write_text(f"FROM {proxy.address}/base:1\n")
        return f"{proxy.address}/base:1"

    def test_a_killed_build_goes_on(self, base: str, proxy: FaultyProxy, tmp_path: Path) -> None:
        home, context = tmp_path / "home", str(tmp_path / "context")
        store = Store(home / "images")
        proxy.gate = 10 * MB
        process = sealer(home, "build", "-t", "app", context)
        assert proxy.reached.wait(BOUND)
        until(lambda: kept(store) >= 9.5 * MB)
        kill(process)
        assert not store.catalogue().entries
        proxy.open_gate()
        proxy.down = 0
        assert sealer(home, "build", "-t", "app", context).wait(timeout=BOUND) == 0
        assert proxy.down <= 11 * MB
        assert {one.reference for one in store.list()} == {"app:latest", base}
        assert blobs_of(store) == {
            digest[7:] for name in ("app", base) for digest in store.closure(store.descriptor(name))
        }
        assert not list(store.downloads.iterdir())
        assert not list((store.root / "tmp").iterdir())

    def test_two_builds_at_once(self, base: str, tmp_path: Path) -> None:
        home, context = tmp_path / "home", str(tmp_path / "context")
        builds = [sealer(home, "build", "-t", name, context) for name in ("one", "two")]
        assert [build.wait(timeout=BOUND) for build in builds] == [0, 0]
        store = Store(home / "images")
        assert store.find("one").digest == store.find("two").digest
        assert store.find(base).first.layers == store.find("one").first.layers


@pytest.mark.parametrize("sizes", [[40 * MB], [10 * MB] * 4])
def test_a_killed_pull_goes_on(
    proxy: FaultyProxy, store: Store, tmp_path: Path, registries: MakeRegistries, events: EventStream, sizes: list[int]
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(store, [name], sizes=sizes)
    size = push(store, registries(), events, name).size
    home = tmp_path / "home"
    other = Store(home / "images")
    proxy.gate = size // 2
    process = sealer(home, "pull", name)
    assert proxy.reached.wait(BOUND)
    until(lambda: kept(other) >= 0.48 * size)  # the rest of the half is in sockets
    kill(process)
    assert not other.catalogue().entries
    proxy.open_gate()
    proxy.down = 0
    assert sealer(home, "pull", name).wait(timeout=BOUND) == 0
    assert proxy.down <= 0.55 * size
    assert blobs_of(other) == blobs_of(store)
    assert not list(other.downloads.iterdir())
    assert not list((other.root / "tmp").iterdir())


def test_a_killed_push_goes_on(
    registry: DockerRegistry, tmp_path: Path, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    home = tmp_path / "home"
    store = Store(home / "images")
    with FaultyProxy(registry.address) as proxy:
        name = f"{proxy.address}/ns/app:v1"
        image = cluster_image(store, [name], sizes=[4 * MB] * 10)
        blobs = [part for part in store.closure(image).values() if part.size > MB]
        size = sum(blob.size for blob in blobs)
        proxy.gate = size // 2
        process = sealer(home, "push", name)
        assert proxy.reached.wait(BOUND)
        kill(process)
    there = [blob for blob in blobs if registry.blob(blob.digest).exists()]
    with FaultyProxy(registry.address) as proxy:
        again = f"{proxy.address}/ns/app:v1"
        store.tag(name, [again])
        pushed = push(store, registries(), events, again)
        assert not {blob.digest for blob in there} & set(pushed.sent)
        assert proxy.up <= size - sum(blob.size for blob in there)
        pull(other, registries(), events, again)
    assert blobs_of(other) == blobs_of(store)


def test_a_killed_push_goes_on_in_a_blob_where_the_registry_keeps_it(
    registry: DockerRegistry, tmp_path: Path, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    home = tmp_path / "home"
    store = Store(home / "images")
    with FaultyProxy(registry.address, keeps_uploads=True) as proxy:
        name = f"{proxy.address}/ns/app:v1"
        image = cluster_image(store, [name], sizes=[20 * MB])
        size = max(part.size for part in store.closure(image).values())
        proxy.gate = size // 2
        process = sealer(home, "push", name)
        assert proxy.reached.wait(BOUND)
        kill(process)
        assert len(list(store.uploads.iterdir())) == 1
        proxy.open_gate()
        proxy.up = 0
        assert sealer(home, "push", name).wait(timeout=BOUND) == 0
        assert proxy.up <= 0.55 * size
        assert not list(store.uploads.iterdir())
        pull(other, registries(), events, name)
    assert blobs_of(other) == blobs_of(store)


@pytest.mark.parametrize("command", ["pull", "push"])
def test_ctrl_c_ends_it_at_once(
    proxy: FaultyProxy, registry: DockerRegistry, tmp_path: Path, store: Store, registries: MakeRegistries,
    events: EventStream, command: str,
) -> None:  # fmt: skip
    home = tmp_path / "home"
    here = store if command == "pull" else Store(home / "images")
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(here, [name], sizes=[10 * MB])
    if command == "pull":
        push(here, registries(), events, name)
    proxy.gate = 5 * MB
    process = sealer(home, command, name)
    assert proxy.reached.wait(BOUND)
    process.send_signal(signal.SIGINT)  # nothing more would come, for a minute
    assert process.wait(timeout=20) == 130
    assert not list(Store(home / "images").root.glob("tmp/*"))
    kept_in = home / "images" / {"pull": "downloads", "push": "uploads"}[command]
    assert any(path.stat().st_size for path in kept_in.iterdir())


def test_two_pulls_at_once(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(store, [name], sizes=[10 * MB, 10 * MB])
    push(store, registries(), events, name)
    both = [sealer(home, "pull", name) for _ in range(2)]
    assert [process.wait(timeout=BOUND) for process in both] == [0, 0]
    assert blobs_of(Store(home / "images")) == blobs_of(store)
    assert not list(Store(home / "images").downloads.iterdir())


def test_what_a_killed_pull_left_is_not_believed_blindly(
    proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(store, [name])
    push(store, registries(), events, name)
    layer = store.find(name).first.layers[1]
    other.downloads.mkdir(parents=True)
    (other.downloads / f"{layer.digest[7:]}.partial").write_bytes(bytes(2 * MB))  # as after a power loss
    proxy.down = 0
    pull(other, registries(), events, name)
    assert blobs_of(other) == blobs_of(store)
    ranges = [seen.headers.get("Range") for seen in proxy.requests("GET", layer.digest)]
    assert ranges == [f"bytes={2 * MB}-", None]


def test_prune_takes_what_is_left_over_and_nobody_holds(
    proxy: FaultyProxy, store: Store, tmp_path: Path, registries: MakeRegistries, events: EventStream
) -> None:
    name = f"{proxy.address}/ns/app:v1"
    cluster_image(store, [name], sizes=[10 * MB])
    push(store, registries(), events, name)
    home = tmp_path / "home"
    other = Store(home / "images")
    proxy.gate = 5 * MB
    process = sealer(home, "pull", name)
    assert proxy.reached.wait(BOUND)
    partial = other.downloads / f"{store.find(name).first.layers[0].digest[7:]}.partial"
    until(partial.exists)
    other.prune()
    assert partial.exists()
    kill(process)
    other.prune()
    assert not partial.exists()
