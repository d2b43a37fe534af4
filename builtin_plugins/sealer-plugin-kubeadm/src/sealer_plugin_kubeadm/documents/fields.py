"""Every field of kubeadm's documents, with its type and the API versions that have it, as one table.

Derived from kubeadm's own API types: v1beta1 and v1beta2 of Kubernetes v1.20, v1beta3 of v1.22 to v1.30, v1beta4 of
v1.31 to v1.35. kubelet and kube-proxy keep their API version and add fields: those are in
:mod:`~sealer_plugin_kubeadm.documents.components`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

FIRST, LAST = 1, 4  # v1beta1 to v1beta4

KUBEADM = "kubeadm.k8s.io"
KUBELET = "kubelet.config.k8s.io/v1beta1"
KUBE_PROXY = "kubeproxy.config.k8s.io/v1alpha1"

# A line: the field, its type, the versions that have it (2-: from v1beta2 on; 1-3: until v1beta3; none: all).
# Types: text, whole, number, flag, duration (5m0s), anything; [T]: a list; {T}: a mapping with free keys; args: flags
# of a program, a mapping up to v1beta3 and a list of name and value from v1beta4 on; a capital: a part of this table.
_TABLE = """
InitConfiguration
    bootstrapTokens                   [BootstrapToken]
    certificateKey                    text              2-
    dryRun                            flag              4-
    localAPIEndpoint                  Endpoint
    nodeRegistration                  NodeRegistration
    patches                           Patches           3-
    skipPhases                        [text]            3-
    timeouts                          Timeouts          4-

ClusterConfiguration
    apiServer                         ApiServer
    caCertificateValidityPeriod       duration          4-
    certificateValidityPeriod         duration          4-
    certificatesDir                   text
    clusterName                       text
    controlPlaneEndpoint              text
    controllerManager                 Component
    dns                               Dns
    encryptionAlgorithm               text              4-
    etcd                              Etcd
    featureGates                      {flag}
    imageRepository                   text
    kubernetesVersion                 text
    networking                        Networking
    proxy                             Proxy             4-
    scheduler                         Component
    useHyperKubeImage                 flag              1-2

JoinConfiguration
    caCertPath                        text
    controlPlane                      JoinControlPlane
    discovery                         Discovery
    dryRun                            flag              4-
    nodeRegistration                  NodeRegistration
    patches                           Patches           3-
    skipPhases                        [text]            3-
    timeouts                          Timeouts          4-

ApiServer
    certSANs                          [text]
    extraArgs                         args
    extraEnvs                         [Variable]        4-
    extraVolumes                      [Volume]
    timeoutForControlPlane            duration          1-3

BootstrapToken
    description                       text
    expires                           text
    groups                            [text]
    token                             text
    ttl                               duration
    usages                            [text]

Component
    extraArgs                         args
    extraEnvs                         [Variable]        4-
    extraVolumes                      [Volume]

Discovery
    bootstrapToken                    TokenDiscovery
    file                              FileDiscovery
    timeout                           duration          1-3
    tlsBootstrapToken                 text

Dns
    disabled                          flag              4-
    imageRepository                   text
    imageTag                          text
    type                              text              1-2

Endpoint
    advertiseAddress                  text
    bindPort                          whole

Etcd
    external                          ExternalEtcd
    local                             LocalEtcd

ExternalEtcd
    caFile                            text
    certFile                          text
    endpoints                         [text]
    httpEndpoints                     [text]            4-
    keyFile                           text

FileDiscovery
    kubeConfigPath                    text

JoinControlPlane
    certificateKey                    text              2-
    localAPIEndpoint                  Endpoint

LocalEtcd
    dataDir                           text
    extraArgs                         args
    extraEnvs                         [Variable]        4-
    imageRepository                   text
    imageTag                          text
    peerCertSANs                      [text]
    serverCertSANs                    [text]

Networking
    dnsDomain                         text
    podSubnet                         text
    serviceSubnet                     text

NodeRegistration
    criSocket                         text
    ignorePreflightErrors             [text]            2-
    imagePullPolicy                   text              3-
    imagePullSerial                   flag              4-
    kubeletExtraArgs                  args
    name                              text
    taints                            [Taint]

Patches
    directory                         text

Proxy
    disabled                          flag

Taint
    effect                            text
    key                               text
    timeAdded                         text
    value                             text

Timeouts
    controlPlaneComponentHealthCheck  duration
    discovery                         duration
    etcdAPICall                       duration
    kubeletHealthCheck                duration
    kubernetesAPICall                 duration
    tlsBootstrap                      duration
    upgradeManifests                  duration

TokenDiscovery
    apiServerEndpoint                 text
    caCertHashes                      [text]
    token                             text
    unsafeSkipCAVerification          flag

Variable
    name                              text
    value                             text
    valueFrom                         anything

Volume
    hostPath                          text
    mountPath                         text
    name                              text
    pathType                          text
    readOnly                          flag
"""


@dataclass(frozen=True)
class Field:
    """A field of a document.

    :param type: as the table has it.
    :param since, until: the first and the last version that have it, as whole numbers: n of v1betan, or the minor
        version of Kubernetes for documents of kubelet and kube-proxy.
    """

    type: str
    since: int = 0
    until: int = 1_000_000

    def in_version(self, version: int) -> bool:
        """Whether a version has the field."""
        return self.since <= version <= self.until


Struct = Mapping[str, Field]
_LINE = re.compile(r"    (?P<name>\S+) +(?P<type>\S+)(?: +(?P<since>[0-9]+)-(?P<until>[0-9]*))?")


def parse_table(text: str) -> Mapping[str, Struct]:
    """The structures of a table such as the one above."""
    structs: dict[str, dict[str, Field]] = {}
    for line in filter(str.strip, text.splitlines()):
        if not line.startswith(" "):
            structs[line] = {}
            continue
        match = _LINE.fullmatch(line)
        assert match, line
        since, until = match["since"], match["until"]
        field = Field(match["type"], int(since or 0), int(until) if until else Field.until)
        structs[next(reversed(structs))][match["name"]] = field
    return structs


STRUCTS = parse_table(_TABLE)
"""Structures by name; the documents' own are called as their kind."""
