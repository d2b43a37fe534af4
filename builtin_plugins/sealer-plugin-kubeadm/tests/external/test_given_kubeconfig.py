"""A kubeconfig that a user names, as it reaches a host: of one context, and complete in itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from sealer.errors import InputError, RefusedError
from sealer.events import EventStream
from sealer.settings import Settings
from sealer.testing import make_operation
from sealer_plugin_kubeadm.external import kubeconfig
from sealer_plugin_kubeadm.external.runtime import External


def content(**more: Any) -> dict[str, Any]:
    clusters = [{"name": name, "cluster": {"server": f"https://{name}.example.com:6443"}} for name in ("one", "two")]
    contexts = [
        {"name": name, "context": {"cluster": name, "user": "me", "namespace": f"of-{name}"}} for name in ("one", "two")
    ]
    users = [{"name": "me", "user": {"token": "given-by-test-kubeconfig"}}]
    whole = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts, "users": users}
    return {**whole, "current-context": "two", **more}


def written(directory: Path, given: object) -> Path:
    path = directory / "config"
    path.write_text(given if isinstance(given, str) else yaml.safe_dump(given))
    return path


def test_only_the_current_context_is_taken(tmp_path: Path) -> None:
    found = kubeconfig.read(written(tmp_path, content()))
    assert found.server == "https://two.example.com:6443"
    assert b"one" not in found.content
    assert yaml.safe_load(found.content)["contexts"][0]["context"]["namespace"] == "of-two"
    assert "given-by-test-kubeconfig" not in repr(found)


def test_files_that_it_names_come_along(tmp_path: Path) -> None:
    for name in ("ca.crt", "keys/me.crt", "keys/me.key", "token"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}\n")
    cluster = {"server": "https://192.0.2.1", "certificate-authority": "ca.crt"}
    user = {
        "client-certificate": "keys/me.crt",
        "client-key": str(tmp_path / "keys/me.key"),
        "tokenFile": "token",
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "bin/login", "args": ["--quiet"]},
    }
    given = content(clusters=[{"name": "two", "cluster": cluster}], users=[{"name": "me", "user": user}])
    found = yaml.safe_load(kubeconfig.read(written(tmp_path, given)).content)

    def encoded(name: str) -> str:
        return base64.b64encode(f"content of {name}\n".encode()).decode()

    assert found["clusters"][0]["cluster"] == {
        "server": "https://192.0.2.1",
        "certificate-authority-data": encoded("ca.crt"),
    }
    assert found["users"][0]["user"] == {
        "client-certificate-data": encoded("keys/me.crt"),
        "client-key-data": encoded("keys/me.key"),
        "token": "content of token",
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(tmp_path / "bin/login"),
            "args": ["--quiet"],
        },
    }


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a: [", "no YAML"),
        ("just words", "no mapping of kind Config"),
        ("apiVersion: v1\nkind: Pod\nclusters: []\n", "no mapping of kind Config"),
        (content(**{"current-context": ""}), "no current-context; its contexts: one, two"),
        (content(**{"current-context": "three"}), "no context 'three'"),
        (content(contexts="two"), "contexts is no list"),
        (content(clusters=[]), "no cluster 'two'"),
        (content(clusters=[{"name": "two", "cluster": {}}]), "the cluster two has no server"),
        (content(users=[]), "no user 'me'"),
        (content(users=[{"name": "me", "user": {"client-key": "gone.key"}}]), "gone.key: No such file"),
    ],
)
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, given: object, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        kubeconfig.read(written(tmp_path, given))
    assert caught.value.where == str(tmp_path / "config")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such kubeconfig"):
        kubeconfig.read(tmp_path / "gone")


def test_the_runtime_makes_no_cluster() -> None:
    driver = External(Settings(home=Path("/nonexistent")), EventStream(), {"kubeconfig": "/nonexistent"})
    for kind, method in (("create", driver.install), ("scale", driver.join), ("upgrade", driver.upgrade)):
        with pytest.raises(RefusedError, match="makes no cluster"):
            method(make_operation(kind))  # type: ignore[arg-type]  # these are kinds of operations
