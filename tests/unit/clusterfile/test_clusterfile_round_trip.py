"""What is written can be read, and is the same but for secrets."""

import dataclasses
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from sealer.clusterfile.free_values import without_nothing
from sealer.clusterfile.model import (
    Cluster,
    Clusterfile,
    ConfigDocument,
    DriverChoice,
    ExternalRegistry,
    HostAlias,
    HostGroup,
    KubeadmDocument,
    LocalRegistry,
    PluginDocument,
    RegistrySpec,
)
from sealer.clusterfile.reading import read
from sealer.clusterfile.secrets import secret_fields, with_secrets, without_secrets
from sealer.clusterfile.writing import write
from sealer.errors import Position
from sealer.events import Json
from sealer.hosts import Host, Ssh
from sealer.phases import Phase
from sealer.redaction import Secret, redactor

NOWHERE = Position("")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"

words = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
lower_words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
# Everything that may stand in a YAML text, and all that looks like something else in it.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
tricky = st.sampled_from(
    ["yes", "010", "08", "1e5", "1.20", "22:22", "on", "~", "null", "", " ", "- a", "a: b", "#", "*x", "&x", "!x", "\n",
     " \n a", "a\n", "a\n\n", "\ta", "a\r\nb", "'", '"', "|", ">", "%", "@", "`", "{", "[", "<<", "=", "2024-01-01",
     ".inf", "0x1F", "1_000", "---", "...", "\x85", "\u2028", "\ufeff", "a" * 2000, "x \ny", "\x1b[0m", "\U0001f980"]
)  # fmt: skip
texts = st.one_of(st.text(characters, max_size=30), tricky)
variables = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True).filter(lambda name: name not in ("HostIP",))
environments = st.dictionaries(variables, texts, max_size=3)
labels = st.dictionaries(words, words, max_size=2)
passwords = st.one_of(st.none(), words.map(lambda word: Secret("hunter2-" + word)))
logins = st.builds(
    Ssh,
    user=st.sampled_from(["", "root", "010", "yes"]),
    password=passwords,
    private_key=st.sampled_from(["", "/root/.ssh/id", "~/.ssh/id_rsa", KEY]),
    private_key_password=passwords,
    port=st.sampled_from([0, 22, 2222]),
)
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
keys = st.one_of(texts, words).filter(lambda key: not key.lower().endswith(("version", "tag")))
json = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=8,
)
options = st.dictionaries(
    lower_words.filter(lambda word: word != "name"), json.filter(lambda it: it is not None), max_size=2
).map(without_nothing)


@st.composite
def choices(draw: st.DrawFn) -> DriverChoice:
    name = draw(st.one_of(st.just(""), lower_words))
    return DriverChoice(name, draw(options) if name else {})


@st.composite
def registries(draw: st.DrawFn) -> RegistrySpec:
    choice = draw(choices())
    local = LocalRegistry(
        draw(lower_words), draw(st.integers(1, 65535)), draw(words), draw(passwords), draw(st.booleans()),
        draw(st.booleans()), ("a.b",), ("fd00::1",),
    )  # fmt: skip
    external = ExternalRegistry(draw(lower_words), draw(st.sampled_from([0, 5000])), draw(words), draw(passwords))
    return RegistrySpec(choice.name, local, draw(st.one_of(st.none(), st.just(external))), choice.options)


groups = st.builds(
    HostGroup,
    st.just("master"),
    st.integers(1, 100),
    st.integers(0, 64),
    st.integers(0, 10**6),
    st.integers(0, 10**4),
    st.lists(st.integers(1, 10**4), max_size=2).map(tuple),
)
addresses = st.lists(st.ip_addresses(network="198.18.0.0/15").map(str), unique=True, max_size=5)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    ssh = draw(logins)
    hosts = [
        Host(
            address,
            ("master" if index == 0 or draw(st.booleans()) else "node", *draw(st.sampled_from([(), ("gpu", "disk")]))),
            draw(logins).filled_from(ssh),
            draw(environments),
            draw(labels),
            draw(st.sampled_from([(), ("a=b:NoSchedule", "c:NoExecute-")])),
        )
        for index, address in enumerate(draw(addresses))
    ]
    return Cluster(
        name=draw(lower_words),
        image=draw(st.sampled_from(["", "kubernetes:v1.19.8", "a/b@sha256:00"])),
        hosts=tuple(sorted(hosts, key=lambda host: not host.is_master)),
        groups=tuple(draw(st.lists(groups, max_size=2))),
        env=draw(environments),
        ssh=ssh,
        provider=draw(choices()),
        transport=draw(choices()),
        runtime=draw(choices()),
        registry=draw(st.one_of(st.just(RegistrySpec()), registries())),
        pod_cidr=draw(st.sampled_from(["", "100.64.0.0/10", "100.64.0.0/10,fd01::/48"])),
        service_cidr=draw(st.sampled_from(["", "10.96.0.0/22"])),
        cert_sans=draw(st.sampled_from([(), ("10.0.0.2", "a.b")])),
        container_runtime=draw(st.sampled_from(["", "docker"])),
        host_aliases=draw(st.sampled_from([(), (HostAlias("10.0.0.3", ("a", "b.c")),)])),
        data_root=draw(st.sampled_from(["/var/lib/sealer", "/data"])),
        cmd=tuple(draw(st.lists(texts, max_size=2))),
        app_names=draw(st.sampled_from([None, (), ("calico", "web")])),
        cmd_args=draw(st.sampled_from([(), ("A=b c", "B=")])),
        authorize_key=draw(st.booleans()),
        labels=draw(st.dictionaries(words, texts, max_size=2)),
        annotations=draw(st.dictionaries(words, texts, max_size=2)),
    )


plugins = st.builds(
    PluginDocument,
    words,
    words.map(str.upper),
    st.lists(st.sampled_from([Phase.PRE_GUEST, Phase.POST_INSTALL, Phase.POST_JOIN]), unique=True, max_size=3).map(
        tuple
    ),
    st.sampled_from(["", "master", "node", "198.18.0.1-198.18.255.255", "a=b", "a.b/c"]),
    st.one_of(texts, st.dictionaries(keys, json, min_size=1, max_size=2)),
)
configs = st.builds(
    ConfigDocument,
    words,
    words,
    st.one_of(texts, st.dictionaries(keys, json, max_size=2)),
    st.sampled_from(["overwrite", "merge"]),
    st.sampled_from([(), ("value", "toBase64")]),
)
kubeadms = st.builds(
    KubeadmDocument,
    st.just("kubeadm.k8s.io/v1beta3"),
    st.just("ClusterConfiguration"),
    st.dictionaries(keys.filter(lambda key: key not in ("apiVersion", "kind", "networking")), json, max_size=3),
)
clusterfiles = st.builds(
    Clusterfile,
    clusters(),
    st.lists(plugins, max_size=2, unique_by=lambda plugin: plugin.name).map(tuple),
    st.lists(configs, max_size=2).map(tuple),
    st.lists(kubeadms, max_size=1).map(tuple),
)


def comparable(clusterfile: Clusterfile) -> Clusterfile:
    """Without what reading adds: places, warnings, the text."""
    cluster = clusterfile.cluster
    assert cluster is not None
    drivers = {
        name: dataclasses.replace(getattr(cluster, name), position=NOWHERE)
        for name in ("provider", "transport", "runtime")
    }
    return dataclasses.replace(
        clusterfile,
        cluster=dataclasses.replace(cluster, **drivers),
        plugins=tuple(dataclasses.replace(it, position=NOWHERE, data_position=NOWHERE) for it in clusterfile.plugins),
        configs=tuple(dataclasses.replace(it, position=NOWHERE) for it in clusterfile.configs),
        kubeadm=tuple(dataclasses.replace(it, position=NOWHERE) for it in clusterfile.kubeadm),
        warnings=(),
        text="",
    )


@settings(max_examples=100, deadline=None)
@given(clusterfiles)
def test_reading_what_was_written_gives_the_same_without_secrets(clusterfile: Clusterfile) -> None:
    text = write(clusterfile)
    assert "hunter2-" not in text
    assert "b3BlbnNzaC1rZXk" not in text
    again = read(text, recorded=True)
    assert comparable(again) == comparable(without_secrets(clusterfile))
    assert write(again) == text


def test_secrets_in_a_drivers_fields_and_in_kubeadms_documents_are_left_out() -> None:
    provider = DriverChoice("cloud", {"region": "r", "accessKeySecret": "hunter2", "login": [{"password": "hunter2"}]})
    tokens: list[Json] = [{"token": "hunter2", "ttl": "24h"}]
    kubeadm = KubeadmDocument(
        "kubeadm.k8s.io/v1beta3",
        "InitConfiguration",
        {
            "bootstrapTokens": tokens,
            "certificateKey": "hunter2",
            "enableToken": True,
            "imagePullCredentialsVerificationPolicy": "Never",
        },
    )
    text = write(Clusterfile(Cluster(provider=provider), kubeadm=(kubeadm,)))
    assert "hunter2" not in text
    again = read(text)
    assert again.cluster is not None
    assert again.cluster.provider.options == {"region": "r", "login": [{}]}
    assert again.kubeadm[0].content == {
        "bootstrapTokens": [{"ttl": "24h"}],
        "enableToken": True,
        "imagePullCredentialsVerificationPolicy": "Never",
    }


def test_secrets_that_were_left_out_are_filled_in_from_a_file_that_has_them() -> None:
    """The same fields of the same drivers, nothing else."""
    documents = """
apiVersion: sealer.io/v2
kind: Cluster
metadata: {name: %(name)s}
spec:
  image: %(image)s
  hosts: [{ips: [10.0.0.1], roles: [master]}]
  provider: {name: cloud, region: %(name)s, accessKeySecret: "%(secret)s", accounts: [{password: "%(secret)s"}]}
  transport: {name: %(transport)s, token: "%(secret)s"}
  runtime: {name: special, deep: {secret: "%(secret)s"}}
  registry:
    localRegistry: {username: u, password: "%(secret)s"}
    externalRegistry: {domain: r.example.com, password: "%(secret)s"}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
certificateKey: "%(secret)s"
"""
    mine = {"name": "one", "image": "a:1", "transport": "far", "secret": "hunter2"}
    whole = read(documents % mine)
    fields = {
        "spec.provider.accessKeySecret",
        "spec.provider.accounts[0].password",
        "spec.transport.token",
        "spec.runtime.deep.secret",
        "spec.registry.localRegistry.password",
        "spec.registry.externalRegistry.password",
        "InitConfiguration.certificateKey",
    }
    assert set(secret_fields(whole)) == fields
    kept = read(write(whole))
    assert secret_fields(kept) == ()
    other = read(documents % {**mine, "name": "two", "image": "b:2", "transport": "near"})
    filled = with_secrets(kept, other)
    assert set(secret_fields(filled)) == fields - {"spec.transport.token"}
    assert filled.cluster is not None
    assert (filled.cluster.name, filled.cluster.image) == ("one", "a:1")
    assert filled.cluster.provider.options == whole.cluster.provider.options  # type: ignore[union-attr]
    assert write(filled) == write(whole)


def test_a_private_key_in_the_file_is_redacted_everywhere() -> None:
    lines = KEY.replace("b3BlbnNzaC1rZXk", "Zm9yIHRoaXMgdGVzdCBhbG9uZQ").splitlines()
    body = "".join(f"      {line}\n" for line in lines)
    read("apiVersion: sealer.io/v2\nkind: Cluster\nspec:\n  ssh:\n    pk: |\n" + body)
    assert "Zm9yIHRoaXMg" not in redactor(f"debug1: {lines[1]}")
