"""Messages about unreached servers."""

import socket
import ssl
from collections.abc import Iterator


def why_unreached(error: BaseException, host: str) -> str:
    """Why `host` was not reached, with a remedy and without the error's text."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return f"the name {host} cannot be resolved; check DNS, the proxy and the tenant's cloud"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {host} is not trusted; where a company's proxy looks into TLS, "
                "name its CA bundle in GRAPH_CA_FILE"
            )
        if isinstance(cause, ssl.SSLError):
            return f"{host} does not speak TLS as it should; check the address and the proxy"
        if isinstance(cause, ConnectionRefusedError):
            return f"{host} refuses connections; check the address, the firewall and the proxy"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return f"{host} does not answer; check the network, the firewall and the proxy"
        if "ProxyError" in type(cause).__name__:
            return f"the proxy on the way to {host} does not let it through; check GRAPH_PROXY_URL"
    return f"{host} cannot be reached or broke off ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    causes: list[BaseException] = []
    pending: list[object] = [error]
    while pending and len(causes) < 50:
        cause = pending.pop()
        if isinstance(cause, BaseException) and cause not in causes:
            causes.append(cause)
            pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    yield from reversed(causes)
