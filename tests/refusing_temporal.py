"""A Temporal server that refuses each gRPC call with a chosen status, as the embedded server cannot.

It speaks only the HTTP/2 that this needs: https://www.rfc-editor.org/rfc/rfc9113 (frames), RFC 7541 (header fields,
written as literals), https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (trailers).
"""

import socket
import struct
from contextlib import suppress
from threading import Thread

from temporalio.service import RPCStatusCode

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4


class RefusingTemporal:
    """One server on 127.0.0.1. Each connection's first calls succeed with an empty answer, all others are refused.

    A context manager. `accepted`: how many calls succeed; the SDK's first is GetSystemInfo, our next DescribeNamespace.
    """

    def __init__(self, status: RPCStatusCode, message: str = "as told", *, accepted: int = 0) -> None:
        self._status = status
        self._message = message
        self._accepted = accepted
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "RefusingTemporal":
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        # A thread that waits in accept() does not notice that its socket is closed.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        calls = 0
        with connection, connection.makefile("rb") as reader, suppress(OSError, EOFError):
            _read(reader.read(len(_PREFACE)), len(_PREFACE))
            connection.sendall(_frame(_SETTINGS, 0, 0, b""))
            while True:
                head = _read(reader.read(9), 9)
                length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                stream = int.from_bytes(head[5:]) & 0x7FFF_FFFF
                payload = _read(reader.read(length), length)
                if kind in (_SETTINGS, _PING) and not flags & _ACK:
                    connection.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
                elif kind in (_HEADERS, _DATA) and flags & _END_STREAM:
                    calls += 1
                    connection.sendall(self._answer(stream, succeeds=calls <= self._accepted))

    def _answer(self, stream: int, *, succeeds: bool) -> bytes:
        start = _fields((":status", "200"), ("content-type", "application/grpc"))
        if not succeeds:
            trailers = _fields(("grpc-status", str(int(self._status))), ("grpc-message", self._message))
            return _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, start + trailers)
        empty_message = struct.pack(">BI", 0, 0)
        return (
            _frame(_HEADERS, _END_HEADERS, stream, start)
            + _frame(_DATA, 0, stream, empty_message)
            + _frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _fields(("grpc-status", "0")))
        )


def _read(data: bytes, expected: int) -> bytes:
    if len(data) < expected:
        raise EOFError
    return data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _fields(*fields: tuple[str, str]) -> bytes:
    """Header fields as literals without indexing; each name and value is shorter than 127 bytes."""
    return b"".join(
        b"\x00" + b"".join(bytes([len(word)]) + word.encode() for word in (name, value)) for name, value in fields
    )
