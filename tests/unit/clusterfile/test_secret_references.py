from __future__ import annotations

import pytest

from sealer.clusterfile.driver_choices import option_of
from sealer.clusterfile.reading import read
from sealer.clusterfile.secret_references import all_resolved, option_resolved, resolved
from sealer.clusterfile.secrets import without_secrets
from sealer.clusterfile.writing import write
from sealer.redaction import Secret

TEXT = """\
apiVersion: sealer.io/v2
kind: Cluster
metadata: {name: a}
spec:
  image: a:1
  ssh: {user: "admin", passwd: "safe:ssh", pkPasswd: "safe:key"}
  provider: {name: cloud, apiToken: "safe:token", region: "safe:region", nested: [{password: "safe:deep"}]}
  transport: {name: far, secret: "safe:far"}
  runtime: {name: big, joinToken: "safe:join"}
  registry:
    driver: {name: keeper, accessKey: "safe:keeper"}
    localRegistry: {username: "safe-name", password: "safe:local"}
    externalRegistry: {domain: r.example.com, username: u, password: "safe:external"}
  hosts:
  - {ips: [192.0.2.1], roles: [master], ssh: {passwd: "safe:host"}}
  - {ips: [192.0.2.2], roles: [node]}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
certificateKey: "safe:certificates"
"""
SECRETS = {
    *("ssh", "key", "token", "deep", "far", "join", "keeper", "local", "external", "host", "certificates"),
}


def test_every_field_that_may_be_a_secret_is_resolved_once_and_never_written() -> None:
    asked: list[str] = []

    def resolve(reference: str) -> Secret:
        asked.append(reference)
        return Secret(f"<what {reference.partition(':')[2]} hides>")

    found = all_resolved(read(TEXT), resolve)
    assert sorted(asked) == sorted(f"safe:{name}" for name in SECRETS)
    cluster = found.cluster
    assert cluster
    assert (cluster.ssh.user, cluster.registry.local.username) == ("admin", "safe-name")
    first, second = cluster.hosts
    assert first.ssh.password == Secret("<what host hides>")
    assert second.ssh.password == Secret("<what ssh hides>")
    assert second.ssh.private_key_password == Secret("<what key hides>")
    assert cluster.registry.local.password == Secret("<what local hides>")
    assert cluster.registry.external and cluster.registry.external.password == Secret("<what external hides>")
    assert cluster.registry.options == {"accessKey": "<what keeper hides>"}
    assert cluster.provider.options == {
        "apiToken": "<what token hides>",
        "region": "safe:region",
        "nested": [{"password": "<what deep hides>"}],
    }
    assert cluster.transport.options == {"secret": "<what far hides>"}
    assert cluster.runtime.options == {"joinToken": "<what join hides>"}
    assert found.kubeadm[0].content == {"certificateKey": "<what certificates hides>"}
    assert "hides" not in write(without_secrets(found))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("apiToken=safe:a", 'with "quotes": and #signs'),
        ("nested={password: 'safe:a'}", {"password": 'with "quotes": and #signs'}),
        ("region=safe:a", "safe:a"),
        ("apiToken=plain", "plain"),
    ],
)
def test_a_field_on_the_command_line(text: str, value: object) -> None:
    found = option_resolved(text, "--provider-option", lambda reference: Secret('with "quotes": and #signs'))
    assert option_of(found, "--provider-option")[1] == value


@pytest.mark.parametrize("text", ["plain", "", "with blank: in it", ":x", "1:2", "name:", "näme:x"])
def test_what_is_no_reference_is_shown_to_nobody(text: str) -> None:
    def resolve(reference: str) -> Secret | None:
        raise AssertionError(reference)

    assert resolved(Secret(text), resolve) == Secret(text)


def test_what_nobody_knows_is_the_secret_itself() -> None:
    assert resolved(Secret("pass:word"), lambda reference: None) == Secret("pass:word")
    assert resolved(None, lambda reference: None) is None
