"""What was found in the same layers is not looked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from sealer.image.discovery.files import DirectoryFiles
from sealer.image.discovery.installs import Install
from sealer.image.discovery.model import Discovery, FoundImage, Place, Unresolved
from sealer.image.gathering.gather import ImageRequest
from sealer.image.gathering.remembered import DIRECTORY, MOST, RememberedDiscoveries, key_of
from sealer.image.model import ClusterImage
from sealer.image.registry.configuration import Configuration
from sealer.image.registry.credentials import AuthFiles
from sealer.image.registry.registries import Registries
from sealer.image.store import Store

Build = Callable[..., ClusterImage]
PLACE = Place("übersicht.yaml", 7, "container")
FOUND = Discovery(
    (FoundImage("docker.io/library/web:1", (PLACE, Place("x", 0, "helm")), guess=True),),
    (Unresolved(PLACE, "{{ x }}", "a template"),),
    (FoundImage("r.io/x:1", (PLACE,)),),
)


def test_as_it_was_kept(tmp_path: Path) -> None:
    remembered = RememberedDiscoveries(tmp_path)
    assert remembered.find("key") is None
    remembered.keep("key", FOUND)
    assert remembered.find("key") == FOUND
    assert remembered.find("other") is None


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", '{"images": [7]}', '{"images": [["x"]]}', '{"images": [["x", [["a", "b", "c"]], false]]}',
        '{"unresolved": [[["a", 1], "x", "y"]]}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_answer(tmp_path: Path, content: str) -> None:
    remembered = RememberedDiscoveries(tmp_path)
    remembered.keep("key", FOUND)
    tmp_path.joinpath(*DIRECTORY, "key").write_text(content)
    assert remembered.find("key") is None


def test_old_answers_go(tmp_path: Path) -> None:
    remembered = RememberedDiscoveries(tmp_path)
    for number in range(MOST + 5):
        remembered.keep(f"{number:064x}", Discovery())
    assert len(list(tmp_path.joinpath(*DIRECTORY).iterdir())) == MOST


def test_a_disk_that_takes_nothing_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    RememberedDiscoveries(tmp_path).keep("key", FOUND)


def test_keys() -> None:
    assert key_of("a", ["b"]) == key_of("a", ["b"]) != key_of("a", "b")


class Discoverer:
    """Finds nothing, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, files: DirectoryFiles, env: Mapping[str, str], installs: Sequence[Install]) -> Discovery:
        self.asked.append(env.get("V", ""))
        return Discovery(unresolved=(Unresolved(PLACE, "x", "y"),))

    def request(self, rules: str | None) -> ImageRequest:
        return ImageRequest(self, lambda: Registries(Configuration(), AuthFiles(())), rules=rules)


def test_a_build_asks_once_for_the_same_layers(build_image: Build, context: Path) -> None:
    (context / "a").write_text("a")
    find = Discoverer()
    for text in ("COPY a .", "COPY a .\nCMD true", "COPY a .\nENV V=1", "COPY a b", "COPY a ."):
        build_image(f"FROM scratch\n{text}\n", images=find.request("rules"))
    assert find.asked == ["", "1", ""]
    build_image("FROM scratch\nCOPY a .\n", images=find.request("other rules"))
    assert len(find.asked) == 4
    build_image("FROM scratch\nCOPY a .\nCMD helm install a . --set b=c\n", images=find.request("rules"))
    assert len(find.asked) == 5


def test_a_plugin_is_asked_each_time(build_image: Build, context: Path, store: Store) -> None:
    (context / "a").write_text("a")
    find = Discoverer()
    for _ in range(2):
        build_image("FROM scratch\nCOPY a .\n", images=find.request(None))
    assert len(find.asked) == 2
    assert not store.root.joinpath(*DIRECTORY).exists()
