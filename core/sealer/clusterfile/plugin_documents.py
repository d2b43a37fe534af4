"""`kind: Plugin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sealer.clusterfile import selectors
from sealer.clusterfile.model import PluginDocument
from sealer.clusterfile.nodes import Scalar, split_lines
from sealer.clusterfile.report import Report, not_one_of, quoted
from sealer.clusterfile.values import Value
from sealer.errors import InputError, Position
from sealer.events import Json
from sealer.phases import LABEL_PHASES, Phase

_SHOWN = 3  # addresses named in a message


class PluginChecker(Protocol):
    """What the reader needs of a plugin type; an extension's `PluginType` is one."""

    @property
    def default_phases(self) -> tuple[Phase, ...]:
        """When a document has no action."""

    @property
    def phases(self) -> frozenset[Phase]:
        """The only ones it can act in."""

    def parse(self, document: PluginDocument) -> Any:
        """Understand the data.

        :raises InputError: with all problems.
        """

    def addresses(self, parsed: Any) -> frozenset[str]:
        """The hosts that the data names."""


class PluginReader:
    """Makes Plugin documents of what their shape understood.

    :param types: the types there are, by upper-case name; None: every name may be one.
    :param hosts: addresses of the cluster's hosts; None: not known, or not all of them.
    :param text: the whole file.
    """

    def __init__(
        self,
        report: Report,
        text: str,
        *,
        types: Mapping[str, PluginChecker] | None,
        hosts: frozenset[str] | None,
        source: str,
    ) -> None:
        self._report = report
        self._text = text
        self._lines: list[str] = []
        self._types = types
        self._hosts = hosts
        self._source = source
        self._named: dict[str, Value] = {}

    def read(self, document: Value) -> PluginDocument | None:
        """The document; None when its name is not known."""
        spec, name = document.get("spec"), document.get("metadata", "name")
        if spec is None or name is None:
            return None
        self._check_name(name)
        type_name = self._type(spec, name)
        plugin = PluginDocument(
            name=name.the(str),
            type=type_name,
            phases=self._phases(spec, type_name),
            on=spec.value("on", "").strip(),
            data=self._data(spec),
            position=self._report.position(document),
            data_position=self._data_position(spec.get("data")),
            source=self._source,
        )
        self._check_on(plugin, spec)
        self._check_data(plugin, spec.get("data") or spec)
        return plugin

    def _check_name(self, name: Value) -> None:
        text = name.the(str)
        if earlier := self._named.get(text):
            message = f"another Plugin has the name {quoted(text)}, in line {earlier.line}"
            self._report.error(name, name.path, message)
        self._named.setdefault(text, name)

    def _type(self, spec: Value, name: Value) -> str:
        given = spec.get("type")
        word = (given or name).the(str)
        wanted = word.upper()
        known = self._types is None or wanted in self._types
        if given is None:
            if "type" in spec.broken:
                return ""
            if not known or (self._types is None and word != wanted):
                near = not_one_of(f"is missing, and {quoted(word)} is no plugin type", word, self._types or ())
                self._report.error(spec, f"{spec.path}.type", near.split(", not '")[0])
                return ""
            self._report.warn(name, f"{spec.path}.type", f"is missing; read as {wanted}, which the document is named")
        elif not known:
            types = sorted(self._types or ())
            rule = f"no installed plugin offers this type; installed are {', '.join(types) or 'none'}"
            self._report.error(given, given.path, not_one_of(rule, word, types))
        if missing := getattr((self._types or {}).get(wanted), "missing", ""):
            self._report.warn(given or name, f"{spec.path}.type", f"not checked: {missing}")
        return wanted

    def _phases(self, spec: Value, type_name: str) -> tuple[Phase, ...]:
        checker = (self._types or {}).get(type_name)
        given = spec.get("action")
        if given is None:
            if checker and not checker.default_phases and "action" not in spec.broken:
                self._report.error(spec, f"{spec.path}.action", f"is missing; a {type_name} has no phase of its own")
            return ()
        phases: list[Phase] = []
        for word in (word.strip() for word in given.the(str).split("|")):
            if word not in [phase.value for phase in Phase]:
                message = not_one_of(f"a phase is one of {', '.join(Phase)}", word, list(Phase))
                self._report.error(given, given.path, message)
            elif checker and Phase(word) not in checker.phases:
                able = ", ".join(phase for phase in Phase if phase in checker.phases)
                self._report.error(given, given.path, f"a {type_name} cannot act in {word}; it can in {able}")
            elif Phase(word) not in phases:
                phases.append(Phase(word))
        return tuple(phases)

    def _check_on(self, plugin: PluginDocument, spec: Value) -> None:
        given = spec.get("on")
        if given is None:
            return
        try:
            selector = selectors.parse(plugin.on)
        except ValueError as error:
            self._report.error(given, given.path, str(error))
            return
        checker = (self._types or {}).get(plugin.type)
        phases = plugin.phases or (checker.default_phases if checker else ())
        if isinstance(selector, selectors.HostsWithLabel):
            if early := [phase for phase in phases if phase not in LABEL_PHASES]:
                able = ", ".join(phase for phase in Phase if phase in LABEL_PHASES)
                message = (
                    f"a node label can only be asked for when the cluster's API answers: in {able}, not {early[0]}"
                )
                self._report.error(given, given.path, message)
        elif isinstance(selector, selectors.HostsByAddress) and self._hosts is not None:
            if not selector.addresses & self._hosts:
                self._report.error(given, given.path, f"names no host of the cluster: {quoted(plugin.on)}")
            elif strangers := [address for address in selector.single if address not in self._hosts]:
                self._report.warn(given, given.path, f"{_listed(strangers)} no host of the cluster")

    def _check_data(self, plugin: PluginDocument, at: Value) -> None:
        checker = (self._types or {}).get(plugin.type)
        if checker is None:
            return
        try:
            parsed = checker.parse(plugin)
        except InputError as error:
            if error.problems:
                self._report.add(error.problems)
            else:
                self._report.error(at, f"Plugin {plugin.name}: spec.data", str(error))
            return
        named = checker.addresses(parsed)
        if self._hosts is None or not named:
            return
        strangers = sorted(named - self._hosts)
        path = f"Plugin {plugin.name}: spec.data"
        if len(strangers) == len(named):
            self._report.error(at, path, f"names no host of the cluster: {_listed(strangers)} none")
        elif strangers:
            self._report.warn(at, path, f"{_listed(strangers)} no host of the cluster")

    def _data(self, spec: Value) -> Json:
        data = spec.get("data")
        if data is None:
            return ""
        # Text is kept as written: a script that is only `true` is no boolean.
        return data.node.text if isinstance(data.node, Scalar) else data.content  # type: ignore[return-value]  # JSON

    def _data_position(self, data: Value | None) -> Position:
        if data is None:
            return Position(self._report.file)
        return self._report.position(data) if not isinstance(data.node, Scalar) else self._text_position(data.node)

    def _text_position(self, node: Scalar) -> Position:
        if node.style not in ("|", ">"):
            return Position(self._report.file, node.line, node.column + (1 if node.style else 0))
        # The text begins in the line after the bar; its blank lines at the beginning are part of it.
        self._lines = self._lines or split_lines(self._text)
        for written, text in zip(self._lines[node.line :], node.text.splitlines(), strict=False):
            if text:
                column = len(written) - len(text) if written.endswith(text) else len(written) - len(written.lstrip(" "))
                return Position(self._report.file, node.line + 1, column + 1)
        return Position(self._report.file, node.line + 1, 1)


def _listed(addresses: list[str]) -> str:
    if len(addresses) == 1:
        return f"{addresses[0]} is"
    shown = ", ".join(addresses[:_SHOWN])
    more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    return f"{shown}{more} are"
