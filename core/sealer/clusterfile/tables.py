"""Every kind of document with every field: what the decoder accepts, and what the JSON Schema says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from sealer.clusterfile.environment import Environment
from sealer.clusterfile.free_values import Anything
from sealer.clusterfile.kubernetes_names import DNS_NAME, wrong_label_key, wrong_label_value, wrong_taint
from sealer.clusterfile.networks import wrong_cidrs
from sealer.clusterfile.nodes import Scalar
from sealer.clusterfile.report import quoted
from sealer.clusterfile.scalar_shapes import Choice, Flag, SecretText, Text, Whole
from sealer.clusterfile.scalars import TRUE_WORDS
from sealer.clusterfile.shapes import Field, Ignored, ListOf, MapOf, OneOf, Record, Shape
from sealer.clusterfile.sizes import Size
from sealer.hosts import LARGEST_RANGE

API_VERSIONS = ("sealer.io/v2", "sealer.io/v1", "sealer.cloud/v2", "sealer.aliyun.com/v1alpha1")
STRATEGIES = ("overwrite", "merge")
PROCESSORS = ("value", "toJson", "toBase64", "toSecret")


def _wrong_ip(text: str) -> str:
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return f"{quoted(text)} is not an IP address"
    return ""


def _wrong_data_root(text: str) -> str:
    if not text.startswith("/"):
        return f"an absolute path is needed, not {quoted(text)}"
    if not re.fullmatch(r"(?:/[A-Za-z0-9_+@:,=-][A-Za-z0-9._+@:,=-]*)+/?", text, re.ASCII):
        return f"{quoted(text)}: a path of letters, digits and ._+@:,=- is needed, without '..' and hidden directories"
    return ""


def _wrong_rootfs_path(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/") or not text.strip("/. "):
        return f"a path inside the rootfs is needed, such as etc/values.yaml, not {quoted(text)}"
    return ""


def _wrong_san(text: str) -> str:
    name = text.strip().removeprefix("*.")
    if not _wrong_ip(text) or re.fullmatch(DNS_NAME, name.lower(), re.ASCII):
        return ""
    return f"{quoted(text)} is neither a DNS name nor an IP address"


def _wrong_process(text: str) -> str:
    words = [word.strip() for word in text.split("|")]
    for word in words:
        if word not in PROCESSORS:
            return f"a process is a pipe of {', '.join(PROCESSORS)}; {quoted(word)} is none of them"
    return ""


def _wrong_key_value(text: str) -> str:
    # The text is not shown: it may be a secret.
    return "" if text.partition("=")[0].strip() and "=" in text else "KEY=VALUE is needed"


def _read_on(key: Scalar) -> str:
    """YAML 1.1 reads `on` without quotes as true; some tools then write it as `true`."""
    return "on" if key.plain and key.text in TRUE_WORDS else key.text


NAME = Text("a name of lower-case letters, digits, '-' and '.', at most 63,", rf"(?=.{{1,63}}$){DNS_NAME}")
DOCUMENT_NAME = Text("a name of letters, digits, '-', '_' and '.'", r"[A-Za-z0-9](?:[-A-Za-z0-9._]{0,251}[A-Za-z0-9])?")
PORT = Whole(1, 65_535)
WORD = Text("a word of letters, digits, '-', '_' and '.'", r"[A-Za-z0-9](?:[-A-Za-z0-9._]*[A-Za-z0-9])?")
IP = Text("an IP address", check=_wrong_ip)
ADDRESSES = ListOf(Text(wanted="an address (in quotes where it has brackets or ends in a colon)"), or_one=True)
LABELS = MapOf(Text(check=wrong_label_value), check_key=wrong_label_key)
DRIVER = OneOf(words=WORD, mapping=Record({"name": Field(WORD, "name of the driver", True)}, others=Anything()))
# Fields may be given to a driver that the image chooses.
IMAGES_DRIVER = OneOf(
    words=WORD,
    mapping=Record({"name": Field(WORD, "name of the driver; default: as the image says")}, others=Anything()),
)

_SSH: Mapping[str, Field] = {
    "user": Field(Text("a user name without blanks", r"[^\s:]+"), "login name; default root"),
    "passwd": Field(SecretText(), "password, also for sudo"),
    "pk": Field(Text(), "path of a private key, or the key itself"),
    "pkPasswd": Field(SecretText(), "passphrase of the private key"),
    "port": Field(PORT, "TCP port; default 22"),
    "config": Field(Text(), "file of ssh's configuration; none: it does not count; default: as for ssh"),
}
HOST_SSH = Record({**_SSH, "alias": Field(Text(), "name by which ssh's configuration is asked; default: the address")})
CLUSTER_SSH = Record(
    {**_SSH, "authorizeKey": Field(Flag(), "whether sealer puts a key of its own on the hosts; default true")}
)

_SIZES: Mapping[str, Field] = {
    "count": Field(Whole(0, LARGEST_RANGE), "how many the provider makes"),
    "cpu": Field(Whole(1, 4096), "cores of each"),
    "memory": Field(Size(1), "memory of each: GiB, or with its unit"),
    "systemDisk": Field(Size(1024), "system disk of each: GiB, or with its unit"),
    "dataDisks": Field(ListOf(Size(1024), or_one=True), "data disks of each: GiB, or with their unit"),
}
HOST_LIST = Record({"ipList": Field(ADDRESSES, "addresses, ranges, with a port if need be"), **_SIZES})
HOST = Record(
    {
        "ips": Field(ADDRESSES, "addresses, ranges, with a port if need be", True),
        "roles": Field(ListOf(Text(), or_one=True), "master or node, then further roles", True),
        "env": Field(Environment(), "exported on these hosts, over the cluster's env"),
        "ssh": Field(HOST_SSH, "how to log in; what is not given is taken from the cluster's"),
        "labels": Field(LABELS, "node labels"),
        "taints": Field(ListOf(Text(check=wrong_taint)), "node taints, key=value:Effect; a trailing - removes"),
    }
)
INFRA_HOST = Record(
    {
        **_SIZES,
        "count": Field(Whole(1, LARGEST_RANGE), "how many the provider makes", True),
        "role": Field(Text(), "master or node"),
        "roles": Field(ListOf(Text(), or_one=True), "the same as a list of one"),
        "dataDisk": Field(ListOf(Size(1024), or_one=True), "the same as dataDisks"),
    }
)
# It stands in an Authorization header (RFC 7617: no colon, no control characters) and in a line of htpasswd.
REGISTRY_USER = Text(
    "a user name: up to 255 characters, none of them a blank, a colon or a control character",
    r"[^\s:\x00-\x1f\x7f-\x9f]{0,255}",
)
LOCAL_REGISTRY = Record(
    {
        "domain": Field(Text("a DNS name", DNS_NAME), "name of the registry on the hosts; default sea.hub"),
        "port": Field(PORT, "default 5000"),
        "username": Field(REGISTRY_USER, "who may pull; without it sealer makes a login for the cluster's hosts"),
        "password": Field(SecretText(), "password of username"),
        "ha": Field(Flag(), "one registry on each master"),
        "insecure": Field(Flag(), "HTTP instead of HTTPS"),
        "cert": Field(
            Record(
                {
                    "subjectAltName": Field(
                        Record(
                            {
                                "dnsNames": Field(ListOf(Text(check=_wrong_san)), "further DNS names"),
                                "ips": Field(ListOf(IP), "further addresses"),
                            }
                        ),
                        "further names in the certificate",
                    )
                }
            ),
            "the registry's certificate",
        ),
    }
)
EXTERNAL_REGISTRY = Record(
    {
        "domain": Field(
            Text("a DNS name or an address", r"[A-Za-z0-9](?:[-A-Za-z0-9.:\[\]]*[A-Za-z0-9\]])?"), "name", True
        ),
        "port": Field(PORT, "default 443"),
        "username": Field(REGISTRY_USER, "who pulls"),
        "password": Field(SecretText(), "password of username"),
    }
)
REGISTRY = Record(
    {
        "driver": Field(IMAGES_DRIVER, "what runs the registry on the hosts"),
        "localRegistry": Field(LOCAL_REGISTRY, "the private registry on the hosts"),
        "externalRegistry": Field(EXTERNAL_REGISTRY, "a registry that exists already"),
    }
)
CLUSTER_SPEC = Record(
    {
        "image": Field(Text("an image reference", r"\S+", quoted_numbers=True), "the cluster image"),
        "env": Field(Environment(), "exported to every script, CMD and plugin on every host"),
        "ssh": Field(CLUSTER_SSH, "how to log in to every host"),
        "hosts": Field(ListOf(HOST), "second form: the hosts"),
        "masters": Field(HOST_LIST, "first form: the masters"),
        "nodes": Field(HOST_LIST, "first form: the other hosts"),
        "provider": Field(DRIVER, "where the hosts come from"),
        "runtime": Field(IMAGES_DRIVER, "what makes a cluster of the hosts; default: as the image says"),
        "transport": Field(DRIVER, "the way to the hosts"),
        "registry": Field(REGISTRY, "the private registry"),
        "network": Field(
            Record(
                {
                    "podCIDR": Field(Text(check=wrong_cidrs), "addresses of pods; two families with a comma between"),
                    "svcCIDR": Field(Text(check=wrong_cidrs), "addresses of services"),
                }
            ),
            "the cluster's own networks",
        ),
        "certSANS": Field(ListOf(Text(check=_wrong_san), or_one=True), "further names of the API server's certificate"),
        "containerRuntime": Field(
            OneOf(words=WORD, mapping=Record({"type": Field(WORD, "docker or containerd", True)})),
            "docker or containerd; default: as the image says",
        ),
        "hostAliases": Field(
            ListOf(
                Record(
                    {
                        "ip": Field(IP, "the address", True),
                        "hostnames": Field(ListOf(Text("a DNS name", DNS_NAME), or_one=True), "its names", True),
                    }
                )
            ),
            "further lines of every host's hosts file",
        ),
        "dataRoot": Field(Text(check=_wrong_data_root), "where sealer keeps its files on the hosts"),
        "cmd": Field(ListOf(Text("a command"), or_one=True), "replaces the image's CMDs"),
        "cmd_args": Field(
            OneOf(items=ListOf(Text(check=_wrong_key_value)), mapping=MapOf(Text(), nulls=True)),
            "over the image's ARGs: a list of KEY=VALUE, or a map",
        ),
        "appNames": Field(
            ListOf(Text("the name of an application"), or_one=True),
            "the image's applications that are installed, in place of those of its LAUNCH; an empty list: none",
            empty_counts=True,
        ),
    }
)
INFRA_SPEC = Record(
    {
        "provider": Field(DRIVER, "who makes the hosts"),
        "ssh": Field(CLUSTER_SSH, "how to log in to every host"),
        "hosts": Field(ListOf(INFRA_HOST), "the hosts to be made", True),
    }
)
PLUGIN_SPEC = Record(
    {
        "type": Field(WORD, "HOSTNAME, SHELL, or what an installed plugin offers"),
        "action": Field(Text(), "phases, joined by |"),
        "on": Field(Text(), "which hosts: nothing, master, node, addresses, or a label key=value"),
        "data": Field(Anything(), "the type's own text", empty_counts=True),
    },
    rename=_read_on,
)
CONFIG_SPEC = Record(
    {
        "path": Field(Text(check=_wrong_rootfs_path), "the file, relative to the rootfs", True),
        "data": Field(OneOf(words=Text(), mapping=Anything(), items=Anything()), "what comes into it", True),
        "strategy": Field(Choice("a strategy is overwrite or merge", STRATEGIES), "default overwrite"),
        "process": Field(Text(check=_wrong_process), "a pipe of value, toJson, toBase64, toSecret"),
    }
)


def _document(kind: str, name: Shape, spec: Record, *, needs_name: bool = True) -> Record:
    free = MapOf(Text(), nulls=True)
    metadata = Record(
        {
            "name": Field(name, "its name", needs_name),
            "labels": Field(free, "for readers of the file"),
            "annotations": Field(free, "for readers of the file"),
            "creationTimestamp": Field(Ignored(), "written by other tools; without meaning"),
        }
    )
    return Record(
        {
            "apiVersion": Field(Choice(f"an apiVersion is {', '.join(API_VERSIONS)}", API_VERSIONS), "", True),
            "kind": Field(Choice("", (kind,)), "", True),
            "metadata": Field(metadata, "its name, labels and annotations", needs_name),
            "spec": Field(spec, "what it says", True),
            "status": Field(Ignored(), "written by other tools; without meaning"),
        }
    )


DOCUMENTS: Mapping[str, Record] = {
    "Cluster": _document("Cluster", NAME, CLUSTER_SPEC, needs_name=False),
    "Plugin": _document("Plugin", DOCUMENT_NAME, PLUGIN_SPEC),
    "Config": _document("Config", DOCUMENT_NAME, CONFIG_SPEC),
    "Infra": _document("Infra", NAME, INFRA_SPEC, needs_name=False),
}
