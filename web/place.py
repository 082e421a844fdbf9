"""Where the page listens and how people reach it. Beyond loopback it requires Entra ID and encryption."""

import re
import ssl
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from inventory.user_errors import UserError

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Any other name may be another site's, pointed at this machine: https://owasp.org/www-community/attacks/DNS_Rebinding
"""

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

SIGN_IN_NEEDED = "set WEB_SIGN_IN_CLIENT_ID and the other WEB_SIGN_IN_ settings, so that people sign in (docs/web.md)"


class PlaceError(UserError):
    """The page's options are incomplete or wrong."""


class Tls(NamedTuple):
    certificate: Path
    key: Path


class WebPlace(NamedTuple):
    """The page listens at `address`. With `proxies`, it answers only them."""

    address: str = "127.0.0.1"
    name: str | None = None
    tls: Tls | None = None
    is_proxied: bool = False
    proxies: Sequence[IPv4Network | IPv6Network] = ()

    @property
    def is_https(self) -> bool:
        return self.is_proxied or self.tls is not None

    @property
    def hosts(self) -> list[str]:
        return [self.name] if self.name else [*LOOPBACK_NAMES]

    def url(self, port: int) -> str:
        """The address for people, if the page listens on `port`."""
        scheme = "https" if self.is_https else "http"
        name = self.name or LOOPBACK_NAMES[0]
        has_usual_port = self.is_proxied or port == (443 if self.is_https else 80)
        return f"{scheme}://{name}" if has_usual_port else f"{scheme}://{name}:{port}"

    def lets_in(self, peer: str | None) -> bool:
        if not self.proxies:
            return True
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        return any(address in network for network in self.proxies)


def place(
    address: str,
    *,
    hostname: str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: str | None = None,
    proxies: Sequence[str] = (),
    has_sign_in: bool,
) -> WebPlace:
    """Raises `PlaceError`."""
    try:
        is_loopback = ip_address(address).is_loopback
    except ValueError:
        raise PlaceError(f"--listen takes an address of this machine, such as 0.0.0.0, and not {address!r}") from None
    if behind_proxy is not None:
        return _behind_proxy(address, behind_proxy, proxies, has_sign_in=has_sign_in, is_loopback=is_loopback)
    if proxies:
        raise PlaceError("--proxy-address goes with --behind-proxy, which names the page's host")
    tls = _tls(certificate, key)
    if not is_loopback:
        if not has_sign_in:
            raise PlaceError(f"whoever reaches {address} could sign in with the printed link; {SIGN_IN_NEEDED}")
        if tls is None:
            raise PlaceError(
                f"nothing encrypts the way to {address}: give --tls-certificate and --tls-key, or name the host of a"
                " proxy that does with --behind-proxy"
            )
        if hostname is None:
            raise PlaceError("--hostname is missing: the name in the certificate, by which people reach the page")
    if hostname is None and has_sign_in:
        hostname = "localhost"  # the one name for which Entra ID takes a redirect URI without TLS
    return WebPlace(address, None if hostname is None else _host_name(hostname), tls)


def _behind_proxy(address: str, name: str, proxies: Sequence[str], *, has_sign_in: bool, is_loopback: bool) -> WebPlace:
    if not has_sign_in:
        raise PlaceError(f"a proxy would show the page to whoever reaches {name}; {SIGN_IN_NEEDED}")
    if not proxies and not is_loopback:
        raise PlaceError("--proxy-address is missing: the proxy's own address, from which alone requests are taken")
    try:
        networks = [ip_network(proxy) for proxy in proxies]
    except ValueError:
        raise PlaceError("--proxy-address takes an address or a network, such as 10.0.0.5 or 10.0.0.0/28") from None
    return WebPlace(address, _host_name(name), None, is_proxied=True, proxies=networks)


def _host_name(name: str) -> str:
    if not _NAME.fullmatch(name.lower()):
        raise PlaceError(f"{name!r} is not a host name, such as inventory.example.com")
    return name.lower()


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise PlaceError("--tls-certificate and --tls-key go together")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except ssl.SSLError:
        raise PlaceError("--tls-certificate and --tls-key are no certificate and its key in PEM") from None
    except OSError as error:
        raise PlaceError(f"the TLS certificate cannot be read: {error.strerror}") from None
    return Tls(certificate, key)
