"""What Plugin documents say of a host that joins later: applied when it joins, whatever phase their action names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sealer.cluster.documents import DocumentsPlugin, parse
from sealer.clusterfile.model import PluginDocument
from sealer.extension import PluginType
from sealer.hosts import Host
from sealer.phases import CLEANING_PHASES, LABEL_PHASES, Phase
from sealer.testing import make_operation
from sealer_plugin_hostname import Hostname
from sealer_plugin_label import Label
from sealer_plugin_shell import Shell
from sealer_plugin_taint import Taint

MASTER, ADDED = Host("10.0.0.1", ("master",)), Host("10.0.0.2", ("node",))
TYPES: Mapping[str, PluginType[object]] = {type.type: type() for type in (Hostname, Label, Taint, Shell)}  # type: ignore[misc]  # each has data of its own
DATA = {
    "HOSTNAME": "10.0.0.1 one\n10.0.0.2 two\n",
    "LABEL": "10.0.0.1 disk=hdd\n10.0.0.2 disk=ssd\n",
    "TAINT": "10.0.0.2 a=b:NoSchedule\n",
    "SHELL": "true",
}


def planned(type: str, *phases: Phase) -> dict[Phase, list[str]]:
    """Of a scale-up the steps of each phase that it has."""
    plugin = DocumentsPlugin()
    plugin.parsed = parse([PluginDocument("doc", type, phases=phases, data=DATA[type])], TYPES)
    operation = make_operation("scale", hosts=[MASTER], added=[ADDED])
    steps = {Phase.PRE_JOIN: plugin.pre_join(operation), Phase.POST_JOIN: plugin.post_join(operation)}
    return {phase: [str(step.inputs) for step in found] for phase, found in steps.items() if found}


@pytest.mark.parametrize("phase", sorted(Hostname.phases))
def test_a_name_is_given_when_the_host_joins(phase: Phase) -> None:
    found = planned("HOSTNAME", phase)
    assert Phase.PRE_JOIN in found
    assert all("two" in step and "one" not in step for steps in found.values() for step in steps)


@pytest.mark.parametrize("phase", sorted(LABEL_PHASES - CLEANING_PHASES))
@pytest.mark.parametrize(("type", "word"), [("LABEL", "ssd"), ("TAINT", "NoSchedule")])
def test_labels_and_taints_are_set_when_the_host_joins(type: str, word: str, phase: Phase) -> None:
    [step] = planned(type, phase).pop(Phase.POST_JOIN)
    assert word in step
    assert "hdd" not in step


@pytest.mark.parametrize("type", ["LABEL", "TAINT"])
def test_what_is_about_leaving_hosts_alone_is_not_for_those_that_join(type: str) -> None:
    assert planned(type, Phase.PRE_CLEAN) == {}


@pytest.mark.parametrize("phase", list(Phase))
def test_a_script_runs_in_the_phases_of_its_action_and_in_no_other(phase: Phase) -> None:
    assert set(planned("SHELL", phase)) == {phase} & {Phase.PRE_JOIN, Phase.POST_JOIN}
