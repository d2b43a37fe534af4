"""Plugin documents: checked by their types, and with places that parsers can point into."""

from collections.abc import Mapping
from typing import Any

import pytest

from sealer.clusterfile.driver_choices import DriverKind
from sealer.clusterfile.model import DriverChoice, PluginDocument
from sealer.clusterfile.plugin_documents import PluginChecker
from sealer.clusterfile.reading import read, read_plugins
from sealer.errors import InputError, Problem, UnknownDriverError
from sealer.extension.plugin_types import PluginType
from sealer.phases import Phase

HOSTS = "apiVersion: sealer.io/v2\nkind: Cluster\nspec: {masters: {ipList: [10.0.0.1-10.0.0.2]}}\n---\n"
PLUGIN = "apiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: names}\nspec:\n"


class Names:
    """Lines of `ip name`."""

    default_phases = (Phase.PRE_INIT,)
    phases = frozenset({Phase.PRE_INIT, Phase.PRE_JOIN})

    def parse(self, document: PluginDocument) -> dict[str, str]:
        found: dict[str, str] = {}
        problems: list[Problem] = []
        for number, line in enumerate(str(document.data).splitlines(), 1):
            words = line.split()
            if len(words) == 2:
                found[words[0]] = words[1]
            elif words:
                problems.append(document.problem("two words are needed", number, line.index(words[0]) + 1))
        if problems:
            raise InputError("lines are wrong", problems=problems)
        return found

    def addresses(self, parsed: Mapping[str, str]) -> frozenset[str]:
        return frozenset(parsed)


class Scripts:
    """Anything, in phases of the document's choice."""

    default_phases: tuple[Phase, ...] = ()
    phases = frozenset(Phase)

    def parse(self, document: PluginDocument) -> str:
        if not document.data:
            raise InputError("there is no script")
        return str(document.data)

    def addresses(self, parsed: str) -> frozenset[str]:
        return frozenset()


TYPES: Mapping[str, PluginChecker] = {"NAMES": Names(), "SCRIPTS": Scripts()}


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(text, "F", plugin_types=TYPES)
    return [str(problem) for problem in caught.value.problems]


def test_an_extensions_type_can_be_handed_over_as_it_is() -> None:
    def checkers(types: Mapping[str, PluginType[Any]]) -> Mapping[str, PluginChecker]:
        return types  # this is for mypy to judge

    assert checkers({}) == {}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("  data: |\n    10.0.0.1 a\n    oops\n", "F:13:5"),
        ("  data: |-\n\n    10.0.0.1 a\n      oops\n", "F:14:7"),
        ("  data: | # names\n      oops\n", "F:12:7"),
        ("  data: |2\n      oops\n", "F:12:7"),
        ("  data: >\n    oops\n", "F:12:5"),
        ("  data: oops\n", "F:11:9"),
        ("  data: 'oops'\n", "F:11:10"),
        ('  data: "oops"\n', "F:11:10"),
        ("  data:\n    oops\n", "F:12:5"),
        ("  data: |\r\n    oops\r\n", "F:12:5"),
        ("  data: |\n    é oops x\n", "F:12:5"),
    ],
)
def test_a_parsers_complaint_names_the_line_in_the_file(data: str, expected: str) -> None:
    text = HOSTS + "# ü\n" + PLUGIN + "  type: names\n" + data
    assert problems(text) == [f"{expected}: Plugin names: spec.data: two words are needed"]


def test_a_complaint_without_a_place_stands_at_the_data() -> None:
    text = PLUGIN + "  type: SCRIPTS\n  action: PreInit\n  data: ''\n"
    assert problems(text) == ["F:7:9: Plugin names: spec.data: there is no script"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("  type: NAME\n", "F:5:9: spec.type: no installed plugin offers this type; installed are NAMES, SCRIPTS, not 'NAME'; did you mean 'NAMES'?"),  # noqa: E501
        ("  type: NAMES\n  action: PostClean\n", "F:6:11: spec.action: a NAMES cannot act in PostClean; it can in PreInit, PreJoin"),  # noqa: E501
        ("  type: SCRIPTS\n  data: x\n", "F:5:3: spec.action: is missing; a SCRIPTS has no phase of its own"),
    ],
)  # fmt: skip
def test_a_types_own_rules(fields: str, expected: str) -> None:
    assert problems(PLUGIN + fields) == [expected]


def test_a_document_named_like_a_type_has_that_type() -> None:
    clusterfile = read(PLUGIN.replace("spec:\n", "spec: {data: ''}\n"), "F", plugin_types=TYPES)
    assert [(plugin.name, plugin.type) for plugin in clusterfile.plugins] == [("names", "NAMES")]
    assert [str(it) for it in clusterfile.warnings] == [
        "F:3:18: spec.type: is missing; read as NAMES, which the document is named"
    ]


def test_data_that_names_no_host_of_the_cluster() -> None:
    text = HOSTS + PLUGIN + "  type: NAMES\n  data: |\n    10.0.0.8 a\n    10.0.0.9 b\n"
    assert problems(text) == [
        "F:10:9: Plugin names: spec.data: names no host of the cluster: 10.0.0.8, 10.0.0.9 are none"
    ]


def test_data_that_names_some_strangers() -> None:
    text = HOSTS + PLUGIN + "  type: NAMES\n  data: |\n    10.0.0.1 a\n    10.0.0.9 b\n"
    clusterfile = read(text, "F", plugin_types=TYPES)
    assert [str(it) for it in clusterfile.warnings] == [
        "F:10:9: Plugin names: spec.data: 10.0.0.9 is no host of the cluster"
    ]


@pytest.mark.parametrize("cluster", ["", "apiVersion: sealer.io/v2\nkind: Cluster\nspec: {masters: {count: 3}}\n---\n"])
def test_hosts_that_are_not_known_yet_are_not_missed(cluster: str) -> None:
    text = cluster + PLUGIN + "  type: NAMES\n  data: 10.0.0.9 b\n"
    assert read(text, "F", plugin_types=TYPES).warnings == ()


def test_a_record_may_name_hosts_that_have_left() -> None:
    text = HOSTS + PLUGIN + "  type: NAMES\n  'on': 10.0.0.9\n  data: 10.0.0.9 b\n"
    assert len(read(text, "F", plugin_types=TYPES, recorded=True).plugins) == 1


def test_a_record_may_have_lost_its_masters() -> None:
    text = HOSTS.replace("masters", "nodes").removesuffix("---\n")
    made = read(text, "F", recorded=True).cluster
    assert made is not None
    assert (len(made.hosts), made.masters) == (2, ())


def test_plugins_of_an_image_know_their_file() -> None:
    told: list[str] = []
    text = (
        PLUGIN
        + "  type: NAMES\n  on: master\n  data: 10.0.0.9 b\n---\n"
        + PLUGIN.replace("names", "more")
        + "  type: X\n"
    )
    first, second = read_plugins(text, "plugins/a.yaml", warn=lambda warning: told.append(str(warning)))
    assert (first.source, second.source) == ("plugins/a.yaml", "plugins/a.yaml")
    assert (second.name, second.type) == ("more", "X")
    assert told == ["plugins/a.yaml:6:3: spec.on: on without quotes is YAML's true; read as the field 'on'"]


@pytest.mark.parametrize("data", ["true", "yes", "010", "1.20", "~x", "2024-01-01", "22:22"])
def test_data_stays_as_it_is_written(data: str) -> None:
    assert read(PLUGIN + f"  type: X\n  data: {data}\n").plugins[0].data == data


def test_structured_data() -> None:
    (plugin,) = read(PLUGIN + "  type: X\n  data:\n    rules: [{port: 22, open: yes}]\n", "F").plugins
    assert plugin.data == {"rules": [{"port": 22, "open": True}]}
    assert (plugin.data_position.line, plugin.data_position.column) == (7, 5)


def test_a_driver_is_checked_where_it_is_chosen() -> None:
    asked: list[tuple[str, str]] = []

    def check(kind: DriverKind, choice: DriverChoice) -> None:
        asked.append((kind, choice.name))
        if kind == "runtime":
            raise UnknownDriverError("unknown runtime 'k4s'", why="installed are k3s", remedy="install it")
        if kind == "provider":
            problem = Problem(choice.position, "spec.provider.releese", "unknown field")
            raise InputError("the fields are not right", problems=[problem])

    text = (
        "apiVersion: sealer.io/v2\nkind: Cluster\nspec:\n  runtime: K4s\n"
        "  provider:\n    name: NSPAWN\n    releese: bookworm\n  registry: {driver: docker}\n"
    )
    with pytest.raises(InputError) as caught:
        read(text, "F", check_driver=check)
    assert [str(problem) for problem in caught.value.problems] == [
        "F:4:12: spec.runtime: unknown runtime 'k4s' (installed are k3s); install it",
        "F:7:5: spec.provider.releese: unknown field",
    ]
    assert sorted(asked) == [("provider", "nspawn"), ("registry", "docker"), ("runtime", "k4s")]
