"""Key Vault's REST API over HTTPS, as https://learn.microsoft.com/rest/api/keyvault/secrets describes it, and the token
endpoint of the authority that its challenge names.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import trustme

TENANT = str(UUID(int=7))
CLIENT, CLIENT_SECRET = "the worker", "the worker's own secret"


class Kept(NamedTuple):
    """A secret of the vault."""

    value: str
    content_type: str = ""
    ends_at: int | None = None


class VaultServer(ThreadingHTTPServer):
    """Gives its secrets to one worker. `refusals` maps `secrets` and `token` to a status."""

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.secrets: dict[str, Kept] = {}
        self.refusals: dict[str, int] = {}
        self.requests: list[str] = []
        # A vault is a host below its resource, and Azure's client insists on that.
        self.resource = f"https://0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: VaultServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append(f"GET {path}")
        url, parts = self.server.url, path.strip("/").split("/")
        if path.endswith("/.well-known/openid-configuration"):
            self._answer(
                200,
                {
                    "token_endpoint": f"{url}/{TENANT}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{url}/{TENANT}/oauth2/v2.0/authorize",
                    "issuer": f"{url}/{TENANT}/v2.0",
                },
            )
        elif parts[0] != "secrets":
            self._answer(404, {})
        elif self.headers.get("Authorization") != "Bearer vault-token":
            challenge = f'Bearer authorization="{url}/{TENANT}", resource="{self.server.resource}"'
            self._answer(401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": challenge})
        elif status := self.server.refusals.get("secrets"):
            self._answer(status, {"error": {"code": "Refused", "message": "what the vault says"}})
        elif (kept := self.server.secrets.get(parts[1])) is None:
            self._answer(404, {"error": {"code": "SecretNotFound", "message": "what the vault says"}})
        else:
            found = {
                "value": kept.value,
                "id": f"{url}/secrets/{parts[1]}/1",
                "attributes": {"enabled": True, "exp": kept.ends_at},
            }
            self._answer(200, found | ({"contentType": kept.content_type} if kept.content_type else {}))

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append(f"POST {path}")
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if status := self.server.refusals.get("token"):
            self._answer(status, {"error": "temporarily_unavailable"})
        elif (form["client_id"], form["client_secret"]) != ([CLIENT], [CLIENT_SECRET]):
            self._answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: what Entra says"})
        else:
            assert form["scope"] == [f"{self.server.resource}/.default"]
            self._answer(200, {"access_token": "vault-token", "expires_in": 3600, "token_type": "Bearer"})

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        ours = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**ours, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        pass


class ServedVault(NamedTuple):
    """A running vault, and the CA that its clients need."""

    server: VaultServer
    ca_file: Path


@contextmanager
def serving_vault(folder: Path) -> Iterator[ServedVault]:
    """A vault that runs inside the `with` block."""
    authority, ca_file = trustme.CA(), folder / "vault-ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with VaultServer(authority) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield ServedVault(server, ca_file)
        finally:
            server.shutdown()
            thread.join()
