"""A server that takes notifications, counts them, and verifies their signatures without the product's code."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

SECRET = "the receiver's own secret"


class Reception(NamedTuple):
    """One received request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery_id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed(self, secret: str = SECRET) -> bool:
        """Whether it is signed as https://www.standardwebhooks.com describes, and the time is now."""
        sent_at = self.headers["webhook-timestamp"]
        signed = b".".join((self.headers["webhook-id"].encode(), sent_at.encode(), self.body))
        expected = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
        return self.headers["webhook-signature"] == f"v1,{expected}" and abs(time.time() - int(sent_at)) < 3600


class Receiver(ThreadingHTTPServer):
    """Answers 204, or the result of `answer`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "https" if context else "http"
        self.received: list[Reception] = []
        self.answer: Callable[[Reception], tuple[int, dict[str, str]]] = lambda _: (204, {})
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def url(self, path: str = "/hook") -> str:
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may hang up, or distrust the certificate, without failing the test."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reception = Reception(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        status, headers = self.server.answer(reception)
        self.server.received.append(reception)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        text = b"" if status == 204 else b"as the receiver says"
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that runs until its context ends."""
    with Receiver(context) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
