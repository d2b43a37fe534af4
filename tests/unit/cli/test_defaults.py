"""`config.yaml`: defaults of options, below the environment, the Clusterfile and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealer.cli.app import App
from sealer.cli.entry import run
from sealer.cli.requests import cluster_request
from sealer.cluster.desired import Flags
from sealer.cluster.home import ClusterHome
from sealer.clusterfile.model import Cluster
from sealer.defaults import VARIABLES, defaults
from sealer.errors import InputError
from sealer.hosts import Ssh
from sealer.settings import Settings

FILE = "user: ann\nkey: ~/keys/site\nparallel: 5\nprovider: nspawn\nregistry: reg.corp:5000\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("SEALER_HOME", str(made))
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    return made


def cluster(clusterfile: str = "", **flags: Any) -> Cluster:
    """What a command line asks for."""
    found = cluster_request(App(), clusterfile, Flags(image="app:1", name="new", **flags), lambda _: None).cluster
    assert found is not None
    return found


def test_the_environment_goes_over_the_file(home: Path) -> None:
    assert defaults(home, {}) == {}
    (home / "config.yaml").write_text(FILE)
    found = defaults(home, {"SEALER_USER": "bob", "SEALER_PARALLEL": "", "PATH": "/bin"})
    assert (found["user"].value, found["user"].source) == ("bob", "SEALER_USER")
    assert (found["parallel"].value, found["parallel"].source) == ("5", str(home / "config.yaml"))
    settings = Settings.from_environment({"SEALER_HOME": str(home), "SEALER_PARALLEL": "9"})
    assert (settings.parallel_hosts, settings.user, settings.registry) == (9, "ann", "reg.corp:5000")


def test_the_command_line_goes_over_both(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (home / "config.yaml").write_text(FILE)
    [host] = cluster(masters="192.0.2.7").hosts
    assert (host.ssh.user, host.ssh.private_key) == ("ann", str(tmp_path / "keys/site"))
    monkeypatch.setenv("SEALER_USER", "bob")
    assert cluster(masters="192.0.2.7").hosts[0].ssh.user == "bob"
    given = cluster(masters="192.0.2.7", ssh=Ssh(user="eve", private_key="/k")).hosts[0].ssh
    assert (given.user, given.private_key) == ("eve", "/k")
    file = tmp_path / "Clusterfile"
    file.write_text(
        "apiVersion: sealer.io/v2\nkind: Cluster\nmetadata: {name: new}\nspec:\n  image: app:1\n"
        "  ssh: {user: zoe}\n  hosts: [{ips: [192.0.2.8], roles: [master]}]\n"
    )
    found = cluster(str(file))
    assert found.hosts[0].ssh.filled_from(found.ssh).user == "zoe"


def test_what_is_recorded_and_this_machine_keep_their_login(home: Path) -> None:
    (home / "config.yaml").write_text(FILE)
    assert not cluster(masters="127.0.0.1").hosts[0].has_login
    path = ClusterHome(home / "clusters" / "new")
    path.directory.mkdir(parents=True)
    (path.directory / "state.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sealer.cli.requests._goes_on", lambda app, name: True)
        assert not cluster(masters="192.0.2.7").hosts[0].has_login


def test_the_default_provider_is_for_counts(home: Path) -> None:
    (home / "config.yaml").write_text(FILE)
    assert cluster(masters="1", nodes="2").provider.name == "nspawn"
    assert cluster(masters="192.0.2.7").provider.name == ""
    (home / "config.yaml").write_text("user: ann\n")
    with pytest.raises(InputError):
        cluster(masters="1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user: ann\nparalel: 5\n", ":2:1: paralel: unknown key; known keys: user, key, parallel, provider, registry"),
        ("# none\n\nparallel: many\n", ":3:1: parallel: a whole number from 1 is needed, not 'many'"),
        ("parallel: true\n", ":1:1: parallel: a whole number from 1 is needed"),
        ("user: [ann]\n", ":1:1: user: a text is needed"),
        ("user: 5\n", "write it in quotes"),
        ("- user\n", "a mapping is needed"),
        ("user: ann\n  key: [\n", ":2:"),
        ('user: "a\\nb"\n', "control characters"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    home: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.yaml").write_text(text)
    assert run(["status"]) == 2
    assert f"{home}/config.yaml" in (err := capsys.readouterr().err)
    assert said in err


def test_a_file_that_others_may_write_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.yaml").write_text(FILE)
    (home / "config.yaml").chmod(0o666)
    assert run(["config"]) == 2
    assert "chmod go-w" in capsys.readouterr().err


def test_the_command_shows_values_and_sources(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.yaml").write_text("user: ann\n")
    monkeypatch.setenv("SEALER_REGISTRY", "reg.corp")
    assert run(["config", "--output", "json"]) == 0
    values = {it["name"]: (it["value"], it["source"]) for it in json.loads(capsys.readouterr().out)["values"]}
    assert values == {
        "user": ("ann", str(home / "config.yaml")),
        "key": ("", "built in"),
        "parallel": ("32", "built in"),
        "provider": ("baremetal", "built in"),
        "registry": ("reg.corp", "SEALER_REGISTRY"),
    }
    assert run(["logout"]) == 0
    assert "reg.corp" in capsys.readouterr().out
