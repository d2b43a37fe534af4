"""kubeadm's documents and the names of certificates, from what the user wrote and what the hosts said."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from sealer.clusterfile.reading import read_kubeadm
from sealer.errors import InputError, Problem, SealerError
from sealer.events import Json
from sealer.extension import Operation
from sealer.hosts import Host
from sealer.image.model import KUBERNETES_VERSION_LABEL
from sealer.redaction import Secret
from sealer_plugin_kubeadm.documents.assembly import Prepared, check_for_any, init_documents, join_documents, prepare
from sealer_plugin_kubeadm.documents.needs import ClusterNeeds, InitSecrets, NodeNeeds
from sealer_plugin_kubeadm.documents.trees import CLUSTER
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion
from sealer_plugin_kubeadm.options import Options
from sealer_plugin_kubeadm.pki.authorities import Authorities
from sealer_plugin_kubeadm.pki.bundle import Issuer, server_names
from sealer_plugin_kubeadm.places import DISCOVERY, NAME
from sealer_plugin_kubeadm.probing import HostFacts

# Put there before kubeadm looks.
_OURS = (
    "DirAvailable--etc-kubernetes-manifests",
    "FileAvailable--etc-kubernetes-kubelet.conf",
    "FileAvailable--etc-kubernetes-pki-ca.crt",
)
_TOKEN_LIFE = "2m0s"  # noqa: S105  # a duration
_NO_COREDNS = "addon/coredns"
_CONTAINER_RUNTIME = "containerd"  # what kubeadm's kubelets speak to, and what trusts the private registry


@dataclass(frozen=True)
class Given:
    """What kubeadm is given on a host.

    :param text: documents, for a file that only root reads.
    :param arguments: of the command line.
    """

    text: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Configuration:
    """The documents of a cluster.

    :param cluster: `ClusterConfiguration`, as it is written.
    """

    prepared: Prepared
    cluster: Mapping[str, Json]

    def init(self, host: Host, facts: HostFacts) -> Given:
        """For the first master.

        kubeadm wants to make a token. Nobody needs one, so it is given one that hardly lives.
        """
        token = Secret(f"{secrets.token_hex(3)}.{secrets.token_hex(8)}")
        rendered = init_documents(self.prepared, _node(host, facts), InitSecrets(token, _TOKEN_LIFE))
        return Given(rendered.text, rendered.arguments)

    def join(self, host: Host, facts: HostFacts) -> Given:
        """For another host, which finds the cluster by a kubeconfig of its own."""
        rendered = join_documents(self.prepared, _node(host, facts), DISCOVERY, master=host.is_master)
        return Given(rendered.text, rendered.arguments)

    def issuer(self, authorities: Authorities, options: Options, masters: Sequence[Host]) -> Issuer:
        """Who makes the files of the cluster's hosts."""
        services = [str(ipaddress.ip_network(cidr)[1]) for cidr in self.prepared.services.split(",")]
        names = server_names(
            masters=[master.address for master in masters],
            endpoint=NAME,
            services=services,
            domain=str(_at(self.cluster, "networking", "dnsDomain") or "cluster.local"),
            extra=[str(name) for name in _list(_at(self.cluster, "apiServer", "certSANs"))],
        )
        return Issuer(authorities, options.validity, self.prepared.kubernetes, names, self.prepared.external_etcd)


def planned(operation: Operation, options: Options) -> tuple[Problem, ...]:
    """See, before anything is done, that what the user wrote can be right.

    :returns: warnings.
    :raises InputError: with everything that cannot.
    """
    _refuse_container_runtime(operation)
    users, version = operation.desired.kubeadm, _label(operation)
    if not version:
        return check_for_any(users, _needs(operation, options, ""))
    return prepare(users, (), _needs(operation, options, version)).warnings


def configure(operation: Operation, options: Options, first: HostFacts, own: HostFacts) -> Configuration:
    """The documents for a host.

    :param first: of the first master.
    :param own: of the host itself.
    :raises SealerError: the image's own documents cannot be right, say.
    """
    needs = _needs(operation, options, str(version_of(operation, own)))
    needs = replace(
        needs,
        cgroup_driver=first.cgroup_driver,
        missing_proxy_modes=frozenset() if first.ipvs else frozenset({"ipvs"}),
        conntrack_fixed=first.conntrack_fixed,
        skip_phases=tuple(dict.fromkeys((*needs.skip_phases, *_left_out(operation, own)))),
    )
    images = read_kubeadm(own.documents, "etc/kubeadm.yml") if own.documents else ()
    prepared = prepare(operation.desired.kubeadm, images, needs)
    anyone = NodeNeeds("anyone", needs.masters[0], own.cri_socket)
    documents = yaml.safe_load_all(init_documents(prepared, anyone).text)
    cluster = next(document for document in documents if document["kind"] == CLUSTER)
    return Configuration(prepared, cluster)


def version_of(operation: Operation, facts: HostFacts) -> KubernetesVersion:
    """The Kubernetes that the image brings.

    :raises SealerError: neither its kubeadm nor its label says so.
    """
    version = facts.version or _label(operation)
    if not version:
        raise SealerError(
            "The image's kubeadm does not run on this host, and the image does not say which Kubernetes it brings",
            remedy="See that bin/kubeadm of the image is for this host's processor.",
        )
    return KubernetesVersion.parse(version)


def without_coredns(operation: Operation) -> bool:
    """Whether the image brings container images, and no CoreDNS among them."""
    containers = operation.image.containers if operation.image else ()
    return not any("coredns" in container.reference for container in containers)


def _needs(operation: Operation, options: Options, version: str) -> ClusterNeeds:
    spec = operation.spec
    return ClusterNeeds(
        kubernetes_version=version,
        masters=tuple(host.address for host in operation.masters if host.address),  # some may still have to be made
        nodes=tuple(host.address for host in operation.nodes if host.address),
        pod_cidr=spec.pod_cidr,
        service_cidr=spec.service_cidr,
        cert_sans=spec.cert_sans,
        validity=options.validity_duration,
        signing=options.signing_duration,
        encrypt_secrets=options.encrypt_secrets,
        registry=f"{spec.registry.local.domain}:{spec.registry.local.port}",
        skip_phases=options.skip_phases,
        ignore_preflight_errors=(*options.ignore_preflight_errors, *_OURS),
        made=operation.kind != "create",
        at=spec.at,
    )


def _refuse_container_runtime(operation: Operation) -> None:
    """See that the container runtime that is asked for is the one that hosts get."""
    spec = operation.spec
    wanted = spec.container_runtime
    # Of a cluster that is made it cannot be changed, and the hosts that have joined have the image's.
    if operation.kind != "create" or wanted.lower() in ("", _CONTAINER_RUNTIME):
        return
    image = operation.image.reference if operation.image else spec.image
    message = (
        f"{wanted} is not supported by this image, {image}, which brings {_CONTAINER_RUNTIME}; "
        "leave the field out, or take an image of another runtime"
    )
    problem = Problem(spec.at("spec.containerRuntime"), "spec.containerRuntime", message)
    raise InputError(str(problem), problems=[problem])


def _left_out(operation: Operation, own: HostFacts) -> tuple[str, ...]:
    """Phases that cannot be: kubeadm's own preflight asks crictl, and CoreDNS needs its image."""
    left_out = () if own.crictl else ("preflight",)
    return (*left_out, _NO_COREDNS) if without_coredns(operation) else left_out


def _node(host: Host, facts: HostFacts) -> NodeNeeds:
    return NodeNeeds(facts.name, host.address, facts.cri_socket, facts.cgroup_driver)


def _label(operation: Operation) -> str:
    return operation.image.first.labels.get(KUBERNETES_VERSION_LABEL, "") if operation.image else ""


def _at(document: Mapping[str, Json], *path: str) -> Json:
    value: Json = dict(document)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
