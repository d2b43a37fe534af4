from __future__ import annotations

import pytest

from sealer.errors import InputError
from sealer.kubefile import parse
from sealer.kubefile.model import Run, SecretMount


def run(text: str) -> Run:
    (instruction,) = parse(f"FROM scratch\n{text}").body
    assert isinstance(instruction, Run)
    return instruction


@pytest.mark.parametrize(
    ("flags", "secrets"),
    [
        ("", ()),
        ("--mount=type=secret,id=a", (SecretMount("a", "/run/secrets/a"),)),
        ("--mount=type=secret,id=a,target=/etc//apt/../b", (SecretMount("a", "/etc/b"),)),
        ("--mount=type=secret,dst=/x/token", (SecretMount("token", "/x/token"),)),
        (
            "--mount=id=a,type=secret,required=false --mount=type=secret,id=b,required",
            (SecretMount("a", "/run/secrets/a", required=False), SecretMount("b", "/run/secrets/b")),
        ),
    ],
)
def test_secrets(flags: str, secrets: tuple[SecretMount, ...]) -> None:
    read = run(f"RUN {flags} cat --mount x")
    assert read.secrets == secrets
    assert read.command == "cat --mount x"


@pytest.mark.parametrize(("flag", "network"), [("", ""), ("none", "none"), ("host", "host"), ("default", "")])
def test_networks(flag: str, network: str) -> None:
    read = run(f'RUN {f"--network={flag}" if flag else ""} ["a b"]')
    assert read.network == network
    assert read.command == "'a b'"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--mount=type=cache,id=a", "Kubefile:2:5: RUN: --mount is not supported but for type=secret"),
        ("--mount=type=secret", "--mount=type=secret needs an id"),
        ("--mount=type=secret,id=a/b", "--mount=type=secret needs an id"),
        ("--mount=type=secret,id=a,mode=0400", "--mount does not know 'mode'"),
        ("--mount=type=secret,id=a,required=1", "required is true or false"),
        ("--mount=type=secret,id=a,target=x", "the target 'x' must be an absolute path outside of the rootfs"),
        ("--mount=type=secret,id=a,target=//rootfs/x", "must be an absolute path outside of the rootfs"),
        ("--mount=type=secret,id=a,target=/etc/../rootfs", "must be an absolute path outside of the rootfs"),
        ("--mount=type=secret,id=a,target=/proc/x", "must be an absolute path outside of the rootfs"),
        ("--mount=type=secret,id=a --mount=type=secret,id=a", "two secrets have one target"),
        ("--mount", "--mount needs a value"),
        ("--network=bridge", "'bridge' is no network: it is host or none"),
        ("--security=insecure", "--security is not supported"),
        ("--what=x", "RUN does not know the flag '--what'"),
        ("--network=none", ""),
    ],
)
def test_what_cannot_be(flags: str, message: str) -> None:
    text = f"FROM scratch\nRUN {flags} true" if message else f"FROM scratch\nRUN {flags}"
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in str(caught.value.problems[0])
