"""kubeadm's documents: read, checked, converted between API versions, merged, and written for each host.

Nothing here touches a host or a file. A runtime calls :func:`prepare` once, while the Clusterfile is validated, and
:func:`init_documents` and :func:`join_documents` in the steps that run kubeadm.
"""

from sealer_plugin_kubeadm.documents.assembly import Prepared, Rendered, init_documents, join_documents, prepare
from sealer_plugin_kubeadm.documents.needs import ClusterNeeds, InitSecrets, NodeNeeds
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

__all__ = [
    "ClusterNeeds",
    "InitSecrets",
    "KubernetesVersion",
    "NodeNeeds",
    "Prepared",
    "Rendered",
    "init_documents",
    "join_documents",
    "prepare",
]
