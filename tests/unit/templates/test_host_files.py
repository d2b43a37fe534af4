"""Which files of a rootfs a host gets its own of."""

from __future__ import annotations

import pytest

from sealer.clusterfile.model import ConfigDocument
from sealer.errors import InputError, Position
from sealer.templates.hostfiles import host_files

ROOTFS = {
    "etc/kubeadm.yml.tmpl": b"port: {{ .Port }}\nkeep: 010\n",
    "etc/plain.yaml": b"a: 1\n",
    "etc/.tmpl": b"{{ .Nothing }}",
    "manifests/deep/x.yaml.tmpl": b"{{ index . `docker-dir` }}",
    "charts/c/templates/cm.tmpl": b"x",
    "charts/c/templates/cm.yaml": b"{{ .Values.x }}",
    "scripts/init.sh.tmpl": b"{{ .Nothing }}",
    "x.tmpl": b"{{ .Nothing }}",
}
ENV = {"Port": "5000", "docker-dir": "/d"}


def config(path: str, data: str, strategy: str = "overwrite") -> ConfigDocument:
    return ConfigDocument("c", path, data, strategy, (), Position("Clusterfile", 3, 1))


def files(rootfs: dict[str, bytes], *configs: ConfigDocument) -> dict[str, bytes]:
    return host_files(list(rootfs), rootfs.__getitem__, ENV, configs)


def test_templates_of_three_directories_are_rendered() -> None:
    assert files(ROOTFS) == {
        "charts/c/templates/cm": b"x",
        "etc/kubeadm.yml": b"port: 5000\nkeep: 010\n",
        "manifests/deep/x.yaml": b"/d",
    }


def test_config_documents_come_after_rendering_in_their_order() -> None:
    made = files(
        ROOTFS,
        config("etc/kubeadm.yml", "port: 1\n", "merge"),
        config("etc/kubeadm.yml", "more: 2\n", "merge"),
        config("./etc//plain.yaml", "b: 1\n", "merge"),
        config("new/file", "{{ .Port }}"),
    )
    assert made["etc/kubeadm.yml"] == b"port: 1\nkeep: 010\nmore: 2\n"
    assert made["etc/plain.yaml"] == b"a: 1\nb: 1\n"
    assert made["new/file"] == b"{{ .Port }}"


def test_every_mistake_comes_at_once() -> None:
    rootfs = ROOTFS | {"etc/b.tmpl": b"\xff\x00", "etc/c.tmpl": b"\n{{ .Prot }}"}
    with pytest.raises(InputError) as caught:
        files(rootfs, *(config(path, "x") for path in ("/etc/passwd", "etc/../../x", "", "etc/", "a\0b")))
    assert [str(problem) for problem in caught.value.problems] == [
        "etc/b.tmpl: a file that ends in .tmpl is a template, and this one is no UTF-8 text",
        "etc/c.tmpl:2:4: the variable 'Prot' is not defined; did you mean 'Port'?",
        "Clusterfile:3:1: Config c: spec.path: '/etc/passwd' must be relative to the rootfs",
        "Clusterfile:3:1: Config c: spec.path: 'etc/../../x' must stay inside the rootfs",
        "Clusterfile:3:1: Config c: spec.path: '' names no file",
        "Clusterfile:3:1: Config c: spec.path: 'etc/' names no file",
        "Clusterfile:3:1: Config c: spec.path: 'a\0b' names no file",
    ]
