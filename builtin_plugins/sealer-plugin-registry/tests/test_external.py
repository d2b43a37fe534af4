"""A registry that exists already: what of the Clusterfile and of `registries.yaml` counts, and mistakes in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sealer.clusterfile.model import Cluster, ExternalRegistry, RegistrySpec
from sealer.errors import ImageNotFoundError, InputError, RegistryError
from sealer.events import EventStream
from sealer.image.registry.configuration import Configuration, RegistrySettings
from sealer.redaction import Secret
from sealer.settings import Settings
from sealer.testing.clusters import make_operation
from sealer_plugin_registry import PrivateRegistry
from sealer_plugin_registry.certificates import keep
from sealer_plugin_registry.external import External
from sealer_plugin_registry.trusting import Login, Server

LOGIN = Login("admin", "secret")


def of(spec: ExternalRegistry, **registries: RegistrySettings) -> External:
    return External.of(spec, Configuration(registries=registries), LOGIN)


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        (ExternalRegistry("reg.corp"), "reg.corp"),
        (ExternalRegistry("reg.corp", 5000), "reg.corp:5000"),
        (ExternalRegistry("reg.corp:5000"), "reg.corp:5000"),
        (ExternalRegistry("fd00::1", 5000), "[fd00::1]:5000"),
        (ExternalRegistry("[fd00::1]"), "[fd00::1]"),
    ],
)
def test_its_address(spec: ExternalRegistry, address: str) -> None:
    assert of(spec).address == address


def test_hosts_are_told_what_the_operator_is(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("a certificate")
    found = of(ExternalRegistry("reg.corp", 443), **{"reg.corp": RegistrySettings(ca=ca)})
    assert found.authority() == b"a certificate"
    assert found.server("/ca") == Server("reg.corp:443", ca="/ca", login=LOGIN)
    before = found.described()
    ca.write_text("another one")
    assert found.described() != before
    found = of(ExternalRegistry("reg.corp"), **{"reg.corp": RegistrySettings(plain_http=True, ca=ca)})
    assert found.server("/ca") == Server("reg.corp", plain_http=True, login=LOGIN)
    found = of(ExternalRegistry("reg.corp"), **{"reg.corp": RegistrySettings(skip_tls_verify=True)})
    assert found.server("/ca") == Server("reg.corp", skip_verify=True, login=LOGIN)
    assert found.authority() == b""


def test_what_it_says_of_itself_is_shown_where_nothing_better_is_known() -> None:
    found = of(ExternalRegistry("reg.corp"))
    refused = found.refusal(ImageNotFoundError("there is no such thing", why="it answers 404"))
    assert "reg.corp" in refused.what
    assert refused.why == "there is no such thing: it answers 404"
    refused = found.refusal(RegistryError("the registry fails", status=503, remedy="wait"))
    assert refused.remedy.startswith("wait. Where it has the images already")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("registries: {reg.corp: {ca: missing.crt}}\n", "the file of certificates cannot be used"),
        ("", "the external registry has a user and no password"),
    ],
)
def test_mistakes_are_told_before_a_host_is_touched(tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / "registries.yaml").write_text(settings)
    driver = PrivateRegistry(Settings(home=tmp_path), EventStream(), {})
    driver.credentials = tmp_path / "credentials"
    password = Secret("secret") if settings else None
    spec = Cluster(name="testing", registry=RegistrySpec(external=ExternalRegistry("reg.corp", 0, "admin", password)))
    with pytest.raises(InputError, match=said):
        driver.trust(make_operation("create", spec=spec))
    assert not driver.credentials.exists()  # a plan leaves nothing behind


def test_a_file_is_kept_by_steps_on_many_hosts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: keep(path, b"secret"), range(200)))
    assert path.read_bytes() == b"secret"
    assert list(tmp_path.iterdir()) == [path]
