"""Images of a few kilobytes that would keep a machine busy: each ends soon, and takes little memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

SECONDS = 10
MEMORY = 300 * 1024 * 1024
# A process begins with the memory of the one that forked it, which may be a large pytest: a small one stands between.
MEASURE = """import json, pathlib, resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
pathlib.Path(sys.argv[1]).write_text(json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
sys.exit(status if status >= 0 else 128 - status)
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def archive(target: Path, layers: Sequence[bytes], labels: Mapping[str, str], references: Sequence[int]) -> Path:
    """A cluster image whose manifest names its layers in that order."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content), **more}

    def document(value: object, kind: str, **more: object) -> dict[str, object]:
        return blob(json.dumps(value).encode(), f"{kind}.v1+json", **more)

    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    zipped = [blob(gzip.compress(layer, 9, mtime=0), "layer.v1.tar+gzip") for layer in layers]
    platform = {"os": "linux", "architecture": "amd64"}
    rootfs = {"type": "layers", "diff_ids": [diff_ids[number] for number in references]}
    config = document({**platform, "config": {"Labels": dict(labels)}, "rootfs": rootfs}, "config")
    listed = [zipped[number] for number in references]
    manifest = document({"schemaVersion": 2, "config": config, "layers": listed}, "manifest", platform=platform)
    kind = "application/vnd.sealer.cluster-image.v1"
    index = {"schemaVersion": 2, "artifactType": kind, "manifests": [manifest]}
    entry = document(index, "index", artifactType=kind, annotations={"org.opencontainers.image.ref.name": "odd:1"})
    outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    target.write_bytes(tar_of({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": outer, **blobs}))
    return target


def plugin(data: str) -> dict[str, bytes]:
    document = {"apiVersion": "sealer.cloud/v1", "kind": "Plugin", "metadata": {"name": "look"}}
    text = json.dumps({**document, "spec": {"type": "CLUSTERCHECK", "data": data}})
    return {"plugins/look.yaml": text.encode()}


def nested_chart(depth: int, width: int = 8) -> bytes:
    files = {"c/Chart.yaml": b"apiVersion: v2\nname: c\nversion: 1.0.0\n", "c/values.yaml": b"image: nginx:1\n"}
    if depth:
        inner = nested_chart(depth - 1, width)
        files |= {f"c/charts/c{number}.tgz": inner for number in range(width)}
    return gzip.compress(tar_of(files), 9, mtime=0)


FILES: dict[str, dict[str, bytes]] = {
    "a check with aliases of aliases": plugin(f"{BOMB}stable: *a9\n"),
    "a check with lists in lists": plugin("[" * 5_000),
    "a template of many lists": {
        "manifests/a.yaml.tmpl": b'{{ $x := printf "%900s" "" }}{{ $y := print $x $x $x $x $x $x $x $x $x $x }}'
        + b"".join(b'{{ $v%d := split "" $y }}' % n for n in range(2_000))
    },
    "a template of many unknown names": {
        "manifests/a.yaml.tmpl": b"".join(b"{{ .n%d }}" % n for n in range(20_000)),
    },
    "statements without an end": {"manifests/a.yaml": b"{%" * 1_000_000},
    "charts in charts": {"charts/c.tgz": nested_chart(5)},
    "documents that are deep": {"manifests/a.yaml": b"- " * 20_000, "Clusterfile": b"[" * 100_000},
    "documents with aliases of aliases": {"manifests/a.yaml": BOMB.encode(), "plugins/b.yaml": BOMB.encode()},
}


def sealer(home: Path, *arguments: str) -> tuple[int, str]:
    """What a command ends with: its status and output; it has so much time and memory."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (2 * MEMORY, 2 * MEMORY))

    home.mkdir(exist_ok=True)
    taken = home.parent / "taken.json"
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, str(taken), sys.executable, "-m", "sealer", *arguments],
        env={**os.environ, "SEALER_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=limits,  # a fresh process without threads
        check=False,
    )
    output = process.stdout.decode(errors="replace")
    seconds, kilobytes = json.loads(taken.read_text())
    assert seconds < SECONDS, output[-2000:]
    assert kilobytes * 1024 < MEMORY, output[-2000:]
    assert "Traceback" not in output
    assert process.returncode in (0, 1, 2, 3), output[-2000:]
    assert "bug in sealer" not in output
    assert "MemoryError" not in output
    return process.returncode, output


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", FILES)
def test_a_small_image_is_no_work(name: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    image = archive(tmp_path / "image.tar", [tar_of(FILES[name])], {"io.sealer.type": "app-installer"}, [0])
    status, output = sealer(home, "load", "-i", str(image))
    assert status == 0, output
    sealer(home, "run", "odd:1", "--dry-run", "-m", "198.18.7.1")
    files = tmp_path / "files"
    for path, content in FILES[name].items():
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_bytes(content)
    sealer(home, "discover", str(files))


@pytest.mark.timeout(120)
def test_one_layer_named_many_times_is_read_once(tmp_path: Path) -> None:
    layers = [tar_of({"big": bytes(64 * 1024 * 1024)}), tar_of({"a": b"a"})]
    few = archive(tmp_path / "few.tar", layers, {}, [0, 1] * 60)
    status, output = sealer(tmp_path / "home", "load", "-i", str(few))
    assert status == 0, output
    status, output = sealer(tmp_path / "home", "load", "-i", str(archive(tmp_path / "x.tar", layers, {}, [0] * 900)))
    assert status == 1
    assert "unpacks to too much" in output
    many = archive(tmp_path / "many.tar", layers, {}, [1] * 20_000)
    status, output = sealer(tmp_path / "home", "load", "-i", str(many))
    assert status == 1
    assert "too many layers" in output


@pytest.mark.parametrize("label", ["io.sealer.cmds", "io.sealer.apps", "io.sealer.launch"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 2_000, "9" * 10_000, "[1]", "null", "[[]]"])
def test_labels_that_are_no_lists_of_commands(label: str, text: str, tmp_path: Path) -> None:
    image = archive(tmp_path / "image.tar", [tar_of({"a": b"a"})], {label: text}, [0])
    sealer(tmp_path / "home", "load", "-i", str(image))
