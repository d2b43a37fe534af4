"""The commands for images as a user types them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from image_archives import Member, config, layer, write_tar

KUBEFILE = """\
ARG V
FROM scratch
ARG V
ENV V=$V
COPY data/ data/
RUN echo built > x
CMD true
"""


class Shell:
    """Runs sealer with a home of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"

    def __call__(self, *arguments: str, status: int = 0) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "sealer", *arguments],
            cwd=self.directory,
            env={**os.environ, "SEALER_HOME": str(self.home)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == status, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout if status == 0 else result.stderr

    def json(self, *arguments: str) -> dict[str, object]:
        value = json.loads(self("--output", "json", *arguments).splitlines()[-1])
        assert value["apiVersion"] == "sealer.io/cli/v1"
        assert isinstance(value, dict)
        return value


@pytest.fixture
def sealer(tmp_path: Path) -> Shell:
    (tmp_path / "Kubefile").write_text(KUBEFILE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("f")
    return Shell(tmp_path)


def test_the_life_of_an_image(sealer: Shell, tmp_path: Path) -> None:
    built = sealer.json(
        "build", "-t", "app:v1", "--build-arg", "V=a=b", "--label", "team=x", "-m", "lite", "--no-cache"
    )
    digest = built["image"]["digest"]  # type: ignore[index]
    inspected = sealer.json("inspect", "app:v1")["image"]
    assert isinstance(inspected, dict)
    assert inspected["digest"] == digest
    (rootfs,) = inspected["rootfs"]
    assert rootfs["env"] == {"V": "a=b"}
    assert rootfs["cmds"] == ["true"]
    assert rootfs["labels"]["team"] == "x"
    assert [layer["createdBy"] for layer in rootfs["layers"]] == ["COPY data/ data/", "RUN echo built > x"]

    sealer("tag", "app:v1", "other", "r.io:5000/ns/app")
    lines = sealer("images").splitlines()
    assert lines[0].split() == ["NAME", "TAG", "ID", "PLATFORM", "SIZE", "CREATED"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["app", "v1", str(digest)[7:19]],
        ["other", "latest", str(digest)[7:19]],
        ["r.io:5000/ns/app", "latest", str(digest)[7:19]],
    ]
    assert sealer("images", "-q").split() == [digest]
    assert [line.split()[2:4] for line in sealer("images", "-n", "-a", "--digests", "--no-trunc").splitlines()] == [
        [digest, str(digest)[7:]]
    ] * 3
    assert len(json.loads(sealer("images", "--json"))["images"]) == 3
    chosen = sealer.json("inspect", "-t", "image", "--platform", "linux/amd64", "app:v1")["image"]
    assert chosen["rootfs"] == [rootfs]  # type: ignore[index]
    assert "it has linux/amd64" in sealer("inspect", "--platform", "linux/s390x", "app:v1", status=2)

    sealer("save", "app:v1", "other", "-o", "x.tar")
    assert "has 3 names" in sealer("rmi", str(digest)[7:19], status=3)
    assert sealer("rmi", "-f", str(digest)).splitlines()[-1] == f"removed {digest}"
    assert sealer.json("images")["images"] == []
    assert sealer("load", "-i", "x.tar").splitlines() == [f"loaded app:v1 {digest}", f"loaded other:latest {digest}"]
    assert sealer.json("inspect", str(digest))["image"]["digest"] == digest  # type: ignore[index]


def test_a_kubefile_elsewhere(sealer: Shell, tmp_path: Path) -> None:
    (tmp_path / "data" / "K").write_text("FROM scratch\nCOPY f .\n")
    sealer("build", "-f", "data/K", "-t", "one", "data")
    sealer("build", "--kubefile", "K", "-t", "two", "-t", "three", "data")
    ids = {image["digest"] for image in sealer.json("images")["images"]}  # type: ignore[attr-defined]
    assert len(ids) == 1


def test_both_generations_of_options(sealer: Shell, tmp_path: Path) -> None:
    (tmp_path / "Kubefile").write_text("FROM scratch\nCOPY data .\n")
    sealer("build", "--imageName", "one", "-m", "lite", "--base", "true", "--pull", "always", ".")
    sealer(
        "build", "--tag", "two", "--build-mode", "all", "--base=true", "--pull=never", "--type", "kube-installer", "."
    )
    sealer("build", "-t", "three", "--mode=lite", "--annotation", "a=b", "--platform", "linux/amd64", ".")
    sealer("build", "-t", "four", "--platform", "linux/amd64,linux/arm64", "--platform", "linux/s390x", ".")
    images = {image["name"]: image for image in listed(sealer)}
    assert images["one"]["digest"] == images["two"]["digest"] != images["three"]["digest"]
    assert images["four"]["platforms"] == ["linux/amd64", "linux/arm64", "linux/s390x"]
    (tmp_path / "Kubefile").write_text("FROM one\nCOPY data/f g\n")
    sealer("build", "-t", "app", "--base=false", ".")
    (rootfs,) = sealer.json("inspect", "app")["image"]["rootfs"]  # type: ignore[index]
    assert (rootfs["labels"]["io.sealer.type"], len(rootfs["layers"])) == ("app-installer", 1)


def listed(sealer: Shell) -> list[dict[str, Any]]:
    images = sealer.json("images")["images"]
    assert isinstance(images, list)
    return images


@pytest.mark.skipif(os.geteuid() != 0, reason="secrets need root")
def test_secrets_and_time_of_runs(sealer: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hush-hush-1\n")
    monkeypatch.setenv("TOKEN", "hush-hush-2")
    both = "--mount=type=secret,id=a --mount=type=secret,id=b"
    (tmp_path / "Kubefile").write_text(f"FROM scratch\nRUN {both} wc -c /run/secrets/* > n; cat /run/secrets/*\n")
    said = sealer("build", "-t", "app", "--secret", "id=a,src=token", "--secret", "type=secret,id=b,env=TOKEN")
    assert "hush" not in said
    assert "******" in said
    assert "is not given" in sealer("build", "-t", "app", "--no-cache", status=1)
    (tmp_path / "Kubefile").write_text("FROM scratch\nRUN sleep 300\n")
    assert "ended after 0.5 seconds" in sealer("build", "-t", "app", "--run-timeout", "0.5", status=1)


def test_cached_steps_are_shown(sealer: Shell, tmp_path: Path) -> None:
    assert "CACHED" not in sealer("build", "-t", "app")
    lines = sealer("build", "-t", "app").splitlines()
    assert [line.partition(" ")[2] for line in lines if "CACHED" in line] == [
        "[4/6] COPY data/ data/: CACHED",
        "[5/6] RUN echo built > x: CACHED",
    ]
    events = [json.loads(line) for line in sealer("--output", "json", "build", "-t", "app").splitlines()]
    known = [event for event in events if event.get("data", {}).get("cached")]
    assert [(event["step"], event["state"], event["data"]["number"]) for event in known] == [
        ("build/4", "skipped", 4),
        ("build/5", "skipped", 5),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["build", "."], 2, "--tag"),
        (["build", "-t", "App", "."], 2, "names are written in lower case"),
        (["build", "-t", "app", "none"], 2, "the Kubefile cannot be read"),
        (["build", "-t", "app", "-f", "none"], 2, "No such file"),
        (["build", "-t", "app", "-f", "data/f"], 2, "data/f:1:1: unknown instruction 'f'"),
        (["build", "-t", "app", "--build-arg", "V"], 2, "NAME=VALUE"),
        (["build", "-t", "app", "--platform", "x"], 2, "no platform"),
        (["build", "-t", "app", "-m", "cloud"], 2, "lite"),
        (["build", "-t", "app", "--pull=sometimes", "."], 2, "ifnewer"),
        (["build", "-t", "app", "--platform", "linux/amd64,x"], 2, "no platform"),
        (["build", "-t", "app", "--secret", "id=a"], 2, "id=NAME,src=FILE or id=NAME,env=VARIABLE"),
        (["build", "-t", "app", "--secret", "id=a,src=none"], 2, "No such file"),
        (["build", "-t", "app", "--secret", "id=a,env=NONE_SUCH"], 2, "the variable NONE_SUCH is not set"),
        (["build", "-t", "app", "--secret", "id=a,file=x"], 2, "it has 'file'"),
        (["build", "-t", "app", "--run-timeout", "0"], 2, "run-timeout"),
        (["build", "-t", "app", "--network", "bridge"], 2, "host"),
        (["build", "-t", "app", "--authfile", "none"], 2, "none: there is no such file with credentials"),
        (["inspect", "none"], 2, "no image 'none'"),
        (["tag", "none", "x@sha256:" + "0" * 64], 2, "cannot be given to an image as its name"),
        (["build", "-t", "x@sha256:" + "0" * 64, "."], 2, "cannot be given to an image as its name"),
        (["images", "none"], 2, "no image 'none'"),
        (["images", "A B"], 2, "is not the name of an image"),
        (["history", "none"], 2, "no image 'none'"),
        (["tag", "none", "x"], 2, "no image 'none'"),
        (["rmi", "none"], 2, "no image 'none'"),
        (["rmi"], 2, "Missing argument 'IMAGE...'"),
        (["rmi", "-p", "none"], 2, "--prune takes no IMAGE"),
        (["save", "none", "-o", "x"], 2, "no image 'none'"),
        (["save", "none"], 2, "no image 'none'"),
        (["save", "none", "--format", "oci-dir"], 2, "name it with -o DIRECTORY"),
        (["save", "none", "--format", "docker-dir", "-o", "x"], 2, "'docker-archive'"),
        (["save", "none", "--output", "json"], 2, "would write a file of that name"),
        (["--output", "json", "save", "none"], 2, "standard output is taken by the archive"),
        (["load", "-i", "none"], 1, "No such file"),
        (["load", "-i", "Kubefile"], 1, "it is a text file"),
        (["load", "-i", "data"], 1, "not an image archive"),
    ],
)
def test_what_goes_wrong_is_said_in_one_message(sealer: Shell, arguments: list[str], status: int, said: str) -> None:
    assert said in sealer(*arguments, status=status)


def test_a_failing_command_is_shown_with_its_place(sealer: Shell, tmp_path: Path) -> None:
    (tmp_path / "Kubefile").write_text("FROM scratch\nRUN echo said by it; false\n")
    said = sealer("build", "-t", "app", status=1)
    assert "Kubefile:2:1" in said
    assert "| said by it" in said


def test_the_same_input_gives_the_same_digest_wherever_and_whenever(tmp_path: Path) -> None:
    """In another directory and home, under another umask, with other times, and with a RUN that looks at the times."""
    digests = set()
    for number, umask in enumerate((0o022, 0o077)):
        place = tmp_path / "/".join("abc"[: number + 1])
        directory = place / "context"
        for name in ("d/e/ä", "d/" + "n" * 200, "z"):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(0o644)
            path.parent.chmod(0o755)
            os.utime(path, (number + 1, number + 1))
        (directory / "Kubefile").write_text(
            "FROM scratch\nCOPY d z x/y/\nRUN mkdir n && cp -r x n && rm x/y/z\n"
            "RUN find n x -exec stat -c '%y %a %n' {} + | sort > list && tar cf x.tar x\n"
        )
        result = subprocess.run(
            [sys.executable, "-m", "sealer", "build", "-q", "-t", "app", str(directory)],
            env={**os.environ, "SEALER_HOME": str(place / "home")},
            cwd=place,
            umask=umask,
            check=True,
            capture_output=True,
            text=True,
        )
        digests.add(result.stdout.split()[-1])
    assert len(digests) == 1


def test_prune_takes_what_nobody_needs(sealer: Shell, tmp_path: Path) -> None:
    """An image that lost its name to a new one goes with its blobs, and so does what a transfer left behind."""
    assert sealer("prune") == "0 images and 0 blobs removed, 0 B freed\n"
    assert sealer("rmi", "--prune") == ""
    sealer("build", "-q", "-t", "app", ".")
    [old] = [image["digest"] for image in sealer.json("images")["images"]]  # type: ignore[attr-defined]
    (tmp_path / "data" / "f").write_bytes(os.urandom(100_000))
    sealer("build", "-q", "-t", "app", ".")
    (sealer.home / "images" / "downloads").mkdir(exist_ok=True)
    (sealer.home / "images" / "downloads" / ("0" * 64)).write_bytes(b"half")
    stray = sealer.home / "images" / "blobs" / "sha256" / hashlib.sha256(b"stray").hexdigest()
    stray.write_bytes(b"stray")
    pruned = sealer.json("prune")
    assert pruned["images"] == [old]
    assert f"sha256:{stray.name}" in pruned["blobs"]  # type: ignore[operator]
    assert pruned["freed"] > 0  # type: ignore[operator]
    assert not stray.exists()
    assert not list((sealer.home / "images" / "downloads").glob("0*"))
    sealer("inspect", "app")
    assert sealer("prune").startswith("0 images and 0 blobs removed")
    [now] = [image["digest"] for image in listed(sealer)]
    (tmp_path / "data" / "f").write_text("another")
    sealer("build", "-q", "-t", "app", ".")
    assert [one["digest"] for one in sealer.json("rmi", "-p")["removed"]] == [now]  # type: ignore[attr-defined]
    assert [image["name"] for image in listed(sealer)] == ["app"]


@pytest.mark.parametrize("options", [[], ["-o", "-", "--format", "docker-archive"]])
def test_an_image_goes_through_a_pipe(sealer: Shell, tmp_path: Path, options: list[str]) -> None:
    sealer("build", "-q", "-t", "app:v1")
    command = [sys.executable, "-m", "sealer"]
    environment = {**os.environ, "SEALER_HOME": str(sealer.home)}
    there = {**os.environ, "SEALER_HOME": str(tmp_path / "there")}
    saving = subprocess.Popen([*command, "save", *options, "app:v1"], env=environment, stdout=subprocess.PIPE)
    loaded = subprocess.run(
        [*command, "load"], env=there, stdin=saving.stdout, check=True, capture_output=True, text=True
    )
    assert saving.stdout is not None
    saving.stdout.close()
    assert saving.wait(timeout=60) == 0
    assert loaded.stdout.startswith("loaded app:v1 sha256:")


@pytest.mark.parametrize("arguments", [["save", "app:v1"], ["load"]])
def test_an_archive_is_nothing_for_a_terminal(sealer: Shell, tmp_path: Path, arguments: list[str]) -> None:
    sealer("build", "-q", "-t", "app:v1")
    ours, theirs = os.openpty()
    try:
        result = subprocess.run(
            [sys.executable, "-m", "sealer", *arguments],
            env={**os.environ, "SEALER_HOME": str(sealer.home)},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert result.returncode == 2
    assert "terminal" in result.stderr
    assert "use a pipe" in result.stderr


def test_history(sealer: Shell, tmp_path: Path) -> None:
    long = "RUN echo " + "long " * 20 + "> y"
    with (tmp_path / "Kubefile").open("a") as file:
        file.write(f"{long}\n")
    sealer("build", "-q", "-t", "app", "--platform", "linux/amd64,linux/arm64", "--build-arg", "V=1", "--no-images")
    (layers, *_) = [rootfs["layers"] for rootfs in sealer.json("inspect", "app")["image"]["rootfs"]]  # type: ignore[index]
    lines = sealer("history", "app").splitlines()
    assert lines[0] == "linux/amd64"
    assert lines[1].split() == ["LAYER", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert lines[2].startswith(f"{layers[-1]['digest'][7:19]}  ")
    assert "long …" in lines[2]
    assert [line.split("  ")[0] for line in lines if line.startswith("linux/")] == ["linux/amd64", "linux/arm64"]
    one = sealer("history", "--platform", "linux/amd64", "--no-trunc", "app").splitlines()
    assert not one[0].startswith("linux/")
    assert long in one[1]
    assert layers[-1]["digest"] in one[1]
    assert "0 B" in next(line for line in one if "CMD true" in line)
    assert sealer("history", "-q", "--platform", "linux/amd64", "app").split() == [
        layer["digest"] for layer in reversed(layers)
    ]
    told = sealer.json("history", "app")["image"]
    assert [rootfs["platform"] for rootfs in told["rootfs"]] == ["linux/amd64", "linux/arm64"]  # type: ignore[index]
    first = told["rootfs"][0]["history"][0]  # type: ignore[index]
    assert first == {
        "createdBy": long,
        "created": "",
        "comment": "",
        "layer": layers[-1]["digest"],
        "diffId": layers[-1]["diffId"],
        "size": layers[-1]["size"],
    }
    assert "it has linux/amd64, linux/arm64" in sealer("history", "--platform", "linux/s390x", "app", status=2)


@pytest.mark.parametrize("steps", ["all", "few", "none", "many", "wrong"])
def test_history_of_an_image_that_sealer_did_not_make(sealer: Shell, tmp_path: Path, steps: str) -> None:
    """Its times and comments are shown, its letters do nothing to a terminal, and a history may be anything."""
    layers = [layer("one"), layer("two")]
    full = [
        {"created": "2024-01-02T03:04:05Z", "created_by": "ADD rootfs.tar /", "comment": "\x1b[31mred\n"},
        {"created_by": 'CMD ["sh"]', "empty_layer": True},
        {"created_by": "RUN two"},
    ]
    history = {"all": full, "few": full[:1], "none": None, "many": full * 2, "wrong": [1, {"created_by": 2}]}[steps]
    settings = {**json.loads(config(layers)), **({"history": history} if history else {})}
    entry = {"Config": "c.json", "RepoTags": ["web:1"], "Layers": ["0.tar", "1.tar"]}
    members: list[Member] = [("c.json", json.dumps(settings).encode()), ("0.tar", layers[0]), ("1.tar", layers[1])]
    write_tar(tmp_path / "x.tar", [*members, ("manifest.json", json.dumps([entry]).encode())])
    sealer("load", "-i", "x.tar")
    lines = sealer("history", "web:1").splitlines()
    digests = [layer["digest"] for layer in sealer.json("inspect", "web:1")["image"]["rootfs"][0]["layers"]]  # type: ignore[index]
    shown = {line.split()[0] for line in lines[1:] if len(line.split()[0]) == 12}
    assert shown == {digest[7:19] for digest in digests}
    if steps == "all":
        assert ["RUN two" in lines[1], "CMD" in lines[2], "ADD rootfs.tar /" in lines[3]] == [True, True, True]
        assert "2024-01-02T03:04:05Z" in lines[3]
        assert lines[3].endswith("\\x1b[31mred")


def test_images_as_docker_and_buildah_list_them(sealer: Shell) -> None:
    sealer("build", "-q", "-t", "app:v1")
    sealer("tag", "app:v1", "app:v2", "r.io:5000/ns/other:1")
    [digest] = sealer("images", "-q").split()
    assert [line.split()[:2] for line in sealer("images", "-n", "app").splitlines()] == [["app", "v1"], ["app", "v2"]]
    assert sealer("images", "app:v2", "--noheading", "--no-trunc", "--digests", "-a").split()[:4] == [
        *("app", "v2", digest, digest[7:])
    ]
    assert sealer("images", "--noheading", "r.io:5000/ns/other").startswith("r.io:5000/ns/other  1  ")
    assert sealer("images", "-q", "none") == ""
    assert json.loads(sealer("images", "--json", "none"))["images"] == []
    listed = json.loads(sealer("images", "--json", "app:v1"))["images"]
    assert [(image["name"], image["tag"]) for image in listed] == [("app", "v1")]
