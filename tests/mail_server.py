"""A small SMTP server that takes mail (RFC 5321) and counts it."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple


class Mail(NamedTuple):
    """A received mail: the envelope's sender and recipients, and the message."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    was_encrypted: bool


class MailServer(socketserver.ThreadingTCPServer):
    """Accepts all mail, unless `answers` has another answer to a command."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.context = context
        self.received: list[Mail] = []
        self.answers: dict[str, str] = {}

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up."""


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 ready")
        sender, recipients, is_encrypted = "", list[str](), False
        while line := self.rfile.readline().decode().strip():
            command = line.split()[0].upper()
            if command in self.server.answers:
                self._say(self.server.answers[command])
            elif command == "EHLO":
                self._say("250-here\r\n250 STARTTLS" if self.server.context and not is_encrypted else "250 here")
            elif command == "STARTTLS" and self.server.context:
                self._say("220 go ahead")
                self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                is_encrypted = True
            elif command == "MAIL":
                sender = line.partition("<")[2].partition(">")[0]
                self._say("250 ok")
            elif command == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            elif command == "DATA":
                self._say("354 go ahead")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += self.rfile.readline()
                message = message_from_bytes(body.removesuffix(b".\r\n"), policy=policy.default)
                self.server.received.append(Mail(sender, recipients, message, is_encrypted))
                self._say("250 queued")
            elif command == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())
        self.wfile.flush()


@contextmanager
def mail_server(context: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """A mail server that runs until its context ends."""
    with MailServer(context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
