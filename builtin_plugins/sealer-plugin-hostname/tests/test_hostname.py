from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import InputError
from sealer.extension import Addresses, Effect
from sealer.phases import Phase
from sealer.testing import Answers, BadData, PluginTypeContract, Reply, make_document, make_operation, run_steps
from sealer_plugin_hostname import Hostname, post_clean
from sealer_plugin_hostname.names import wrong_name

NAMES = "192.0.2.11 master-0\n192.0.2.12 node-0\n192.0.2.110 node-2\n"


class TestHostnameContract(PluginTypeContract):
    plugin_type = Hostname
    good = (
        NAMES,
        "# all of them\n\n  192.0.2.11\tmaster-0.example.com  # the first\n",
        "192.0.2.11 a",
        "fd00:0::2 six",
        f"192.0.2.11 {'a' * 63}",
    )
    bad = (
        BadData("", says="no line"),
        BadData("# nothing\n", says="no line"),
        BadData({"192.0.2.11": "a"}, says="lines of 'ip name'"),
        BadData("192.0.2.300 a", column=1, says="'192.0.2.300' is not an IP address"),
        BadData("\nmaster-0 192.0.2.11", line=2, column=1, says="the address comes first"),
        BadData("192.0.2.11", column=1, says="has no name"),
        BadData("192.0.2.11 a b", column=14, says="'b' is too much"),
        BadData("192.0.2.11:22 a", column=1, says="is not an IP address"),
        BadData("192.0.2.11-192.0.2.12 a", column=1, says="is not an IP address"),
        BadData("192.0.2.11 under_score", column=12, says="letters, digits and dashes"),
        BadData("192.0.2.11 -a", column=12, says="no dash at an end"),
        BadData("192.0.2.11 a..b", column=12, says="dots between"),
        BadData("192.0.2.11 a.", column=12, says="dots between"),
        BadData("192.0.2.11 192.0.2.12", column=12, says="is an address, not a name"),
        BadData(f"192.0.2.11 {'a' * 64}", column=12, says="at most 63"),
        BadData(f"192.0.2.11 {'a.' * 33}b", column=12, says="67 characters; a host's name has at most 64"),
        BadData("192.0.2.11 a\n192.0.2.11 b", line=2, column=1, says="has a name already, in line 8"),
        BadData("192.0.2.11 a\n192.0.2.12  A", line=2, column=13, says="is given already, in line 8"),
        BadData("192.0.2.11 größe", column=12, says="letters, digits and dashes"),
    )
    differing = (("192.0.2.11 a\n192.0.2.110 b", "192.0.2.11 b\n192.0.2.110 a"),)


def test_all_mistakes_at_once_in_their_order() -> None:
    data = "192.0.2.11 a\nfoo bar\n192.0.2.11 b_c\n192.0.2.11 d"
    with pytest.raises(InputError) as caught:
        Hostname().parse(make_document("HOSTNAME", data))
    assert [str(problem).split(" Plugin hostname: spec.data: ")[0] for problem in caught.value.problems] == [
        "Clusterfile:9:5:",
        "Clusterfile:10:16:",
        "Clusterfile:11:5:",
    ]


def test_it_says_whom_it_names_and_how() -> None:
    parsed = Hostname().parse(make_document("HOSTNAME", "fd00:0::2 six\n192.0.2.11 four"))
    assert Hostname().addresses(parsed) == {"fd00::2", "192.0.2.11"}
    assert Hostname().host_names(parsed) == {"fd00::2": "six", "192.0.2.11": "four"}


@given(st.text(max_size=70))
def test_any_text_is_understood_or_refused(data: str) -> None:
    try:
        names = Hostname().parse(make_document("HOSTNAME", data))
    except InputError as error:
        assert error.problems
    else:
        assert names
        assert all(not wrong_name(name) for name in names.values())


class TestSteps:
    def test_by_default_before_anything_is_installed(self) -> None:
        assert Hostname.default_phases == (Phase.PRE_INIT, Phase.PRE_JOIN)

    def test_only_hosts_of_the_phase(self) -> None:
        document = make_document("HOSTNAME", NAMES)
        parsed = Hostname().parse(document)
        [create] = Hostname().steps(make_operation(), Phase.PRE_INIT, document, parsed)
        [join] = Hostname().steps(make_operation("scale"), Phase.PRE_JOIN, document, parsed)
        assert create.on == Addresses(frozenset({"192.0.2.11", "192.0.2.12"}))
        assert create.inputs == {"names": {"192.0.2.11": "master-0", "192.0.2.12": "node-0"}}
        assert join.on == Addresses(frozenset({"192.0.2.110"}), "added")
        assert create.effect is Effect.CONVERGE

    def test_nobody_to_name(self) -> None:
        document = make_document("HOSTNAME", "10.0.0.1 elsewhere")
        assert Hostname().steps(make_operation(), Phase.PRE_INIT, document, Hostname().parse(document)) == []

    def test_each_host_gets_its_own_name_and_never_in_the_script(self) -> None:
        document = make_document("HOSTNAME", NAMES)
        operation = make_operation()
        steps = Hostname().steps(operation, Phase.PRE_INIT, document, Hostname().parse(document))
        recording = run_steps(steps, operation, answers=Answers().on("^uname", Reply("debian\n")))
        calls = [call for call in recording.calls if call.what == "sh"]
        assert [(call.host, call.env["SEALER_NAME"], call.env["SEALER_ADDRESS"]) for call in calls] == [
            ("192.0.2.11", "master-0", "192.0.2.11"),
            ("192.0.2.12", "node-0", "192.0.2.12"),
        ]
        assert all("master-0" not in call.text for call in calls)
        assert recording.messages() == ["debian is now master-0", "debian is now node-0"]


class TestPostClean:
    def test_names_are_given_back(self) -> None:
        operation = make_operation("delete", plugins=[make_document("HOSTNAME", NAMES)])
        recording = run_steps(post_clean(operation), operation)
        assert recording.hosts == {"give-back": ["192.0.2.11", "192.0.2.12", "192.0.2.13"]}
        assert post_clean(operation)[0].unreachable == "skip"

    def test_where_nobody_was_named_nothing_is_done(self) -> None:
        operation = make_operation("delete", plugins=[make_document("SHELL", "true")])
        assert post_clean(operation) == []
        assert post_clean(replace(operation, recorded=None)) == []
