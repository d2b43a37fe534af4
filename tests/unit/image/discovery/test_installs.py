"""What commands of an image install, and with which values; with the real helm: tests/integration/image/test_helm.py"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealer.image.discovery.installs import Command, Install, installs

WEB = Install("charts/web")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("helm install web charts/web", WEB),
        ("helm upgrade --install web ./charts/web/ --wait", WEB),
        ("bin/helm install --generate-name charts/web-1.2.tgz", Install("charts/web-1.2.tgz")),
        (
            "helm install web charts/web -f a.yaml,b.yaml --values=c.yaml",
            Install("charts/web", ("a.yaml", "b.yaml", "c.yaml")),
        ),
        (
            "helm -n shop upgrade web charts/web --set image.tag=v2 --set-string 'a.b=c d' --timeout 5m --atomic",
            Install("charts/web", (), (("--set", "image.tag=v2"), ("--set-string", "a.b=c d"))),
        ),
        ("cd charts/web && helm install web . -f ../../prod.yaml", Install("charts/web", ("prod.yaml",))),
        ("KUBECONFIG=/x helm install web charts/web; kubectl get pods", WEB),
        (
            "helm install web charts/web \\\n  --set tag=$TAG,repo=${REPO}",
            Install("charts/web", (), (("--set", "tag=v7,repo=${REPO}"),)),
        ),
        ("if true; then\n  helm install web charts/web\nfi", WEB),
        ("helm template web charts/web | kubectl apply -f -", WEB),
        ("helm install web /opt/chart", None),
        ("helm install web ../chart", None),
        ("helm install web oci://r.io/charts/web", None),
        ("helm repo add x https://example.com", None),
        ("echo helm install web charts/web", None),
        ("helm install 'web charts/web", None),
    ],
)
def test_commands(text: str, wanted: Install | None) -> None:
    assert installs([Command(text, "", {"TAG": "v7"})]) == (() if wanted is None else (wanted,))


def test_a_command_of_an_application_runs_in_its_directory() -> None:
    app = Command("helm upgrade --install web . -f prod.yaml", "application/apps/web")
    found = Install("application/apps/web", ("application/apps/web/prod.yaml",))
    assert installs([app, Command("helm install other charts/other"), app]) == (found, Install("charts/other"))


def test_settings_as_values() -> None:
    settings = (
        ("--set", "image.tag=v2,image.x=1"),
        ("--set", "list[0]=a"),
        ("--set-json", 'a={"b": 1}'),
        ("--set", "c={d}"),
    )
    assert json.loads(Install("c", (), settings).set_values) == {"image": {"tag": "v2", "x": "1"}}
    assert json.loads(Install("c", (), (("--set", "a=1"), ("--set", "a.b=2"))).set_values) == {"a": {"b": "2"}}


@given(st.text(alphabet=st.sampled_from("helm instal.=-fcd/\"'\\$;&|\n{}()<>"), max_size=80))
def test_any_text(text: str) -> None:
    for one in installs([Command("helm install a b " + text), Command(text)]):
        assert not one.chart.startswith(("/", ".."))
        json.loads(one.set_values)
