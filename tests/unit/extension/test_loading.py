from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.errors import InputError, MissingDriverError, PluginError, Position, UnknownDriverError
from sealer.events import EventStream, Json
from sealer.extension.inventory import packages
from sealer.extension.loading import driver_class, driver_names, load_driver
from sealer.extension.manager import PluginManager
from sealer.settings import Settings

DRIVER = """
from sealer.extension import Provider

class Cloud(Provider):
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["region"],
        "properties": {"region": {"type": "string"}, "zones": {"type": "integer", "minimum": 1}},
    }
    def reconcile(self, operation): return []
    def destroy(self, operation): return []
    def find(self, cluster): return ()
"""
EVENTS = EventStream()


@pytest.fixture
def cloud(install: Callable[..., Path]) -> Path:
    return install("dist-cloud", {"sealer.providers": {"Zz_Cloud": "zz_cloud:Cloud"}}, zz_cloud=DRIVER)


@pytest.mark.usefixtures("cloud")
class TestLoadDriver:
    @pytest.mark.parametrize("name", ["zz-cloud", "ZZ_CLOUD", "Zz-Cloud"])
    def test_in_any_case(self, settings: Settings, name: str) -> None:
        driver = load_driver("provider", name, settings, EVENTS, {"region": "north"})
        assert (type(driver).__name__, driver.options, driver.settings) == ("Cloud", {"region": "north"}, settings)

    def test_options_that_do_not_fit(self, settings: Settings) -> None:
        position = Position("Clusterfile", 4, 3)
        with pytest.raises(InputError) as caught:
            load_driver("provider", "zz-cloud", settings, EVENTS, {"regoin": "x", "zones": 0}, position=position)
        assert [str(problem) for problem in caught.value.problems] == [
            "Clusterfile:4:3: spec.provider: 'region' is needed",
            "Clusterfile:4:3: spec.provider.regoin: unknown field 'regoin'; did you mean 'region'?",
            "Clusterfile:4:3: spec.provider.zones: must be at least 1, not 0",
        ]

    def test_unknown_names_what_there_is_and_what_to_install(self, settings: Settings) -> None:
        with pytest.raises(UnknownDriverError) as caught:
            load_driver("provider", "zz-clout", settings, EVENTS)
        assert caught.value.what == "unknown provider 'zz-clout'; did you mean 'zz-cloud'?"
        assert "zz-cloud" in caught.value.why
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize("name", ["zz-clout", "nspwan", "stanalone", ""])
    def test_a_package_of_a_strangers_name_is_not_proposed(self, settings: Settings, name: str) -> None:
        """Whoever registers the name that users mistype would have them install anything."""
        with pytest.raises(UnknownDriverError) as caught:
            load_driver("provider", name, settings, EVENTS)
        assert "pip install" not in caught.value.remedy

    def test_names(self, settings: Settings) -> None:
        assert "zz-cloud" in driver_names("provider", settings)
        assert "zz-cloud" not in driver_names("runtime", settings)
        assert list(driver_names("provider", settings)) == sorted(driver_names("provider", settings))


class TestDriversThatCannotBeHad:
    def test_one_of_our_own_is_not_installed(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sealer.extension.loading.installed", lambda group: [])
        with pytest.raises(MissingDriverError) as caught:
            load_driver("transport", "SSH", settings, EVENTS)
        assert str(caught.value) == "transport 'SSH' is not installed"
        assert caught.value.remedy == "pip install sealer-plugin-ssh"
        assert caught.value.exit_status == 2

    @pytest.mark.parametrize(
        "name",
        ["zz-cloud", "ZZ_Cloud", "sealer-plugin-zz-weather", "zz-weather", "zz_wind.made", "zz_wind", "zz-hook", "*"],
    )
    def test_disabled_by_any_of_its_names(self, settings: Settings, install: Callable[..., Path], name: str) -> None:
        points = {
            "sealer.providers": {"zz-cloud": "zz_wind.made:Cloud"},
            "sealer.plugins": {"zz-hook": "zz_wind.hooks"},
        }
        install("sealer-plugin-zz-weather", points)
        off = replace(settings, disabled_plugins=frozenset({name}))
        assert "zz-cloud" not in driver_names("provider", off)
        with pytest.raises(MissingDriverError, match="provider 'zz-cloud' is disabled by SEALER_DISABLE_PLUGINS"):
            driver_class("provider", "zz-cloud", off)

    @pytest.mark.parametrize("name", ["zz-clou", "zz", "wind", "zz-rain", "sealer-plugin-zz-rain", "zz_wind.made.more"])
    def test_left_in_by_other_names(self, settings: Settings, install: Callable[..., Path], name: str) -> None:
        points = {
            "sealer.providers": {"zz-cloud": "zz_wind.made:Cloud"},
            "sealer.transports": {"zz-rain": "zz_drops:R"},
        }
        install("sealer-plugin-zz-weather", points)
        assert "zz-cloud" in driver_names("provider", replace(settings, disabled_plugins=frozenset({name})))


class TestBrokenDrivers:
    def test_it_cannot_be_imported(self, settings: Settings, install: Callable[..., Path]) -> None:
        install("dist-bad", {"sealer.transports": {"zz-bad": "zz_bad:T"}}, zz_bad="import no_such_thing_here")
        with pytest.raises(PluginError, match="the transport 'zz-bad' of dist-bad") as caught:
            load_driver("transport", "zz-bad", settings, EVENTS)
        assert caught.value.why == "ModuleNotFoundError: No module named 'no_such_thing_here'"

    def test_it_is_another_kind(self, settings: Settings, install: Callable[..., Path]) -> None:
        install("dist-other", {"sealer.runtimes": {"zz-other": "zz_other:Cloud"}}, zz_other=DRIVER)
        with pytest.raises(PluginError, match="it is no subclass of Runtime"):
            driver_class("runtime", "zz-other", settings)

    def test_it_is_not_finished(self, settings: Settings, install: Callable[..., Path]) -> None:
        source = "from sealer.extension import Transport\nclass T(Transport): ...\n"
        install("dist-half", {"sealer.transports": {"zz-half": "zz_half:T"}}, zz_half=source)
        with pytest.raises(PluginError, match="it does not implement connect"):
            driver_class("transport", "zz-half", settings)

    @pytest.mark.parametrize("options", [{"region": "x", "zones": 1}, {"region": "x"}])
    def test_its_schema_is_wrong(
        self, settings: Settings, install: Callable[..., Path], options: Mapping[str, Json]
    ) -> None:
        """It shows whether or not anybody gives the field that is wrong."""
        install(
            "dist-schema",
            {"sealer.providers": {"zz-schema": "zz_schema:Cloud"}},
            zz_schema=DRIVER.replace('"type": "integer"', '"oneOf": []'),
        )
        with pytest.raises(PluginError, match=r"'zz-schema' of dist-schema .* keyword 'oneOf'"):
            load_driver("provider", "zz-schema", settings, EVENTS, options)
        (package,) = [one for one in packages(PluginManager.load(settings)) if one.distribution == "dist-schema"]
        assert package.status == "broken"
        assert "its schema.zones: the keyword 'oneOf' is unknown here" in package.problems[0]

    def test_two_packages_offer_it(self, settings: Settings, cloud: Path, install: Callable[..., Path]) -> None:
        install("dist-rival", {"sealer.providers": {"zz-cloud": "zz_rival:Cloud"}}, zz_rival=DRIVER)
        with pytest.raises(PluginError, match=r"dist-cloud 1\.0 .*, dist-rival 1\.0"):
            driver_class("provider", "zz-cloud", settings)
        only = replace(settings, disabled_plugins=frozenset({"dist-rival"}))
        assert driver_class("provider", "zz-cloud", only).__module__ == "zz_cloud"

    def test_what_is_asked_of_the_class_is_no_property(self, settings: Settings, install: Callable[..., Path]) -> None:
        """It would be true of every class, as it has no instance to answer yet."""
        source = DRIVER + "    makes_hosts = property(lambda self: False)\n"
        install("dist-lazy", {"sealer.providers": {"zz-lazy": "zz_lazy:Cloud"}}, zz_lazy=source)
        with pytest.raises(PluginError, match="makes_hosts is no variable of the class"):
            driver_class("provider", "zz-lazy", settings)

    def test_its_constructor_fails(self, settings: Settings, install: Callable[..., Path]) -> None:
        source = DRIVER + "    def __init__(self, *a): raise OSError('no api')\n"
        install("dist-ctor", {"sealer.providers": {"zz-ctor": "zz_ctor:Cloud"}}, zz_ctor=source)
        with pytest.raises(PluginError, match="OSError: no api"):
            load_driver("provider", "zz-ctor", settings, EVENTS, {"region": "x"})


def test_an_edited_package_is_seen_at_once(tmp_path: Path) -> None:
    """stevedore's own cache would show the old entry points for two minutes; each run here is a fresh process."""
    site = tmp_path / "site"
    info = site / "dist_edit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-edit\nVersion: 1.0\n")
    (site / "zz_edit.py").write_text(DRIVER)
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from pathlib import Path\n"
        "from sealer.extension.loading import driver_class\n"
        "from sealer.settings import Settings\n"
        "print(driver_class('provider', sys.argv[1], Settings(Path('/nowhere'))).__name__)\n"
    )
    for name in ("zz-before", "zz-after"):
        (info / "entry_points.txt").write_text(f"[sealer.providers]\n{name} = zz_edit:Cloud\n")
        done = subprocess.run(
            [sys.executable, "-c", program, name],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},  # where stevedore may keep one
        )
        assert (done.stdout, done.stderr) == ("Cloud\n", "")


def test_importing_the_loader_imports_no_stevedore() -> None:
    program = "import sys, sealer.extension.loading, sealer.extension.manager; sys.exit('stevedore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
