"""`registries.yaml`: mirrors, certificates and exceptions for each registry, and what short names mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealer.documents import DocumentError, load_yaml
from sealer.errors import InputError
from sealer.events import Json
from sealer.image.reference import Reference
from sealer.image.registry.names import DEFAULT_REPOSITORY, DOCKER_HUB
from sealer.suggestions import close_matches

FILE = "registries.yaml"
_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class RegistrySettings:
    """What is special about one registry.

    :param mirrors: asked before it when something is pulled, in this order; each a registry with an optional path.
    :param plain_http: it has no TLS.
    :param skip_tls_verify: its certificate is not checked.
    :param ca: file with the certificates that sign its own, in addition to the system's.
    """

    mirrors: tuple[str, ...] = ()
    plain_http: bool = False
    skip_tls_verify: bool = False
    ca: Path | None = None


@dataclass(frozen=True)
class Configuration:
    """The content of the file.

    :param default_repository: registry and namespace of cluster images with short names.
    :param registries: by domain.
    """

    default_repository: str = DEFAULT_REPOSITORY
    registries: Mapping[str, RegistrySettings] = field(default_factory=dict)

    def of(self, registry: str) -> RegistrySettings:
        """The settings for a registry; the usual ones where nothing is said."""
        return self.registries.get(registry) or RegistrySettings()


def read_configuration(home: Path) -> Configuration:
    """Read `registries.yaml` in sealer's home; without the file all is as usual.

    :raises InputError: the file cannot be right.
    """
    path = home / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Configuration()
    except OSError as error:
        raise InputError("the file cannot be read", where=str(path), why=error.strerror or "") from error
    if len(text) > _LARGEST:
        raise InputError("the file is too large", where=str(path), why=f"{len(text)} bytes")
    try:
        document = load_yaml(text)
    except DocumentError as error:
        place = f"{path}:{error.line}:{error.column}" if error.line else str(path)
        raise InputError("not YAML", where=place, why=error.why) from error
    return _Reader(path).configuration(document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def configuration(self, document: Json) -> Configuration:
        fields = self._map(document, "", ("defaultRepository", "registries"))
        default = self._text(fields.get("defaultRepository", DEFAULT_REPOSITORY), "defaultRepository")
        self._place(default, "defaultRepository")
        entries = self._map(fields.get("registries"), "registries", None)
        return Configuration(default, {self._domain(name): self._registry(name, entries[name]) for name in entries})

    def _registry(self, name: str, value: Json) -> RegistrySettings:
        where = f"registries.{name}"
        fields = self._map(value, where, ("mirrors", "plainHTTP", "skipTLSVerify", "ca"))
        mirrors = fields.get("mirrors") or []
        if not isinstance(mirrors, list):
            raise self._wrong(f"{where}.mirrors", "a list is needed")
        texts = [self._text(mirror, f"{where}.mirrors[{number}]") for number, mirror in enumerate(mirrors)]
        for number, text in enumerate(texts):
            self._place(text, f"{where}.mirrors[{number}]")
        ca = fields.get("ca")
        return RegistrySettings(
            mirrors=tuple(texts),
            plain_http=self._flag(fields.get("plainHTTP"), f"{where}.plainHTTP"),
            skip_tls_verify=self._flag(fields.get("skipTLSVerify"), f"{where}.skipTLSVerify"),
            ca=None if ca is None else self._path.parent / Path(self._text(ca, f"{where}.ca")).expanduser(),
        )

    def _map(self, value: Json, where: str, known: Iterable[str] | None) -> Mapping[str, Json]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(where, "a map is needed")
        for key in value:
            if not isinstance(key, str):
                raise self._wrong(where, f"the key {key!r} is no text")
            if known is not None and key not in known:
                near = close_matches(key, known, n=1)
                raise self._wrong(
                    f"{where}.{key}".lstrip("."), "unknown field" + (f"; did you mean '{near[0]}'?" if near else "")
                )
        return value

    def _domain(self, name: str) -> str:
        if self._place(name, "registries").partition("/")[2]:
            raise self._wrong(f"registries.{name}", "a registry's name is needed, without a path")
        return name

    def _place(self, text: str, where: str) -> str:
        """Check that it is a registry with an optional path."""
        domain, _, path = text.partition("/")
        try:
            probe = Reference.parse(f"{domain}/{path or 'x'}") if text and not text.endswith("/") else None
        except InputError:
            probe = None
        if probe is None or probe.domain != domain or probe.path != (path or "x"):
            raise self._wrong(
                where, f"'{text}' is no registry's name; write it as {DOCKER_HUB} or mirror.corp:5000/path"
            )
        return text

    def _text(self, value: Json, where: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(where, "a text is needed")
        return value

    def _flag(self, value: Json, where: str) -> bool:
        if value is not None and not isinstance(value, bool):
            raise self._wrong(where, "true or false is needed")
        return bool(value)

    def _wrong(self, field: str, why: str) -> InputError:
        return InputError(f"{field}: {why}" if field else why, where=str(self._path))
