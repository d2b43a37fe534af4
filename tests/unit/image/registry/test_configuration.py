from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.image.registry.configuration import Configuration, RegistrySettings, read_configuration

TEXT = """\
defaultRepository: registry.example.com/clusters
registries:
  docker.io:
    mirrors: [mirror.corp/dockerhub, "mirror2.corp:5000"]
  mirror.corp:
    ca: corp.pem
  "old.corp:5000":
    plainHTTP: true
    skipTLSVerify: true
"""


def read(home: Path, text: str) -> Configuration:
    (home / "registries.yaml").write_text(text)
    return read_configuration(home)


def test_it_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, TEXT)
    assert found.default_repository == "registry.example.com/clusters"
    assert found.of("docker.io") == RegistrySettings(mirrors=("mirror.corp/dockerhub", "mirror2.corp:5000"))
    assert found.of("mirror.corp").ca == tmp_path / "corp.pem"
    assert found.of("old.corp:5000") == RegistrySettings(plain_http=True, skip_tls_verify=True)
    assert found.of("quay.io") == RegistrySettings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "registries:\n", "registries: {docker.io: }\n"])
def test_nothing_means_the_usual(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).of("docker.io") == RegistrySettings()
    assert read(tmp_path, text).default_repository == "docker.io/sealerio"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "a map is needed"),
        ("registry: {}\n", "registry: unknown field; did you mean 'registries'?"),
        (
            "registries: {docker.io: {mirror: [x]}}\n",
            r"docker.io.mirror: unknown field; did you mean 'mirrors'",
        ),
        ("registries: {docker.io: {mirrors: x.io}}\n", r"mirrors: a list is needed"),
        ("registries: {docker.io: {mirrors: [1]}}\n", r"mirrors\[0\]: a text is needed"),
        ("registries: {docker.io: {mirrors: ['https://x.io']}}\n", r"mirrors\[0\]: 'https://x.io' is no registry"),
        ("registries: {docker.io: {mirrors: [short]}}\n", r"'short' is no registry"),
        ("registries: {docker.io: {mirrors: [x.io/]}}\n", r"'x.io/' is no registry"),
        ("registries: {docker.io/library: {}}\n", "without a path"),
        ("registries: {r.io: {plainHTTP: 'yes'}}\n", "true or false is needed"),
        ("registries: {r.io: {ca: 7}}\n", "ca: a text is needed"),
        ("registries: {5: {}}\n", "the key 5 is no text"),
        ("defaultRepository: Docker.io/\n", "is no registry"),
        ("a: [\n", "not YAML"),
        ("a: \0\n", "not YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text)
    assert "registries.yaml" in caught.value.where


def test_the_place_of_a_mistake_in_the_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, "a: b\n c: [\n")
    assert caught.value.where.endswith("registries.yaml:2:3")


@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    home = tmp_path_factory.getbasetemp()
    (home / "registries.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(InputError):
        read_configuration(home)
