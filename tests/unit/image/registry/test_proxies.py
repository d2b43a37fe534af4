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
