from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


class Mirror:
    """A web server on loopback with the publishers' files below `directory`."""

    def __init__(self, directory: Path, port: int, asked: list[str]) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{port}"
        self.asked = asked


class _Handler(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    site = tmp_path / "site"
    site.mkdir()
    asked: list[str] = []
    handler = type("Bound", (_Handler,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Mirror(site, server.server_address[1], asked)
        finally:
            server.shutdown()
            thread.join()
