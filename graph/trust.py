"""CAs for Graph and for tokens."""

import ssl
from pathlib import Path

import certifi

from inventory.user_errors import UserError


class TrustError(UserError):
    """GRAPH_CA_FILE is not a CA bundle."""


def ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trusts the CAs of the system, of certifi and of `ca_file`. Raises `TrustError`."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise TrustError(f"GRAPH_CA_FILE: {ca_file} is not a bundle of PEM certificates") from None
    return context
