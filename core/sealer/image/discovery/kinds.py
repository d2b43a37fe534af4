"""Kinds of Kubernetes objects whose images follow from other fields than `image`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sealer.image.discovery import keys
from sealer.image.discovery.compositions import joined, tagged
from sealer.image.discovery.nodes import Table, Text

KUBEADM, HUB, OPERATOR = "kubeadm", "hub-tag", "operator"

_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
_KUBERNETES = re.compile(r"v?(1\.(\d+)\.\d+(?:-[\w.]+)?)")
_FIRST_NEW_REGISTRY = 25  # from Kubernetes 1.25 on, kubeadm's default is registry.k8s.io

_ELASTIC = "docker.elastic.co/"
_ELASTIC_KINDS = {
    "Elasticsearch": "elasticsearch/elasticsearch",
    "Kibana": "kibana/kibana",
    "ApmServer": "apm/apm-server",
    "EnterpriseSearch": "enterprise-search/enterprise-search",
    "Logstash": "logstash/logstash",
    "Agent": "beats/elastic-agent",
}
_PROMETHEUS_KINDS = {
    "Prometheus": "quay.io/prometheus/prometheus",
    "PrometheusAgent": "quay.io/prometheus/prometheus",
    "Alertmanager": "quay.io/prometheus/alertmanager",
    "ThanosRuler": "quay.io/thanos/thanos",
}
# Machines of a cloud: their image is a disk. KubeVirt's have disks in container images, too.
_MACHINES = re.compile(
    r"Machine(?:Template|Pool|PoolTemplate|Set|Deployment|Class)?$|^(?:OpenStackCluster|Shoot|CloudProfile)"
)
_OF_MACHINES = (
    *(".cluster.x-k8s.io", "machine.openshift.io", "machine.sapcloud.io", "cluster.k8s.io"),
    "core.gardener.cloud",
)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{8,}")


@dataclass
class Special:
    """What a kind adds to the rules.

    :param images: reference, line, rule.
    :param unknown: text, why, line: images that nobody can know from this object.
    :param passed_over: keys that are not looked into.
    :param texts: contents that were encoded, with the line.
    """

    images: list[tuple[str, int, str]] = field(default_factory=list)
    unknown: list[tuple[str, str, int]] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=lambda: {"status"})
    texts: list[tuple[str, int]] = field(default_factory=list)


def special(table: Table) -> Special | None:
    """What is special about an object; None: it is no object of Kubernetes."""
    version, kind = table.word("apiVersion"), table.word("kind")
    if not version or not kind:
        return None
    found = Special()
    group = version.partition("/")[0] if "/" in version else ""
    if rule := _RULES.get((group, kind)):
        rule(table, found)
    elif group == "rke-machine-config.cattle.io" or (
        _MACHINES.search(kind) and group.endswith(_OF_MACHINES) and not kind.startswith("Kubevirt")
    ):
        _nothing(table, found)
    return found


def _spec(table: Table) -> Table:
    return table.table("spec") or Table(table.line)


def _line(table: Table, name: str) -> int:
    value = table.get(name)
    return value.line if value else table.line


def _nothing(table: Table, found: Special) -> None:
    found.passed_over |= set(table.by_name)


def _kubeadm(table: Table, found: Special) -> None:
    repository, version = table.word("imageRepository"), table.word("kubernetesVersion")
    exact = _KUBERNETES.fullmatch(version)
    if exact:
        default = "registry.k8s.io" if int(exact[2]) >= _FIRST_NEW_REGISTRY else "k8s.gcr.io"
        line = _line(table, "kubernetesVersion")
        for name in _CONTROL_PLANE:
            found.images.append((f"{joined(repository or default, name)}:v{exact[1]}", line, KUBEADM))
    etcd = table.table("etcd")
    parts = [("coredns", table.table("dns")), ("etcd", etcd.table("local") if etcd else None)]
    for name, part in parts:
        tag = part.word("imageTag") if part else ""
        own = part.word("imageRepository") if part else ""
        if part and tag and (own or repository):
            found.images.append((f"{joined(own or repository, name)}:{tag}", _line(part, "imageTag"), KUBEADM))
    found.passed_over |= {"dns", "etcd", "imageRepository"}


def _istio(table: Table, found: Special) -> None:
    spec = _spec(table)
    hub, tag = spec.word("hub"), spec.word("tag")
    if hub and tag:
        for name in ("pilot", "proxyv2"):
            found.images.append((tagged(joined(hub, name), tag, ""), _line(spec, "hub"), HUB))


def _elastic(table: Table, found: Special) -> None:
    spec = _spec(table)
    kind, version = table.word("kind"), spec.word("version")
    path = f"beats/{spec.word('type')}" if kind == "Beat" and spec.word("type") else _ELASTIC_KINDS.get(kind)
    if path and version and not spec.word("image"):
        found.images.append((f"{_ELASTIC}{path}:{version}", _line(spec, "version"), OPERATOR))


def _prometheus(table: Table, found: Special) -> None:
    spec = _spec(table)
    version = spec.word("version")
    if version and not spec.word("image") and not spec.word("baseImage"):
        tag = f"v{version}" if version[0].isdigit() else version
        found.images.append((f"{_PROMETHEUS_KINDS[table.word('kind')]}:{tag}", _line(spec, "version"), OPERATOR))


def _calico(table: Table, found: Special) -> None:
    why = "the operator chooses the images by its own version; name them in a file for --image-list"
    found.unknown.append((f"{table.word('apiVersion')} {table.word('kind')}", why, _line(table, "kind")))


def _encoded(table: Table, found: Special) -> None:
    name = "data" if table.word("kind") == "Secret" else "binaryData"
    data = table.table(name)
    for _, value in data.pairs if data else ():
        if isinstance(value, Text) and value.is_text and _BASE64.fullmatch(value.text):
            try:
                content = base64.b64decode("".join(value.text.split()), validate=True).decode("utf-8")
            except (binascii.Error, ValueError):  # no base64, or no text in it
                continue
            text = content.strip()
            if "\n" in text or text[:1] in ("{", "[") or keys.assigns_an_image(text):
                found.texts.append((content, value.line))
    found.passed_over.add(name)


_RULES: dict[tuple[str, str], Callable[[Table, Special], None]] = {
    ("", "Secret"): _encoded,
    ("", "ConfigMap"): _encoded,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _nothing,
    ("kubeadm.k8s.io", "ClusterConfiguration"): _kubeadm,
    ("image.toolkit.fluxcd.io", "ImageRepository"): _nothing,  # looks for tags, and pulls nothing
    ("skaffold", "Config"): _nothing,  # what is built
    ("kpack.io", "Image"): _nothing,
    ("install.istio.io", "IstioOperator"): _istio,
    ("operator.tigera.io", "Installation"): _calico,
    # A Clusterfile's image is a cluster image: it is not pulled by a container runtime.
    **{(group, "Cluster"): _nothing for group in ("sealer.io", "sealer.cloud", "sealer.aliyun.com")},
    **{(f"{kind.lower()}.k8s.elastic.co", kind): _elastic for kind in (*_ELASTIC_KINDS, "Beat")},
    ("apm.k8s.elastic.co", "ApmServer"): _elastic,
    **{("monitoring.coreos.com", kind): _prometheus for kind in _PROMETHEUS_KINDS},
}


def describes_an_image(table: Table) -> bool:
    """Whether it is a manifest, index or config of an image, as a registry's storage has them by the hundred."""
    rootfs = table.table("rootfs")
    if rootfs is not None and "diff_ids" in rootfs.by_name:
        return True
    return "schemaVersion" in table.by_name and any(
        name in table.by_name for name in ("layers", "manifests", "fsLayers")
    )


def is_schema(table: Table) -> bool:
    """Whether a mapping is a JSON Schema: it says what may be written, and mentions nothing."""
    if not isinstance(table.get("properties"), Table):
        return False
    return table.word("type") == "object" or any(key in table.by_name for key in ("$schema", "additionalProperties"))
