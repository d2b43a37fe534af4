"""Where images lie in the private registry."""

from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.image.model import ContainerImage
from sealer.image.oci import MANIFEST, Descriptor
from sealer.image.reference import Reference
from sealer_plugin_registry import names


def image(reference: str) -> ContainerImage:
    return ContainerImage(reference, "linux/amd64", Descriptor(MANIFEST, f"sha256:{0:064}", 1))


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("docker.io/library/nginx:1", "docker.io/library/nginx"),
        ("k8s.gcr.io/pause:3.2", "k8s.gcr.io/pause"),
        ("registry.example.com:5000/ns/app:1", "registry.example.com_5000/ns/app"),
        ("Registry.Example.com/app:1", "registry.example.com/app"),
        ("localhost:5000/app:1", "localhost_5000/app"),
        ("[::1]:5000/app:1", "ip6.0000.0000.0000.0000.0000.0000.0000.0001_5000/app"),
    ],
)
def test_every_image_lies_below_its_own_domain(reference: str, repository: str) -> None:
    found = names.repository(Reference.parse(reference))
    assert found == repository
    assert Reference.parse(f"sea.hub:5000/{found}:1").path == repository  # a registry takes it for a name


def test_domains_that_would_meet_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.io:5000.*a\.io_5000|a\.io_5000.*a\.io:5000|would be one"):
        names.domains([image("Reg.io/x:1"), image("reg.io/x:1")])


def test_domains_are_told_once() -> None:
    assert names.domains([image("docker.io/a:1"), image("docker.io/b:1"), image("quay.io/a:1")]) == (
        "docker.io",
        "quay.io",
    )
