from __future__ import annotations

import errno
import json

import click
import pytest

from sealer.cli import failures
from sealer.cli.app import App
from sealer.errors import (
    AuthenticationError,
    CommandError,
    InputError,
    OperationFailedError,
    Position,
    Problem,
    RefusedError,
    SealerError,
    StepFailure,
)
from sealer.redaction import Secret


def shown(error: BaseException, capsys: pytest.CaptureFixture[str], app: App | None = None) -> tuple[int, str, str]:
    status = failures.report(error, app or App())
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_says_what_where_why_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = SealerError("cannot log in", where="10.0.0.2", why="refused", remedy="check --passwd", output=["a", "b"])
    assert shown(error, capsys) == (
        1,
        "",
        "sealer: error: 10.0.0.2: cannot log in: refused\n  | a\n  | b\nwhat to do: check --passwd\n",
    )


def test_shows_the_last_twenty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = shown(SealerError("no", output=[f"line {number}" for number in range(30)]), capsys)
    assert err.splitlines()[1] == "  | line 10"
    assert len(err.splitlines()) == 21


def test_input_problems_are_a_line_each_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        Problem(Position("Clusterfile", 12, 3), "spec.hosts[1].roles", "a host is a master or a node"),
        Problem(Position("Clusterfile", 14, 1), "", "unknown kind 'Clutser'"),
    ]
    assert shown(InputError("the Clusterfile is wrong", problems=problems), capsys) == (
        2,
        "",
        "Clusterfile:12:3: spec.hosts[1].roles: a host is a master or a node\n"
        "Clusterfile:14:1: unknown kind 'Clutser'\n",
    )


def test_failed_hosts_have_a_block_each_and_equal_ones_share_it(capsys: pytest.CaptureFixture[str]) -> None:
    login = [
        StepFailure("p/s/login", "Log in", host, AuthenticationError("the password was refused", where=host))
        for host in ("10.0.0.2", "10.0.0.3")
    ]
    script = CommandError("exited with status 3", status=3, where="10.0.0.4", output=["disk full"], remedy="free space")
    failed = OperationFailedError(
        "the run failed",
        failures=[*login, StepFailure("i/k/init", "Run init.sh", "10.0.0.4", script)],
        remedy="run the same command again",
    )
    status, _, err = shown(failed, capsys)
    assert status == 1
    assert err == (
        "sealer: error: the run failed\n"
        "\n"
        "10.0.0.2, 10.0.0.3: Log in\n"
        "  the password was refused\n"
        "\n"
        "10.0.0.4: Run init.sh\n"
        "  exited with status 3\n"
        "  | disk full\n"
        "  what to do: free space\n"
        "\n"
        "what to do: run the same command again\n"
    )


def test_the_logs_of_one_host_stand_for_those_that_failed_alike(capsys: pytest.CaptureFixture[str]) -> None:
    alike = []
    for host in ("10.0.0.2", "10.0.0.3"):
        error = CommandError("exited with status 1", status=1, where=host, output=["timed out"])
        error.diagnosis = ("kubelet: failed", f"  no such flag on {host}")
        alike.append(StepFailure("i/k/join", "Join", host, error))
    _, _, err = shown(OperationFailedError("the run failed", failures=alike), capsys)
    assert err == (
        "sealer: error: the run failed\n"
        "\n"
        "10.0.0.2, 10.0.0.3: Join\n"
        "  exited with status 1\n"
        "  | timed out\n"
        "  logs on 10.0.0.2:\n"
        "  | kubelet: failed\n"
        "  |   no such flag on 10.0.0.2\n"
    )


def test_a_program_gets_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    app = App()
    app.options.output = "json"
    problem = Problem(Position("f", 1, 2), "spec", "wrong")
    status, out, err = shown(InputError("bad", problems=[problem]), capsys, app)
    assert status == 2
    assert json.loads(out) == {
        "apiVersion": "sealer.io/cli/v1",
        "error": {
            "type": "InputError",
            "what": "bad",
            "where": "",
            "why": "",
            "remedy": "",
            "output": [],
            "diagnosis": [],
            "log": "",
            "exitStatus": 2,
            "problems": [{"file": "f", "line": 1, "column": 2, "path": "spec", "message": "wrong"}],
        },
    }
    assert err == "f:1:2: spec: wrong\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SealerError("x"), 1),
        (InputError("x"), 2),
        (RefusedError("x"), 3),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.ClickException("x"), 1),
        (ZeroDivisionError("x"), 1),
        (PermissionError(errno.EACCES, "x", "/home"), 1),
        (FileNotFoundError(errno.ENOENT, "x", "/home"), 1),
    ],
)
def test_exit_status(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(error, capsys)[0] == status


def test_a_bug_shows_where_it_is_but_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(password: Secret) -> None:
        raise KeyError(password.reveal())

    try:
        broken(Secret("geheimnis-1"))
    except KeyError as error:
        status, _, err = shown(error, capsys)
    assert status == 1
    assert "in broken" in err
    assert "geheimnis-1" not in err
    assert err.splitlines()[-1].startswith("sealer: error: this is a bug in sealer")


def test_a_secret_in_a_message_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    Secret("geheimnis-2")
    app = App()
    app.options.output = "json"
    _, out, err = shown(SealerError("got geheimnis-2", output=["geheimnis-2"]), capsys, app)
    assert "geheimnis-2" not in out + err


def test_what_this_machine_refuses_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/home/me/.sealer/clusters")
    assert shown(refused, capsys)[2] == (
        "sealer: error: /home/me/.sealer/clusters: it cannot be used: Permission denied\n"
        "what to do: check the permissions and the free space there, or point SEALER_HOME to a directory of yours\n"
    )
    assert "this is a bug" in shown(FileNotFoundError(errno.ENOENT, "x", "/home"), capsys)[2]
