"""Certificates are never replaced by those of another authority, and what leaves stops only what is its own."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.errors import SealerError
from sealer.extension import Operation
from sealer.testing import Answers, Reply, make_operation, run_steps
from sealer_plugin_kubeadm import leave
from sealer_plugin_kubeadm.documents import KubernetesVersion
from sealer_plugin_kubeadm.install import Installation
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.ownership import AUTHORITIES, CA
from sealer_plugin_kubeadm.pki import authorities
from sealer_plugin_kubeadm.pki.bundle import NAMED, Issuer
from sealer_plugin_kubeadm.pki.x509 import SERVER, Names, signed
from sealer_plugin_kubeadm.places import IDENTITY, PKI

YEAR = datetime.timedelta(days=365)
OUR_ID, THEIR_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def made(directory: Path) -> Path:
    directory.mkdir()
    authorities.make(directory, YEAR)
    return directory


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return made(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return made(tmp_path / "theirs")


def certificates(credentials: Path) -> dict[str, bytes]:
    """What a master has of a cluster."""
    known = authorities.load(credentials)
    pairs = (known.kubernetes, known.etcd, known.front_proxy)
    files = {path: pair.certificate for path, pair in zip(AUTHORITIES, pairs, strict=True)}
    for name in NAMED:
        by = known.kubernetes if name == "apiserver" else known.etcd
        files[f"{PKI}/{name}.crt"] = signed(by, name, YEAR, usages=(SERVER,)).certificate
    return files


def issuer(credentials: Path, *, external_etcd: bool = False) -> Issuer:
    version = KubernetesVersion.parse("v1.20.2")
    return Issuer(authorities.load(credentials), YEAR, version, Names.of(()), external_etcd)


def test_what_is_the_cluster_s_own_is_of_nobody_else(ours: Path) -> None:
    assert issuer(ours).of_others(certificates(ours)) == []
    assert issuer(ours).of_others({}) == []


@pytest.mark.parametrize("path", AUTHORITIES)
def test_each_authority_of_another_cluster_is_seen(ours: Path, theirs: Path, path: str) -> None:
    present = {**certificates(ours), path: certificates(theirs)[path]}
    assert issuer(ours).of_others(present) == [path]
    assert issuer(ours).of_others({path: b"not a certificate"}) == [path]


def test_leaves_without_their_authority_are_of_whoever_signed_them(ours: Path, theirs: Path) -> None:
    leaves = {path: content for path, content in certificates(theirs).items() if path not in AUTHORITIES}
    assert sorted(issuer(ours).of_others(leaves)) == sorted(leaves)
    # Beside the cluster's own authority they are a damage that is made good.
    assert issuer(ours).of_others({**certificates(ours), **leaves}) == []


def test_the_authority_of_an_etcd_that_is_somebody_else_s_is_left_to_him(ours: Path, theirs: Path) -> None:
    path = f"{PKI}/etcd/ca.crt"
    present = {**certificates(ours), path: certificates(theirs)[path]}
    assert issuer(ours, external_etcd=True).of_others(present) == []


def answers(files: Mapping[str, bytes], *, rootfs: bool = True) -> Answers:
    """A host that has these files, and that an image was sent to."""
    lines = "".join(f"{path} {base64.b64encode(content).decode()}\n" for path, content in files.items())
    asked = Answers().on(r"for file in ", Reply(lines))
    return asked.on(r"\[ -e \S+/rootfs \]", Reply(status=0 if rootfs else 1))


def leaving(files: Mapping[str, bytes], credentials: Path, *, rootfs: bool = True) -> bool:
    """Whether a host that has these files is stopped."""
    operation = replace(make_operation("delete", masters=1, nodes=0), cluster_id=OUR_ID)
    steps = leave.clean(operation, credentials)
    recording = run_steps(steps, operation, answers=answers(files, rootfs=rootfs))
    stopped = any("systemctl stop kubelet" in text for text in recording.scripts())
    assert stopped != ("what is there of Kubernetes is not this cluster's, and stays as it is" in recording.messages())
    return stopped


def test_leaving_stops_only_what_is_the_cluster_s_own(ours: Path, theirs: Path, tmp_path: Path) -> None:
    data = make_operation("delete").paths.data
    began = {f"{data}/before/kubelet/changes": b"file x\n"}
    own, other = ({CA: certificates(path)[CA]} for path in (ours, theirs))
    ours_by_id, theirs_by_id = ({IDENTITY: f"{each}\n".encode()} for each in (OUR_ID, THEIR_ID))
    lost = tmp_path / "lost"
    assert leaving({**own, **ours_by_id}, ours)
    assert leaving(own, ours), "an earlier sealer wrote no id"
    assert leaving({**began, **other}, lost), "the record has no authority, and our scripts set up the kubelet"
    assert leaving({**ours_by_id, **other}, lost), "the record has no authority, and the id is ours"
    assert leaving(began, ours), "it lost its certificates"
    assert not leaving({**own, **theirs_by_id}, ours)
    assert not leaving({**began, **other}, ours), "it was reset, and joined another cluster"
    assert not leaving({**ours_by_id, **other}, ours), "a reset leaves our id there"
    assert not leaving(other, lost)
    assert not leaving({}, ours, rootfs=False), "nothing of ours ever was there"


def test_new_authorities_are_made_for_a_new_cluster_only(tmp_path: Path) -> None:
    def keys(operation: Operation) -> None:
        run_steps([Installation(operation, Options.of({}), tmp_path / "credentials").keys()], operation)

    with pytest.raises(SealerError, match="cannot be read"):
        keys(make_operation("scale"))
    assert not (tmp_path / "credentials").exists()
    keys(make_operation("create"))
    keys(make_operation("scale"))
