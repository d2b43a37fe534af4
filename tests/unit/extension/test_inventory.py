from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.extension.inventory import Package, find, packages
from sealer.extension.manager import PluginManager
from sealer.settings import Settings

PLUGIN = """
from sealer.extension import PluginType, Provider, hookimpl
from sealer.phases import Phase

class Colour(PluginType):
    type = "ZZ_COLOUR"
    default_phases = (Phase.PRE_GUEST,)
    phases = frozenset({Phase.PRE_GUEST, Phase.PRE_INIT})
    def parse(self, document): return document.data
    def steps(self, operation, phase, document, parsed): return []

class Cloud(Provider):
    schema = {"type": "object", "properties": {"region": {"type": "string"}}}
    def reconcile(self, operation): return []
    def destroy(self, operation): return []
    def find(self, cluster): return ()

@hookimpl
def plugin_types(): return [Colour]

@hookimpl
def post_clean(operation): return []

import click
@click.command
def backup(): ...
"""
POINTS = {
    "sealer.plugins": {"zz-paint": "zz_paint"},
    "sealer.providers": {"zz-cloud": "zz_paint:Cloud"},
    "sealer.commands": {"zz-backup": "zz_paint:backup"},
}
Install = Callable[..., Path]


def inventory(settings: Settings) -> dict[str, Package]:
    return {one.name: one for one in packages(PluginManager.load(settings))}


def test_all_that_a_package_provides(settings: Settings, install: Install) -> None:
    install("sealer-plugin-zz-paint", POINTS, zz_paint=PLUGIN)
    paint = inventory(settings)["zz-paint"]
    assert (paint.status, paint.version, paint.distribution) == ("enabled", "1.0", "sealer-plugin-zz-paint")
    assert paint.provides == ("provider zz-cloud", "type ZZ_COLOUR", "hook post_clean", "command zz-backup")
    assert paint.types[0].phases == ("PreInit", "PreGuest")
    assert paint.as_json()["drivers"] == [
        {
            "kind": "provider",
            "name": "zz-cloud",
            "schema": {"type": "object", "properties": {"region": {"type": "string"}}},
        }
    ]


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ({"sealer.plugins": {"zz-bad": "zz_none"}}, "plugin zz-bad: ModuleNotFoundError: No module named 'zz_none'"),
        ({"sealer.runtimes": {"zz-bad": "zz_paint:Cloud"}}, "it is no subclass of Runtime"),
        ({"sealer.commands": {"zz-bad": "zz_paint:Cloud"}}, "command zz-bad: TypeError: it is no click command"),
    ],
)
def test_a_broken_one_says_why(settings: Settings, install: Install, points: object, problem: str) -> None:
    install("sealer-plugin-zz-bad", points, zz_paint=PLUGIN)
    bad = inventory(settings)["zz-bad"]
    assert bad.status == "broken"
    assert problem in bad.problems[0]


def test_a_hook_that_fails_breaks_its_own_package_only(settings: Settings, install: Install) -> None:
    source = "from sealer.extension import hookimpl\n@hookimpl\ndef plugin_types(): return [int]\n"
    install("sealer-plugin-zz-int", {"sealer.plugins": {"zz-int": "zz_int"}}, zz_int=source)
    install("sealer-plugin-zz-paint", POINTS, zz_paint=PLUGIN)
    found = inventory(settings)
    assert found["zz-paint"].status == "enabled"
    assert "classes derived from PluginType are expected" in found["zz-int"].problems[0]


def test_a_type_offered_twice(settings: Settings, install: Install) -> None:
    install("sealer-plugin-zz-one", {"sealer.plugins": {"zz-one": "zz_one"}}, zz_one=PLUGIN)
    install("sealer-plugin-zz-two", {"sealer.plugins": {"zz-two": "zz_two"}}, zz_two=PLUGIN)
    found = inventory(settings)
    assert found["zz-one"].problems == ()
    assert found["zz-two"].problems == ("plugin zz-two: 'zz-one' offers the type ZZ_COLOUR already",)


def test_a_disabled_one(settings: Settings, install: Install) -> None:
    install("sealer-plugin-zz-paint", POINTS, zz_paint=PLUGIN)
    paint = inventory(replace(settings, disabled_plugins=frozenset({"zz-paint"})))["zz-paint"]
    assert (paint.status, paint.types, paint.hooks) == ("disabled", (), ())
    assert [(driver.name, driver.schema) for driver in paint.drivers] == [("zz-cloud", {})]  # not imported


@pytest.mark.parametrize(
    "name", ["zz-paint", "sealer-plugin-zz-paint", "ZZ_Colour", "zz_cloud", "zz-backup", "post-clean"]
)
def test_find(settings: Settings, install: Install, name: str) -> None:
    install("sealer-plugin-zz-paint", POINTS, zz_paint=PLUGIN)
    found = [one for one in packages(PluginManager.load(settings)) if one.name.startswith("zz-")]
    assert find(found, name) == found[0]
    assert find(found, "zz-else") is None
