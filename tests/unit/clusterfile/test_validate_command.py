"""`sealer validate` and `sealer schema`, as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealer.phases import Phase

EXAMPLES = Path(__file__).parents[2] / "data" / "clusterfiles"
FINE = "apiVersion: sealer.io/v2\nkind: Cluster\nspec:\n  hosts:\n    - {ips: [10.0.0.1,10.0.0.2], roles: [master]}\n"
BROKEN = FINE + "    - {ips: [10.0.0.3], roles: [nodee]}\n  ssh: {passwd: [hunter2]}\n"


def sealer(*arguments: str, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealer", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "SEALER_HOME": str(cwd / "home")},
        input=stdin or "",
        check=False,
    )


def test_a_file_that_is_right(tmp_path: Path) -> None:
    (tmp_path / "Clusterfile").write_text(FINE)
    done = sealer("validate", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Clusterfile is valid: cluster my-cluster, 2 hosts\n")
    assert done.stderr == (
        "sealer: warning: Clusterfile:5:23: spec.hosts[0].ips: no blank after a comma; read as 2 addresses\n"
    )


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_all_mistakes_each_on_a_line(tmp_path: Path, way: str) -> None:
    (tmp_path / "my file.yaml").write_text(BROKEN)
    name = "my file.yaml" if way == "file" else "standard input"
    done = sealer("validate", "-f", name if way == "file" else "-", cwd=tmp_path, stdin=BROKEN)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[1:] == [
        f"{name}:6:33: spec.hosts[1].roles: a host is a master or a node, not 'nodee'; did you mean 'node'?",
        f"{name}:7:17: spec.ssh.passwd: a text is needed, not a list",
    ]


def test_for_programs(tmp_path: Path) -> None:
    done = sealer("validate", "-f", str(EXAMPLES / "clusterfile-v1.yaml"), "--output", "json", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert (done.returncode, record["apiVersion"], record["cluster"]) == (0, "sealer.io/cli/v1", "my-cluster")
    assert record["hosts"] == [f"192.168.0.{last}" for last in range(2, 8)]
    assert record["plugins"] == ["hostname", "taint"]
    assert [(warning["line"], warning["path"]) for warning in record["warnings"]] == [(51, "spec.on")]
    done = sealer("validate", "-f", "-", "--output", "json", cwd=tmp_path, stdin=BROKEN)
    problems = json.loads(done.stdout)["error"]["problems"]
    assert (done.returncode, [(problem["line"], problem["path"]) for problem in problems]) == (
        2,
        [(6, "spec.hosts[1].roles"), (7, "spec.ssh.passwd")],
    )


def test_a_plugin_documents_data_is_checked_by_its_type(tmp_path: Path) -> None:
    pytest.importorskip("sealer_plugin_hostname")
    document = "---\napiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {name: a}\nspec:\n  type: hostname\n  data: |\n"
    done = sealer("validate", "-f", "-", cwd=tmp_path, stdin=FINE + document + "    10.0.0.1 a\n    10.0.0.2\n")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("standard input:14:5: Plugin a: spec.data: ")


@pytest.mark.parametrize(
    ("type_name", "data", "refused"),
    [
        ("LABEL", "'10.0.0.1 a=b'", ["PreInit", "PreJoin", "PostClean"]),
        ("TAINT", "'10.0.0.1 a:NoExecute'", ["PreInit", "PreJoin", "PostClean"]),
        ("CLUSTERCHECK", "''", ["PreInit", "PreJoin", "PostClean"]),
        ("HOSTNAME", "'10.0.0.1 a'", ["PreClean", "PostClean"]),
        ("SHELL", "'true'", []),
    ],
)
def test_an_action_where_a_type_cannot_act_is_a_mistake(
    tmp_path: Path, type_name: str, data: str, refused: list[str]
) -> None:
    pytest.importorskip(f"sealer_plugin_{type_name.lower()}")
    text = FINE
    for phase in Phase:  # a document of six lines for each
        text += f"---\napiVersion: sealer.io/v2\nkind: Plugin\nmetadata: {{name: in-{phase.lower()}}}\n"
        text += f"spec: {{type: {type_name}, action: {phase},\n  data: {data}}}\n"
    done = sealer("validate", "-f", "-", cwd=tmp_path, stdin=text)
    told = [line for line in done.stderr.splitlines() if "spec.action: " in line]
    lines = {phase: 10 + 6 * number for number, phase in enumerate(Phase)}
    assert len(told) == len(refused)
    for word, line in zip(refused, told, strict=True):
        place = f"standard input:{lines[Phase(word)]}:"
        assert line.startswith(place) and f"a {type_name} cannot act in {word}; it can in P" in line
    assert done.returncode == (2 if refused else 0)


def test_an_unknown_driver(tmp_path: Path) -> None:
    done = sealer("validate", "-f", "-", cwd=tmp_path, stdin=FINE + "  runtime: k9s\n")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("standard input:6:12: spec.runtime: unknown runtime 'k9s'")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"kind: \x00", b"", b"["])
def test_files_that_are_no_clusterfile(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Clusterfile").write_bytes(content)
    done = sealer("validate", cwd=tmp_path)
    assert done.returncode == 2
    assert "Clusterfile:1" in done.stderr or "Clusterfile:2" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_file(tmp_path: Path) -> None:
    done = sealer("validate", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "sealer: error: there is no Clusterfile in this directory; name a file: FILE or -f FILE\n"
        "what to do: see 'sealer validate --help'\n",
    )


def test_schema_is_printed(tmp_path: Path) -> None:
    text = json.loads(sealer("schema", cwd=tmp_path).stdout)
    assert text["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(sealer("schema", "--output", "json", cwd=tmp_path).stdout)["schema"] == text
