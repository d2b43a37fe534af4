"""Images with a private registry, and a containerd of its own on a host that pulls as a kubelet would have it pull."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from docker_registry import PROGRAM
from image_archives import docker_members, layer, oci_image, oci_members, write_tar
from lab_site import Site

from sealer.hosts import Host
from sealer_plugin_nspawn.testing import on_host

PINNED = oci_image("pinned", ("amd64", "arm64"))
KUBEFILE = "FROM scratch\nCOPY . .\nLABEL io.sealer.registry=registry\n"


def build(
    site: Site,
    name: str,
    references: Sequence[str],
    *more: str,
    program: bool = True,
    layers: Sequence[bytes] = (),
) -> None:
    """An image with a registry of its own, and a manifest that names container images.

    :param layers: of each of them; default: a small one of its own.
    """
    context = site.home / name.partition(":")[0]
    archives = site.home / f"archives-{name.partition(':')[0]}"
    for directory in (context / "bin", context / "manifests", archives):
        directory.mkdir(parents=True)
    if program:
        shutil.copy(str(shutil.which(PROGRAM)), context / "bin/registry")
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(references)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    (context / "manifests/pod.json").write_text(json.dumps(pod))
    for number, reference in enumerate(references):
        if "@" in reference:
            names = {"org.opencontainers.image.ref.name": reference}
            write_tar(archives / f"{number}.tar", oci_members([(PINNED, names)]))
        else:
            write_tar(archives / f"{number}.tar", docker_members([reference], layers or [layer(f"of {reference}")]))
    (site.home / "Kubefile").write_text(KUBEFILE if program else "FROM scratch\nCOPY . .\n")
    options = ("-f", str(site.home / "Kubefile"), "--image-archive", str(archives), "--strict", *more)
    site.sealer("build", "-t", name, *options, str(context))


DIRECTORY = "/root/pulling"
HOSTS_TOML = "/etc/containerd/certs.d"
CRI = '[plugins."io.containerd.grpc.v1.cri"'
CONFIG = f"""version = 2
root = "{DIRECTORY}/root"
state = "{DIRECTORY}/state"
[grpc]
address = "{DIRECTORY}/c.sock"
[ttrpc]
address = "{DIRECTORY}/t.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{DIRECTORY}/opt"
{CRI}.containerd]
snapshotter = "native"
{CRI}.registry]
config_path = "{HOSTS_TOML}"
"""
PATIENCE = 150  # seconds, of one pull: containerd waits for up to 30 for a dead registry, with each of some requests


class Containerd:
    """This machine's containerd on a host, beside whatever runs there; use it in a `with`.

    :ivar seconds: how long the last pull took.
    :ivar said: what it answered.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.seconds = 0.0
        self.said = ""

    def __enter__(self) -> Containerd:
        for program in ("containerd", "ctr"):
            self._put(f"bin/{program}", Path(str(shutil.which(program))).read_bytes())
        self._put("config.toml", CONFIG.encode())
        run = f"{DIRECTORY}/bin/containerd --config {DIRECTORY}/config.toml"
        on_host(self._host, f"chmod +x {DIRECTORY}/bin/*; systemd-run -q --unit=pulling -p Type=notify {run}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        on_host(self._host, f"systemctl stop pulling; rm -rf {DIRECTORY}")

    def pull(self, reference: str) -> bool:
        """Whether it gets an image, down to the unpacked layers, when it is asked as a kubelet asks it.

        By the name, and with no login: https://github.com/kubernetes/cri-api, `PullImage`.
        """
        image = _field(_field(reference.encode()))
        options = f"-sSi --max-time {PATIENCE} --http2-prior-knowledge --unix-socket {DIRECTORY}/c.sock"
        headers = "-H content-type:application/grpc -H te:trailers --data-binary @-"
        begun = time.monotonic()
        done = self._ssh(
            f"curl {options} {headers} http://localhost/runtime.v1.ImageService/PullImage",
            b"\0" + struct.pack(">I", len(image)) + image,
        )
        self.seconds = time.monotonic() - begun
        self.said = (done.stdout + done.stderr).decode(errors="replace")
        listed = f"{DIRECTORY}/bin/ctr --address {DIRECTORY}/c.sock -n k8s.io images list --quiet"
        found = reference in on_host(self._host, listed).split()
        assert found == ("grpc-status: 0" in self.said), self.said
        return found

    @contextmanager
    def told_otherwise(self, script: str) -> Iterator[None]:
        """For a while every `hosts.toml` is what a script of sed makes of it; they are read again at each pull."""
        on_host(self._host, f"cp -a {HOSTS_TOML} {DIRECTORY}/kept && sed -i '{script}' {HOSTS_TOML}/*/hosts.toml")
        try:
            yield
        finally:
            on_host(self._host, f"rm -r {HOSTS_TOML} && mv {DIRECTORY}/kept {HOSTS_TOML}")

    def _put(self, name: str, content: bytes) -> None:
        path = f"{DIRECTORY}/{name}"
        self._ssh(f"mkdir -p $(dirname {path}) && cat >{path}", content).check_returncode()

    def _ssh(self, command: str, content: bytes) -> subprocess.CompletedProcess[bytes]:
        ssh = ["ssh", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
        words = [*ssh, "-i", self._host.ssh.private_key, f"root@{self._host.address}", command]
        return subprocess.run(words, input=content, check=False, capture_output=True, timeout=PATIENCE + 30)


def _field(content: bytes) -> bytes:
    """A message of protobuf whose first field is a short text, or another such message."""
    assert len(content) < 0x80
    return bytes([0x0A, len(content)]) + content
