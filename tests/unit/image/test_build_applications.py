from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sealer.errors import BuildError, ImageError, InputError
from sealer.events import Event, EventStream, State
from sealer.image.applications import Applications
from sealer.image.archive import load, save
from sealer.image.files import RootfsFiles
from sealer.image.model import ClusterImage
from sealer.image.store import Store

Build = Callable[..., ClusterImage]
Events = tuple[EventStream, list[Event]]


@pytest.fixture
def sources(context: Path) -> Path:
    for name in (
        "chart/Chart.yaml",
        "chart/values.yaml",
        "chart/templates/web.yaml",
        "manifests/b.yaml",
        "manifests/a.yml",
        "manifests/sub/c.json",
        "ns.yaml",
        "install.sh",
        "notes.txt",
    ):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return context


def paths(image: ClusterImage) -> list[str]:
    return sorted(RootfsFiles(image.first).paths())


def plain(image: ClusterImage) -> list[str]:
    """What the image launches, without the way into the application's directory."""
    return [command.rpartition("\n")[2] for command in image.first.cmds]


def warnings(events: Events) -> list[str]:
    return [event.message.partition(": ")[2] for event in events[1] if event.state is State.WARNING]


@pytest.mark.parametrize(
    ("app", "kind", "files", "commands"),
    [
        (
            "local://chart",
            "helm",
            ["Chart.yaml", "templates/web.yaml", "values.yaml"],
            ["helm upgrade --install it ."],
        ),
        (
            "local://ns.yaml local://manifests",
            "kube",
            ["a.yml", "b.yaml", "ns.yaml", "sub/c.json"],
            [
                "kubectl apply -f ns.yaml",
                "kubectl apply -f a.yml",
                "kubectl apply -f b.yaml",
                "kubectl apply -f sub/c.json",
            ],
        ),
        ("local://*.sh", "shell", ["install.sh"], ["bash install.sh"]),
        ("local://./ns.yaml", "kube", ["ns.yaml"], ["kubectl apply -f ns.yaml"]),
    ],
)
def test_what_an_application_is(
    build_image: Build, sources: Path, app: str, kind: str, files: list[str], commands: list[str]
) -> None:
    image = build_image(f"FROM scratch\nAPP it {app}\nLAUNCH it")
    assert paths(image) == [f"application/apps/it/{name}" for name in files]
    assert plain(image) == commands
    assert image.first.applications.by_name["it"].type == kind


def test_a_packed_chart(build_image: Build, context: Path) -> None:
    def pack(name: str, **files: str) -> None:
        with tarfile.open(context / name, "w:gz") as tar:
            for path, text in files.items():
                info = tarfile.TarInfo(f"web/{path}")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))

    pack("web-1.tgz", **{"Chart.yaml": "name: web\nversion: 1.0.0\n", "values.yaml": "a: 1\n"})
    image = build_image("FROM scratch\nAPP web local://web-1.tgz\nLAUNCH web")
    assert paths(image) == ["application/apps/web/web-1.tgz"]
    assert plain(image) == ["helm upgrade --install web ./web-1.tgz"]
    assert image.first.applications.by_name["web"].type == "helm"
    pack("files.tgz", readme="no chart")
    (context / "empty.tgz").write_bytes(b"")
    (context / "text.tgz").write_text("name: web\n")
    for name in ("files.tgz", "empty.tgz", "text.tgz"):
        with pytest.raises(BuildError, match="nothing says how 'web' is installed"):
            build_image(f"FROM scratch\nAPP web local://{name}\nLAUNCH web")


def test_an_application_that_nothing_is_known_of_needs_commands(build_image: Build, sources: Path) -> None:
    with pytest.raises(BuildError, match="nothing says how 'it' is installed") as caught:
        build_image("FROM scratch\nAPP it local://notes.txt local://ns.yaml\nLAUNCH it")
    assert caught.value.where.endswith("Kubefile:2:1")
    assert "APPCMDS it" in caught.value.remedy
    image = build_image('FROM scratch\nAPP it local://notes.txt\nAPPCMDS it ["cat notes.txt", "true"]\nLAUNCH it')
    assert plain(image) == ["cat notes.txt", "true"]
    with pytest.raises(BuildError, match="cannot be the name of a helm release"):
        build_image("FROM scratch\nAPP It local://chart\nLAUNCH It")


def test_the_commands_run_in_their_directory_with_their_environment(
    build_image: Build, sources: Path, tmp_path: Path
) -> None:
    image = build_image(
        "FROM scratch\nARG V=1\nAPP one local://notes.txt\nAPP two local://ns.yaml\n"
        'APPENV one A="it\'s $V" B=old\nAPPENV one B=new\n'
        'APPCMDS one ["echo $A; echo $B; ls", "false || echo $B"]\nAPPCMDS two echo "$A-$B"; cat ns.yaml\n'
        "LAUNCH two one"
    )
    rootfs = tmp_path / "rootfs"
    view = RootfsFiles(image.first)
    for path in view.paths():
        (rootfs / path).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / path).write_bytes(view.read(path))
    output = [
        subprocess.run(
            ["/bin/sh", "-c", command], cwd=rootfs, env={"B": "outer"}, capture_output=True, text=True, check=True
        ).stdout
        for command in image.first.cmds
    ]
    assert output == ["-outer\nns.yaml", "it's 1\nnew\nnotes.txt\n", "new\n"]


def test_the_labels_say_it_all(build_image: Build, sources: Path, store: Store, tmp_path: Path) -> None:
    image = build_image(
        "FROM scratch\nCNI calico local://ns.yaml\nCSI nfs local://install.sh\nAPP web local://chart\n"
        "APPENV web A=é\nKUBEVERSION '>= 1.19.8, < 1.31'\nLAUNCH calico web"
    )
    labels = image.first.labels
    assert json.loads(labels["io.sealer.apps"]) == [
        {"name": "calico", "type": "kube", "cmds": ["kubectl apply -f ns.yaml"], "role": "cni"},
        {"name": "nfs", "type": "shell", "cmds": ["bash install.sh"], "role": "csi"},
        {"name": "web", "type": "helm", "cmds": ["helm upgrade --install web ."], "env": {"A": "é"}},
    ]
    assert json.loads(labels["io.sealer.launch"]) == ["calico", "web"]
    assert json.loads(labels["io.sealer.cmds"]) == []
    assert labels["cluster.alpha.sealer.io/kube-cni-calico"] == "true"
    assert labels["cluster.alpha.sealer.io/kube-csi-nfs"] == "true"
    assert labels["app.alpha.sealer.io/supported-kube-version"] == ">= 1.19.8, < 1.31"
    save(store, ["app:v1"], tmp_path / "x.tar")
    other = Store(tmp_path / "other")
    load(other, tmp_path / "x.tar")
    assert other.find("app:v1").first.cmds == image.first.cmds


def test_a_base_brings_its_applications_and_cmds_but_not_its_launch(
    build_image: Build, sources: Path, events: Events
) -> None:
    build_image("FROM scratch\nCMD first", names=("lowest",))
    base = build_image(
        "FROM lowest\nCNI calico local://manifests\nAPP web local://chart\nAPPENV web A=1 B=1\n"
        "KUBEVERSION 1.x\nLAUNCH calico",
        names=("base",),
    )
    assert plain(base)[0] == "first"
    assert len(plain(base)) == 4
    assert warnings(events) == []

    quiet = build_image("FROM base\nENV A=1")
    assert quiet.first.cmds == ("first",)
    assert quiet.first.launching(["web"])[1:] == (
        "cd application/apps/web || exit\nexport A=1\nexport B=1\nhelm upgrade --install web .",
    )
    assert quiet.first.labels["app.alpha.sealer.io/supported-kube-version"] == "1.x"
    assert "io.sealer.launch" not in quiet.first.labels
    assert warnings(events) == ["the base's LAUNCH does not come along: calico; write it again"]

    more = build_image("FROM base\nLAUNCH web\n".replace("LAUNCH", "APPENV web B=2\nAPPCMDS web echo $A\nLAUNCH"))
    assert more.first.cmds == ("first", "cd application/apps/web || exit\nexport A=1\nexport B=2\necho $A")


def test_an_application_replaces_the_bases_of_its_name(build_image: Build, sources: Path) -> None:
    build_image(
        "FROM scratch\nCNI web local://manifests\nAPPENV web A=1\nAPPCMDS web old\nCOPY notes.txt kept/",
        names=("base",),
    )
    image = build_image("FROM base\nAPP web local://ns.yaml\nLAUNCH web")
    assert paths(image) == ["application/apps/web/ns.yaml", "kept/notes.txt"]
    assert image.first.cmds == ("cd application/apps/web || exit\nkubectl apply -f ns.yaml",)
    assert not [label for label in image.first.labels if label.startswith("cluster.alpha")]
    again = build_image("FROM base\nRUN true\nAPP web local://ns.yaml\nRUN ls application/apps/web > list\nLAUNCH web")
    assert RootfsFiles(again.first).read("list") == b"ns.yaml\n"


def test_names_are_checked_against_the_base_before_anything_runs(
    build_image: Build, sources: Path, tmp_path: Path
) -> None:
    build_image("FROM scratch\nAPP calico local://ns.yaml\nLAUNCH calico", names=("base",))
    with pytest.raises(InputError) as caught:
        build_image(f"FROM base\nRUN touch {tmp_path}/ran\nAPPENV calcio A=1\nLAUNCH nfs")
    none = "neither in this Kubefile nor in the base"
    assert [str(problem).partition("Kubefile:")[2] for problem in caught.value.problems] == [
        f"3:8: there is no application 'calcio', {none}; did you mean 'calico'?",
        f"4:8: there is no application 'nfs', {none}",
    ]
    assert not (tmp_path / "ran").exists()


def test_cmds_are_cmds(build_image: Build) -> None:
    build_image('FROM scratch\nCMDS ["a", "b"]', names=("base",))
    assert build_image("FROM base\nCMD c\nCMDS d 'e f'").first.cmds == ("a", "b", "c", "d 'e f'")


def test_an_application_without_a_launch_is_warned_of(build_image: Build, sources: Path, events: Events) -> None:
    build_image("FROM scratch\nAPP web local://ns.yaml")
    assert warnings(events) == ["no LAUNCH: `sealer run` installs no application unless --apps names it"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("APP web $NONE", "'' is no source; a file of the build context is local://"),
        ("ARG A=ftp://x\nAPP web $A/y", "'ftp://' is not fetched: only http:// and https:// are"),
        ("ARG A=new\nKUBEVERSION $A", "'new' is no constraint"),
        ("APP web local://ns.yaml\nAPPENV web A=${B:?must-be}", "B must be set: must-be"),
    ],
)
def test_what_is_wrong_only_once_variables_are_known(
    build_image: Build, sources: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        build_image(f"FROM scratch\n{text}")
    assert caught.value.problems[0].message.startswith(message)
    assert caught.value.problems[0].position.column > 5


def test_a_source_that_is_not_there(build_image: Build, sources: Path) -> None:
    with pytest.raises(BuildError, match=r"'nss\.yaml' is not in the build context") as caught:
        build_image("FROM scratch\nARG N=nss\nAPP web local://ns.yaml \\\n  local://$N.yaml")
    assert caught.value.where.endswith("Kubefile:4:3")
    assert caught.value.remedy == "did you mean 'ns.yaml'?"


@pytest.mark.parametrize(
    "label",
    [
        "io.sealer.apps",
        "io.sealer.launch",
        "app.alpha.sealer.io/supported-kube-version",
        "cluster.alpha.sealer.io/kube-cni-x",
    ],
)
def test_the_labels_are_sealers_own(build_image: Build, label: str) -> None:
    with pytest.raises(BuildError, match="sealer's own"):
        build_image(f"FROM scratch\nLABEL {label}=x")
    with pytest.raises(InputError, match="sealer's own"):
        build_image("FROM scratch", labels={label: "x"})


@pytest.mark.parametrize(
    "labels",
    [
        {"io.sealer.apps": "{"},
        {"io.sealer.apps": "3"},
        {"io.sealer.apps": "[3]"},
        {"io.sealer.apps": '[{"name": "x"}]'},
        {"io.sealer.apps": '[{"name": "x", "type": "kube", "cmds": [1]}]'},
        {"io.sealer.apps": '[{"name": "x", "type": "kube", "cmds": [], "env": {"A": 1}}]'},
        {"io.sealer.launch": '["x"]'},
        {"io.sealer.launch": "null"},
    ],
)
def test_labels_that_sealer_never_wrote_are_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(ImageError, match="not as sealer writes them"):
        Applications.of(labels, "image")
