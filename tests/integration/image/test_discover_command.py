"""`sealer discover`, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: {}\n"
NO_SOCKETS = (
    "import socket\n\ndef refuse(*args, **kwargs):\n    raise AssertionError('a socket')\n\nsocket.socket = refuse\n"
)


class Shell:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "sealer", "discover", *arguments],
            cwd=self.directory,
            env={**os.environ, "PATH": os.defpath, "SEALER_HOME": str(self.directory / "home"), **environment},
            check=False,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, status: int = 0) -> list[dict[str, object]]:
        done = self("--output", "json", *arguments, status=status)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    rootfs = tmp_path / "rootfs"
    (rootfs / "manifests").mkdir(parents=True)
    (rootfs / "web.yaml").write_text(POD.format("nginx"))
    (rootfs / "manifests" / "db").write_text(POD.format("quay.io/x/db:v1"))
    return Shell(tmp_path)


def test_for_a_person(sealer: Shell) -> None:
    assert sealer("rootfs").stdout.splitlines() == [
        "IMAGE                           FOUND IN        RULE",
        "docker.io/library/nginx:latest  web.yaml:5      container",
        "quay.io/x/db:v1                 manifests/db:5  container",
    ]
    assert sealer("rootfs/web.yaml").stdout.splitlines()[1:] == [
        "docker.io/library/nginx:latest  web.yaml:5  container"
    ]
    (sealer.directory / "empty").mkdir()
    assert sealer("empty").stdout == "No file mentions an image.\n"


def test_for_a_program(sealer: Shell) -> None:
    [record] = sealer.json("rootfs")
    assert record == {
        "apiVersion": "sealer.io/cli/v1",
        "images": [
            {
                "image": "docker.io/library/nginx:latest",
                "guess": False,
                "found": [{"file": "web.yaml", "line": 5, "rule": "container"}],
            },
            {
                "image": "quay.io/x/db:v1",
                "guess": False,
                "found": [{"file": "manifests/db", "line": 5, "rule": "container"}],
            },
        ],
        "unresolved": [],
        "ignored": [],
    }


def test_strict(sealer: Shell) -> None:
    assert sealer("rootfs", "--strict").returncode == 0
    (sealer.directory / "rootfs" / "site.yaml.tmpl").write_text(POD.format("'{{ .Registry }}/x:1'"))
    assert "site.yaml.tmpl:5: {{ .Registry }}/x:1: a template that is not rendered yet" in sealer("rootfs").stdout
    done = sealer("rootfs", "--strict", status=1)
    assert "site.yaml.tmpl:5: 1 mention of an image could not be resolved" in done.stderr
    result, error = sealer.json("rootfs", "--strict", status=1)
    assert result["unresolved"] == [
        {
            "text": "{{ .Registry }}/x:1",
            "why": "a template that is not rendered yet",
            "file": "site.yaml.tmpl",
            "line": 5,
            "rule": "container",
        }
    ]
    assert error["error"]["exitStatus"] == 1  # type: ignore[index]
    (sealer.directory / "rootfs" / ".sealerignore").write_text("*.tmpl\n")
    assert sealer("rootfs", "--strict").returncode == 0


def test_lists(sealer: Shell) -> None:
    (sealer.directory / "more").write_text("busybox\n")
    (sealer.directory / "auth.yaml").write_text(
        "- {registry: r.io, username: u, password: hunter2-and-more, images: [a/b]}\n"
    )
    (sealer.directory / "less").write_text("docker.io/library/nginx:latest\n")
    arguments = ("--image-list", "more", "--image-list-with-auth", "auth.yaml", "--ignored-image-list", "less")
    done = sealer("rootfs", *arguments)
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "IMAGE                             FOUND IN        RULE",
        "docker.io/library/busybox:latest  more:1          given",
        "quay.io/x/db:v1                   manifests/db:5  container",
        "r.io/a/b:latest                   auth.yaml:1     given",
        "",
        "Ignored:",
        "  docker.io/library/nginx:latest",
    ]
    [record] = sealer.json("rootfs", *arguments)
    assert [one["image"] for one in record["ignored"]] == ["docker.io/library/nginx:latest"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing",), "missing: there is nothing to look through"),
        (("rootfs", "--image-list", "missing"), "missing: the list of images cannot be read"),
        (("rootfs", "--ignored-image-list", "bad"), "bad:1: 'A B' is not the name of an image"),
        (("rootfs", "--image-list-with-auth", "bad"), "bad:1: a list is needed"),
        (("rootfs", "--values", "c=missing"), "there is no file 'missing'"),
        (("rootfs", "--values", "c=bad"), "there is no chart 'c' in rootfs"),
        (("rootfs", "--helm", "x", "--no-helm"), "--helm and --no-helm exclude each other"),
    ],
)
def test_mistakes(sealer: Shell, arguments: tuple[str, ...], message: str) -> None:
    (sealer.directory / "bad").write_text("A B\n")
    assert message in sealer(*arguments, status=2).stderr


def test_a_vendors_reader_takes_part(sealer: Shell) -> None:
    """A distribution beside the source, as pip leaves one: a module, and its entry point."""
    site = sealer.directory / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text("[sealer.plugins]\nacme = acme\n")
    (site / "acme.py").write_text(
        "from sealer.extension import ImageReference, UnresolvedReference, hookimpl\n"
        "@hookimpl\n"
        "def image_references(path, content, files):\n"
        "    if not path.endswith('.acme'):\n"
        "        return []\n"
        "    more = UnresolvedReference('x', 'acme knows', 2, 'acme')\n"
        "    return [ImageReference(line, 1, 'acme') for line in content.decode().split()] + [more]\n"
    )
    (sealer.directory / "rootfs" / "app.acme").write_text("acme.example.com/app:v1")
    out = sealer("rootfs", PYTHONPATH=str(site)).stdout
    assert "acme.example.com/app:v1         app.acme:1      acme" in out
    assert "app.acme:2: x: acme knows" in out
    assert "acme.example.com" not in sealer("rootfs", "--no-plugins", PYTHONPATH=str(site)).stdout


def test_nothing_is_fetched(sealer: Shell) -> None:
    site = sealer.directory / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_SOCKETS)
    asked = [sys.executable, "-c", "import socket; socket.socket()"]
    guarded = subprocess.run(asked, env={**os.environ, "PYTHONPATH": str(site)}, check=False, capture_output=True)
    assert guarded.returncode, "the guard does not work"
    assert "nginx" in sealer("rootfs", PYTHONPATH=str(site)).stdout
