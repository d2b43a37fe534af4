"""The files that a host is given before kubeadm runs on it, so that nothing secret has to pass between hosts."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sealer.errors import SealerError
from sealer_plugin_kubeadm import audit
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion
from sealer_plugin_kubeadm.options import renewed
from sealer_plugin_kubeadm.pki import encryption
from sealer_plugin_kubeadm.pki.authorities import Authorities
from sealer_plugin_kubeadm.pki.kubeconfig import kubeconfig, kubeconfig_of_files
from sealer_plugin_kubeadm.pki.x509 import CLIENT, SERVER, Names, Pair, is_of, names_of, same_certificate, signed
from sealer_plugin_kubeadm.places import (
    ADMIN,
    API_SERVER,
    AUDIT_POLICY,
    DISCOVERY,
    ENCRYPTION,
    KUBELET,
    KUBELET_CLIENT,
    KUBELET_FIRST_CLIENT,
    KUBELET_SERVING,
    KUBERNETES,
    PKI,
    server,
)

MASTERS_GROUP = "system:masters"
_NODES_GROUP = "system:nodes"
_ADMINS_GROUP = "kubeadm:cluster-admins"
_WITH_SUPER_ADMIN = 29  # minor version from which admin.conf is bound by RBAC, and super-admin.conf is not
_LOCAL_CONTROL_PLANE = 20  # minor version from which controller manager and scheduler ask the API server beside them

# Those of kubeadm whose names depend on the host, by path below the directory of certificates.
NAMED = ("apiserver", "etcd/server", "etcd/peer")


@dataclass(frozen=True)
class Recipient:
    """A host, as its certificates name it.

    :param name: the node's name.
    :param endpoint: URL of the API server that the host asks once it is in the cluster.
    :param entrance: URL of one that answers already, while the host joins; the same on the first master.
    """

    name: str
    address: str
    endpoint: str
    entrance: str


@dataclass(frozen=True)
class Issuer:
    """Makes the files of a cluster's hosts.

    :param validity: of certificates; those that kubelets renew end earlier.
    :param names: of every API server, beside the host's own.
    :param external_etcd: etcd is somebody else's: no certificates for it.
    """

    authorities: Authorities
    validity: datetime.timedelta
    kubernetes: KubernetesVersion
    names: Names
    external_etcd: bool = False

    def node_files(self, host: Recipient) -> Mapping[str, bytes]:
        """Of a host without control plane: who it is, whom it asks, and whom while it joins."""
        return {
            **self._kubelet(host, host.endpoint),
            f"{PKI}/ca.crt": self.authorities.kubernetes.certificate,
        }

    def master_files(self, host: Recipient) -> Mapping[str, bytes]:
        """Of a master, while it joins: its kubeconfigs ask an API server that answers already."""
        return {
            **self._kubelet(host, host.entrance),
            **self._admins(host.entrance, first=host.entrance == host.endpoint),
            **self._control_plane(host),
            **self._shared(),
            **self._clients(),
            **self.named_files(host, {}),
        }

    def joined_files(self, host: Recipient) -> Mapping[str, bytes]:
        """What changes on a master when it has joined: it asks itself."""
        return {KUBELET: self._kubelet_kubeconfig(host, host.endpoint), **self._admins(host.endpoint, first=False)}

    def api_server_files(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """What an API server reads beside kubeadm's files.

        :param names: of the files that it needs.
        :raises SealerError: the key of the cluster's secrets is not here.
        """
        files: dict[str, bytes] = {}
        for name in names:
            path = f"{API_SERVER}/{name}"
            if path == AUDIT_POLICY:
                files[path] = audit.POLICY
            elif path == ENCRYPTION:
                if not self.authorities.secrets:
                    raise SealerError(
                        "The key that this cluster's secrets are encrypted with is not on this machine",
                        remedy="Restore encryption.key of the cluster's credentials/pki from a backup, or take it from "
                        f"a master's {ENCRYPTION}: the value of `secret`.",
                    )
                files[path] = encryption.configuration(self.authorities.secrets)
        return files

    def named_files(self, host: Recipient, present: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The certificates with names in them, where those that are there do not have all of them.

        :param present: certificates that the host has, by path; what they name, new ones name too.
        """
        ours = Names.of((host.name, host.address, "localhost", "127.0.0.1"))
        wanted = {"apiserver": ours | self.names}
        if not self.external_etcd:
            own = ours | Names.of(("::1",))
            wanted |= {"etcd/server": own, "etcd/peer": own}
        files: dict[str, bytes] = {}
        for file, names in wanted.items():
            path = f"{PKI}/{file}.crt"
            by = self.authorities.kubernetes if file == "apiserver" else self.authorities.etcd
            before = present.get(path, b"")
            known = names_of(before)
            if names <= known and is_of(before, by):
                continue
            name = "kube-apiserver" if file == "apiserver" else host.name
            usages = (SERVER,) if file == "apiserver" else (SERVER, CLIENT)
            pair = signed(by, name, self.validity, usages=usages, names=names | known)
            files |= _files(f"{PKI}/{file}", pair)
        return files

    def of_others(self, present: Mapping[str, bytes]) -> list[str]:
        """The paths of certificates that are of other authorities.

        :param present: by path. Beside an authority of the cluster's a leaf of another one is a damage, made good by a
            new one; without it nobody knows whose it is.
        """
        ours = {"ca": self.authorities.kubernetes, "front-proxy-ca": self.authorities.front_proxy}
        ours |= {} if self.external_etcd else {"etcd/ca": self.authorities.etcd}
        authorities = {f"{PKI}/{name}.crt": pair for name, pair in ours.items()}
        wrong = [
            path
            for path, pair in authorities.items()
            if path in present and not same_certificate(present[path], pair.certificate)
        ]
        for name in NAMED:
            leaf, by = f"{PKI}/{name}.crt", "etcd/ca" if name.startswith("etcd/") else "ca"
            alone = by in ours and leaf in present and f"{PKI}/{by}.crt" not in present
            if alone and not is_of(present[leaf], ours[by]):
                wrong.append(leaf)
        return wrong

    def _kubelet(self, host: Recipient, url: str) -> Mapping[str, bytes]:
        """Who a kubelet is: to the API, and to the API server that asks it."""
        by, name = self.authorities.kubernetes, f"system:node:{host.name}"
        client = signed(by, name, renewed(self.validity), groups=(_NODES_GROUP,))
        names = Names.of((host.name, host.address))
        serving = signed(by, name, self.validity, groups=(_NODES_GROUP,), usages=(SERVER,), names=names)
        return {
            KUBELET: self._kubelet_kubeconfig(host, url),
            KUBELET_FIRST_CLIENT: client.certificate + client.key,
            **_files(KUBELET_SERVING, serving),
            # It goes when the host has joined.
            DISCOVERY: kubeconfig(host.entrance, by.certificate, name, client),
        }

    def _kubelet_kubeconfig(self, host: Recipient, url: str) -> bytes:
        ca, user = self.authorities.kubernetes.certificate, f"system:node:{host.name}"
        return kubeconfig_of_files(url, ca, user, KUBELET_CLIENT)

    def _admins(self, url: str, *, first: bool) -> Mapping[str, bytes]:
        files = {ADMIN: admin_kubeconfig(self.authorities, self.kubernetes, self.validity, url)}
        if first and self.kubernetes.minor >= _WITH_SUPER_ADMIN:
            pair = self._client("kubernetes-super-admin", MASTERS_GROUP)
            ca = self.authorities.kubernetes.certificate
            files[f"{KUBERNETES}/super-admin.conf"] = kubeconfig(url, ca, "kubernetes-super-admin", pair)
        return files

    def _control_plane(self, host: Recipient) -> Mapping[str, bytes]:
        url = server(host.address) if self.kubernetes.minor >= _LOCAL_CONTROL_PLANE else host.endpoint
        ca = self.authorities.kubernetes.certificate
        return {
            f"{KUBERNETES}/{name}.conf": kubeconfig(url, ca, f"system:kube-{name}", self._client(f"system:kube-{name}"))
            for name in ("controller-manager", "scheduler")
        }

    def _shared(self) -> Mapping[str, bytes]:
        ours = self.authorities
        etcd = {} if self.external_etcd else _files(f"{PKI}/etcd/ca", ours.etcd)
        return {
            **_files(f"{PKI}/ca", ours.kubernetes),
            **_files(f"{PKI}/front-proxy-ca", ours.front_proxy),
            **etcd,
            f"{PKI}/sa.key": ours.tokens,
            f"{PKI}/sa.pub": ours.tokens_public,
        }

    def _clients(self) -> Mapping[str, bytes]:
        ours = self.authorities
        wanted = [
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ours.kubernetes, (MASTERS_GROUP,)),
            ("front-proxy-client", "front-proxy-client", ours.front_proxy, ()),
        ]
        if not self.external_etcd:
            wanted += [
                ("apiserver-etcd-client", "kube-apiserver-etcd-client", ours.etcd, (MASTERS_GROUP,)),
                ("etcd/healthcheck-client", "kube-etcd-healthcheck-client", ours.etcd, (MASTERS_GROUP,)),
            ]
        files: dict[str, bytes] = {}
        for file, name, by, groups in wanted:
            files |= _files(f"{PKI}/{file}", signed(by, name, self.validity, groups=groups))
        return files

    def _client(self, name: str, *groups: str) -> Pair:
        return signed(self.authorities.kubernetes, name, self.validity, groups=groups)


def admin_kubeconfig(
    known: Authorities, kubernetes: KubernetesVersion, validity: datetime.timedelta, url: str, name: str = ""
) -> bytes:
    """A kubeconfig that may do everything, for whoever has it.

    :param name: what cluster, user and context are called in it; empty: as kubeadm calls them.
    """
    group = _ADMINS_GROUP if kubernetes.minor >= _WITH_SUPER_ADMIN else MASTERS_GROUP
    pair = signed(known.kubernetes, "kubernetes-admin", validity, groups=(group,))
    ca = known.kubernetes.certificate
    if name:
        return kubeconfig(url, ca, name, pair, cluster=name, context=name)
    return kubeconfig(url, ca, "kubernetes-admin", pair)


def server_names(
    *, masters: Iterable[str], endpoint: str, services: Iterable[str], domain: str, extra: Iterable[str]
) -> Names:
    """What every API server is called.

    :param masters: addresses of all masters.
    :param endpoint: name that hosts use for it.
    :param services: the first address of each range of services.
    :param domain: of the cluster.
    :param extra: what the user wants beside.
    """
    inside = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    return Names.of((*inside, endpoint, *masters, *services, *extra))


def _files(path: str, pair: Pair) -> dict[str, bytes]:
    return {f"{path}.crt": pair.certificate, f"{path}.key": pair.key}
