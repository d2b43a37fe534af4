"""Certificates, as OpenSSL and the cluster see them."""

from __future__ import annotations

import base64
import datetime
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sealer.errors import SealerError
from sealer_plugin_kubeadm.documents import ClusterNeeds, KubernetesVersion, NodeNeeds, init_documents, prepare
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.bundle import Issuer, Recipient, admin_kubeconfig, server_names
from sealer_plugin_kubeadm.pki.x509 import Names, names_of, signed
from sealer_plugin_kubeadm.places import (
    ADMIN,
    AUDIT_POLICY,
    DISCOVERY,
    ENCRYPTION,
    KUBELET,
    KUBELET_CLIENT,
    KUBELET_FIRST_CLIENT,
    KUBELET_SERVING,
    PKI,
    server,
)

CENTURY = datetime.timedelta(days=36500)
MASTER = Recipient("node-1", "192.0.2.11", server("apiserver.cluster.local"), server("192.0.2.10"))


# What the kubelet shows to the API, and renews: as long as the controller manager makes it.
RENEWED = (DISCOVERY, KUBELET_FIRST_CLIENT)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("credentials")
    authorities.make(directory, CENTURY)
    return directory


def issuer(credentials: Path, version: str = "v1.20.2", extra: tuple[str, ...] = ()) -> Issuer:
    names = server_names(
        masters=["192.0.2.10", "192.0.2.11"],
        endpoint="apiserver.cluster.local",
        services=["10.96.0.1"],
        domain="cluster.local",
        extra=extra,
    )
    return Issuer(authorities.load(credentials), CENTURY, KubernetesVersion.parse(version), names)


def test_authorities_are_made_once_and_nobody_else_may_read_them(credentials: Path) -> None:
    pki = credentials / "pki"
    before = {path.name: path.read_bytes() for path in pki.iterdir()}
    authorities.make(credentials, datetime.timedelta(days=1))
    assert {path.name: path.read_bytes() for path in pki.iterdir()} == before
    assert stat.S_IMODE(pki.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in pki.iterdir()} == {0o600}


def test_a_key_whose_certificate_was_never_written_is_made_anew(tmp_path: Path) -> None:
    authorities.make(tmp_path, CENTURY)
    (tmp_path / "pki" / "ca.crt").unlink()
    authorities.make(tmp_path, CENTURY)
    pair = authorities.load(tmp_path).kubernetes
    signed(pair, "anyone", CENTURY)  # the two go together, or this could not be verified below
    assert b"BEGIN CERTIFICATE" in pair.certificate


def test_what_is_missing_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SealerError, match="cannot be read") as caught:
        authorities.load(tmp_path)
    assert str(tmp_path) in caught.value.where
    assert "backup" in caught.value.remedy


def test_openssl_verifies_every_certificate_of_a_master(credentials: Path, tmp_path: Path) -> None:
    files = issuer(credentials).master_files(MASTER)
    for path, content in files.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    pki = tmp_path / PKI.lstrip("/")
    chains = {
        "ca.crt": ["apiserver", "apiserver-kubelet-client"],
        "front-proxy-ca.crt": ["front-proxy-client"],
        "etcd/ca.crt": ["apiserver-etcd-client", "etcd/server", "etcd/peer", "etcd/healthcheck-client"],
    }
    for ca, leaves in chains.items():
        for leaf in leaves:
            words = ["openssl", "verify", "-x509_strict", "-CAfile", str(pki / ca), str(pki / f"{leaf}.crt")]
            subprocess.run(words, check=True, capture_output=True)
    kept = {path.removeprefix(f"{PKI}/") for path in files if path.startswith(PKI)}
    assert {"sa.key", "sa.pub", "ca.key", "etcd/ca.key", "front-proxy-ca.key"} <= kept


@pytest.mark.parametrize(
    ("asked", "days"), [("10y", 3650), ("365d", 365), ("8760h", 365), ("36h", 1.5), ("1h", 1 / 24)]
)
def test_authorities_and_all_that_they_sign_end_when_it_was_asked_for(tmp_path: Path, asked: str, days: float) -> None:
    options = Options.of({"certificateValidity": asked})
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    authorities.make(tmp_path, options.validity)
    by = replace(issuer(tmp_path), validity=options.validity)
    given = (by.master_files(MASTER), by.node_files(MASTER), by.joined_files(MASTER))
    files = [content for each in given for path, content in each.items() if path not in RENEWED]
    files.append(admin_kubeconfig(by.authorities, by.kubernetes, options.validity, server("192.0.2.10")))
    made = [certificate for content in files for certificate in certificates(content)]
    # Three authorities, also within kubeconfigs; seven certificates in files of a master; two kubelets' own; and one in
    # each kubeconfig of an administrator or component.
    assert len({certificate.serial_number for certificate in made}) >= 3 + 7 + 2 + 5
    least, most = began + options.validity, datetime.datetime.now(datetime.UTC) + options.validity
    assert all(least <= certificate.not_valid_after_utc <= most for certificate in made)
    assert options.validity == datetime.timedelta(days=days)
    # What the controller manager signs later, for kubelets: what they ask for in time, again and again.
    year = min(days, 365)
    needs = ClusterNeeds("v1.20.2", masters=("192.0.2.11",), signing=options.signing_duration)
    text = init_documents(prepare((), (), needs), NodeNeeds("node-1", "192.0.2.11", "/a.sock")).text
    assert f'cluster-signing-duration: "{int(year * 24)}h0m0s"' in text
    latest = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=year)
    for each in given[:2]:
        shown = [certificate for path in RENEWED for certificate in certificates(each[path])][-2:]
        assert all(certificate.not_valid_after_utc <= latest for certificate in shown)


def certificates(content: bytes) -> list[x509.Certificate]:
    """Those in a file: PEM, or within a kubeconfig."""
    if b"kind: Config" in content:
        config = yaml.safe_load(content)
        pems = [config["clusters"][0]["cluster"]["certificate-authority-data"]]
        pems += filter(None, [config["users"][0]["user"].get("client-certificate-data")])
        return [x509.load_pem_x509_certificate(base64.b64decode(pem)) for pem in pems]
    return [x509.load_pem_x509_certificate(content)] if b"BEGIN CERTIFICATE" in content else []


def test_certificates_are_valid_for_the_time_asked_for_and_from_a_moment_ago(credentials: Path) -> None:
    made = issuer(credentials).master_files(MASTER)[f"{PKI}/apiserver.crt"]
    certificate = x509.load_pem_x509_certificate(made)
    authority = x509.load_pem_x509_certificate(authorities.load(credentials).kubernetes.certificate)
    now = datetime.datetime.now(datetime.UTC)
    assert certificate.not_valid_before_utc < now - datetime.timedelta(minutes=50)
    for one in (certificate, authority):
        assert abs(one.not_valid_after_utc - now - CENTURY) < datetime.timedelta(minutes=5)
    assert certificate.not_valid_after_utc <= authority.not_valid_after_utc


def test_the_api_server_is_known_under_all_its_names(credentials: Path) -> None:
    made = issuer(credentials, extra=("k8s.example.org", "198.51.100.7")).master_files(MASTER)
    names = names_of(made[f"{PKI}/apiserver.crt"])
    inside = {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
    assert names.dns == inside | {"apiserver.cluster.local", "k8s.example.org", "localhost", "node-1"}
    assert names.addresses == {"10.96.0.1", "127.0.0.1", "192.0.2.10", "192.0.2.11", "198.51.100.7"}
    assert names_of(made[f"{PKI}/etcd/server.crt"]) == Names.of(
        ("node-1", "localhost", "192.0.2.11", "127.0.0.1", "::1")
    )


def test_a_certificate_with_all_names_stays(credentials: Path) -> None:
    ours = issuer(credentials)
    present = dict(ours.master_files(MASTER))
    assert ours.named_files(MASTER, present) == {}


def test_a_name_that_comes_never_costs_one_that_was_there(credentials: Path) -> None:
    before = dict(issuer(credentials, extra=("old.example.org",)).master_files(MASTER))
    renewed = issuer(credentials, extra=("new.example.org",)).named_files(MASTER, before)
    assert set(renewed) == {f"{PKI}/apiserver.crt", f"{PKI}/apiserver.key"}
    assert {"old.example.org", "new.example.org"} <= names_of(renewed[f"{PKI}/apiserver.crt"]).dns


def test_the_certificate_of_another_authority_does_not_stay(credentials: Path, tmp_path: Path) -> None:
    authorities.make(tmp_path, CENTURY)
    foreign = dict(issuer(tmp_path).master_files(MASTER))
    assert f"{PKI}/apiserver.crt" in issuer(credentials).named_files(MASTER, foreign)


def test_a_master_that_joins_asks_one_that_answers_and_then_itself(credentials: Path) -> None:
    ours = issuer(credentials)
    joining, joined = ours.master_files(MASTER), ours.joined_files(MASTER)
    for path in (ADMIN, KUBELET, DISCOVERY):
        assert asked(joining[path]) == MASTER.entrance
    for path in (ADMIN, KUBELET):
        assert asked(joined[path]) == MASTER.endpoint
    assert asked(joining["/etc/kubernetes/scheduler.conf"]) == "https://192.0.2.11:6443"
    assert asked(ours.node_files(MASTER)[KUBELET]) == MASTER.endpoint


def test_a_node_gets_no_key_but_its_own(credentials: Path) -> None:
    files = issuer(credentials).node_files(MASTER)
    own = {KUBELET_FIRST_CLIENT, f"{KUBELET_SERVING}.crt", f"{KUBELET_SERVING}.key"}
    assert set(files) == {KUBELET, DISCOVERY, f"{PKI}/ca.crt", *own}
    assert who(files[DISCOVERY]) == "O=system:nodes,CN=system:node:node-1"


def test_a_kubelet_shows_what_it_has_renewed_and_is_known_by_its_name_and_address(
    credentials: Path, tmp_path: Path
) -> None:
    for files in (issuer(credentials).node_files(MASTER), issuer(credentials).master_files(MASTER)):
        user = yaml.safe_load(files[KUBELET])["users"][0]["user"]
        assert user == {"client-certificate": KUBELET_CLIENT, "client-key": KUBELET_CLIENT}
        assert b"PRIVATE" in files[KUBELET_FIRST_CLIENT]
        client = x509.load_pem_x509_certificate(files[KUBELET_FIRST_CLIENT])
        assert subject(client) == "O=system:nodes,CN=system:node:node-1"
        serving = files[f"{KUBELET_SERVING}.crt"]
        assert names_of(serving) == Names.of(("node-1", "192.0.2.11"))
        (tmp_path / "ca.crt").write_bytes(files[f"{PKI}/ca.crt"])
        for purpose, content in (("sslserver", serving), ("sslclient", files[KUBELET_FIRST_CLIENT])):
            (tmp_path / "leaf.crt").write_bytes(content)
            words = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", "leaf.crt"]
            subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
        usage = x509.load_pem_x509_certificate(serving).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert list(usage.value) == [ExtendedKeyUsageOID.SERVER_AUTH]  # nobody logs in by it
    assert KUBELET_FIRST_CLIENT not in issuer(credentials).joined_files(MASTER)  # the kubelet may have renewed it


def test_a_cluster_has_one_key_for_its_secrets_or_none(credentials: Path, tmp_path: Path) -> None:
    """One that was made without gets none when hosts come; where it is lost, no master comes that could not read."""
    names = [AUDIT_POLICY.rpartition("/")[2], ENCRYPTION.rpartition("/")[2]]
    assert not authorities.load(credentials).secrets
    with pytest.raises(SealerError, match="not on this machine") as caught:
        issuer(credentials).api_server_files(names)
    assert "encryption.key" in caught.value.remedy
    assert not issuer(credentials).api_server_files([])
    authorities.make(tmp_path, CENTURY, encrypt_secrets=True)
    known = authorities.load(tmp_path)
    authorities.make(tmp_path, CENTURY, encrypt_secrets=True)
    assert authorities.load(tmp_path).secrets == known.secrets
    files = issuer(tmp_path).api_server_files(names)
    written = yaml.safe_load(files[ENCRYPTION])
    [entry] = written["resources"]
    first, last = entry["providers"]
    assert (entry["resources"], last) == (["secrets"], {"identity": {}})
    [key] = first["secretbox"]["keys"]
    assert len(base64.b64decode(key["secret"], validate=True)) == 32
    assert stat.S_IMODE((tmp_path / "pki" / "encryption.key").stat().st_mode) == 0o600
    assert key["secret"] not in repr(known) + repr(issuer(tmp_path))


@pytest.mark.parametrize(
    ("version", "group"),
    [("v1.20.2", "system:masters"), ("v1.28.0", "system:masters"), ("v1.29.0", "kubeadm:cluster-admins")],
)
def test_who_an_administrator_is_goes_by_the_version(credentials: Path, version: str, group: str) -> None:
    known = authorities.load(credentials)
    made = admin_kubeconfig(known, KubernetesVersion.parse(version), CENTURY, "https://192.0.2.10:6443", "sealer-x")
    assert who(made) == f"O={group},CN=kubernetes-admin"
    content = yaml.safe_load(made)
    assert {content[kind][0]["name"] for kind in ("clusters", "users", "contexts")} == {"sealer-x"}
    first = Recipient("node-0", "192.0.2.10", MASTER.endpoint, MASTER.endpoint)
    has_super = "/etc/kubernetes/super-admin.conf" in issuer(credentials, version).master_files(first)
    assert has_super == (group != "system:masters")


def test_keys_are_shown_to_nobody(credentials: Path) -> None:
    known = authorities.load(credentials)
    assert "PRIVATE" not in repr(known) + repr(known.kubernetes) + repr(issuer(credentials))


def asked(kubeconfig: bytes) -> str:
    return str(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"])


def who(kubeconfig: bytes) -> str:
    user = yaml.safe_load(kubeconfig)["users"][0]["user"]
    return subject(x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"])))


def subject(certificate: x509.Certificate) -> str:
    return ",".join(f"{'O' if it.oid.dotted_string == '2.5.4.10' else 'CN'}={it.value}" for it in certificate.subject)
