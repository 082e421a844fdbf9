"""The simulated Graph's certificate authority, kept in a folder so that trust lasts."""

import ssl
from pathlib import Path

import trustme

_NAMES = ("127.0.0.1", "localhost")


class Authority:
    """The CA in `folder`, made if missing."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca.key"
        if key_file.exists() and self.ca_file.exists():
            self._ca = trustme.CA.from_pem(self.ca_file.read_bytes(), key_file.read_bytes())
            return
        self._ca = trustme.CA(organization_name="Simulated Graph")
        folder.mkdir(parents=True, exist_ok=True)
        write_private(key_file, self._ca.private_key_pem.bytes())
        self.ca_file.write_bytes(self._ca.cert_pem.bytes())

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*_NAMES).configure_cert(context)
        return context


def write_private(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
