"""From a document as written to a tree: every field known to its version, every value of its type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sealer.clusterfile.kubernetes_names import EFFECTS
from sealer.clusterfile.model import KubeadmDocument
from sealer.clusterfile.report import nearest, not_one_of, quoted
from sealer.events import Json
from sealer_plugin_kubeadm.documents import components, fields
from sealer_plugin_kubeadm.documents.fields import KUBE_PROXY, KUBEADM, KUBELET, Field, Struct
from sealer_plugin_kubeadm.documents.findings import Findings
from sealer_plugin_kubeadm.documents.trees import BY_NAME, Tree
from sealer_plugin_kubeadm.documents.versions import KubernetesVersion

DURATION = re.compile(r"0|(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "nodeRegistration.imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "encryptionAlgorithm": ("RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"),
    "dns.type": ("CoreDNS", "kube-dns"),
    "cgroupDriver": ("systemd", "cgroupfs"),
    "mode": ("", "iptables", "ipvs", "nftables", "userspace"),
    "effect": EFFECTS,
}
# A kubelet whose resolvConf is empty gives its pods no name server of the host.
_EMPTY_COUNTS = frozenset({"resolvConf"})
_NEVER_ZERO = frozenset({"bindPort"})
# sealer resets and upgrades hosts by steps of its own; the state of a cluster is nothing that one configures.
_UNUSED = {
    "ResetConfiguration": "sealer resets hosts in its own way; leave this document out",
    "UpgradeConfiguration": "sealer upgrades hosts in its own way; leave this document out",
    "ClusterStatus": "kubeadm writes it and nobody else; leave this document out",
}


def read_document(document: KubeadmDocument, kubernetes: KubernetesVersion, findings: Findings) -> Tree | None:
    """Understand a document; None when it cannot be, and `findings` say why."""
    if document.kind in _UNUSED:
        findings.error(document, "", _UNUSED[document.kind])
        return None
    structs, version = _table(document, kubernetes, findings)
    if not structs:
        return None
    return _Reader(document, structs, version, kubernetes.minor > components.NEWEST, findings).read()


def api_of(document: KubeadmDocument) -> int:
    """n of `kubeadm.k8s.io/v1betan`; 0 for a version that is not known."""
    match = re.fullmatch(rf"{re.escape(KUBEADM)}/v1beta([0-9]+)", document.api_version, re.ASCII)
    number = int(match[1]) if match else 0
    return number if fields.FIRST <= number <= fields.LAST else 0


def _table(
    document: KubeadmDocument, kubernetes: KubernetesVersion, findings: Findings
) -> tuple[Mapping[str, Struct], int]:
    if document.kind in components.STRUCTS:
        wanted = KUBELET if document.kind == "KubeletConfiguration" else KUBE_PROXY
        if document.api_version == wanted:
            return components.STRUCTS, kubernetes.minor
        findings.error(document, "apiVersion", f"{quoted(document.api_version)} is not known; it is {wanted}")
        return {}, 0
    if document.kind in fields.STRUCTS and (api := api_of(document)):
        return fields.STRUCTS, api
    known = f"{KUBEADM}/v1beta{fields.FIRST} to v1beta{fields.LAST}"
    findings.error(document, "apiVersion", f"{quoted(document.api_version)} is not known; sealer knows {known}")
    return {}, 0


class _Reader:
    def __init__(
        self, document: KubeadmDocument, structs: Mapping[str, Struct], version: int, lenient: bool, findings: Findings
    ) -> None:
        self._document = document
        self._structs = structs
        self._version = version
        self._lenient = lenient
        self._findings = findings
        self._readers: Mapping[str, Callable[[Json, str], Json]] = {
            "text": self._text,
            "whole": self._whole,
            "number": self._number,
            "flag": self._flag,
            "duration": self._duration,
            "anything": lambda value, path: value,
            "args": self._args,
        }

    def read(self) -> Tree:
        return self._struct(self._structs[self._document.kind], self._document.content, "")

    def _error(self, path: str, message: str) -> None:
        self._findings.error(self._document, path, message)

    def _wrong(self, path: str, wanted: str, value: Json) -> None:
        self._error(path, f"{wanted} is needed, not {_described(value)}")

    def _value(self, kind: str, value: Json, path: str) -> Json:
        if value is None:
            return None
        if kind.startswith("["):
            return self._list(kind[1:-1], value, path)
        if kind.startswith("{"):
            return self._map(kind[1:-1], value, path)
        if read := self._readers.get(kind):
            return read(value, path)
        if isinstance(value, dict):
            return self._struct(self._structs[kind], value, path)
        self._wrong(path, "a mapping", value)
        return None

    def _struct(self, struct: Struct, value: Mapping[str, Json], path: str) -> Tree:
        tree: Tree = {}
        for name, inner in value.items():
            field_path = f"{path}.{name}" if path else name
            field = struct.get(name)
            if field is not None and _is_nothing(name, inner, field.type):
                continue
            if field is not None and field.in_version(self._version):
                read = self._value(field.type, inner, field_path)
                if read == {} and not field.type.startswith("{"):  # all of its fields are nothing
                    continue
                tree[name] = self._by_name(read, field_path) if name in BY_NAME and read is not None else read
            elif self._lenient and field is None and not nearest(name, struct):
                message = "sealer does not know this field; it is passed on to this newer Kubernetes"
                self._findings.warn(self._document, field_path, message)
                tree[name] = inner
            else:
                self._error(field_path, self._unknown(name, field, struct))
        return tree

    def _unknown(self, name: str, field: Field | None, struct: Struct) -> str:
        kubeadm = self._structs is fields.STRUCTS
        if field is None:
            near = nearest(name, [known for known, it in struct.items() if it.in_version(self._version)])
            return f"unknown field; did you mean {quoted(near)}?" if near else "unknown field"
        if not kubeadm:
            return f"Kubernetes v1.{self._version} does not have this field yet"
        if field.since > self._version:
            came = f"{KUBEADM}/v1beta{field.since}"
            return f"v1beta{self._version} does not have this field; write apiVersion: {came}, sealer converts it"
        return f"v1beta{self._version} does not have this field any more; v1beta{field.until} was the last"

    def _list(self, kind: str, value: Json, path: str) -> Json:
        if not isinstance(value, list):
            self._wrong(path, "a list", value)
            return None
        for index, item in enumerate(value):
            if item is None:
                self._error(f"{path}[{index}]", "nothing stands here")
        return [self._value(kind, item, f"{path}[{index}]") for index, item in enumerate(value) if item is not None]

    def _map(self, kind: str, value: Json, path: str) -> Json:
        if not isinstance(value, dict):
            self._wrong(path, "a mapping", value)
            return None
        read = self._flag_text if kind == "text" else self._readers[kind]
        return {name: None if item is None else read(item, f"{path}.{name}") for name, item in value.items()}

    def _by_name(self, value: Json, path: str) -> Json:
        named: Tree = {}
        for index, item in enumerate(value if isinstance(value, list) else []):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str) or not name:
                self._error(f"{path}[{index}]", "the field 'name' is missing")
            elif name in named:
                self._error(f"{path}[{index}]", f"the name {quoted(name)} is given twice")
            else:
                named[name] = item
        return named

    def _args(self, value: Json, path: str) -> Json:
        """Flags by name, each with all its values."""
        if self._version < 4:
            if not isinstance(value, dict):
                self._wrong(
                    path, f"a mapping of flags (a list only from v1beta4 on, this is v1beta{self._version})", value
                )
                return None
            pairs = [(name, item, f"{path}.{name}") for name, item in value.items()]
        else:
            if not isinstance(value, list):
                self._wrong(path, "a list of flags, each with name and value (a mapping only up to v1beta3)", value)
                return None
            pairs = self._listed(value, path)
        flags: dict[str, Json] = {}
        for name, item, at in pairs:
            if not name or name.startswith("-"):
                self._error(at, f"a flag's name without dashes before it is needed, not {quoted(name)}")
                continue
            if item is None:
                flags[name] = None
                continue
            given = flags.get(name)
            flags[name] = [*(given if isinstance(given, list) else []), self._flag_text(item, at)]
        return flags

    def _listed(self, value: list[Json], path: str) -> list[tuple[str, Json, str]]:
        pairs: list[tuple[str, Json, str]] = []
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                self._error(at, 'a flag has a name and a value: {name: v, value: "4"}')
                continue
            for other in item.keys() - {"name", "value"}:
                self._error(f"{at}.{other}", "unknown field; a flag has a name and a value")
            given = item.get("value")
            pairs.append((str(item["name"]), "" if given is None else given, at))
        return pairs

    def _flag_text(self, value: Json, path: str) -> Json:
        """A text; kubeadm's own documentation also writes numbers, as in `v: 4`, and means what is written."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        return self._text(value, path)

    def _text(self, value: Json, path: str) -> Json:
        if not isinstance(value, str):
            self._wrong(path, "a text (in quotes)" if isinstance(value, int | float) else "a text", value)
            return None
        words = _CHOICES.get(path) or (_CHOICES["effect"] if re.search(r"aints\[\d+\]\.effect\Z", path) else ())
        if words and value not in words and not self._lenient:
            self._error(path, not_one_of(f"it is one of {', '.join(filter(None, words))}", value, words))
        return value

    def _whole(self, value: Json, path: str) -> Json:
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(path, "a whole number", value)
        return value

    def _number(self, value: Json, path: str) -> Json:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(path, "a number", value)
        return value

    def _flag(self, value: Json, path: str) -> Json:
        if not isinstance(value, bool):
            self._wrong(path, "true or false", value)
        return value

    def _duration(self, value: Json, path: str) -> Json:
        if not isinstance(value, str) or not DURATION.fullmatch(value):
            self._wrong(path, "a duration such as 5m0s", value)
        return value


def _is_nothing(name: str, value: Json, kind: str) -> bool:
    """Whether a field counts as not given: what Go programs write in one that has no value.

    A null is more, it takes a field away; an empty list, too: `taints: []` is a master without taints.
    """
    if name in _NEVER_ZERO and value == 0 and not isinstance(value, bool):
        return True
    if value == {}:
        return not kind.startswith("{")  # of free keys: they are put over those of the image, and there are none
    return value == "" and name not in _EMPTY_COUNTS  # 0 and false say something


def _described(value: Json) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    # The value itself is not shown: it may stand where a token was meant.
    return "a text" if isinstance(value, str) else "a number"
