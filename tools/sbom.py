"""A bill of materials of a release: every wheel in it, as CycloneDX says it."""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from hashlib import sha256
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/sealer")


def document(version: str, wheels: Iterable[Path], moment: int) -> str:
    """The JSON text; the same for the same wheels.

    :param wheels: ours among them; those of one package for several Pythons are one component.
    :param moment: seconds since 1970.
    """
    packages: dict[str, list[Path]] = {}
    for wheel in sorted(wheels, key=lambda path: path.name):
        packages.setdefault(canonicalize_name(wheel.name.split("-")[0]), []).append(wheel)
    about = {name: metadata(files[0]) for name, files in packages.items()}
    components = {name: _component(about[name], files) for name, files in packages.items()}
    main = components["sealer"]
    digest = sha256("".join(sorted(path.name for files in packages.values() for path in files)).encode()).hexdigest()
    bom = Bom(
        serial_number=uuid.uuid5(NAMESPACE, f"{version} {digest}"),
        metadata=BomMetaData(component=main, timestamp=datetime.fromtimestamp(moment, UTC)),
        components=[component for component in components.values() if component is not main],
    )
    for name, component in components.items():
        bom.register_dependency(
            component, [components[wanted] for wanted in _required(about[name]) if wanted in components]
        )
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    return f"{text}\n"


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as zipped:
        [name] = [name for name in zipped.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        return Parser().parsestr(zipped.read(name).decode())


def _component(about: Message, wheels: Sequence[Path]) -> Component:
    name, version = canonicalize_name(str(about["Name"])), str(about["Version"])
    url = PackageURL("pypi", None, name, version)
    # A component has one hash of a kind; where Pythons have wheels of their own each is a part of it.
    parts = [
        Component(name=path.name, type=ComponentType.FILE, bom_ref=f"{url}#{path.name}", hashes=[_hash(path)])
        for path in wheels
    ]
    return Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION if name == "sealer" else ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        description=about["Summary"],
        licenses=_licenses(about),
        components=parts,
    )


def _hash(path: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256(path.read_bytes()).hexdigest())


def _licenses(about: Message) -> list[DisjunctiveLicense | LicenseExpression]:
    if expression := about["License-Expression"]:
        return [LicenseExpression(str(expression))]
    named = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License :: ")]
    if not named and (text := str(about["License"] or "").strip()):
        named = [text.splitlines()[0]]
    return [DisjunctiveLicense(name=name) for name in named]


def _required(about: Message) -> list[str]:
    """What it needs, extras of our own too: the file has all of it."""
    return sorted({canonicalize_name(Requirement(text).name) for text in about.get_all("Requires-Dist", [])})
