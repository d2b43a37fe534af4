from __future__ import annotations

from collections.abc import Iterator

import pytest

from sealer_plugin_nspawn.footprint import footprint_of_hosts
from sealer_plugin_nspawn.machines import Machines
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.record import Records


@pytest.fixture
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """A state directory of this test, of which nothing may be left."""
    options = Options(state=tmp_path_factory.mktemp("nspawn") / "state")
    before = footprint_of_hosts(options.state)
    yield options
    for lab in Records(options.state).all():
        Machines(lab.cluster, owner=lab.owner, options=options).down()
    assert sorted(footprint_of_hosts(options.state) - before) == []
    assert not options.state.exists()
