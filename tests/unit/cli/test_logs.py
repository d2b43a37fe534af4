from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sealer.cli import logs
from sealer.redaction import Secret


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    top = logging.getLogger()
    handlers, level, raising = list(top.handlers), top.level, logging.raiseExceptions
    yield
    top.handlers[:] = handlers
    top.setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(False)


def fail(password: str) -> None:
    account = {"user": "root", "pin": "lokal-1"}
    raise ValueError(f"cannot log in as {account['user']}")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_shows_no_locals_and_no_secret(
    log_format: logs.LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format)
    secret = Secret("geheimnis-3")
    try:
        fail(secret.reveal())
    except ValueError:
        logging.getLogger("paramiko.x").critical("refused geheimnis-3", exc_info=True)
    err = capsys.readouterr().err
    assert "cannot log in as root" in err
    assert "in fail" in err or '"name": "fail"' in err
    assert "geheimnis-3" not in err
    assert "lokal-1" not in err


def test_values_under_telling_keys_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    about = {"passwd": "ab", "user": "root", "deep": {"privateKey": "cd", "list": ["ef"]}, "apiToken": b"gh", "n": 1}
    logging.getLogger("x").warning("login", extra=about)
    line = json.loads(capsys.readouterr().err)
    assert line["passwd"] == line["apiToken"] == "******"
    assert line["deep"] == {"privateKey": "******", "list": ["ef"]}
    assert (line["user"], line["n"], line["event"], line["level"]) == ("root", 1, "login", "warning")


def test_debug_decides_what_libraries_may_say(capsys: pytest.CaptureFixture[str]) -> None:
    library = logging.getLogger("stevedore.some")
    logs.configure("text")
    library.info("quiet")
    library.warning("loud")
    assert "quiet" not in (before := capsys.readouterr().err)
    assert "loud" in before
    logs.configure("text", debug=True)
    library.debug("now heard")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_structlog_is_imported_with_the_first_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys, logging; from sealer.cli import logs; logs.configure('json');"
        "logging.getLogger('a').info('no'); print('structlog' in sys.modules);"
        "logging.getLogger('a').warning('yes'); print('structlog' in sys.modules);"
        "import structlog; structlog.get_logger('b').warning('a plugin', passwd='x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["yes", "a plugin"]
    assert '"passwd": "******"' in done.stderr


@pytest.mark.parametrize("module", ["sealer", "sealer_plugin_ssh.multiplexer"])
def test_what_paramiko_says_is_heard_with_debug_alone(module: str) -> None:
    """Whether the transport that uses it is loaded or not: its errors are those of refused logins."""
    code = (
        f"import logging, {module}; from sealer.cli import logs\n"
        "logging.getLogger('paramiko.transport').error('nobody set up logging')\n"
        "logs.configure('json'); logging.getLogger('paramiko.transport').error('quiet')\n"
        "logs.configure('json', debug=True); logging.getLogger('paramiko.transport').debug('a packet')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heard = [line for line in done.stderr.splitlines() if line != "nobody set up logging" or module != "sealer"]
    assert [json.loads(line)["event"] for line in heard] == ["a packet"]
