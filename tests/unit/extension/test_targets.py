from __future__ import annotations

import pytest

from sealer.extension import ADDED, ALL, FIRST_MASTER, REMOVED, Addresses, Labelled, Role, Targets, everyone, select
from sealer.phases import Phase
from sealer.testing import make_operation


@pytest.mark.parametrize(
    ("phase", "targets"),
    [
        (Phase.PRE_INIT, ALL),
        (Phase.PRE_JOIN, ADDED),
        (Phase.POST_JOIN, ADDED),
        (Phase.PRE_GUEST, ALL),
        (Phase.POST_INSTALL, ALL),
        (Phase.PRE_CLEAN, REMOVED),
        (Phase.POST_CLEAN, REMOVED),
    ],
)
def test_whom_a_phase_is_about(phase: Phase, targets: Targets) -> None:
    assert everyone(phase) == targets
    assert select("", phase, make_operation()) == targets


@pytest.mark.parametrize(
    ("on", "phase", "targets"),
    [
        ("master", Phase.PRE_INIT, Role("master")),
        ("node", Phase.POST_JOIN, Role("node", "added")),
        ("master0", Phase.PRE_GUEST, FIRST_MASTER),
        (
            "192.0.2.12-192.0.2.40,10.0.0.9",
            Phase.PRE_CLEAN,
            Addresses(frozenset({"192.0.2.12", "192.0.2.13"}), "removed"),
        ),
        ("node-role.kubernetes.io/master=", Phase.POST_INSTALL, Labelled("node-role.kubernetes.io/master", "")),
        ("example.com/disk", Phase.PRE_CLEAN, Labelled("example.com/disk", None, "removed")),
    ],
)
def test_select(on: str, phase: Phase, targets: Targets) -> None:
    assert select(on, phase, make_operation()) == targets


@pytest.mark.parametrize("phase", [Phase.PRE_INIT, Phase.PRE_JOIN, Phase.POST_CLEAN])
def test_a_label_where_nobody_can_resolve_it(phase: Phase) -> None:
    with pytest.raises(ValueError, match="PreGuest"):
        select("disk=ssd", phase, make_operation())
