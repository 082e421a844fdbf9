"""The proxy to Graph and the authority: GRAPH_PROXY_URL, not the system's variables."""

import ssl
from collections.abc import Mapping

import httpx

SYSTEM_NAMES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""Variables in which other programs look for a proxy."""


def proxy_of(url: str | None, context: ssl.SSLContext) -> httpx.Proxy | None:
    """TLS goes through the proxy to Graph, so the proxy sees no secret."""
    if url is None:
        return None
    return httpx.Proxy(url, ssl_context=context if url.lower().startswith("https:") else None)


def overlooked(environment: Mapping[str, str]) -> str | None:
    """Warns of a system proxy that Graph's client ignores."""
    name = next((name for name in SYSTEM_NAMES if environment.get(name)), None)
    return None if name is None else f"{name} is not used for Graph and tokens; set GRAPH_PROXY_URL to use a proxy"
