"""From the text of a Clusterfile to what it says, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sealer.clusterfile import kubeadm, nodes
from sealer.clusterfile.cluster_document import ClusterReader
from sealer.clusterfile.driver_choices import DriverCheck
from sealer.clusterfile.free_values import Anything, positions
from sealer.clusterfile.indentation import lifted
from sealer.clusterfile.model import Cluster, Clusterfile, ConfigDocument, KubeadmDocument, PluginDocument
from sealer.clusterfile.nodes import Entries, Node, Scalar, described
from sealer.clusterfile.plugin_documents import PluginChecker, PluginReader
from sealer.clusterfile.report import Report, not_one_of, quoted
from sealer.clusterfile.tables import DOCUMENTS
from sealer.clusterfile.values import Value
from sealer.errors import InputError, Position, Problem
from sealer.events import Json
from sealer.hosts import Resolve

Warn = Callable[[Problem], None]
PluginTypes = Mapping[str, PluginChecker]


def read(
    text: str,
    file: str = "Clusterfile",
    *,
    plugin_types: PluginTypes | None = None,
    check_driver: DriverCheck | None = None,
    warn: Warn | None = None,
    recorded: bool = False,
    resolve: Resolve | None = None,
) -> Clusterfile:
    """Understand a Clusterfile.

    :param file: what to call it in messages.
    :param plugin_types: the types that Plugin documents may have, by upper-case name; None: any.
    :param check_driver: sees that a driver is installed and takes its options; None: any will do.
    :param recorded: the file is sealer's own record: the cluster's masters, and hosts that plugins name, may have left.
    :param resolve: finds the addresses of hosts that are named; None: names are a mistake.
    :param warn: called with each warning, also when there are mistakes; without mistakes the Clusterfile has them too.
    :raises InputError: with every mistake, in the order of the text.
    """
    report = Report(file)
    clusterfile = _Reading(text, report, plugin_types, check_driver, recorded, resolve=resolve).clusterfile()
    report.finish(warn)
    return clusterfile


def read_file(
    path: str | Path,
    *,
    plugin_types: PluginTypes | None = None,
    check_driver: DriverCheck | None = None,
    warn: Warn | None = None,
    resolve: Resolve | None = None,
) -> Clusterfile:
    """Read a Clusterfile from disk; as :func:`read`.

    :raises InputError: also when there is no such file, or it is no UTF-8.
    """
    return read(
        file_text(path), str(path), plugin_types=plugin_types, check_driver=check_driver, warn=warn, resolve=resolve
    )


def file_text(path: str | Path) -> str:
    """What is in a file.

    :raises InputError: it cannot be read, or is no UTF-8.
    """
    try:
        return decoded(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise InputError(
            "it cannot be read", where=str(path), why=error.strerror or str(error), remedy="name a Clusterfile with -f"
        ) from None


def decoded(content: bytes, file: str) -> str:
    """The text in UTF-8 that `content` is, without a byte order mark.

    :raises InputError: it is no UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        read, wrong = error.object[: error.start], error.object[error.start]  # without a byte order mark
        column = len(read[read.rfind(b"\n") + 1 :].decode()) + 1
        position = Position(file, read.count(b"\n") + 1, column)
        problem = Problem(position, "", f"the byte 0x{wrong:02x} is no UTF-8; save the file as UTF-8")
        raise InputError("it is no UTF-8", where=file, problems=[problem]) from None


def read_plugins(
    text: str,
    file: str,
    *,
    plugin_types: PluginTypes | None = None,
    warn: Warn | None = None,
) -> tuple[PluginDocument, ...]:
    """Understand a file of Plugin documents, as images carry them.

    :param file: its path in the image; the documents' `source`.
    :param warn: called with each warning.
    :raises InputError: with every mistake, also documents of other kinds.
    """
    report = Report(file)
    plugins = _Reading(text, report, plugin_types).plugins_alone()
    report.finish(warn)
    return plugins


def read_kubeadm(text: str, file: str) -> tuple[KubeadmDocument, ...]:
    """Understand a file of documents of kubeadm, kubelet and kube-proxy, as images carry them.

    :param file: what to call it in messages.
    :raises InputError: with every mistake, also documents of other kinds.
    """
    report = Report(file)
    documents = _Reading(text, report, None).kubeadm_alone()
    report.finish(None)
    return documents


class _Reading:
    """One text on its way."""

    def __init__(
        self,
        text: str,
        report: Report,
        plugin_types: PluginTypes | None,
        check_driver: DriverCheck | None = None,
        recorded: bool = False,
        *,
        resolve: Resolve | None = None,
    ) -> None:
        self._text = text
        self._report = report
        self._types = plugin_types
        self._check_driver = check_driver
        self._recorded = recorded
        self._resolve = resolve
        self._found: dict[str, list[Value]] = {kind: [] for kind in DOCUMENTS}
        self._kubeadm: list[tuple[KubeadmDocument, Value]] = []

    def clusterfile(self) -> Clusterfile:
        roots = list(nodes.documents(self._text, self._report))
        for root in roots:
            self._take(root, tuple(DOCUMENTS))
        if not roots and self._report.complete:
            self._report.error(Scalar("", 1, 1), "", "the file has no document")
        cluster, hosts = self._cluster()
        return Clusterfile(
            cluster=cluster,
            plugins=self._plugins(None if self._recorded else hosts, "Clusterfile"),
            configs=tuple(self._config(document) for document in self._found["Config"] if "spec" in document),
            kubeadm=tuple(document for document, _ in self._kubeadm),
            warnings=self._report.warnings,
            text=self._text,
        )

    def plugins_alone(self) -> tuple[PluginDocument, ...]:
        for root in nodes.documents(self._text, self._report):
            self._take(root, ("Plugin",))
        return self._plugins(None, self._report.file)

    def kubeadm_alone(self) -> tuple[KubeadmDocument, ...]:
        for root in nodes.documents(self._text, self._report):
            words = [_word(root, name) for name in ("apiVersion", "kind")] if isinstance(root, Entries) else []
            api_version, kind = words or (None, None)
            if isinstance(root, Entries) and api_version and kind and _group(api_version) in kubeadm.KINDS:
                self._take_kubeadm(root, api_version, kind)
            else:
                groups = ", ".join(kubeadm.KINDS)
                self._report.error(root, "", f"a document here is a mapping with kind and an apiVersion of {groups}")
        return tuple(document for document, _ in self._kubeadm)

    def _take(self, root: Node, kinds: tuple[str, ...]) -> None:
        if not isinstance(root, Entries):
            self._report.error(root, "", f"a document is a mapping with apiVersion and kind, not {described(root)}")
            return
        api_version, kind = _word(root, "apiVersion"), _word(root, "kind")
        if kind is None:
            given = root.entries["kind"][1] if "kind" in root.entries else nodes.NOTHING
            message = "is missing" if isinstance(given, Scalar) else f"a text is needed, not {described(given)}"
            at = root if isinstance(given, Scalar) else given
            self._report.error(at, "kind", f"{message}; a kind is one of {', '.join(kinds)}")
            return
        group = _group(api_version) if api_version else ""
        if group in kubeadm.KINDS and "Cluster" in kinds:
            assert api_version is not None
            self._take_kubeadm(root, api_version, kind)
        elif kind.text not in kinds:
            self._report.error(kind, "kind", self._unknown_kind(kind.text, kinds))
        else:
            shape = DOCUMENTS[kind.text]
            document = shape.read(lifted(root, shape, self._report), "", self._report)
            if document is not None:
                self._only_one(kind.text, document)
                self._found[kind.text].append(document)

    def _unknown_kind(self, kind: str, kinds: tuple[str, ...]) -> str:
        for group, theirs in kubeadm.KINDS.items():
            if kind in theirs and "Cluster" in kinds:
                return f"{quoted(kind)} has an apiVersion that begins with {group}/"
        theirs_too = [name for names in kubeadm.KINDS.values() for name in names] if "Cluster" in kinds else []
        return not_one_of(f"a kind is one of {', '.join(kinds)}", kind, (*kinds, *theirs_too))

    def _only_one(self, kind: str, document: Value) -> None:
        if kind in ("Cluster", "Infra") and self._found[kind]:
            first = self._found[kind][0].line
            self._report.error(document, "kind", f"a file has one {kind}; the first begins in line {first}")

    def _take_kubeadm(self, root: Entries, api_version: Scalar, kind: Scalar) -> None:
        group, _, version = api_version.text.partition("/")
        if not kubeadm.VERSION.fullmatch(version):
            self._report.error(api_version, "apiVersion", f"{quoted(version)} is no version such as v1beta3")
        if kind.text not in kubeadm.KINDS[group]:
            known = kubeadm.KINDS[group]
            self._report.error(kind, "kind", not_one_of(f"a kind of {group} is {', '.join(known)}", kind.text, known))
            return
        value = Anything(strict_versions=True).read(root, "", self._report)
        assert value is not None  # anything is something
        content: dict[str, Json] = value.the(dict)
        own = kubeadm.own_fields(content)
        position = self._report.position(root)
        document = KubeadmDocument(api_version.text, kind.text, own, position, positions(root, "", self._report.file))
        self._kubeadm.append((document, value))

    def _cluster(self) -> tuple[Cluster | None, frozenset[str] | None]:
        documents, infras = self._found["Cluster"], self._found["Infra"]
        if not documents and not infras:
            return None, None
        document, infra = next(iter(documents), None), next(iter(infras), None)
        pods, services = self._kubeadm_range("podSubnet"), self._kubeadm_range("serviceSubnet")
        cluster, sections = ClusterReader(
            self._report, document, infra, pods, services, self._check_driver, self._recorded, self._resolve
        ).read()
        all_known = bool(cluster.hosts) and not cluster.groups
        return cluster, frozenset(sections.named) if all_known else None

    def _kubeadm_range(self, name: str) -> Value | None:
        for document, value in self._kubeadm:
            node = value.node
            for step in ("networking", name):
                node = node.entries[step][1] if isinstance(node, Entries) and step in node.entries else nodes.NOTHING
            if document.kind == "ClusterConfiguration" and isinstance(node, Scalar) and not node.is_null:
                return Value(node, f"networking.{name}", node.text)
        return None

    def _plugins(self, hosts: frozenset[str] | None, source: str) -> tuple[PluginDocument, ...]:
        reader = PluginReader(self._report, self._text, types=self._types, hosts=hosts, source=source)
        read = [reader.read(document) for document in self._found["Plugin"]]
        return tuple(plugin for plugin in read if plugin is not None)

    def _config(self, document: Value) -> ConfigDocument:
        spec = document.entries()["spec"]
        data, process = spec.get("data"), spec.value("process", "")
        return ConfigDocument(
            name=(document.get("metadata") or spec).value("name", ""),
            path=spec.value("path", ""),
            data=data.content if data else "",  # type: ignore[arg-type]  # the shape made JSON of it
            strategy=spec.value("strategy", "overwrite"),
            process=tuple(word.strip() for word in process.split("|")) if process else (),
            position=self._report.position(document),
        )


def _group(api_version: Scalar) -> str:
    return api_version.text.partition("/")[0]


def _word(root: Entries, name: str) -> Scalar | None:
    node = root.entries[name][1] if name in root.entries else None
    return node if isinstance(node, Scalar) and not node.is_null else None
