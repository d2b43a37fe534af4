"""The user's own kubeconfig."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from sealer.errors import SealerError
from sealer_plugin_kubeadm.pki.kubeconfig import kubeconfig
from sealer_plugin_kubeadm.pki.x509 import Pair
from sealer_plugin_kubeadm.user_kubeconfig import merge, place, remove

OURS = kubeconfig(
    "https://192.0.2.11:6443", b"ca", "sealer-c", Pair(b"crt", b"key"), cluster="sealer-c", context="sealer-c"
)
THEIRS = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
    "users": [{"name": "me", "user": {"token": "t"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "current-context": "work",
    "extensions": [{"name": "x"}],
}


def test_the_first_cluster_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    assert merge(path, OURS, "c", only_new=True)
    assert yaml.safe_load(path.read_text())["current-context"] == "sealer-c"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_left_alone_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(THEIRS))
    assert not merge(path, OURS, "c", only_new=True)
    assert yaml.safe_load(path.read_text()) == THEIRS


def test_merging_touches_nothing_else_and_removing_brings_it_back(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(THEIRS))
    assert merge(path, OURS, "c", only_new=False)
    merged = yaml.safe_load(path.read_text())
    assert merged["current-context"] == "work"
    assert [item["name"] for item in merged["clusters"]] == ["work", "sealer-c"]
    assert merge(path, OURS, "c", only_new=True)  # it has the cluster: it is kept up to date
    remove(path, "c", b"ca")
    assert yaml.safe_load(path.read_text()) == THEIRS


def test_a_file_with_nothing_else_goes(tmp_path: Path) -> None:
    path = tmp_path / "config"
    merge(path, OURS, "c", only_new=True)
    remove(path, "other", b"ca")
    assert path.exists()
    remove(path, "c", b"ca")
    assert not path.exists()
    remove(path, "c", b"ca")


@pytest.mark.parametrize("text", ["[]", "clusters: 1", "{", "clusters: [1]"])
def test_what_is_no_kubeconfig_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(SealerError):
        merge(path, OURS, "c", only_new=False)
    assert path.read_text() == text


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, path = tmp_path / "real", tmp_path / "config"
    path.symlink_to(real)
    merge(path, OURS, "c", only_new=True)
    assert path.is_symlink()
    assert "sealer-c" in real.read_text()


def test_the_first_file_of_the_variable_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place({"KUBECONFIG": f":{tmp_path}/a:{tmp_path}/b"}) == tmp_path / "a"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place({}) == tmp_path / ".kube" / "config"


def test_another_cluster_of_the_same_name_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    """Made from another home: its name is the same, its authority is not."""
    path = tmp_path / "config"
    pair = Pair(b"crt", b"key")
    other = kubeconfig("https://192.0.2.99:6443", b"other ca", "sealer-c", pair, cluster="sealer-c", context="sealer-c")
    merge(path, other, "c", only_new=False)
    before = path.read_bytes()
    for only_new in (True, False):
        with pytest.raises(SealerError, match="has another cluster as sealer-c, and keeps it"):
            merge(path, OURS, "c", only_new=only_new)
    remove(path, "c", b"ca")
    remove(path, "c", b"")
    assert path.read_bytes() == before
    remove(path, "c", b"other ca")
    assert not path.exists()
