"""Registry driver `registry`: a stock registry on the first master serves every image under its public name."""

from __future__ import annotations

from sealer_plugin_registry.driver import PrivateRegistry

__all__ = ["PrivateRegistry"]
