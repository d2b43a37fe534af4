from __future__ import annotations

import pytest

from sealer.errors import RegistryError
from sealer.image.registry.proxies import proxy_for
from sealer.image.registry.wire import origin_of


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_no_proxy_without_a_variable(environment: pytest.MonkeyPatch) -> None:
    assert proxy_for("https", "r.io", 443) is None


def test_the_proxy_of_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.corp:3128")
    environment.setenv("http_proxy", "proxy.corp:3129")
    environment.setenv("NO_PROXY", "corp,r.internal:5000")
    https, http = proxy_for("https", "r.io", 443), proxy_for("http", "r.io", 80)
    assert https
    assert http
    assert (https.hostname, https.port, http.hostname, http.port) == ("proxy.corp", 3128, "proxy.corp", 3129)
    assert proxy_for("https", "mirror.corp", 443) is None
    assert proxy_for("https", "r.internal", 5000) is None
    assert proxy_for("https", "r.internal", 443) is not None
    assert proxy_for("http", "127.0.0.1", 5000) is None
    assert proxy_for("https", "localhost", 443) is None


@pytest.mark.parametrize(
    ("entries", "host", "port", "direct"),
    [
        ("172.30.0.0/16", "172.30.4.5", 443, True),
        ("172.30.0.0/16", "172.31.4.5", 443, False),
        ("9.9.9.9/32, 10.20.0.0/14", "10.23.255.1", 5000, True),
        ("2001:db8::/48", "2001:db8::7", 443, True),
        ("2001:db8::/48", "2001:db9::7", 443, False),
        ("172.30.0.0/16", "hub.172.30.4.5.example", 443, False),
        ("10.1.1.1", "10.1.1.1", 5000, True),
        ("10.1.1.1", "110.1.1.1", 5000, False),
        ("10.1.1.1:5000", "10.1.1.1", 5000, True),
        ("10.1.1.1:5000", "10.1.1.1", 443, False),
        ("[2001:db8::7]:5000", "2001:db8::7", 5000, True),
        ("[2001:db8::7]:5000", "2001:db8::7", 443, False),
        ("2001:db8::7", "2001:db8::7", 443, True),
        ("lan", "lan", 443, True),
        ("lan", "hub.LAN", 443, True),
        ("lan", "wlan", 443, False),
        (".lan", "hub.lan", 443, True),
        (".lan", "lan", 443, False),
        ("*.lan", "a.hub.lan", 443, True),
        ("*.lan", "lan", 443, False),
        ("*.lan:5000", "hub.lan", 5000, True),
        ("*.lan:5000", "hub.lan", 443, False),
        ("hub.lan:5000", "hub.lan", 5000, True),
        ("hub.lan:5000", "hub.lan", 443, False),
        ("a, ,*", "hub.example", 443, True),
        (":443", "hub.example", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("", "127.9.9.9", 443, True),
        ("", "localhost", 443, True),
    ],
)
def test_no_proxy_by_the_rules_of_go_programs(
    environment: pytest.MonkeyPatch, entries: str, host: str, port: int, direct: bool
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.corp:3128")
    environment.setenv("NO_PROXY", entries)
    assert (proxy_for("https", host, port) is None) == direct


def test_a_proxy_of_another_kind_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("all_proxy", "socks5://proxy.corp:1080")
    with pytest.raises(RegistryError, match=r"socks5://proxy.corp cannot be used"):
        proxy_for("https", "r.io", 443)


def test_origins() -> None:
    assert origin_of("https://r.io/v2/") == ("https", "r.io", 443)
    assert origin_of("http://[::1]:5000/x?y") == ("http", "::1", 5000)
    for text in ("file:///etc/passwd", "https://", "r.io/x", "https://r.io:x/", "//r.io/"):
        with pytest.raises(RegistryError, match="not an address"):
            origin_of(text)
