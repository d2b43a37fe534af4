"""What fields mean."""

import pytest

from sealer.clusterfile.model import Cluster, DriverChoice, ExternalRegistry, HostGroup, LocalRegistry
from sealer.clusterfile.reading import read
from sealer.clusterfile.scalars import resolve
from sealer.clusterfile.tables import API_VERSIONS
from sealer.hosts import Ssh
from sealer.redaction import Secret


def cluster(fields: str, api_version: str = "sealer.io/v2") -> Cluster:
    made = read(f"apiVersion: {api_version}\nkind: Cluster\nspec:\n{fields}").cluster
    assert made is not None
    return made


def test_the_api_versions_that_users_write() -> None:
    assert {"sealer.io/v1", "sealer.io/v2", "sealer.cloud/v2", "sealer.aliyun.com/v1alpha1"} == set(API_VERSIONS)


@pytest.mark.parametrize("api_version", API_VERSIONS)
@pytest.mark.parametrize(
    "fields",
    ["  hosts: [{ips: [10.0.0.1], roles: [master]}]\n", "  masters: {ipList: [10.0.0.1]}\n"],
    ids=["second-form", "first-form"],
)
def test_the_fields_tell_the_form_whatever_the_api_version(fields: str, api_version: str) -> None:
    assert [host.address for host in cluster(fields, api_version).masters] == ["10.0.0.1"]


def test_addresses_ranges_ports_and_ipv6() -> None:
    made = cluster(
        "  ssh: {user: admin, port: 2200}\n  hosts:\n"
        "    - ips: ['10.0.0.1 - 10.0.0.2, 10.0.0.5:22', fd00::2, '[fd00::0:3]:2222', 10.0.0.8-10.0.0.9:23]\n"
        "      roles: master\n"
    )
    assert [(host.address, host.ssh.port, host.ssh.user) for host in made.hosts] == [
        ("10.0.0.1", 2200, "admin"),
        ("10.0.0.2", 2200, "admin"),
        ("10.0.0.5", 22, "admin"),
        ("fd00::2", 2200, "admin"),
        ("fd00::3", 2222, "admin"),
        ("10.0.0.8", 23, "admin"),
        ("10.0.0.9", 23, "admin"),
    ]


def test_the_largest_range_is_read() -> None:
    assert len(cluster("  masters: {ipList: [10.0.0.0-10.0.255.255]}\n").hosts) == 65_536


def test_masters_come_first_and_further_roles_are_kept() -> None:
    made = cluster(
        "  hosts:\n    - {ips: [10.0.0.1], roles: [gpu, node]}\n    - {ips: [10.0.0.2], roles: [master, etcd]}\n"
    )
    assert [(host.address, host.roles) for host in made.hosts] == [
        ("10.0.0.2", ("master", "etcd")),
        ("10.0.0.1", ("node", "gpu")),
    ]


def test_ssh_of_a_host_is_filled_from_the_clusters() -> None:
    made = cluster(
        "  ssh: {user: admin, passwd: geheim, pk: /root/key, pkPasswd: 0123, port: '2222', authorizeKey: false}\n"
        "  hosts:\n    - {ips: [10.0.0.1], roles: [master], ssh: {passwd: 010, port: 22}}\n"
    )
    assert made.ssh == Ssh("admin", Secret("geheim"), "/root/key", Secret("0123"), 2222)
    assert made.hosts[0].ssh == Ssh("admin", Secret("010"), "/root/key", Secret("0123"), 22)
    assert made.authorize_key is False


def test_env_stays_as_it_is_written() -> None:
    expected = {
        "A": "yes",
        "B": "010",
        "C": "1.20",
        "D": "22:22",
        "E": "",
        "F": "~",
        "G": "on",
        "H": "a b",
        "I-J": "x=y",
    }
    as_map = "  env: {A: yes, B: 010, C: 1.20, D: 22:22, E: , F: ~, G: on, H: [a, b], I-J: x=y}\n"
    as_list = "  env: [A=yes, B=010, C=1.20, 'D=22:22', E=, F=~, G=on, H=a, H=b, I-J=x=y]\n"
    assert cluster(as_map).env == expected
    assert cluster(as_list).env == expected


def test_hosts_by_count_in_the_first_form() -> None:
    made = cluster(
        "  provider: {name: ALI_CLOUD, region: cn-chengdu}\n"
        "  masters: {cpu: '4', memory: '8', count: '3', systemDisk: '100', dataDisks: ['100', 20Gi]}\n"
        "  nodes: {count: 2, memory: 512Mi}\n"
    )
    assert made.groups == (HostGroup("master", 3, 4, 8192, 100, (100, 20)), HostGroup("node", 2, 0, 512))
    assert (made.provider.name, made.provider.options) == ("ali_cloud", {"region": "cn-chengdu"})


@pytest.mark.parametrize("with_cluster", [False, True])
def test_infra(with_cluster: bool) -> None:
    infra = (
        "apiVersion: sealer.io/v2\nkind: Infra\nmetadata: {name: lab}\n"
        "spec:\n  provider: NSPAWN\n  ssh: {user: admin}\n"
        "  hosts:\n  - {count: 2, roles: [node], dataDisk: 10}\n  - {count: 3, role: master, cpu: 2, memory: 1}\n"
    )
    document = "apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {name: lab}\nspec: {image: a:1}\n---\n"
    made = read((document if with_cluster else "") + infra).cluster
    assert made is not None
    assert (made.name, made.provider.name, made.ssh.user) == ("lab", "nspawn", "admin")
    assert made.groups == (HostGroup("master", 3, 2, 1024), HostGroup("node", 2, data_disks=(10,)))


def test_the_other_fields() -> None:
    made = cluster(
        "  image: kubernetes:v1.19.8\n"
        "  network: {podCIDR: '10.64.0.0/16, fd00::/64', svcCIDR: 10.96.0.0/22}\n"
        "  certSANS: [a.b, 10.0.0.1]\n"
        "  containerRuntime: {type: docker}\n"
        "  hostAliases: [{ip: 10.0.0.3, hostnames: [a, b]}]\n"
        "  registry:\n"
        "    driver: {name: Harbor, size: 3}\n"
        "    localRegistry: {domain: a.b, port: 443, username: u, password: 123, ha: true, insecure: yes,\n"
        "                    cert: {subjectAltName: {dnsNames: [c.d], ips: ['::0:1']}}}\n"
        "    externalRegistry: {domain: e.f, port: 5000, username: v, password: w}\n"
        "  dataRoot: /data/\n"
        "  cmd: [kubectl get nodes]\n"
        "  cmd_args: {A: 1, B: }\n"
        "  runtime: K3s\n"
        "  transport: {name: ssh}\n"
    )
    assert made.image == "kubernetes:v1.19.8"
    assert (made.pod_cidr, made.service_cidr) == ("10.64.0.0/16,fd00::/64", "10.96.0.0/22")
    assert made.cert_sans == ("a.b", "10.0.0.1")
    assert made.container_runtime == "docker"
    assert [(alias.ip, alias.hostnames) for alias in made.host_aliases] == [("10.0.0.3", ("a", "b"))]
    assert (made.registry.driver, made.registry.options) == ("harbor", {"size": 3})
    assert made.registry.local == LocalRegistry("a.b", 443, "u", Secret("123"), True, True, ("c.d",), ("::1",))
    assert made.registry.external == ExternalRegistry("e.f", 5000, "v", Secret("w"))
    assert (made.data_root, made.cmd, made.cmd_args) == ("/data", ("kubectl get nodes",), ("A=1", "B="))
    assert (made.runtime.name, made.transport.name) == ("k3s", "ssh")
    assert made.provider == DriverChoice()
    assert str(made.at("spec.network.svcCIDR")).endswith(":5:49")
    assert made.at("spec.registry.driver.sizes") == made.at("spec.registry.driver")
    assert str(made.at("spec.nothing")).endswith(":4:3")


def test_config_data_is_text_or_a_mapping() -> None:
    text = "apiVersion: sealer.io/v2\nkind: Config\nmetadata: {name: c}\nspec: {path: charts/a/values.yaml, "
    (config,) = read(
        text + "strategy: merge, process: value | toBase64, data: {a: 010, b: yes, c: [1.5, ~], d: 22:22}}\n"
    ).configs
    assert (config.strategy, config.process) == ("merge", ("value", "toBase64"))
    assert config.data == {"a": 8, "b": True, "c": [1.5, None], "d": "22:22"}
    assert read(text + "data: 010}\n").configs[0].data == "010"


def test_anchors_aliases_and_merge_keys() -> None:
    made = cluster(
        "  ssh: &login {user: admin, port: 22}\n  hosts:\n"
        "    - {ips: 10.0.0.1, roles: master, ssh: *login}\n"
        "    - {ips: 10.0.0.2, roles: node, ssh: {<<: *login, port: 23}}\n"
    )
    assert [(host.ssh.user, host.ssh.port) for host in made.hosts] == [("admin", 22), ("admin", 23)]


def test_a_file_of_nothing_but_an_image_is_for_this_machine() -> None:
    made = cluster("  image: redis:5.0\n")
    assert (made.name, made.hosts, made.groups) == ("my-cluster", (), ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("Null", None), ("yes", True), ("Off", False), ("y", "y"), ("0", 0), ("-1", -1),
        ("+12", 12), ("1_000", 1000), ("010", 8), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("08", 8.0), ("1.20", 1.2),
        ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("1e999", "1e999"), (".inf", ".inf"), ("22:22", "22:22"),
        ("2024-01-01", "2024-01-01"), ("v1", "v1"), ("-", "-"), (".", "."), ("0x", "0x"), ("1" * 400, "1" * 400),
    ],
)  # fmt: skip
def test_what_a_plain_scalar_means_where_its_type_is_open(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)
