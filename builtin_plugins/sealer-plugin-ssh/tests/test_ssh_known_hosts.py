"""Known hosts by OpenSSH's rules; the files are made by OpenSSH's own tools where these have a say."""

import base64
import subprocess
import threading
from pathlib import Path

import pytest

from sealer.errors import HostKeyError
from sealer.testing.sshd import make_key
from sealer_plugin_ssh.known_hosts import HostKey, KnownHosts, host_name, read


def key_of(seed: str, kind: str = "ssh-ed25519") -> HostKey:
    return HostKey(kind, seed.encode() * 8)


def line(names: str, key: HostKey, marker: str = "") -> str:
    return f"{marker} {names} {key.type} {base64.b64encode(key.blob).decode()} a comment".strip() + "\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "home" / "known_hosts"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return tmp_path / "ssh_known_hosts"


ONE, TWO, OTHER_TYPE = key_of("one"), key_of("two"), key_of("rsa", "ssh-rsa")


def test_a_new_host_is_believed_once_and_remembered(own: Path) -> None:
    KnownHosts(own).check("10.0.0.1", 22, ONE)
    assert own.stat().st_mode & 0o777 == 0o600
    KnownHosts(own, accept_new=False).check("10.0.0.1", 22, ONE)
    assert len(read(own)) == 1
    with pytest.raises(HostKeyError, match="has changed") as caught:
        KnownHosts(own).check("10.0.0.1", 22, TWO)
    assert f"{own}:1" in str(caught.value)
    assert caught.value.remedy.endswith(f"ssh-keygen -R '10.0.0.1' -f {own}")


def test_the_remedy_named_helps(own: Path) -> None:
    KnownHosts(own).check("fd00::1", 2222, ONE)
    with pytest.raises(HostKeyError) as caught:
        KnownHosts(own).check("fd00::1", 2222, TWO)
    subprocess.run(caught.value.remedy.partition(": ")[2], shell=True, check=True, capture_output=True)
    KnownHosts(own).check("fd00::1", 2222, TWO)


def test_a_port_has_its_own_keys(own: Path) -> None:
    known = KnownHosts(own)
    known.check("10.0.0.1", 22, ONE)
    known.check("10.0.0.1", 2222, TWO)
    assert [entry.patterns for entry in read(own)] == [("10.0.0.1",), ("[10.0.0.1]:2222",)]
    with pytest.raises(HostKeyError):
        known.check("10.0.0.1", 2222, ONE)


def test_on_another_port_the_key_of_the_plain_address_is_believed(own: Path) -> None:
    known = KnownHosts(own)
    known.check("10.0.0.1", 22, ONE)
    known.check("10.0.0.1", 2200, ONE)
    assert len(read(own)) == 1


def test_hashed_names_are_found(own: Path, system: Path) -> None:
    make_key(system.with_name("key"))
    kind, blob = system.with_name("key.pub").read_text().split()[:2]
    real = HostKey(kind, base64.b64decode(blob))
    system.write_text(line("[10.0.0.7]:2022", real))
    subprocess.run(("ssh-keygen", "-q", "-H", "-f", system), check=True, capture_output=True)
    assert "10.0.0.7" not in system.read_text()
    known = KnownHosts(own, [system], accept_new=False)
    known.check("10.0.0.7", 2022, real)
    assert known.types("10.0.0.7", 2022) == ["ssh-ed25519"]
    with pytest.raises(HostKeyError, match=f"{system}:1"):
        known.check("10.0.0.7", 2022, ONE)


def test_the_fingerprint_is_openssh_s(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    shown = subprocess.run(("ssh-keygen", "-l", "-f", tmp_path / "key.pub"), capture_output=True, text=True, check=True)
    kind, blob = (tmp_path / "key.pub").read_text().split()[:2]
    assert HostKey(kind, base64.b64decode(blob)).fingerprint == shown.stdout.split()[1]


@pytest.mark.parametrize(
    ("names", "address", "matches"),
    [
        ("10.0.0.*", "10.0.0.9", True),
        ("10.0.0.?", "10.0.0.99", False),
        ("10.0.0.*,!10.0.0.9", "10.0.0.9", False),
        ("!10.0.0.9,10.0.0.*", "10.0.0.8", True),
        ("other,10.0.0.9", "10.0.0.9", True),
        ("FD00::1", "fd00::1", True),
    ],
)
def test_patterns(own: Path, system: Path, names: str, address: str, matches: bool) -> None:
    system.write_text(line(names, ONE))
    known = KnownHosts(own, [system], accept_new=False)
    if matches:
        known.check(address, 22, ONE)
    else:
        with pytest.raises(HostKeyError, match="not known"):
            known.check(address, 22, ONE)


def test_a_revoked_key_is_refused_though_it_is_known(own: Path, system: Path) -> None:
    system.write_text(line("10.0.0.1", ONE) + line("*", ONE, "@revoked"))
    with pytest.raises(HostKeyError, match=f"revoked: {system}:2"):
        KnownHosts(own, [system]).check("10.0.0.1", 22, ONE)


@pytest.mark.parametrize("accept_new", [True, False])
def test_a_certificate_authority_vouches_for_no_plain_key(own: Path, system: Path, accept_new: bool) -> None:
    """Nor is a host that it is there for believed at first sight: whoever comes in between shows a key of his own."""
    system.write_text(line("*.example.com,10.0.0.*", ONE, "@cert-authority") + line("10.0.0.2", TWO))
    known = KnownHosts(own, [system], accept_new=accept_new)
    for key in (ONE, TWO):
        with pytest.raises(HostKeyError, match="certificate authority"):
            known.check("10.0.0.1", 22, key)
    known.check("10.0.0.2", 22, TWO)
    if accept_new:
        known.check("10.9.0.1", 22, ONE)


def test_a_host_known_by_another_type_of_key_is_not_new(own: Path, system: Path) -> None:
    """Or whoever comes in between would only have to offer a type that is not known yet."""
    system.write_text(line("10.0.0.1", OTHER_TYPE))
    known = KnownHosts(own, [system])
    assert known.types("10.0.0.1", 22) == ["ssh-rsa"]
    with pytest.raises(HostKeyError, match="has changed"):
        known.check("10.0.0.1", 22, ONE)


def test_any_of_several_keys_will_do(own: Path, system: Path) -> None:
    system.write_text(line("10.0.0.1", ONE) + line("10.0.0.1", OTHER_TYPE) + line("10.0.0.1", TWO))
    for key in (ONE, TWO, OTHER_TYPE):
        KnownHosts(own, [system], accept_new=False).check("10.0.0.1", 22, key)


def test_lines_without_sense_are_passed_over(own: Path, system: Path) -> None:
    system.write_text(
        "# a comment\n\nhalf a line\n10.0.0.1 ssh-ed25519 not*base64\n|1|broken ssh-ed25519 QUFB\n"
        + line("10.0.0.1", ONE)
    )
    KnownHosts(own, [system], accept_new=False).check("10.0.0.1", 22, ONE)


def test_a_line_cut_off_by_a_crash_spoils_no_other(own: Path) -> None:
    own.parent.mkdir()
    own.write_text("10.0.0.1 ssh-ed2")
    KnownHosts(own).check("10.0.0.2", 22, TWO)
    KnownHosts(own, accept_new=False).check("10.0.0.2", 22, TWO)


def test_of_two_keys_for_one_new_host_only_the_first_is_believed(own: Path) -> None:
    refused = []

    def check(key: HostKey) -> None:
        try:
            KnownHosts(own).check("10.0.0.1", 22, key)
        except HostKeyError as error:
            refused.append(error)

    keys = [key_of(f"key {number}") for number in range(8)]
    threads = [threading.Thread(target=check, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert len(read(own)) == 1


def test_names() -> None:
    assert [host_name("10.0.0.1", 22), host_name("fd00::1", 22), host_name("fd00::1", 23)] == [
        "10.0.0.1",
        "fd00::1",
        "[fd00::1]:23",
    ]
