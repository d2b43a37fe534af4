"""Every mistake, as users see it."""

import textwrap
from pathlib import Path

import pytest

from sealer.clusterfile.reading import read, read_file, read_plugins
from sealer.errors import InputError

CLUSTER = "apiVersion: sealer.io/v2\nkind: Cluster\nspec:\n"
PLUGIN = "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: x}\nspec:\n"
CONFIG = "apiVersion: sealer.io/v2\nkind: Config\nmetadata: {name: x}\nspec:\n"
HOSTS = "  hosts:\n    - {ips: [10.0.0.1], roles: [master]}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(text, "F")
    return [str(problem) for problem in caught.value.problems]


def warnings(text: str) -> list[str]:
    return [str(warning) for warning in read(text, "F").warnings]


def test_all_at_once_and_in_the_order_of_the_text() -> None:
    text = """
        apiVersion: sealer.io/v2
        kind: Cluster
        metadata:
          name: My_Cluster
        spec:
          image: 1.20
          imgae: x
          ssh: {passwd: [hunter2], port: 99999}
          hosts:
            - ips: [10.0.0.1, 10.0.0.1:2222, 10.0.0.300]
              roles: [master]
            - ips: [10.0.0.2]
              roles: [nodee]
        """
    assert problems(textwrap.dedent(text).lstrip()) == [
        "F:4:9: metadata.name: a name of lower-case letters, digits, '-' and '.', at most 63, is needed,"
        " not 'My_Cluster'",
        'F:6:10: spec.image: YAML makes 1.2 of it; quote it: "1.20"',
        "F:7:3: spec.imgae: unknown field; did you mean 'image'?",
        "F:8:17: spec.ssh.passwd: a text is needed, not a list",
        "F:8:34: spec.ssh.port: a whole number between 1 and 65535 is needed, not '99999'",
        "F:10:23: spec.hosts[0].ips[1]: 10.0.0.1 is named twice, first as hosts[0].ips[0]",
        "F:10:38: spec.hosts[0].ips[2]: '10.0.0.300' is not an IP address",
        "F:13:15: spec.hosts[1].roles: a host is a master or a node, not 'nodee'; did you mean 'node'?",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("  hosts:\n    - {ips: [10.0.0.1], roles: [node]}\n", "F:5:5: spec.hosts: no host is a master; a cluster needs one"),  # noqa: E501
        ("  nodes: {ipList: [10.0.0.1]}\n", "F:4:10: spec.nodes: no host is a master; a cluster needs one"),
        (
            "  hosts:\n    - {ips: [10.0.0.1], roles: [master, node]}\n",
            "F:5:32: spec.hosts[0].roles: a host is a master or a node, not both",
        ),
        ("  hosts:\n    - {ips: [10.0.0.1], roles: []}\n", "F:5:32: spec.hosts[0].roles: a host is a master or a node; say which"),  # noqa: E501
        ("  hosts:\n    - {ips: [10.0.0.1]}\n", "F:5:7: spec.hosts[0].roles: is missing"),
        ("  hosts:\n    - {ips: [], roles: master}\n", "F:5:13: spec.hosts[0].ips: no address is given"),
        (
            "  hosts:\n    - {ips: [10.0.0.9-10.0.0.2], roles: master}\n",
            "F:5:14: spec.hosts[0].ips[0]: '10.0.0.9-10.0.0.2': the range runs backwards; did you mean '10.0.0.2-10.0.0.9'?",  # noqa: E501
        ),
        (
            "  hosts:\n    - {ips: [10.0.0.0-10.2.0.0], roles: master}\n",
            "F:5:14: spec.hosts[0].ips[0]: '10.0.0.0-10.2.0.0': 131073 addresses; a range has at most 65536",
        ),
        (
            "  hosts:\n    - {ips: [10.0.0.0-10.1.0.0], roles: master}\n",
            "F:5:14: spec.hosts[0].ips[0]: '10.0.0.0-10.1.0.0': 65537 addresses; a range has at most 65536",
        ),
        (
            "  masters: {ipList: [10.0.0.1-10.0.0.3]}\n  nodes: {ipList: [10.0.0.2:23]}\n",
            "F:5:20: spec.nodes.ipList[0]: 10.0.0.2 is named twice, first as masters.ipList[0]",
        ),
        (
            "  masters: {ipList: ['::0:1', '::1']}\n",
            "F:4:31: spec.masters.ipList[1]: ::1 is named twice, first as masters.ipList[0]",
        ),
        ("  masters: {ipList: [224.0.0.1]}\n", "F:4:22: spec.masters.ipList[0]: 224.0.0.1 is no address that a host can have"),  # noqa: E501
        (
            "  masters: {ipList: [10.0.0.1:70000]}\n",
            "F:4:22: spec.masters.ipList[0]: '10.0.0.1:70000': a port lies between 1 and 65535",
        ),
        (
            "  masters: {count: 3, ipList: [10.0.0.1]}\n",
            "F:4:20: spec.masters.count: hosts are given by ipList or by count, not by both",
        ),
        (
            "  masters: {ipList: [10.0.0.1]}\n  hosts: [{ips: [10.0.0.2], roles: [master]}]\n",
            "F:4:12: spec.masters: hosts are given either by spec.hosts or by spec.masters and spec.nodes, not by both",
        ),
        (
            "  masters: {count: 3, memory: 4 sheep}\n",
            "F:4:31: spec.masters.memory: a size in GiB is needed, or one with its unit such as 4Gi, not '4 sheep'",
        ),
        (
            "  network: {podCIDR: 10.0.0.0/8, svcCIDR: 10.96.0.0/22}\n",
            "F:4:43: spec.network.svcCIDR: 10.96.0.0/22 overlaps spec.network.podCIDR 10.0.0.0/8",
        ),
        (
            "  network: {podCIDR: 10.0.0.1/8}\n",
            "F:4:22: spec.network.podCIDR: '10.0.0.1/8' is an address in a range; did you mean '10.0.0.0/8'?",
        ),
        ("  network: {svcCIDR: 10.96.0.0}\n", "F:4:22: spec.network.svcCIDR: '10.96.0.0' is no CIDR such as 100.64.0.0/10"),  # noqa: E501
        ("  network: {podCIDR: '10.0.0.0/16,10.1.0.0/16'}\n", "F:4:22: spec.network.podCIDR: '10.0.0.0/16,10.1.0.0/16' has two ranges of IPv4"),  # noqa: E501
        ("  env: [A]\n", "F:4:9: spec.env[0]: KEY=VALUE is needed"),
        ("  masters: {ipList: ['']}\n", "F:4:22: spec.masters.ipList[0]: an address is missing"),
        ("  masters:\n    ipList:\n    - fd00::\n", "F:6:7: spec.masters.ipList[0]: an address (in quotes where it has brackets or ends in a colon) is needed, not a mapping"),  # noqa: E501
        ("  masters: {ipList: [fd00::2, ::1]}\n", "F:4:31: invalid YAML: did not find expected node content; an IPv6 address in a list in brackets needs quotes"),  # noqa: E501
        ("  env: {A: {B: c}}\n", "F:4:12: spec.env.A: a text or a list of texts is needed, not a mapping"),
        ("  env: {a-b: c, a_b: d}\n", "F:4:17: spec.env.a_b: 'a-b' and 'a_b' are both exported as a_b"),
        ("  env: {a b: c}\n", "F:4:9: spec.env: the name of a variable has no blank and no '=' in it"),
        (
            "  env: {a-b: c}\n  hosts:\n    - {ips: 10.0.0.1, roles: master, env: {a_b: c}}\n",
            "F:6:44: spec.hosts[0].env.a_b: 'a-b' and 'a_b' are both exported as a_b",
        ),
        (
            "  hosts:\n    - {ips: 10.0.0.1, roles: master, taints: ['a=b:NoShedule']}\n",
            "F:5:47: spec.hosts[0].taints[0]: an effect is NoSchedule, PreferNoSchedule or NoExecute, not 'NoShedule';"
            " did you mean 'NoSchedule'?",
        ),
        (
            "  hosts:\n    - {ips: 10.0.0.1, roles: master, labels: {a: b c}}\n",
            "F:5:50: spec.hosts[0].labels.a: 'b c' is no value of a label: up to 63 letters, digits, '-', '_' and '.'",
        ),
        (
            "  hosts:\n    - {ips: 10.0.0.1, roles: master, ssh: {authorizeKey: false}}\n",
            "F:5:44: spec.hosts[0].ssh.authorizeKey: unknown field; known are user, passwd, pk, pkPasswd, port, "
            "config, alias",
        ),
        ("  dataRoot: var/lib\n", "F:4:13: spec.dataRoot: an absolute path is needed, not 'var/lib'"),
        (
            "  dataRoot: /var/../etc\n",
            "F:4:13: spec.dataRoot: '/var/../etc': a path of letters, digits and ._+@:,=- is needed, without '..' and"
            " hidden directories",
        ),
        ("  hostAliases: [{ip: x, hostnames: [a]}]\n", "F:4:22: spec.hostAliases[0].ip: 'x' is not an IP address"),
        ("  hostAliases: [{ip: 10.0.0.1}]\n", "F:4:17: spec.hostAliases[0].hostnames: is missing"),
        ("  registry: {localRegistry: {ha: maybe}}\n", "F:4:34: spec.registry.localRegistry.ha: true or false is needed, not 'maybe'"),  # noqa: E501
        ("  registry: {externalRegistry: {port: 5000}}\n", "F:4:32: spec.registry.externalRegistry.domain: is missing"),
        ("  provider: {release: bookworm}\n", "F:4:13: spec.provider.name: is missing"),
        ("  provider: [a]\n", "F:4:13: spec.provider: a text or a mapping is needed, not a list"),
        ("  cmd_args: [A]\n", "F:4:14: spec.cmd_args[0]: KEY=VALUE is needed"),
        ("  certSANS: ['a b']\n", "F:4:14: spec.certSANS[0]: 'a b' is neither a DNS name nor an IP address"),
        ("  image: a\n  image: b\n", "F:5:3: spec.image: the key 'image' is given twice, first in line 4"),
        ("  hosts: *later\n", "F:4:10: spec.hosts: no anchor (&) has the name of this alias (*); quote a text that begins with '*'"),  # noqa: E501
    ],
)  # fmt: skip
def test_of_a_cluster(fields: str, expected: str) -> None:
    assert problems(CLUSTER + fields) == [expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("  type: SHELL\n  action: PostInstal\n", "F:6:11: spec.action: a phase is one of PreInit, PreJoin, PostJoin, PreGuest, PostInstall, PreClean, PostClean, not 'PostInstal'; did you mean 'PostInstall'?"),  # noqa: E501
        ("  type: SHELL\n  'on': mastre\n", "F:6:9: spec.on: on takes nothing (all hosts), 'master', 'node', addresses or a label key=value, not 'mastre'; did you mean 'master'?"),  # noqa: E501
        ("  type: SHELL\n  'on': 10.0.0.5-10.0.0.1\n", "F:6:9: spec.on: '10.0.0.5-10.0.0.1': the range runs backwards; did you mean '10.0.0.1-10.0.0.5'?"),  # noqa: E501
        ("  type: SHELL\n  action: PreInit\n  'on': a=b\n", "F:7:9: spec.on: a node label can only be asked for when the cluster's API answers: in PostJoin, PreGuest, PostInstall, PreClean, not PreInit"),  # noqa: E501
        ("  type: SHELL\n  'on': a=b,c=d\n", "F:6:9: spec.on: on takes one label, key=value; it knows neither lists nor other comparisons"),  # noqa: E501
        ("  action: PreInit\n", "F:5:3: spec.type: is missing, and 'x' is no plugin type"),
        ("  type: SHELL\n  'on': master\n  true: node\n", "F:7:3: spec.on: is given twice, first in line 6"),
        ("  type: SHELL\n  scope: master\n", "F:6:3: spec.scope: unknown field; known are type, action, on, data"),
        ("  type: SHELL\naction: PreInit\n", "F:6:1: action: unknown field; it belongs into spec, indented"),
        ("  type: [SHELL]\n", "F:5:9: spec.type: a text is needed, not a list"),
    ],
)  # fmt: skip
def test_of_a_plugin_document(fields: str, expected: str) -> None:
    assert problems(PLUGIN + fields) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["F:1:1: the file has no document"]),
        ("---\n---\n# nothing\n", ["F:1:1: the file has no document"]),
        ("- a\n", ["F:1:1: a document is a mapping with apiVersion and kind, not a list"]),
        ("a: [1\n", ["F:2:1: invalid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)"]),  # noqa: E501
        ("a:\n\tb: 1\n", ["F:2:1: invalid YAML: found character that cannot start any token; indent YAML with spaces, not tabs"]),  # noqa: E501
        ("a: \x07\n", ["F:1:4: the character U+0007 is not allowed in YAML"]),
        ("apiVersion: sealer.io/v2\nspec: {}\n", ["F:1:1: kind: is missing; a kind is one of Cluster, Plugin, Config, Infra"]),  # noqa: E501
        ("kind: Clutser\n", ["F:1:7: kind: a kind is one of Cluster, Plugin, Config, Infra, not 'Clutser'; did you mean 'Cluster'?"]),  # noqa: E501
        ("apiVersion: sealer.io/v3\nkind: Cluster\nspec: {image: a}\n", ["F:1:13: apiVersion: an apiVersion is sealer.io/v2, sealer.io/v1, sealer.cloud/v2, sealer.aliyun.com/v1alpha1, not 'sealer.io/v3'; did you mean 'sealer.io/v2'?"]),  # noqa: E501
        ("kind: KubeletConfiguration\n", ["F:1:7: kind: 'KubeletConfiguration' has an apiVersion that begins with kubelet.config.k8s.io/"]),  # noqa: E501
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfig\n", ["F:2:7: kind: a kind of kubeadm.k8s.io is ClusterConfiguration, InitConfiguration, JoinConfiguration, ResetConfiguration, UpgradeConfiguration, not 'ClusterConfig'; did you mean 'ClusterConfiguration'?"]),  # noqa: E501
        ("apiVersion: kubeadm.k8s.io/beta\nkind: ClusterConfiguration\n", ["F:1:13: apiVersion: 'beta' is no version such as v1beta3"]),  # noqa: E501
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: 1.20\n", ['F:3:20: kubernetesVersion: YAML makes the number 1.2 of 1.20; quote it: "1.20"']),  # noqa: E501
        (CLUSTER + "  image: a\n---\n" + CLUSTER + "  image: b\n", ["F:6:1: kind: a file has one Cluster; the first begins in line 1"]),  # noqa: E501
        (PLUGIN + "  type: A\n---\n" + PLUGIN + "  type: B\n", ["F:9:18: metadata.name: another Plugin has the name 'x', in line 3"]),  # noqa: E501
        (CLUSTER + "  image: [a\n---\nkind: Clutser\n", ["F:5:1: invalid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 4)"]),  # noqa: E501
        (CONFIG + "  path: /etc/x\n  strategy: mergee\n  process: value|toYaml\n", [
            "F:5:3: spec.data: is missing",
            "F:5:9: spec.path: a path inside the rootfs is needed, such as etc/values.yaml, not '/etc/x'",
            "F:6:13: spec.strategy: a strategy is overwrite or merge, not 'mergee'; did you mean 'merge'?",
            "F:7:12: spec.process: a process is a pipe of value, toJson, toBase64, toSecret; 'toYaml' is none of them",
        ]),
        (CONFIG + "  path: a/../../x\n  data: ''\n", ["F:5:9: spec.path: a path inside the rootfs is needed, such as etc/values.yaml, not 'a/../../x'"]),  # noqa: E501
        (CONFIG + "  path: values.yaml\n  data: {image: {tag: 1.20}}\n", ['F:6:23: spec.data.image.tag: YAML makes the number 1.2 of 1.20; quote it: "1.20"']),  # noqa: E501
        ("apiVersion: sealer.io/v2\nkind: Infra\nspec:\n  hosts: [{count: 1, role: mastr}, {count: 1}]\n", [
            "F:4:28: spec.hosts[0].role: a host to be made is a master or a node, not 'mastr'; did you mean 'master'?",
            "F:4:36: spec.hosts[1].role: a host to be made is a master or a node; say which of them",
        ]),
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nnetworking: {podSubnet: 10.0.0.0/16}\n---\n" + CLUSTER + "  network: {podCIDR: 10.1.0.0/16}\n", [  # noqa: E501
            "F:3:25: networking.podSubnet: differs from spec.network.podCIDR in line 8",
        ]),
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nnetworking: {podSubnet: 10.0.0.0/16, serviceSubnet: 10.0.1.0/24}\n---\n" + CLUSTER + "  image: a\n", [  # noqa: E501
            "F:3:53: networking.serviceSubnet: 10.0.1.0/24 overlaps networking.podSubnet 10.0.0.0/16",
        ]),
    ],
)  # fmt: skip
def test_of_a_file(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CLUSTER + "  env: {HostIP: 1}\n", ["F:4:9: spec.env.HostIP: is set by sealer itself; this value has no effect"]),  # noqa: E501
        (
            CLUSTER + "  network: {podCIDR: 10.0.0.0/16}\n" + HOSTS,
            ["F:6:14: spec.hosts[0].ips[0]: host 10.0.0.1 has an address of the pods' range 10.0.0.0/16;"
             " neither will be reached reliably"],
        ),
        (
            CLUSTER + "  hosts:\n    - {ips: 10.0.0.1, roles: [master, noed]}\n",
            ["F:5:39: spec.hosts[0].roles[1]: 'noed' becomes a label; did you mean 'node'?"],
        ),
        (
            CLUSTER + "  masters: {ipList: [10.0.0.1], cpu: 4}\n",
            ["F:4:38: spec.masters.cpu: has no effect: only hosts made by count have a size to choose"],
        ),
        ("status: {a: b}\n" + CLUSTER + "  image: a\n", ["F:1:9: status: has no meaning here"]),
        ("status: {}\nmetadata: {creationTimestamp: null}\n" + CLUSTER + "  image: a\n", []),
        (
            CLUSTER + HOSTS + "---\n" + PLUGIN + "  type: SHELL\n  on: 10.0.0.1,10.0.0.2\n",
            ["F:12:3: spec.on: on without quotes is YAML's true; read as the field 'on'",
             "F:12:7: spec.on: 10.0.0.2 is no host of the cluster"],
        ),
        (CLUSTER + HOSTS + "---\n" + PLUGIN + "  type: SHELL\n  'on': 10.0.0.1-10.0.0.9\n", []),
    ],
)  # fmt: skip
def test_warnings(text: str, expected: list[str]) -> None:
    assert warnings(text) == expected


def test_on_that_names_no_host_of_the_cluster() -> None:
    text = CLUSTER + HOSTS + "---\n" + PLUGIN + "  type: SHELL\n  'on': 10.0.0.2-10.0.0.9\n"
    assert problems(text) == ["F:12:9: spec.on: names no host of the cluster: '10.0.0.2-10.0.0.9'"]


@pytest.mark.parametrize(
    "text",
    [
        CLUSTER + "  ssh: {passwd: {hunter2: a}}\n",
        CLUSTER + "  ssh: {passwd: *hunter2}\n",
        CLUSTER + "  ssh: {passwd: !hunter2 a}\n",
        CLUSTER + "  ssh: {passwd: !hunter2!a}\n",
        CLUSTER + "  ssh: {passwd: 'hunter2\n    }\n",
        CLUSTER + "  ssh: {passwd: @hunter2}\n",
        CLUSTER + "  ssh: {passwd: `hunter2}\n",
        CLUSTER + "  ssh: {passwd: %hunter2}\n",
        CLUSTER + "  ssh: {passwd: |hunter2}\n",
        CLUSTER + "  ssh: {passwd: &hunter2 [a]}\n",
        CLUSTER + '  ssh: {passwd: "hunter2\\q"}\n',
        CLUSTER + '  ssh: {passwd: "hunter2\\0"}\n',
        CLUSTER + "  env: [hunter2]\n",
        CLUSTER + "  cmd_args: [hunter2]\n",
        CLUSTER + "  registry: {localRegistry: {password: [hunter2]}}\n",
    ],
)
@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "python"])
def test_no_message_shows_a_secret(text: str, pure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from sealer.clusterfile import nodes

    if pure:
        monkeypatch.setattr(nodes, "_LOADER", yaml.SafeLoader)
    with pytest.raises(InputError) as caught:
        read(text, "F")
    shown = [str(caught.value), *map(str, caught.value.problems)]
    assert not [line for line in shown if "hunter2" in line]


def test_warnings_are_told_also_beside_mistakes() -> None:
    told: list[str] = []
    with pytest.raises(InputError):
        read(CLUSTER + "  env: {HostIP: 1}\n  imgae: a\n", "F", warn=lambda warning: told.append(str(warning)))
    assert told == ["F:4:9: spec.env.HostIP: is set by sealer itself; this value has no effect"]


def test_a_file_of_plugins_has_nothing_else() -> None:
    with pytest.raises(InputError, match="a kind is one of Plugin, not 'Cluster'"):
        read_plugins(CLUSTER + "  image: a\n", "plugins/a.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    directory = tmp_path
    with pytest.raises(InputError, match="No such file"):
        read_file(directory / "Clusterfile")
    with pytest.raises(InputError, match="Is a directory"):
        read_file(directory)
    for mark in (b"", b"\xef\xbb\xbf"):
        (directory / "latin").write_bytes(mark + "kind: Cluster\nä: ".encode() + b"\xe9\n")
        with pytest.raises(InputError) as caught:
            read_file(directory / "latin")
        assert [str(problem).partition("latin:")[2] for problem in caught.value.problems] == [
            "2:4: the byte 0xe9 is no UTF-8; save the file as UTF-8"
        ]
    (directory / "marked").write_bytes(b"\xef\xbb\xbf" + CLUSTER.encode() + b"  image: a\n")
    cluster = read_file(directory / "marked").cluster
    assert cluster is not None
    assert cluster.image == "a"


def test_a_kind_that_is_no_text_is_not_called_missing() -> None:
    assert problems("apiVersion: [a]\nkind: {a: b}\n") == [
        "F:2:7: kind: a text is needed, not a mapping; a kind is one of Cluster, Plugin, Config, Infra"
    ]
