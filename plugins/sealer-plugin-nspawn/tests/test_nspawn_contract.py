from __future__ import annotations

import pytest

from sealer.events import EventStream
from sealer.settings import Settings
from sealer.testing import ProviderContract
from sealer_plugin_nspawn.options import Options
from sealer_plugin_nspawn.provider import NspawnProvider

pytestmark = pytest.mark.lab


class TestNspawn(ProviderContract):
    @pytest.fixture
    def provider(self, sealer_settings: Settings, sealer_events: EventStream, options: Options) -> NspawnProvider:
        return NspawnProvider(sealer_settings, sealer_events, {"stateDir": str(options.state)})
