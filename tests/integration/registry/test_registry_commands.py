"""push, pull, login and logout as a user types them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from docker_registry import DockerRegistry
from faulty_proxy import Fault, FaultyProxy
from sample_images import blobs_of, cluster_image
from shell import PASSWORD, Shell

from sealer.image.store import Store


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def store(sealer: Shell) -> Store:
    return Store(sealer.home / "images")


@pytest.fixture
def guarded(tmp_path: Path, authority: Authority) -> Iterator[DockerRegistry]:
    """With TLS and a password."""
    directory = tmp_path / "guarded"
    directory.mkdir()
    with DockerRegistry(directory, tls=authority.server(), user=("me", PASSWORD)) as started:
        yield started


def test_there_and_back(sealer: Shell, store: Store, registry: DockerRegistry) -> None:
    name = f"{registry.address}/ns/app:v1"
    image = cluster_image(store, [name])
    pushed = sealer.json("push", name)["image"]
    assert isinstance(pushed, dict)
    assert (pushed["name"], pushed["digest"]) == (name, image.digest)
    assert len(pushed["sent"]) == 3
    before = blobs_of(store)
    sealer("rmi", name)
    assert sealer("pull", name).splitlines()[-1] == f"{name} {image.digest}"
    assert blobs_of(store) == before
    assert "(it was here already)" in sealer("pull", "--policy", "ifnewer", name)
    pulled = sealer.json("pull", name, "--platform", "linux/amd64")["image"]
    wanted = {"name": name, "source": name, "digest": image.digest, "changed": False, "moved": 0}
    assert isinstance(pulled, dict)
    assert {key: pulled[key] for key in wanted} == wanted


def test_policies(sealer: Shell, store: Store, registry: DockerRegistry) -> None:
    name = f"{registry.address}/ns/app:v1"
    assert "no image" in sealer("pull", "--policy", "never", name, status=2)
    image = cluster_image(store, [name])
    sealer("push", name)
    sealer("rmi", name)
    assert image.digest in sealer("pull", "--policy", "missing", name)
    cluster_image(store, ["other:v1"], seed=5)
    sealer("tag", "other:v1", name)
    assert image.digest not in sealer("pull", "--policy", "missing", name)
    assert image.digest not in sealer("pull", "--policy", "never", name)
    assert image.digest in sealer("pull", name)


def test_signing_in_and_out(
    sealer: Shell, store: Store, guarded: DockerRegistry, authority: Authority, tmp_path: Path
) -> None:
    name = f"{guarded.address}/ns/app:v1"
    cluster_image(store, [name])
    assert "certificate is not trusted" in sealer("push", name, status=1)
    sealer.home.mkdir(exist_ok=True)
    settings = f'registries: {{"{guarded.address}": {{ca: {authority.certificate}}}}}\n'
    (sealer.home / "registries.yaml").write_text(settings)
    assert f"sealer login {guarded.address}" in sealer("push", name, status=1)
    assert "refuses the username" in sealer(
        "login", guarded.address, "-u", "me", "--password-stdin", stdin="x\n", status=1
    )
    config = sealer.docker / "config.json"
    assert not config.exists()
    done = sealer.json("login", guarded.address, "-u", "me", "--password-stdin", stdin=f"{PASSWORD}\n")
    del done["apiVersion"]
    assert done == {"registry": guarded.address, "username": "me", "kept": str(config)}
    sealer("push", name)
    sealer("pull", name, "--authfile", str(config))
    assert sealer("logout", guarded.address) == f"signed out of {guarded.address}\n"
    assert "log in with" in sealer("pull", name, status=1)
    assert sealer.json("logout", guarded.address)["removed"] is False
    own = str(tmp_path / "own.json")
    sealer("login", "-u", "me", "-p", PASSWORD, f"https://{guarded.address}/v2/", "--authfile", own)
    sealer("pull", name, "--authfile", own)
    (sealer.home / "registries.yaml").unlink()
    sealer("pull", name, "--authfile", own, "--skip-tls-verify")


def test_name_and_password_are_asked_for_without_showing_the_password(sealer: Shell, guarded: DockerRegistry) -> None:
    terminal, own = pty.openpty()
    words = [sys.executable, "-m", "sealer", "login", guarded.address, "--skip-tls-verify"]
    with subprocess.Popen(words, env={**os.environ, **sealer.variables}, stdin=own, stdout=own, stderr=own) as process:
        os.close(own)
        shown = b""
        for question, answer in ((b"Name", b"me\n"), (b"Password", PASSWORD.encode() + b"\n"), (b"signed in", b"")):
            while question not in shown:
                assert select.select([terminal], [], [], 60)[0], shown
                shown += os.read(terminal, 1000)
            os.write(terminal, answer)
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert PASSWORD.encode() not in shown
    assert guarded.address in (sealer.docker / "config.json").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_typed_password_is_not_seen_by_others(sealer: Shell) -> None:
    with FaultyProxy() as silent:
        silent.faults = [Fault("GET", "/v2/", times=-1, hang=True)]
        words = ["login", silent.address, "-u", "me", "-p", PASSWORD]
        with subprocess.Popen(
            [sys.executable, "-m", "sealer", *words], env={**os.environ, **sealer.variables}
        ) as process:
            clock = threading.Event()
            for _ in range(3000):
                if silent.seen:
                    break
                clock.wait(0.02)
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.kill()
    assert b"login" in command
    assert PASSWORD.encode() not in command


def test_a_password_elsewhere_is_mentioned(sealer: Shell, tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "auth.json").write_text('{"auths": {"r.io": {"auth": "bWU6eA=="}}}')
    assert "has a password for r.io too; it was left there" in sealer("logout", "r.io")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["push", "none:v1"], 2, "no image 'none:v1'"),
        (["push", "a:v1", "--all=false"], 2, "an image is pushed whole"),
        (["pull", "127.0.0.1:1/app", "--authfile", "none"], 2, "none: there is no such file with credentials"),
        (["pull", "App:v1"], 2, "names are written in lower case"),
        (["pull", "127.0.0.1:1/app", "--platform", "x"], 2, "no platform"),
        (["pull", "127.0.0.1:1/app", "--policy", "x"], 2, "Invalid value for '--policy'"),
        (["login", "r.io", "-u", "me"], 2, "no terminal to prompt for the password"),
        (["login", "r.io"], 2, "no terminal to prompt for the name"),
        (["login", "r.io", "--password-stdin"], 2, "stdin cannot give the name as well"),
        (["login", "r.io", "-u", "me", "-p", "x", "--password-stdin"], 2, "exclude each other"),
        (["login", "a b", "-u", "me", "-p", "x"], 2, "not the name of a registry"),
    ],
)
def test_what_is_wrong_is_said(sealer: Shell, arguments: list[str], status: int, said: str) -> None:
    assert said in sealer(*arguments, status=status)


def test_a_mistake_in_registries_yaml_is_named(sealer: Shell) -> None:
    sealer.home.mkdir()
    (sealer.home / "registries.yaml").write_text("registry: {}\n")
    assert "did you mean 'registries'?" in sealer("pull", "app:v1", status=2)
