"""The Clusterfiles that users have, each to the right model."""

from pathlib import Path

import pytest

from sealer.clusterfile.model import Clusterfile
from sealer.clusterfile.reading import read_file
from sealer.hosts import Ssh
from sealer.phases import Phase
from sealer.redaction import Secret

EXAMPLES = Path(__file__).parents[2] / "data" / "clusterfiles"


def example(name: str) -> Clusterfile:
    return read_file(EXAMPLES / name)


def warnings(clusterfile: Clusterfile) -> list[str]:
    return [f"{w.position.line}:{w.position.column}: {w.path}: {w.message}" for w in clusterfile.warnings]


def test_first_form() -> None:
    clusterfile = example("clusterfile-v1.yaml")
    cluster = clusterfile.cluster
    assert cluster is not None
    assert cluster.name == "my-cluster"
    assert cluster.image == "registry.cn-qingdao.aliyuncs.com/sealer-io/kubernetes:v1.19.8"
    assert cluster.provider.name == "baremetal"
    assert [host.address for host in cluster.hosts] == [f"192.168.0.{last}" for last in range(2, 8)]
    assert [host.roles for host in cluster.hosts] == [("master",)] * 3 + [("node",)] * 3
    login = Ssh("root", Secret("xxx"), "xxx", Secret("xxx"))
    assert cluster.ssh == login
    assert all(host.ssh == login for host in cluster.hosts)
    assert (cluster.pod_cidr, cluster.service_cidr) == ("100.64.0.0/10", "10.96.0.0/22")
    assert cluster.cert_sans == ("aliyun-inc.com", "10.0.0.2")
    hostname, taint = clusterfile.plugins
    assert (hostname.name, hostname.type, hostname.phases, hostname.on) == ("hostname", "HOSTNAME", (), "")
    assert str(hostname.data).splitlines()[0] == "192.168.0.2 master-0"
    assert (hostname.data_position.line, hostname.data_position.column) == (37, 6)
    assert (taint.type, taint.phases, taint.on) == ("SHELL", (Phase.POST_INSTALL,), "node-role.kubernetes.io/master=")
    assert warnings(clusterfile) == ["51:3: spec.on: on without quotes is YAML's true; read as the field 'on'"]


def test_second_form() -> None:
    clusterfile = example("clusterfile-v2.yaml")
    cluster = clusterfile.cluster
    assert cluster is not None
    assert cluster.name == "default-kubernetes-cluster"
    assert [host.address for host in cluster.masters] == ["192.168.0.2", "192.168.0.3", "192.168.0.4"]
    assert [host.address for host in cluster.hosts if not host.is_master] == ["192.168.0.5"]
    assert all(host.ssh.password == Secret("xxx") for host in cluster.hosts)
    (kubeadm,) = clusterfile.kubeadm
    assert (kubeadm.api_version, kubeadm.kind) == ("kubeadm.k8s.io/v1beta2", "ClusterConfiguration")
    assert kubeadm.content == {"networking": {"podSubnet": "100.64.0.0/10"}}
    (config,) = clusterfile.configs
    assert (config.name, config.path, config.strategy) == ("mysql-config", "etc/mysql.yaml", "overwrite")
    assert config.data == "mysql-user: root\nmysql-passwd: xxx\n"
    assert warnings(clusterfile) == ["10:26: spec.hosts[0].ips: no blank after a comma; read as 3 addresses"]


def test_env_of_a_host_is_kept_beside_the_clusters() -> None:
    cluster = example("clusterfile-env.yaml").cluster
    assert cluster is not None
    assert cluster.env == {"docker-dir": "/var/lib/docker"}
    assert [host.env for host in cluster.hosts] == [{"docker-dir": "/data/docker"}, {}]


def test_children_that_are_not_indented_are_lifted() -> None:
    clusterfile = example("image-plugins-shell.yaml")
    taint, shell = clusterfile.plugins
    assert (taint.name, taint.type, taint.on) == ("taint", "SHELL", "node-role.kubernetes.io/master=")
    assert (taint.data, taint.data_position.line, taint.data_position.column) == ("kubectl get nodes\n", 10, 3)
    assert (shell.name, shell.type, shell.phases) == ("SHELL", "SHELL", (Phase.POST_INSTALL,))
    assert warnings(clusterfile) == [
        "4:1: metadata: name is not indented; read as part of metadata",
        "6:1: spec: type, action, on, data are not indented; read as part of spec",
        "8:1: spec.on: on without quotes is YAML's true; read as the field 'on'",
        "15:9: spec.type: is missing; read as SHELL, which the document is named",
    ]


def test_documents_of_every_type() -> None:
    clusterfile = example("plugins.yaml")
    assert clusterfile.cluster is None
    assert [plugin.type for plugin in clusterfile.plugins] == ["SHELL", "LABEL", "CLUSTERCHECK", "TAINT"]
    assert [plugin.phases for plugin in clusterfile.plugins] == [(Phase.POST_INSTALL,)] + [(Phase.PRE_GUEST,)] * 3
    assert clusterfile.plugins[2].data == ""
    assert clusterfile.warnings == ()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_pure_python_parser_reads_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from sealer.clusterfile import nodes

    expected = read_file(path)
    monkeypatch.setattr(nodes, "_LOADER", yaml.SafeLoader)
    assert read_file(path) == expected
