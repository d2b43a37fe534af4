"""What an apply changes, old and new."""

from __future__ import annotations

from dataclasses import replace

from sealer.cluster.changes import FieldChange, changes
from sealer.cluster.differences import as_json, differences, lines_of
from sealer.clusterfile.model import (
    Cluster,
    Clusterfile,
    ConfigDocument,
    DriverChoice,
    HostGroup,
    KubeadmDocument,
    PluginDocument,
)
from sealer.clusterfile.secrets import without_secrets
from sealer.events import Json
from sealer.extension import Recorded, RecordedHost
from sealer.hosts import Host

MASTER, NODE, NEW = Host("10.0.0.1", ("master",)), Host("10.0.0.2", labels={"disk": "hdd"}), Host("10.0.0.3")
CLUSTER = Cluster(name="here", image="demo:1", hosts=(MASTER, NODE), groups=(HostGroup("node", 2, cpu=2),))
FILE = Clusterfile(
    cluster=CLUSTER,
    plugins=(PluginDocument("tell", "SHELL", data="echo one\necho two\n"),),
    configs=(ConfigDocument("site", "etc/site.conf", "user: a\npassword: first\nsize: 1\n"),),
    kubeadm=(KubeadmDocument("kubeadm.k8s.io/v1beta3", "ClusterConfiguration", {"clusterName": "a"}),),
)


def found(desired: Clusterfile, hosts: tuple[Host, ...] = (MASTER, NODE)) -> tuple[FieldChange, ...]:
    entries = tuple(RecordedHost(host, member=True) for host in (MASTER, NODE))
    recorded = Recorded("here", "running", entries, without_secrets(FILE), "demo:1", "sha256:1")
    return differences(recorded, desired, changes(recorded, desired, hosts))


def changed(**fields: object) -> list[tuple[str, Json, Json, bool]]:
    details = found(replace(FILE, cluster=replace(CLUSTER, **fields)))  # type: ignore[arg-type]
    return [(it.field, it.before, it.after, it.secret) for it in details]


def test_nothing_changed() -> None:
    assert found(FILE) == ()


def test_a_field_of_the_cluster() -> None:
    assert changed(cert_sans=("a",)) == [("spec.certSANS", None, ["a"], False)]
    assert changed(pod_cidr="10.1.0.0/16") == [("spec.network.podCIDR", None, "10.1.0.0/16", False)]
    assert changed(image="demo:2") == [("spec.image", "demo:1", "demo:2", False)]
    assert changed(env={"A": "1", "API_TOKEN": "x"}) == [
        ("spec.env.A", None, "1", False),
        ("spec.env.API_TOKEN", None, None, True),
    ]
    assert changed(runtime=DriverChoice("k3s", {"channel": "new"})) == [
        ("spec.runtime.name", None, "k3s", False),
        ("spec.runtime.channel", None, "new", False),
    ]
    assert [it[0] for it in changed(groups=(HostGroup("node", 2, cpu=4),))] == ["spec.nodes"]


def test_a_field_of_a_host_that_stays() -> None:
    node = replace(NODE, labels={"disk": "ssd"}, roles=("node", "gpu"))
    details = found(FILE, (MASTER, node))
    assert [(it.field, it.before, it.after) for it in details] == [
        ("spec.hosts[10.0.0.2].roles", ["node"], ["node", "gpu"]),
        ("spec.hosts[10.0.0.2].labels.disk", "hdd", "ssd"),
    ]


def test_documents_are_compared_by_name_and_secret_lines_are_hidden() -> None:
    config = replace(FILE.configs[0], data="user: a\npassword: hunter2\nsize: 2\n")
    kubeadm = replace(FILE.kubeadm[0], content={"clusterName": "b"})
    plugin = replace(FILE.plugins[0], data="echo one\necho three\n")
    desired = replace(FILE, configs=(config,), kubeadm=(kubeadm,), plugins=(plugin,))
    details = found(desired)
    assert [it.field for it in details] == [
        "Config site: data",
        "ClusterConfiguration: clusterName",
        "Plugin tell: data",
    ]
    recorded = Recorded("here", "running", (), FILE, "demo:1", "sha256:1")
    text = "\n".join(lines_of(replace(changes(recorded, desired, ()), details=details)))
    assert "    -size: 1\n    +size: 2" in text
    assert "~ ClusterConfiguration: clusterName: a -> b" in text
    assert "    -echo two\n    +echo three" in text
    assert "hunter2" not in text
    assert "first" not in text


def test_hosts_are_told_first_and_programs_get_the_same() -> None:
    recorded = Recorded("here", "running", tuple(RecordedHost(h, member=True) for h in (MASTER, NODE)), FILE, "", "")
    one = changes(recorded, replace(FILE, cluster=replace(CLUSTER, cert_sans=("a",))), (MASTER, NEW))
    one = replace(one, details=differences(recorded, replace(FILE, cluster=replace(CLUSTER, cert_sans=("a",))), one))
    assert lines_of(one) == [
        "- host 10.0.0.2 (node): REMOVED from the cluster, with all that it holds",
        "+ host 10.0.0.3 (node)",
        "+ spec.certSANS: [a]",
    ]
    assert as_json(one) == {
        "added": [{"host": "10.0.0.3", "roles": ["node"]}],
        "removed": [{"host": "10.0.0.2", "roles": ["node"]}],
        "fields": [{"field": "spec.certSANS", "before": None, "after": ["a"], "secret": False}],
    }
