"""Proxies that lead out of a site: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`."""

from __future__ import annotations

import base64
import os
from urllib.parse import SplitResult, unquote, urlsplit

from sealer.errors import RegistryError
from sealer.image.no_proxy import goes_direct
from sealer.image.registry.names import is_loopback
from sealer.redaction import Secret


def proxy_for(scheme: str, host: str, port: int) -> SplitResult | None:
    """The proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` want for a host."""
    if is_loopback(host) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request  # noqa: PLC0415  # 10 ms that only a site with a proxy pays

    proxies = urllib.request.getproxies_environment()
    url = proxies.get(scheme) or proxies.get("all")
    if not url:
        return None
    if goes_direct(host, port):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http":
        raise RegistryError(f"the proxy {parts.scheme}://{parts.hostname} cannot be used", why="it must be http://")
    return parts


def proxy_authorization(proxy: SplitResult) -> str:
    """The value of `Proxy-Authorization`; empty for a proxy that asks for nothing."""
    if proxy.username is None:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    Secret(unquote(proxy.password or ""))
    return "Basic " + Secret(base64.b64encode(pair).decode()).reveal()
