"""Every field that a driver documents can be given, and needed ones do not keep a driver from being used."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sealer.cli.clusterfiles import driver_check
from sealer.cluster.desired import Flags, desired
from sealer.clusterfile.reading import read
from sealer.errors import Position
from sealer.events import EventStream, Json
from sealer.extension.loading import GROUPS, KINDS, Kind, driver_class, driver_names, load_driver
from sealer.extension.manager import PluginManager
from sealer.extension.schema import check
from sealer.settings import SHIPPED, Settings
from sealer.testing.sshd import LoopbackSshd, why_not

jsonschema: Any = importlib.import_module("jsonschema")  # has no type hints
SETTINGS = Settings(home=Path("/nonexistent"))
SHIPPED_DRIVERS = [(kind, name) for kind in KINDS for name in SHIPPED[kind] if name in driver_names(kind, SETTINGS)]


def sample(schema: Mapping[str, Any]) -> Json:
    """A value that a field's description allows."""
    for given in (*schema.get("examples", ()), *schema.get("enum", ())):
        return given  # type: ignore[no-any-return]  # JSON
    if "default" in schema:
        return schema["default"]  # type: ignore[no-any-return]
    least = max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
    kind = schema["type"]
    made: dict[str, Json] = {"integer": least, "number": least + 0.5, "boolean": True, "string": "text"}
    return [sample(schema["items"])] if kind == "array" else {} if kind == "object" else made[kind]


def fields() -> Iterator[tuple[Kind, str, str]]:
    for kind, name in SHIPPED_DRIVERS:
        properties = driver_class(kind, name, SETTINGS).schema["properties"]
        assert isinstance(properties, dict)
        yield from ((kind, name, field) for field in properties)


def options(kind: Kind, name: str, field: str) -> dict[str, Json]:
    """A field, and those without which none can be given."""
    schema: Mapping[str, Any] = driver_class(kind, name, SETTINGS).schema
    return {one: sample(schema["properties"][one]) for one in (*schema.get("required", ()), field)}


def test_what_is_proposed_for_installation_is_what_the_packages_of_the_tree_offer() -> None:
    offered: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for file in sorted(Path(__file__).resolve().parents[2].glob("*plugins/*/setup.cfg")):
        metadata = configparser.ConfigParser()
        metadata.read(file)
        points = metadata["options.entry_points"]
        for kind in KINDS:
            names = [line.partition("=")[0].strip() for line in points.get(GROUPS[kind], "").strip().splitlines()]
            offered[kind] |= dict.fromkeys(names, metadata["metadata"]["name"])
    manager = PluginManager.load(SETTINGS)
    packages = {plugin.name: plugin.distribution for plugin in manager.installed}
    types = {name.lower(): packages[plugin] for name, plugin in manager.type_providers().items()}
    assert {**offered, "type": types} == SHIPPED


def test_all_that_is_shipped_is_looked_at() -> None:
    assert {name for _, name in SHIPPED_DRIVERS} == {name for kind in KINDS for name in SHIPPED[kind]}
    assert ("transport", "ssh", "connectTimeout") in set(fields())


@pytest.mark.parametrize(("kind", "name"), SHIPPED_DRIVERS)
def test_a_schema_is_one_to_other_programs_too(kind: Kind, name: str) -> None:
    schema: Mapping[str, Any] = driver_class(kind, name, SETTINGS).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    everything: dict[str, Json] = {field: sample(about) for field, about in schema["properties"].items()}
    values: list[dict[str, Json]] = [everything, {**everything, "nosuch": 1}]
    values += [{field: []} for field in everything]
    for value in values:
        ours = check(value, schema, f"spec.{kind}", Position("Clusterfile"))
        assert bool(ours) == (not jsonschema.Draft202012Validator(schema).is_valid(value)), value


@pytest.mark.parametrize(("kind", "name", "field"), [*fields()])
def test_a_field_can_be_given(kind: Kind, name: str, field: str) -> None:
    given = options(kind, name, field)
    assert load_driver(kind, name, SETTINGS, EventStream(), given).options == given
    own = {"name": name, **given}
    chosen = {"driver": own} if kind == "registry" else own
    spec = {"image": "a:1", "hosts": [{"ips": ["192.0.2.1"], "roles": ["master"]}], kind: chosen}
    document = {"apiVersion": "sealer.io/v2", "kind": "Cluster", "metadata": {"name": "a"}, "spec": spec}
    clusterfile = read(json.dumps(document), check_driver=driver_check(SETTINGS))
    assert clusterfile.cluster
    found = clusterfile.cluster.registry if kind == "registry" else getattr(clusterfile.cluster, kind)
    assert found.options == given


@pytest.mark.parametrize(("kind", "name", "field"), [one for one in fields() if one[0] != "registry"])
def test_a_field_can_be_given_on_the_command_line(kind: Kind, name: str, field: str) -> None:
    given = options(kind, name, field)
    words = tuple(f"{key}={json.dumps(value)}" for key, value in given.items())
    flags = Flags(masters="192.0.2.1", **{f"{kind}_options": words})  # type: ignore[arg-type]
    cluster = desired(None, flags, lambda provider: False).cluster
    assert cluster
    assert load_driver(kind, name, SETTINGS, EventStream(), getattr(cluster, kind).options).options == given


def test_a_field_is_checked_where_it_is_given() -> None:
    text = "apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {name: a}\nspec:\n  image: a:1\n"
    text += "  transport:\n    name: ssh\n    connectTimeout: 0\n"
    with pytest.raises(Exception, match=r"Clusterfile:8:5: spec.transport.connectTimeout: must be greater than 0"):
        read(text, check_driver=driver_check(SETTINGS))


# A provider whose hosts are listed in a file, which it cannot do without, as it cannot without the token.
LISTED = """\
import json
from pathlib import Path
from sealer.errors import HostError
from sealer.extension import OPERATOR, Provider, Step
from sealer.extension.drivers import HOSTS_MADE

class Listed(Provider):
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["file", "token"],
        "properties": {"file": {"type": "string"}, "token": {"type": "string", "minLength": 4}},
    }
    makes_hosts = True

    def __init__(self, settings, events, options):
        super().__init__(settings, events, options)
        self.file, self.token = Path(options["file"]), options["token"]

    def _step(self, word, **more):
        def act(context):
            listed = json.loads(self.file.read_text())
            if self.token != listed["token"]:
                raise HostError("the token is wrong", where="listed")
            if more:
                context.give(HOSTS_MADE, listed["hosts"])
            with self.file.with_suffix(".done").open("a") as done:
                done.write(word + "\\n")
        return [Step(word, word.capitalize(), OPERATOR, act, **more)]

    def reconcile(self, operation):
        return self._step("made", gives=frozenset({HOSTS_MADE}))

    def destroy(self, operation):
        return self._step("destroyed")

    def find(self, cluster):
        return ()
"""
CLUSTERFILE = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {{name: listed}}
spec:
  image: listed:1
  dataRoot: {work}/data
  ssh: {{authorizeKey: false}}
{provider}
  masters: {{count: "1"}}
"""


class Site:
    """A home, an installed provider, an image, and a host behind a port of this machine's loopback."""

    def __init__(self, work: Path, server: LoopbackSshd) -> None:
        self.work = work
        package = work / "site" / "sealer_test_listed-1.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sealer-test-listed\nVersion: 1\n")
        (package / "entry_points.txt").write_text("[sealer.providers]\nlisted = sealer_test_listed:Listed\n")
        (work / "site" / "sealer_test_listed.py").write_text(LISTED)
        login = {"address": "127.0.0.1", "port": server.port, "user": "root", "private_key": str(server.key)}
        (work / "hosts.json").write_text(json.dumps({"token": "open sesame", "hosts": {"master-0": login}}))
        (work / "Kubefile").write_text("FROM scratch\nCOPY Kubefile x\nCMD echo up\n")
        self.call("build", "-q", "-t", "listed:1", "-f", str(work / "Kubefile"), str(work))

    def call(self, *arguments: str, status: int = 0, disabled: str = "") -> str:
        home = {"HOME": str(self.work), "SEALER_HOME": str(self.work / "home")}
        environment = {**os.environ, **home, "PYTHONPATH": str(self.work / "site"), "SEALER_DISABLE_PLUGINS": disabled}
        done = subprocess.run(
            [sys.executable, "-m", "sealer", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stderr + done.stdout

    def clusterfile(self, provider: str) -> str:
        (self.work / "Clusterfile").write_text(CLUSTERFILE.format(work=self.work, provider=provider))
        return str(self.work / "Clusterfile")

    @property
    def provided(self) -> list[str]:
        return (self.work / "hosts.done").read_text().split()

    def recorded(self) -> str:
        files = (path for path in (self.work / "home").rglob("*") if path.is_file())
        return "".join(path.read_text(errors="replace") for path in files)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if reason := why_not():
        pytest.skip(reason)
    with LoopbackSshd(tmp_path) as server:
        yield Site(tmp_path, server)


@pytest.mark.parametrize("way", ["file", "flags", "both"])
def test_a_provider_with_needed_fields(site: Site, way: str) -> None:
    file, token = f"file={site.work}/hosts.json", "token=open sesame"
    name = "  provider: {name: listed%s}"
    given = {"file": name % f", file: {site.work}/hosts.json, token: open sesame", "flags": "", "both": name % ""}[way]
    flags = [] if way == "file" else ["--provider", "LISTED", "--provider-option", file, "--provider-option", token]
    clusterfile = site.clusterfile(given)
    if way == "file":
        site.call("validate", "-f", clusterfile)
    assert "Made" in site.call("apply", "-f", clusterfile, *flags, "--dry-run")
    assert not (site.work / "hosts.done").exists()
    assert "up" in site.call("apply", "-f", clusterfile, *flags)
    assert site.provided == ["made"]
    assert "already up to date" in site.call("apply", "-f", clusterfile, *flags)
    assert "listed" in site.call("status") + site.call("check", "--name", "listed")  # needs no token
    assert "open sesame" not in site.recorded()
    assert "'token' is needed" in site.call("delete", "--all", "--yes", "--name", "listed", status=2)
    site.call("delete", "--all", "--yes", "--name", "listed", "--provider-option", token)
    assert site.provided == ["made", "destroyed"]


def test_a_secret_of_a_driver_is_given_again_where_an_operation_is_continued(site: Site) -> None:
    listed = site.work / "hosts.json"
    away = listed.rename(site.work / "away.json")
    token = ["--provider-option", "token=open sesame"]
    clusterfile = site.clusterfile(f"  provider: {{name: listed, file: {listed}}}")
    site.call("apply", "-f", clusterfile, *token, status=1)
    away.rename(listed)
    site.clusterfile(f"  provider: {{name: listed, file: {listed}}}\n  env: [Other=1]")
    assert "'token' is needed" in site.call("apply", "-f", clusterfile, "--continue", status=2)
    assert "up" in site.call("apply", "-f", clusterfile, "--continue", *token)
    assert "open sesame" not in site.recorded()
    site.call("delete", "--all", "--yes", "--name", "listed", *token)


def test_a_needed_field_that_is_missing(site: Site) -> None:
    clusterfile = site.clusterfile("  provider: {name: listed, token: open sesame}")
    for command in ("validate", "apply"):
        told = site.call(command, "-f", clusterfile, status=2)
        assert "Clusterfile:8:" in told
        assert "spec.provider: 'file' is needed" in told
    told = site.call("run", "listed:1", "--provider", "listed", "-m", "1", "--provider-option", "token=1234", status=2)
    assert "spec.provider: 'file' is needed" in told


@pytest.mark.parametrize("name", ["listed", "sealer-test-listed", "sealer_test_listed", "*"])
def test_a_disabled_driver_is_left_out_and_said_to_be(site: Site, name: str) -> None:
    file = site.clusterfile(f"  provider: {{name: listed, file: {site.work}/hosts.json, token: open sesame}}")
    said = "provider 'listed' is disabled by SEALER_DISABLE_PLUGINS"
    assert said in site.call("validate", "-f", file, disabled=name)
    assert said in site.call("apply", "-f", file, "--dry-run", disabled=name)
    assert said in site.call("apply", "-f", file, status=2, disabled=name)
    assert not (site.work / "hosts.done").exists()
    packages = json.loads(site.call("plugin", "list", "--output", "json", disabled=name).splitlines()[-1])["plugins"]
    assert [one["status"] for one in packages if one["name"] == "sealer-test-listed"] == ["disabled"]
    if name == "*":
        assert said.replace("SEALER_DISABLE_PLUGINS", "--no-plugins") in site.call(
            "--no-plugins", "validate", "-f", file
        )


def test_what_nobody_has_is_warned_of(site: Site) -> None:
    told = site.call("plugin", "list", disabled="sealer-test-lisetd")
    assert "no installed plugin is called 'sealer-test-lisetd'; did you mean 'sealer-test-listed'?" in told


@pytest.mark.parametrize("name", ["kubectl", "kubeadm", "sealer-plugin-kubeadm", "sealer_plugin_kubeadm"])
def test_a_command_of_a_disabled_package_is_left_out(site: Site, name: str) -> None:
    assert "kubectl" in site.call("--help")
    assert "kubectl " not in site.call("--help", disabled=name)
    told = site.call("kubectl", "get", "nodes", status=2, disabled=name)
    assert "the command 'kubectl' is disabled by SEALER_DISABLE_PLUGINS" in told
