"""Debian's docker-registry, started on this machine: the real thing that the registry client is tested against."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import bcrypt

PROGRAM = "docker-registry"
LONGEST_LOG = 1 << 16
OBSTACLE = "" if shutil.which(PROGRAM) else "docker-registry is not installed (apt-get install docker-registry)"
_LISTENING = re.compile(rb"listening on (?:[\d.]+|\[[\da-f:]+\]):(\d+)")


@dataclass(frozen=True)
class TokenAuth:
    """How docker-registry is told of a token server.

    :param bundle: file with the certificate that tokens are signed by.
    """

    realm: str
    service: str
    issuer: str
    bundle: Path


class DockerRegistry:
    """One process of docker-registry with an empty storage; use it in a `with`.

    :param directory: for its storage and configuration; it must exist.
    :param tls: files of a certificate and its key.
    :param user: name and password that it asks for.
    :param clients: file with the authority that must have signed its clients' certificates.
    :param host: address of this machine that it listens at.
    :param port: 0: one that is free.
    :ivar address: `127.0.0.1:PORT`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tls: tuple[Path, Path] | None = None,
        user: tuple[str, str] | None = None,
        token: TokenAuth | None = None,
        clients: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._directory = directory
        self._host = f"[{host}]" if ":" in host else host
        self._port = port
        self.storage = directory / "storage"
        self._configuration = self._written(tls, user, token, clients)
        self._process: subprocess.Popen[bytes] | None = None
        self.log = b""
        self.address = ""

    def __enter__(self) -> DockerRegistry:
        self._process = subprocess.Popen(
            [PROGRAM, "serve", str(self._configuration)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        assert self._process.stdout
        for line in self._process.stdout:  # it says when it is ready, or ends and says why it is not
            self.log += line
            if match := _LISTENING.search(line):
                self.address = f"{self._host}:{match[1].decode()}"
                break
        else:
            raise AssertionError(f"docker-registry did not start: {self.log.decode()}")
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(timeout=30)
        self._drainer.join(timeout=30)
        assert self._process.stdout
        self._process.stdout.close()

    def blob(self, digest: str) -> Path:
        """The file in which it keeps a blob."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"

    def _drain(self) -> None:
        assert self._process
        assert self._process.stdout
        while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
            self.log = (self.log + chunk)[-LONGEST_LOG:]

    def _written(
        self,
        tls: tuple[Path, Path] | None,
        user: tuple[str, str] | None,
        token: TokenAuth | None,
        clients: Path | None,
    ) -> Path:
        http: dict[str, object] = {"addr": f"{self._host}:{self._port}"}
        if tls:
            asked = {"clientcas": [str(clients)]} if clients else {}
            http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1]), **asked}
        document: dict[str, object] = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": True}, "level": "info"},  # it says at that level where it listens
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": http,
        }
        if user:
            path = self._directory / "htpasswd"
            hashed = bcrypt.hashpw(user[1].encode(), bcrypt.gensalt(4)).decode()
            path.write_text(f"{user[0]}:{hashed}\n")
            document["auth"] = {"htpasswd": {"realm": "a test", "path": str(path)}}
        if token:
            document["auth"] = {
                "token": {
                    "realm": token.realm,
                    "service": token.service,
                    "issuer": token.issuer,
                    "rootcertbundle": str(token.bundle),
                }
            }
        path = self._directory / "registry.yml"
        path.write_text(json.dumps(document))  # JSON is YAML
        return path
