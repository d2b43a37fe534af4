from __future__ import annotations

import base64
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.errors import InputError, RegistryError
from sealer.image.registry.auth_files import forget, remember
from sealer.image.registry.credentials import AuthFile, AuthFiles, Credential
from sealer.redaction import Secret, redactor

HELPER = """\
#!/bin/sh
# keeps what it is told in a directory, as a real one does in a key ring
set -eu
cd "$(dirname "$0")/kept"
case "$1" in
store) python3 -c 'import json,sys,urllib.parse as u; d = json.load(sys.stdin)
open(u.quote(d["ServerURL"], ""), "w").write(json.dumps(d))' ;;
get|erase) read -r server || true
    name=$(python3 -c 'import sys,urllib.parse as u; print(u.quote(sys.argv[1], ""))' "$server")
    test -e "$name" || { echo "credentials not found in native keychain"; exit 1; }
    if test "$1" = get; then cat "$name"; else rm "$name"; fi ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper `test`; the directory where it keeps things."""
    program = tmp_path / "bin" / "docker-credential-test"
    (tmp_path / "bin" / "kept").mkdir(parents=True)
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "bin" / "kept"


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def auth_file(path: Path, document: object) -> AuthFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return AuthFile(path)


def found(credential: Credential | None) -> tuple[str, str, str] | None:
    if credential is None:
        return None
    return credential.username, credential.password.reveal(), credential.identity_token.reveal()


NAMES = st.sampled_from(["auths", "r.io", "auth", "identitytoken", "username", "password", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)
)


class TestLookingUp:
    @pytest.mark.parametrize(
        ("key", "registry"),
        [
            ("r.io", "r.io"),
            ("r.io:5000", "r.io:5000"),
            ("https://r.io", "r.io"),
            ("https://r.io/v2/", "r.io"),
            ("http://r.io:5000/", "r.io:5000"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
        ],
    )
    def test_a_key_means_a_registry(self, tmp_path: Path, key: str, registry: str) -> None:
        file = auth_file(tmp_path / "a.json", {"auths": {key: {"auth": basic("me", "pass:word")}}})
        assert found(file.find(registry, "ns/app")) == ("me", "pass:word", "")
        assert file.find("other.io", "ns/app") is None
        assert file.find("r.io:6000") is None

    def test_the_most_specific_key_wins(self, tmp_path: Path) -> None:
        auths = {name: {"auth": basic(name, "p")} for name in ("r.io", "r.io/ns", "r.io/ns/app", "r.io/nsx")}
        file = auth_file(tmp_path / "a.json", {"auths": auths})
        wanted = {"ns/app": "r.io/ns/app", "ns/other": "r.io/ns", "ns": "r.io/ns", "x/y": "r.io", "nsx/a": "r.io/nsx"}
        for repository, key in wanted.items():
            assert found(file.find("r.io", repository)) == (key, "p", "")

    def test_other_ways_to_write_an_entry(self, tmp_path: Path) -> None:
        auths = {
            "a.io": {"username": "me", "password": "secret"},
            "b.io": {"auth": basic("me", ""), "identitytoken": "der-ausweis"},
            "c.io": {"identitytoken": "der-ausweis"},
            "d.io": {},
        }
        file = auth_file(tmp_path / "a.json", {"auths": auths})
        assert found(file.find("a.io")) == ("me", "secret", "")
        assert found(file.find("b.io")) == ("me", "", "der-ausweis")
        assert found(file.find("c.io")) == ("", "", "der-ausweis")
        assert file.find("d.io") is None

    def test_the_files_in_their_order(self, tmp_path: Path) -> None:
        environment = {
            "HOME": str(tmp_path / "home"),
            "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        }
        places = ["home/.docker/config.json", "run/containers/auth.json", "home/.config/containers/auth.json"]
        for number, place in enumerate(places):
            auth_file(tmp_path / place, {"auths": {f"{n}.io": {"auth": basic(place, "p")} for n in range(number, 3)}})
        files = AuthFiles.of(None, environment)
        assert [str(file.path.relative_to(tmp_path)) for file in files.files] == places
        assert [found(files.find(f"{n}.io")) for n in range(3)] == [(places[0], "p", "")] * 3
        (tmp_path / places[0]).unlink()
        assert [found(files.find(f"{n}.io")) for n in (0, 1)] == [None, (places[1], "p", "")]
        assert AuthFiles.of(None, {**environment, "DOCKER_CONFIG": "/d"}).written.path == Path("/d/config.json")
        alone = AuthFiles.of(None, {**environment, "REGISTRY_AUTH_FILE": "/x.json"})
        assert [file.path for file in alone.files] == [Path("/x.json")]
        assert [file.path for file in AuthFiles.of(Path("/y"), {"REGISTRY_AUTH_FILE": "/x"}).files] == [Path("/y")]

    @pytest.mark.parametrize(
        "content",
        ["[]", "{", "7", '{"auths": {"r.io": {"auth": "%%"}}}', '{"auths": {"r.io": {"auth": "\\u0080"}}}', "\0"],
    )
    def test_a_file_that_cannot_be_right_is_named(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError) as caught:
            AuthFile(tmp_path / "a.json").find("r.io")
        assert str(tmp_path / "a.json") in caught.value.where

    @given(JSON)
    def test_any_json_is_read_or_refused(self, tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
        file = auth_file(tmp_path_factory.getbasetemp() / "fuzz.json", document)
        with suppress(InputError, RegistryError):
            file.find("r.io", "a/b")

    def test_a_secret_is_in_no_text(self, tmp_path: Path) -> None:
        encoded = basic("me", "sehr-geheim")
        file = auth_file(tmp_path / "a.json", {"auths": {"r.io": {"auth": encoded}}})
        credential = file.find("r.io")
        assert credential
        header = credential.basic
        assert "sehr-geheim" not in repr(credential)
        assert redactor(f"{header} sehr-geheim") == "Basic ****** ******"


@pytest.mark.usefixtures("helper")
class TestHelpers:
    def test_a_helper_is_asked(self, tmp_path: Path, helper: Path) -> None:
        file = auth_file(tmp_path / "a.json", {"credHelpers": {"r.io": "test"}})
        assert file.find("r.io") is None
        (helper / "r.io").write_text(json.dumps({"ServerURL": "r.io", "Username": "me", "Secret": "geheim"}))
        assert found(file.find("r.io", "ns/app")) == ("me", "geheim", "")
        assert file.find("other.io") is None
        (helper / "r.io").write_text(json.dumps({"Username": "<token>", "Secret": "der-ausweis"}))
        assert found(file.find("r.io")) == ("", "", "der-ausweis")

    def test_a_store_is_asked_for_all(self, tmp_path: Path, helper: Path) -> None:
        file = auth_file(tmp_path / "a.json", {"credsStore": "test", "auths": {"r.io": {}}})
        assert file.find("r.io") is None
        known = json.dumps({"Username": "me", "Secret": "geheim"})
        (helper / "https%3A%2F%2Findex.docker.io%2Fv1%2F").write_text(known)
        assert found(file.find("docker.io", "library/nginx")) == ("me", "geheim", "")

    @pytest.mark.parametrize(
        ("name", "said"),
        [("none", "no program docker-credential-none"), ("../x", "no helper's name"), ("test", "not the JSON")],
    )
    def test_a_helper_that_fails_is_named(self, tmp_path: Path, helper: Path, name: str, said: str) -> None:
        (helper / "r.io").write_text("garbage")
        file = auth_file(tmp_path / "a.json", {"credsStore": name})
        with pytest.raises(RegistryError, match=said):
            file.find("r.io")

    def test_login_goes_to_the_store(self, tmp_path: Path, helper: Path) -> None:
        file = auth_file(tmp_path / "a.json", {"credsStore": "test", "auths": {"r.io": {"auth": basic("a", "b")}}})
        kept = remember(file, "r.io", Credential("me", Secret("sehr-geheim")))
        assert kept == "the credential helper 'test'"
        assert file.read() == {"credsStore": "test", "auths": {"r.io": {}}}
        assert found(file.find("r.io")) == ("me", "sehr-geheim", "")
        assert forget(file, "r.io")
        assert file.read() == {"credsStore": "test", "auths": {}}
        assert not list(helper.iterdir())
        assert not forget(file, "r.io")


class TestKeeping:
    def test_other_entries_stay(self, tmp_path: Path) -> None:
        before = {"auths": {"a.io": {"auth": basic("a", "b")}, "https://r.io/v2/": {"auth": "eDp5"}}, "psFormat": "x"}
        file = auth_file(tmp_path / "a.json", before)
        kept = remember(file, "r.io", Credential("me", Secret("sehr:geheim")))
        assert kept == str(tmp_path / "a.json")
        auths = {"a.io": {"auth": basic("a", "b")}, "r.io": {"auth": basic("me", "sehr:geheim")}}
        assert file.read() == {"auths": auths, "psFormat": "x"}
        assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600
        assert forget(file, "r.io")
        assert file.read() == {"auths": {"a.io": {"auth": basic("a", "b")}}, "psFormat": "x"}
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.json"]

    def test_docker_finds_the_hub(self, tmp_path: Path) -> None:
        file = AuthFile(tmp_path / "new" / "config.json")
        remember(file, "docker.io", Credential("me", Secret("sehr-geheim")))
        assert list(file.read()["auths"]) == ["https://index.docker.io/v1/"]  # type: ignore[arg-type]
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
        assert found(file.find("docker.io")) == ("me", "sehr-geheim", "")

    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        real = tmp_path / "dotfiles" / "docker.json"
        auth_file(real, {"psFormat": "x"})
        (tmp_path / "config.json").symlink_to(real)
        remember(AuthFile(tmp_path / "config.json"), "r.io", Credential("me", Secret("sehr-geheim")))
        assert (tmp_path / "config.json").is_symlink()
        assert json.loads(real.read_text())["psFormat"] == "x"

    def test_a_file_that_cannot_be_read_is_not_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text("{ // mine\n}")
        with pytest.raises(InputError, match="no JSON object"):
            remember(AuthFile(tmp_path / "a.json"), "r.io", Credential("me", Secret("x")))
        assert (tmp_path / "a.json").read_text() == "{ // mine\n}"

    def test_nothing_is_made_by_forgetting_nothing(self, tmp_path: Path) -> None:
        assert not forget(AuthFile(tmp_path / "a.json"), "r.io")
        assert not (tmp_path / "a.json").exists()
