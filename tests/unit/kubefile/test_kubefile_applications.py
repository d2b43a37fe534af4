from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.kubefile import parse
from sealer.kubefile.kube_versions import wrong_constraint
from sealer.kubefile.model import App, AppCmds, AppEnv, Cmds, KubeVersion, Launch


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_all_instructions_in_both_their_forms() -> None:
    app, cni, csi, cmds, one, env, version, launch = parse(
        "FROM scratch\n"
        "app web local://a https://example.com/b.yaml\n"
        'CNI calico ["local://c d", "http://e/f"]\n'
        "CSI nfs local://$X\n"
        'APPCMDS web ["kubectl apply -f a", "echo \'x y\'"]\n'
        "APPCMDS nfs helm install nfs . -f 'my values'\n"
        'APPENV web A=1 B="x y"\n'
        'KUBEVERSION ">= 1.19"\n'
        'LAUNCH ["calico", "web"]\n'
    ).body
    assert isinstance(app, App) and isinstance(cni, App) and isinstance(csi, App)
    assert (app.name.text, app.role, [source.text for source in app.sources]) == (
        "web",
        "",
        ["local://a", "https://example.com/b.yaml"],
    )
    assert (cni.name.text, cni.role, [source.text for source in cni.sources]) == (
        "calico",
        "cni",
        ["local://c d", "http://e/f"],
    )
    assert (csi.role, csi.sources[0].position.line, csi.sources[0].position.column) == ("csi", 4, 9)
    assert isinstance(cmds, AppCmds) and isinstance(one, AppCmds)
    assert cmds.commands == ("kubectl apply -f a", "echo 'x y'")
    assert one.commands == ("helm install nfs . -f 'my values'",)
    assert isinstance(env, AppEnv)
    assert [(key, word.text) for key, word in env.pairs] == [("A", "1"), ("B", '"x y"')]
    assert isinstance(version, KubeVersion)
    assert version.constraint.text == '">= 1.19"'
    assert isinstance(launch, Launch)
    assert [name.text for name in launch.names] == ["calico", "web"]


@pytest.mark.parametrize(
    ("text", "commands"), [('CMDS ["a b", "c"]', ("a b", "c")), ("CMDS a 'b c'", ("a 'b c'",)), ("cmds a", ("a",))]
)
def test_cmds(text: str, commands: tuple[str, ...]) -> None:
    (cmds,) = parse(f"FROM x\n{text}").body
    assert isinstance(cmds, Cmds)
    assert cmds.commands == commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("APP", ["2:1: APP needs a name and at least one source: local://path, http://... or https://..."]),
        ("CNI x", ["2:1: CNI x has no source: local://path, http://... or https://..."]),
        ("APP x y.yaml", ["2:7: APP: 'y.yaml' is no source; a file of the build context is local://y.yaml"]),
        ("APP x local://", ["2:7: APP: 'local://' without a path of the build context"]),
        ("APP x oci://e/x", ["2:7: APP: 'oci://' is not fetched: only http:// and https:// are"]),
        (
            "APP x https://e/x.git",
            ["2:7: APP: a git repository is not fetched: clone it before the build, or with RUN"],
        ),
        (
            "APP ../x local://y",
            ["2:5: APP: '../x' is not a valid name of an application: use letters, digits, '-', '_', '.', at most 63"],
        ),
        ("APP x local://a\nCNI x local://b", ["3:1: the application 'x' is there already"]),
        ("APPCMDS x", ["2:1: APPCMDS x needs a command"]),
        ("APPCMDS x []", ["2:11: APPCMDS x has an empty command"]),
        ('APPCMDS x ["a", " "]', ["2:11: APPCMDS x has an empty command"]),
        (
            "APPCMDS x ['a']",
            ["2:11: APPCMDS: neither a JSON list of strings in double quotes, nor a command"],
        ),
        ("APPCMDS x a\nAPPCMDS x b", ["3:1: the commands of the application 'x' are given already"]),
        ("APPENV x", ["2:1: APPENV x needs key=value"]),
        ("APPENV x A", ["2:10: APPENV: 'A' is not of the form name=value; quote a value that has blanks"]),
        ("APPENV x a-b=1", ["2:10: APPENV: 'a-b' is not a valid name of a shell variable"]),
        ("LAUNCH", ["2:1: LAUNCH needs names of applications"]),
        ("LAUNCH []", ["2:1: LAUNCH needs names of applications"]),
        ("LAUNCH x y x", ["2:12: LAUNCH: 'x' is named twice"]),
        ("LAUNCH x\nLAUNCH y", ["3:1: a second LAUNCH"]),
        ("LAUNCH x\nENV A=1", ["2:1: LAUNCH is the last instruction: nothing comes after it"]),
        ("CMDS x\nRUN y", ["2:1: CMDS is the last instruction: nothing comes after it"]),
        (
            "CMD a\nLAUNCH x",
            ["2:1: CMD and LAUNCH exclude each other: give an application its commands with APPCMDS"],
        ),
        (
            "LAUNCH x\nCMDS a",
            ["3:1: CMDS and LAUNCH exclude each other: give an application its commands with APPCMDS"],
        ),
        ("KUBEVERSION", ['2:1: KUBEVERSION needs a constraint such as ">= 1.19.8, < 1.31"']),
        ("KUBEVERSION 1.20\nKUBEVERSION 1.21", ["3:1: a second KUBEVERSION"]),
        (
            'KUBEVERSION ">= new"',
            [
                "2:13: KUBEVERSION: '>= new' is no constraint such as '>= 1.19.8, < 1.31': '>= new' is not understood",
            ],
        ),
    ],
)
def test_mistakes(text: str, expected: list[str]) -> None:
    assert problems(f"FROM a\n{text}") == [f"Kubefile:{line}" for line in expected]


def test_names_that_there_are_not_are_told_where_the_base_has_none() -> None:
    text = "APP calico local://x\nAPPCMDS calicoo a\nAPPENV web A=1\nLAUNCH calico wbe"
    none = "neither in this Kubefile nor in the base"
    assert problems(f"FROM scratch\n{text}") == [
        f"Kubefile:3:9: there is no application 'calicoo', {none}; did you mean 'calico'?",
        f"Kubefile:4:8: there is no application 'web', {none}",
        f"Kubefile:5:15: there is no application 'wbe', {none}",
    ]
    assert parse(f"FROM base\n{text}").body


def test_an_application_that_could_not_be_read_is_not_missed_too() -> None:
    assert len(problems("FROM scratch\nAPP x y\nLAUNCH x")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "1.19.8",
        "v1.19",
        "1",
        "=1.2.3",
        "!= 1.2.3",
        ">= 1.19.8, < 1.31",
        ">=1.19.8 <1.31",
        ">= 1.19.8 < 1.31",
        ">=1.19.0-0",
        "^1.22",
        "~1.28.3",
        "~> 1.28",
        "1.x",
        "1.19.X",
        "*",
        "1.19 - 1.21.3",
        ">=1.19,<1.20 || >=1.22.0-rc.1+k3s.1",
        "=> 1.2",
    ],
)
def test_constraints(text: str) -> None:
    assert not wrong_constraint(text)


@pytest.mark.parametrize(
    "text", ["", " ", "new", "1.2.3.4", "01.2", ">", ">= ", ">> 1.2", "1.19 -", "1.2,", ", 1.2", "1 || ", "1.2-", "1.é"]
)
def test_what_is_no_constraint(text: str) -> None:
    assert "is no constraint" in wrong_constraint(text)
