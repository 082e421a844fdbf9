"""The proxy that HTTPS_PROXY and NO_PROXY name for a host. Nothing else of the environment changes a request."""

from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]


def proxy_for(url: str) -> str | None:
    """The URL of the proxy on the way to an https URL; None for none."""
    proxy = getproxies_environment().get("https")
    host = urlsplit(url).netloc.rpartition("@")[2]
    if not proxy or proxy_bypass_environment(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
