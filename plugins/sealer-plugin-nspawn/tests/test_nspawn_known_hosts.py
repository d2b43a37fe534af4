from __future__ import annotations

import subprocess
from pathlib import Path

from sealer_plugin_nspawn.known_hosts import forget_keys, record_keys

OTHERS = "# a comment\n\nexample.org,198.18.0.110 ssh-ed25519 AAAA\n[198.18.0.11]:2222 ssh-ed25519 AAAA\n"


def test_keys_are_added_once_and_taken_away(tmp_path: Path) -> None:
    known = tmp_path / "home" / "known_hosts"
    record_keys(known, {"198.18.0.11": "ssh-ed25519 AAAAold", "198.18.0.12": "ssh-ed25519 AAAAtwo"})
    record_keys(known, {"198.18.0.11": "ssh-ed25519 AAAAnew"})
    assert known.read_text() == "198.18.0.12 ssh-ed25519 AAAAtwo\n198.18.0.11 ssh-ed25519 AAAAnew\n"
    assert known.stat().st_mode & 0o777 == 0o600
    forget_keys(known, ["198.18.0.11", "198.18.0.12"])
    assert known.read_text() == ""


def test_lines_of_others_stay(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(OTHERS + "198.18.0.11,alias ssh-rsa AAAA\n@revoked 198.18.0.11 ssh-ed25519 AAAA")
    forget_keys(known, ["198.18.0.11"])
    assert known.read_text() == OTHERS


def test_hashed_names_are_understood(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    known.write_text(f"198.18.0.11 {public}\n198.18.0.12 {public}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "198.18" not in known.read_text()
    forget_keys(known, ["198.18.0.11"])
    found = subprocess.run(["ssh-keygen", "-F", "198.18.0.12", "-f", str(known)], check=False, capture_output=True)
    assert (len(known.read_text().splitlines()), found.returncode) == (1, 0)


def test_no_file_is_made_to_forget(tmp_path: Path) -> None:
    forget_keys(tmp_path / "known_hosts", ["198.18.0.11"])
    assert list(tmp_path.iterdir()) == []
