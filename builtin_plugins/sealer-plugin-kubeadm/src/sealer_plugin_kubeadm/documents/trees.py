"""Documents as sealer works with them: one form, whatever the API version they were written in.

A tree is a mapping of the fields of v1beta4 and of the older ones that it lacks, with two differences to what is
written: flags of a program are a mapping from their name to the list of their values, and volumes and environment
variables are a mapping from their name to what they are. So all three merge by name. None in a tree takes away what
lies below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sealer.events import Json

Tree = dict[str, Json]
Trees = dict[str, Tree]  # by kind

INIT, CLUSTER, JOIN = "InitConfiguration", "ClusterConfiguration", "JoinConfiguration"
KUBELET, KUBE_PROXY = "KubeletConfiguration", "KubeProxyConfiguration"

BY_NAME = ("extraVolumes", "extraEnvs")
_UNIONS = (
    "apiServer.certSANs",
    "etcd.local.peerCertSANs",
    "etcd.local.serverCertSANs",
    "ipvs.excludeCIDRs",
    "nodeRegistration.ignorePreflightErrors",
    "skipPhases",
)  # fmt: skip


def merged(*layers: Mapping[str, Tree]) -> Trees:
    """Later layers over earlier ones.

    Mappings merge field by field, and so do flags, volumes and variables by their names; lists that only grow
    (certificate names, phases to skip, ...) are united, the lower layer's first; all else is replaced.
    """
    result: Trees = {}
    for layer in layers:
        for kind, tree in layer.items():
            result[kind] = _over(result.get(kind, {}), tree, "")
    return result


def _over(below: Mapping[str, Json], above: Mapping[str, Json], path: str) -> Tree:
    result: Tree = dict(below)
    for name, value in above.items():
        inner = f"{path}.{name}" if path else name
        lower = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _over(lower if isinstance(lower, dict) else {}, value, inner)
        elif isinstance(value, list) and isinstance(lower, list) and inner in _UNIONS:
            result[name] = [*lower, *(item for item in value if item not in lower)]
        else:
            result[name] = value
    return result


def get(tree: Mapping[str, Json], path: str) -> Json:
    """The value at a path of field names with dots between; None where there is none."""
    value: Json = tree  # type: ignore[assignment]  # a tree is JSON
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def put(tree: Tree, path: str, value: Json) -> None:
    """Set the value at a path, making what it stands in."""
    *outer, last = path.split(".")
    for name in outer:
        inner = tree.get(name)
        inner = dict(inner) if isinstance(inner, dict) else {}
        tree[name] = inner
        tree = inner
    tree[last] = value


def take(tree: Tree, path: str) -> Json:
    """Take the value at a path away, and mappings that are empty then; None where there is none."""
    name, _, rest = path.partition(".")
    if not rest:
        return tree.pop(name, None)
    inner = tree.get(name)
    if not isinstance(inner, dict):
        return None
    own: Tree = dict(inner)
    value = take(own, rest)
    if own or not inner:
        tree[name] = own
    else:
        del tree[name]
    return value


def texts(value: Json) -> Sequence[str]:
    """The texts of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def leaves(tree: Mapping[str, Json], path: str = "") -> Iterator[tuple[str, Json]]:
    """Every field that is no mapping, with its path."""
    for name, value in tree.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value:
            yield from leaves(value, inner)
        else:
            yield inner, value
