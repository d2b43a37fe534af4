"""Signing in, certificates and mirrors, at real registries."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from docker_registry import DockerRegistry
from faulty_proxy import UPLOAD, Fault, FaultyProxy
from sample_images import MakeRegistries, blobs_of, cluster_image
from token_server import TokenServer

from sealer.errors import ImageNotFoundError, InputError, RegistryError
from sealer.events import EventStream
from sealer.image.build import BuildRequest, build
from sealer.image.registry.configuration import RegistrySettings
from sealer.image.registry.credentials import Credential
from sealer.image.registry.endpoints import Access
from sealer.image.registry.fetch import fetch_images
from sealer.image.registry.login import login
from sealer.image.registry.pull import pull
from sealer.image.registry.push import push
from sealer.image.store import Store
from sealer.redaction import Secret, redactor

PASSWORD = "ein:langes Geheimnis"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "registry"
    made.mkdir()
    return made


@pytest.fixture
def token_server(tmp_path: Path, authority: Authority) -> Iterator[TokenServer]:
    with TokenServer(tmp_path, authority, {"me": PASSWORD, "": ""}) as server:
        yield server


def auths(registry: str, **entry: str) -> dict[str, object]:
    return {"auths": {registry: entry or {"auth": base64.b64encode(f"me:{PASSWORD}".encode()).decode()}}}


class TestBasic:
    @pytest.fixture
    def registry(self, directory: Path) -> Iterator[DockerRegistry]:
        with DockerRegistry(directory, user=("me", PASSWORD)) as started:
            yield started

    def test_there_and_back(
        self, registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        name = f"{registry.address}/ns/app:v1"
        cluster_image(store, [name])
        push(store, registries(auths=auths(registry.address)), events, name)
        pull(other, registries(auths=auths(registry.address)), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_nobody_is_asked_to_sign_in(
        self, registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        with pytest.raises(RegistryError, match="it needs a username and a password") as caught:
            pull(store, registries(), events, f"{registry.address}/ns/app:v1")
        assert f"sealer login {registry.address}" in caught.value.remedy

    def test_a_wrong_password_is_said_and_not_shown(
        self, registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        wrong = auths(registry.address, username="me", password="falsch-geraten")
        with pytest.raises(RegistryError, match="it refuses the username and password") as caught:
            pull(store, registries(auths=wrong), events, f"{registry.address}/ns/app:v1")
        assert "falsch" not in repr(caught.value) + str(caught.value) + caught.value.remedy
        assert redactor("falsch-geraten") == "******"

    def test_login_tries_before_it_keeps(
        self, registry: DockerRegistry, tmp_path: Path, registries: MakeRegistries
    ) -> None:
        known = registries()
        with pytest.raises(RegistryError, match="refuses the username"):
            login(known, registry.address, Credential("me", Secret("falsch-geraten")))
        assert json.loads((tmp_path / "auth.json").read_text()) == {}
        known = registries()
        done = login(known, registry.address, Credential("me", Secret(PASSWORD)))
        assert done.needed
        assert json.loads((tmp_path / "auth.json").read_text()) == auths(registry.address)
        assert stat.S_IMODE((tmp_path / "auth.json").stat().st_mode) == 0o600


class TestToken:
    @pytest.fixture
    def registry(self, directory: Path, token_server: TokenServer) -> Iterator[DockerRegistry]:
        with DockerRegistry(directory, token=token_server.auth) as started:
            yield started

    def test_one_token_for_each_set_of_scopes(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, other: Store,
        registries: MakeRegistries, events: EventStream,
    ) -> None:  # fmt: skip
        first, second = f"{registry.address}/ns/app:v1", f"{registry.address}/ns/other:v1"
        for name in (first, second):
            cluster_image(store, [name])
            push(store, registries(auths=auths(registry.address)), events, name)
        wanted = [asked.scopes for asked in token_server.asked]
        mounted = ["repository:ns/other:pull,push", "repository:ns/app:pull"]
        assert wanted == [["repository:ns/app:pull,push"], ["repository:ns/other:pull,push"], mounted]
        assert {asked.user for asked in token_server.asked} == {"me"}
        token_server.asked.clear()
        pull(other, registries(), events, first)  # nobody may pull
        assert [(asked.user, asked.scopes) for asked in token_server.asked] == [("", ["repository:ns/app:pull"])]

    def test_an_identity_token(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        token_server.refresh["ein-ausweis"] = "me"
        known = {"auths": {registry.address: {"auth": "", "identitytoken": "ein-ausweis"}}}
        name = f"{registry.address}/ns/app:v1"
        cluster_image(store, [name])
        push(store, registries(auths=known), events, name)
        assert {(asked.how, asked.user) for asked in token_server.asked} == {("refresh", "me")}

    def test_what_one_may_not_do(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        token_server.grant = lambda user, repository: ["pull"]
        name = f"{registry.address}/ns/app:v1"
        cluster_image(store, [name])
        with pytest.raises(RegistryError, match="does not allow it"):
            push(store, registries(auths=auths(registry.address)), events, name)
        assert len(token_server.asked) < 12

    def test_where_one_may_not_mount_from_one_sends(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        base, app = f"{registry.address}/secret/base:v1", f"{registry.address}/ns/app:v1"
        cluster_image(store, [base])
        push(store, registries(auths=auths(registry.address)), events, base)
        token_server.grant = lambda user, repository: ["pull", "push"] if repository == "ns/app" else []
        cluster_image(store, [app])
        pushed = push(store, registries(auths=auths(registry.address)), events, app)
        assert pushed.mounted == ()
        assert len(pushed.sent) == 3

    def test_a_token_that_is_no_longer_accepted_is_renewed(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        with FaultyProxy(registry.address) as proxy:
            name = f"{proxy.address}/ns/app:v1"
            cluster_image(store, [name])
            challenge = f'Bearer realm="{token_server.auth.realm}",service="a test",scope="repository:ns/app:pull,push"'
            proxy.faults = [Fault("PATCH", UPLOAD, status=401, headers={"WWW-Authenticate": challenge})]
            push(store, registries(auths=auths(proxy.address)), events, name)
        assert [asked.scopes for asked in token_server.asked] == [["repository:ns/app:pull,push"]] * 2

    def test_a_token_that_does_not_help_is_not_asked_for_again(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        name = f"{registry.address}/ns/app:v1"
        cluster_image(store, [name])
        token_server.life = -120  # expired from the start; the registry has a leeway of a minute
        with pytest.raises(RegistryError, match="does not allow it"):
            push(store, registries(auths=auths(registry.address)), events, name)
        assert len(token_server.asked) <= 6  # one a thread

    def test_a_token_server_is_not_told_the_password_without_encryption(
        self, proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        challenge = {"WWW-Authenticate": 'Bearer realm="http://198.51.100.7/token",service="x"'}
        proxy.faults = [Fault("GET", "/v2/", times=-1, status=401, headers=challenge)]
        with pytest.raises(RegistryError, match="leads to a server without encryption"):
            pull(store, registries(auths=auths(proxy.address)), events, f"{proxy.address}/ns/app:v1")

    def test_a_wrong_password(
        self, registry: DockerRegistry, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        wrong = auths(registry.address, username="me", password="falsch-geraten")
        with pytest.raises(RegistryError, match="answers 401: the name and password are not accepted"):
            pull(store, registries(auths=wrong), events, f"{registry.address}/ns/app:v1")

    def test_login(self, registry: DockerRegistry, tmp_path: Path, registries: MakeRegistries) -> None:
        login(registries(), registry.address, Credential("me", Secret(PASSWORD)))
        assert json.loads((tmp_path / "auth.json").read_text()) == auths(registry.address)

    def test_many_images_each_with_a_token_of_its_own(
        self, registry: DockerRegistry, token_server: TokenServer, store: Store, other: Store,
        registries: MakeRegistries, events: EventStream,
    ) -> None:  # fmt: skip
        names = [f"{registry.address}/ns/app{number}:v1" for number in range(4)]
        for name in names:
            cluster_image(store, [name])
            push(store, registries(auths=auths(registry.address)), events, name)
        token_server.asked.clear()
        with other.stage() as staging:
            found = fetch_images(
                names, ["linux/amd64"], staging=staging, store=other,
                registries=registries(auths=auths(registry.address)), events=events,
            )  # fmt: skip
        assert [image.name for image in found] == names
        assert len(token_server.asked) == 4


class TestTls:
    @pytest.fixture
    def registry(self, directory: Path, authority: Authority) -> Iterator[DockerRegistry]:
        with DockerRegistry(directory, tls=authority.server(), user=("me", PASSWORD)) as started:
            yield started

    def there_and_back(self, registry: DockerRegistry, registries: MakeRegistries, tmp: Path, **more: object) -> None:
        name = f"{registry.address}/ns/app:v1"
        store, other = Store(tmp / "images"), Store(tmp / "other-images")
        cluster_image(store, [name])
        events = EventStream()
        push(store, registries(auths=auths(registry.address), **more), events, name)
        pull(other, registries(auths=auths(registry.address), **more), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_a_ca_of_registries_yaml(
        self, registry: DockerRegistry, authority: Authority, registries: MakeRegistries, tmp_path: Path
    ) -> None:
        settings = {registry.address: RegistrySettings(ca=authority.certificate)}
        self.there_and_back(registry, registries, tmp_path, settings=settings)

    def test_a_ca_where_docker_has_it(
        self, registry: DockerRegistry, authority: Authority, registries: MakeRegistries, tmp_path: Path
    ) -> None:
        (tmp_path / "certs.d" / registry.address).mkdir(parents=True)
        shutil.copy(authority.certificate, tmp_path / "certs.d" / registry.address / "ca.crt")
        self.there_and_back(registry, registries, tmp_path)

    def test_without_the_ca_nothing_is_sent(
        self, registry: DockerRegistry, registries: MakeRegistries, tmp_path: Path
    ) -> None:
        with pytest.raises(RegistryError, match="certificate is not trusted"):
            self.there_and_back(registry, registries, tmp_path)

    def test_the_check_can_be_left_out(
        self, registry: DockerRegistry, registries: MakeRegistries, tmp_path: Path
    ) -> None:
        self.there_and_back(registry, registries, tmp_path, access=Access(skip_tls_verify=True))


class TestClientCertificates:
    """A registry that lets in only those who show a certificate of its authority."""

    @pytest.fixture
    def registry(self, directory: Path, authority: Authority) -> Iterator[DockerRegistry]:
        with DockerRegistry(directory, tls=authority.server(), clients=authority.certificate) as started:
            yield started

    @pytest.fixture
    def certificates(self, registry: DockerRegistry, authority: Authority, tmp_path: Path) -> Path:
        """The registry's directory in `certs.d`, with its CA."""
        directory = tmp_path / "certs.d" / registry.address
        directory.mkdir(parents=True)
        shutil.copy(authority.certificate, directory / "ca.crt")
        return directory

    def show(self, certificates: Path, authority: Authority) -> None:
        certificate, key = authority.server("client")
        shutil.copy(certificate, certificates / "client.cert")
        shutil.copy(key, certificates / "client.key")

    def test_there_and_back(
        self, registry: DockerRegistry, certificates: Path, authority: Authority, store: Store, other: Store,
        registries: MakeRegistries, events: EventStream,
    ) -> None:  # fmt: skip
        self.show(certificates, authority)
        name = f"{registry.address}/ns/app:v1"
        cluster_image(store, [name])
        push(store, registries(), events, name)
        pull(other, registries(), events, name)
        assert blobs_of(other) == blobs_of(store)

    def test_without_one_it_is_said_what_to_do(
        self, registry: DockerRegistry, certificates: Path, store: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        # The alert comes while the request is sent; where the kernel drops it, the next attempt hears it.
        with pytest.raises(RegistryError, match="wants a client's certificate") as caught:
            pull(store, registries(attempts=20), events, f"{registry.address}/ns/app:v1")
        assert "client.cert and client.key" in caught.value.remedy

    def test_one_of_another_authority_is_not_taken(
        self, registry: DockerRegistry, certificates: Path, store: Store, tmp_path: Path, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        (tmp_path / "stranger").mkdir()
        self.show(certificates, Authority(tmp_path / "stranger"))
        with pytest.raises(RegistryError, match="wants a client's certificate, or another one"):
            pull(store, registries(attempts=20), events, f"{registry.address}/ns/app:v1")

    def test_what_is_no_certificate_with_its_key_is_refused(
        self, registry: DockerRegistry, certificates: Path, authority: Authority, store: Store,
        registries: MakeRegistries, events: EventStream,
    ) -> None:  # fmt: skip
        self.show(certificates, authority)
        key = load_pem_private_key((certificates / "client.key").read_bytes(), None)
        locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
        (certificates / "client.key").write_bytes(locked)
        with pytest.raises(InputError, match="the file of certificates cannot be used") as caught:
            pull(store, registries(), events, f"{registry.address}/ns/app:v1")
        assert caught.value.where == str(certificates / "client.cert")
        (certificates / "client.key").unlink()
        with pytest.raises(InputError, match="No such file"):
            pull(store, registries(), events, f"{registry.address}/ns/app:v1")


class TestIPv6:
    @pytest.fixture(autouse=True)
    def _there_is_one(self) -> None:
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                pass
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")

    def test_there_and_back(
        self, directory: Path, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        with DockerRegistry(directory, host="::1", user=("me", PASSWORD)) as registry:
            assert registry.address.startswith("[::1]:")
            name = f"{registry.address}/ns/app:v1"
            cluster_image(store, [name])
            push(store, registries(auths=auths(registry.address)), events, name)
            pull(other, registries(auths=auths(registry.address)), events, name)
            with other.stage() as staging:
                (fetched,) = fetch_images(
                    [name], ["linux/amd64"], staging=staging, store=other,
                    registries=registries(auths=auths(registry.address)), events=events,
                )  # fmt: skip
            assert str(fetched.place) == name
            login(registries(), registry.address, Credential("me", Secret(PASSWORD)))
        assert blobs_of(other) == blobs_of(store)

    def test_with_encryption_and_a_base(
        self, directory: Path, authority: Authority, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream, tmp_path: Path,
    ) -> None:  # fmt: skip
        tls = authority.server()
        with DockerRegistry(directory, host="::1", tls=tls, clients=authority.certificate) as registry:
            (tmp_path / "certs.d" / registry.address).mkdir(parents=True)
            for file, name in zip(tls, ("client.cert", "client.key"), strict=True):
                shutil.copy(file, tmp_path / "certs.d" / registry.address / name)
            settings = {registry.address: RegistrySettings(ca=authority.certificate)}
            name = f"{registry.address}/ns/app:v1"
            cluster_image(store, [name])
            pushed = push(store, registries(settings=settings), events, name)
            pinned = f"{name}@{pushed.digest}"
            pull(other, registries(settings=settings), events, pinned)
        assert blobs_of(other) == blobs_of(store)
        (tmp_path / "Kubefile").write_text(f"FROM {pinned}\n")
        built = build(other, BuildRequest(tmp_path, names=("next",)), events)
        assert built.first.layers == other.find(pinned).first.layers


class TestProxies:
    """Where only a proxy leads out; the names are known to nobody but it."""

    def test_without_encryption(
        self, registry: DockerRegistry, store: Store, other: Store, registries: MakeRegistries, events: EventStream,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        with FaultyProxy(registry.address) as way_out:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:sehr-geheim@{way_out.address}")
            monkeypatch.delenv("http_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            name = "registry.test.invalid/ns/app:v1"
            cluster_image(store, [name])
            push(store, registries(access=Access(plain_http=True)), events, name)
            pull(other, registries(access=Access(plain_http=True)), events, name)
            sent = {seen.headers.get("Proxy-Authorization") for seen in way_out.seen}
            assert sent == {"Basic " + base64.b64encode(b"me:sehr-geheim").decode()}
            assert redactor(f"{sent}").count("******") == 1
        assert blobs_of(other) == blobs_of(store)

    def test_with_encryption(
        self, directory: Path, authority: Authority, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        name = "registry.test.invalid/ns/app:v1"
        cluster_image(store, [name])
        settings = {"registry.test.invalid": RegistrySettings(ca=authority.certificate)}
        tls = authority.server("server", "registry.test.invalid")
        with DockerRegistry(directory, tls=tls) as registry, FaultyProxy(registry.address) as way_out:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{way_out.address}")
            monkeypatch.delenv("https_proxy", raising=False)
            push(store, registries(settings=settings), events, name)
            pull(other, registries(settings=settings), events, name)
            assert {(seen.method, seen.path) for seen in way_out.seen} == {("CONNECT", "registry.test.invalid:443")}
        assert blobs_of(other) == blobs_of(store)


class TestMirrors:
    @pytest.fixture
    def mirrored(self, registry: DockerRegistry) -> Iterator[FaultyProxy]:
        with FaultyProxy(registry.address) as started:
            yield started

    def test_a_mirror_is_asked_instead(
        self, mirrored: FaultyProxy, store: Store, other: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        inside = f"{mirrored.address}/dockerhub/sealerio/app:v1"
        cluster_image(store, [inside])
        push(store, registries(), events, inside)
        settings = {"docker.io": RegistrySettings(mirrors=(f"{mirrored.address}/dockerhub",))}
        mirrored.seen.clear()
        pulled = pull(other, registries(settings=settings), events, "app:v1")
        assert pulled.source == "docker.io/sealerio/app:v1"
        assert blobs_of(other) == blobs_of(store)
        assert {seen.path.split("/")[2] for seen in mirrored.requests("GET", "/v2/.")} == {"dockerhub"}

    def test_the_next_one_is_asked_where_a_mirror_has_nothing(
        self, mirrored: FaultyProxy, proxy: FaultyProxy, store: Store, other: Store, registries: MakeRegistries,
        events: EventStream,
    ) -> None:  # fmt: skip
        name = f"{proxy.address}/ns/app:v1"
        cluster_image(store, [name])
        push(store, registries(), events, name)
        with FaultyProxy() as gone:
            away = gone.address
        mirrors = (away, f"{mirrored.address}/nothing/here")
        settings = {proxy.address: RegistrySettings(mirrors=mirrors)}
        pull(other, registries(settings=settings), events, name)
        assert blobs_of(other) == blobs_of(store)
        assert mirrored.requests("GET", "/v2/nothing/here/ns/app/manifests/v1")
        with pytest.raises(ImageNotFoundError, match="neither the mirrors nor the registry"):
            pull(other, registries(settings=settings), events, f"{proxy.address}/ns/none:v1")

    def test_nothing_is_pushed_to_a_mirror(
        self, mirrored: FaultyProxy, proxy: FaultyProxy, store: Store, registries: MakeRegistries, events: EventStream
    ) -> None:
        name = f"{proxy.address}/ns/app:v1"
        cluster_image(store, [name])
        settings = {proxy.address: RegistrySettings(mirrors=(mirrored.address,))}
        push(store, registries(settings=settings), events, name)
        assert not mirrored.seen
