"""What runs on a host before a command: start-up files of login shells, sshd's rc file, forced commands, sudo.

Whatever they do, either the command runs and its output is its own, or there is an error and it has not run.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sealer.cluster.receipts import Script
from sealer.errors import CommandRefusedError, HostError
from sealer.extension import Connection
from sealer.hosts import Host, Ssh
from sealer.redaction import Secret
from sealer.testing.sshd import LoopbackSshd

Connect = Callable[..., Connection]
Account = Callable[..., Host]

# The marker is one word of hexadecimal digits; none of these prints one by accident.
NOISE = "Last login: never. 0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def server(needs_sshd: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSshd]:
    """One whose sessions read bash's start-up file, as sessions do where nobody sets SHLVL."""
    with LoopbackSshd(tmp_path_factory.mktemp("sshd"), "SetEnv LANG=C") as found:
        yield found


@pytest.fixture
def account(server: LoopbackSshd) -> Iterator[Account]:
    """A user with a home and a login shell of its own: a second name of root's, unless `sudo_password` is given."""
    name = f"sealer{os.getpid()}login"
    home = Path("/run") / name
    sudoers = Path("/etc/sudoers.d") / name

    def make(shell: str, files: dict[str, str], *, sudo_password: str = "") -> Host:
        if not (program := shutil.which(shell)):
            pytest.skip(f"{shell} is not installed (apt-get install {shell})")
        for path, content in files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(content)
        identity = () if sudo_password else ("-o", "-u", "0", "-g", "0")
        # A password that fits nothing: to sshd an account without one is locked.
        subprocess.run(("useradd", *identity, "-p", "*", "-M", "-d", home, "-s", program, name), check=True)
        if sudo_password:
            sudoers.write_text(f"{name} ALL=(ALL) ALL\n")
            sudoers.chmod(0o440)
            subprocess.run(("chpasswd",), input=f"{name}:{sudo_password}\n", text=True, check=True)
        login = Ssh(
            user=name,
            password=Secret(sudo_password) if sudo_password else None,
            private_key=str(server.key),
            port=server.port,
        )
        return replace(server.host, ssh=login)

    try:
        yield make
    finally:
        sudoers.unlink(missing_ok=True)
        subprocess.run(("userdel", "-f", name), check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


PRINTING = {
    "stdout": ("bash", {".bashrc": f"echo '{NOISE}'\n"}),
    "both": ("bash", {".bashrc": f"echo '{NOISE}'; echo '{NOISE}' >&2\n"}),
    "no line feed": ("bash", {".bashrc": "printf 'user@host$ '\n"}),
    "much": ("bash", {".bashrc": "head -c 300000 /dev/zero | tee /dev/stderr\n"}),
    "one stream": ("bash", {".bashrc": f"exec 2>&1; echo '{NOISE}'\n"}),
    "trace": ("bash", {".bashrc": 'echo "$BASH_EXECUTION_STRING"; set -xv\n'}),
    "its own end": ("bash", {".bashrc": f"trap 'echo {NOISE}' EXIT\n"}),
    "other directory": ("bash", {".bashrc": f"echo '{NOISE}'; cd /tmp; umask 027; set -u\n"}),
    "zsh": ("zsh", {".zshenv": f"echo '{NOISE}'; echo '{NOISE}' >&2\n"}),
    "fish": ("fish", {".config/fish/config.fish": f"echo '{NOISE}'; echo '{NOISE}' >&2\n"}),
    "csh": ("tcsh", {".cshrc": f"echo '{NOISE}'\n"}),
    "rc of sshd": ("sh", {".ssh/rc": f"echo '{NOISE}'; echo '{NOISE}' >&2\n"}),
}


@pytest.mark.parametrize("kind", PRINTING)
def test_output_of_start_up_files_is_not_the_command_s(kind: str, account: Account, connect: Connect) -> None:
    connection = connect(account(*PRINTING[kind]))
    out, err = bytearray(), bytearray()
    every = bytes(range(256)) * 500
    command = "cat; printf 'wow! \\n'; echo error >&2; exit 3"
    end = connection.execute(command, stdin=[every], stdout=out.extend, stderr=err.extend, timeout=60)
    assert end.status == 3
    assert bytes(out) == every + b"wow! \n" + (b"error\n" if kind == "one stream" else b"")
    assert bytes(err) == (b"" if kind == "one stream" else b"error\n")


ELSEWHERE = {
    "exit": ("bash", {".bashrc": "exit 0\n"}),
    "exit with words": ("bash", {".bashrc": "echo maintenance; exit 0\n"}),
    "another bash": ("bash", {".bashrc": "[ -n \"$INNER\" ] || INNER=1 exec bash\n"}),
    "a login bash": ("bash", {".bashrc": "[ -n \"$INNER\" ] || INNER=1 exec bash --login\n"}),
    "dash": ("bash", {".bashrc": "exec dash\n"}),
    "zsh": ("bash", {".bashrc": "exec zsh\n"}),
    "fish": ("bash", {".bashrc": "exec fish\n"}),
    "python": ("bash", {".bashrc": "exec python3\n"}),
    "an echo": ("bash", {".bashrc": "exec echo \"$BASH_EXECUTION_STRING\"\n"}),
    "a script": ("bash", {".bashrc": "sh -c 'cat; echo ready'; exit\n"}),
    "of zsh": ("zsh", {".zshenv": "exit 0\n"}),
    "of fish": ("fish", {".config/fish/config.fish": "exec true\n"}),
    "of csh": ("tcsh", {".cshrc": "exec true\n"}),
    "no login": ("nologin", {}),
    "a shell that is true": ("true", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_start_up_file_that_goes_elsewhere(kind: str, account: Account, connect: Connect, tmp_path: Path) -> None:
    """Also a shell in ours's place, which reads what was meant for our command, runs none of it."""
    done = tmp_path / "done"
    command, script = Script(f"touch {done}", {"A": "b"}).inline()
    with pytest.raises(CommandRefusedError, match="the host did not run the command") as caught:
        connect(account(*ELSEWHERE[kind])).execute(command, stdin=[script], timeout=60)
    assert "forced command" in caught.value.remedy
    assert not done.exists()


def test_what_a_host_said_instead_is_shown(account: Account, connect: Connect) -> None:
    files = {".bashrc": "yes noise | head -n 100000; echo closed for the night; echo call us >&2; exit 7\n"}
    with pytest.raises(CommandRefusedError, match="status 7") as caught:
        connect(account("bash", files)).execute("true", stdin=[b""], timeout=60)
    assert "closed for the night" in caught.value.output
    assert len(caught.value.output) <= 5


@pytest.mark.parametrize("reading", ["read -r line", "cat > /dev/null", "head -c 10 > /dev/null"])
def test_a_start_up_file_that_reads(reading: str, account: Account, connect: Connect, tmp_path: Path) -> None:
    """The input is the command's; what has lost its beginning reaches no command."""
    connection = connect(account("bash", {".bashrc": f"{reading}\n"}))
    done = tmp_path / "done"
    assert connection.execute("exit 4", timeout=60).status == 4
    with pytest.raises(CommandRefusedError) as caught:
        connection.execute(f"cat > {done}", stdin=[b"first\n", b"second\n"], timeout=60)
    assert "reads the input" in "\n".join(caught.value.output)
    assert not done.exists()


FORCED = ["true", "echo $SSH_ORIGINAL_COMMAND", 'echo "$SSH_ORIGINAL_COMMAND"', "internal-sftp", "cat", "sh", "bash -s"]


@pytest.mark.parametrize("forced", FORCED)
def test_a_forced_command(
    forced: str, start_sshd: Callable[..., LoopbackSshd], connect: Connect, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    command, script = Script(f"touch {done}", {}).inline()
    for connection in (connect(start_sshd(f"ForceCommand {forced}").host), connect(_bound(start_sshd(), forced))):
        with pytest.raises(CommandRefusedError):
            connection.execute(command, stdin=[script], timeout=60)
        with pytest.raises(CommandRefusedError):
            connection.execute("true", timeout=60)
    assert not done.exists()


def _bound(server: LoopbackSshd, forced: str) -> Host:
    """The host, whose list of keys binds ours to one command."""
    quoted = forced.replace('"', '\\"')
    file = server.directory / "authorized_keys"
    file.write_text(f'command="{quoted}" {file.read_text()}')
    return server.host


def test_a_forced_command_that_runs_ours_and_talks(start_sshd: Callable[..., LoopbackSshd], connect: Connect) -> None:
    """As a bastion does that writes down what is run."""
    connection = connect(start_sshd('ForceCommand echo recorded; exec sh -c "$SSH_ORIGINAL_COMMAND"').host)
    out = bytearray()
    assert connection.execute("cat; exit 5", stdin=[b"in"], stdout=out.extend, timeout=60).status == 5
    assert out == b"in"


def test_a_host_that_starts_nothing(
    start_sshd: Callable[..., LoopbackSshd], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for ever would hold up a command that has no time limit."""
    monkeypatch.setattr("sealer_plugin_ssh.connection.START_TIMEOUT", 1.0)
    connection = connect(start_sshd("ForceCommand echo one moment; sleep 30").host)
    with pytest.raises(CommandRefusedError, match="it has not started after 1 seconds") as caught:
        connection.execute("true")
    assert caught.value.output == ("one moment",)


@pytest.fixture
def needs_sudo() -> None:
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed (apt-get install sudo)")


@pytest.mark.usefixtures("needs_sudo")
def test_sudo_behind_a_start_up_file_that_prints(account: Account, connect: Connect, password: str) -> None:
    noisy = {".bashrc": f"echo '{NOISE}'; echo '{NOISE}' >&2\n"}
    connection = connect(account("bash", noisy, sudo_password=password))
    out, err = bytearray(), bytearray()
    connection.execute("id -u; cat; echo e >&2", stdin=[b"in\n"], stdout=out.extend, stderr=err.extend, timeout=60)
    assert (bytes(out), bytes(err)) == (b"0\nin\n", b"e\n")


@pytest.mark.usefixtures("needs_sudo")
@pytest.mark.parametrize("start_up", ["exec sh\n", "exec zsh\n", "read -r line\n", "exit 0\n"])
def test_the_password_for_sudo_is_no_command(start_up: str, account: Account, connect: Connect, password: str) -> None:
    """Not even one that is not found, which the shell would report together with the password."""
    file = {".bashrc": f"[ ! -e ~/armed ] || {start_up}"}
    host = account("bash", file, sudo_password=password)
    connection = connect(host)
    armed = Path(f"/run/{host.ssh.user}/armed")
    armed.touch()
    for begin in (lambda: connection.execute("true", timeout=60), lambda: connect(host)):
        with pytest.raises(CommandRefusedError) as caught:
            begin()
        said = "\n".join(caught.value.output)
        assert password not in said
        assert "not found" not in said


def test_a_sudo_that_does_nothing(start_sshd: Callable[..., LoopbackSshd], user: str, connect: Connect) -> None:
    """Its status 0 is no proof."""
    program = Path(f"/run/{user}-bin/sudo")
    program.parent.mkdir()
    try:
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
        server = start_sshd(f"SetEnv SHLVL=2 PATH={program.parent}:/usr/bin:/bin")
        with pytest.raises(HostError, match="cannot become root: sudo failed"):
            connect(replace(server.host, ssh=Ssh(user=user, private_key=str(server.key), port=server.port)))
    finally:
        shutil.rmtree(program.parent)
