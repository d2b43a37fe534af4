"""KUBEVERSION against a cluster's version, with what the documentation of the grammar gives as examples."""

from __future__ import annotations

import pytest

from sealer_plugin_kubeadm.constraints import satisfies


@pytest.mark.parametrize(
    ("constraint", "fit", "unfit"),
    [
        (">= 1.19.8, < 1.31", ["v1.19.8", "v1.20.2", "v1.30.9"], ["v1.19.7", "v1.31.0"]),
        (">=1.19 <1.21", ["v1.19.0", "v1.20.15"], ["v1.21.0", "v1.18.20"]),
        ("^1.22", ["v1.22.0", "v1.35.1"], ["v1.21.9", "v2.0.0"]),
        ("~1.28.3", ["v1.28.3", "v1.28.15"], ["v1.28.2", "v1.29.0"]),
        ("~1", ["v1.0.0", "v1.35.0"], ["v2.0.0"]),
        ("~>1.20", ["v1.20.9"], ["v1.21.0"]),
        ("1.19.x", ["v1.19.3"], ["v1.20.0"]),
        ("1.20", ["v1.20.2"], ["v1.21.0"]),
        ("1.19 - 1.21", ["v1.19.0", "v1.21.9"], ["v1.22.0", "v1.18.9"]),
        ("<1.18 || >=1.20", ["v1.17.4", "v1.20.0"], ["v1.19.1"]),
        ("!=1.20.2", ["v1.20.3"], ["v1.20.2"]),
        (">1.20", ["v1.21.0"], ["v1.20.5"]),
        ("*", ["v1.20.2"], []),
        (">=1.20.0", ["v1.20.2+rke2r1", "v1.21.0-rc.1"], []),
    ],
)
def test_versions(constraint: str, fit: list[str], unfit: list[str]) -> None:
    assert [version for version in (*fit, *unfit) if satisfies(version, constraint)] == fit
