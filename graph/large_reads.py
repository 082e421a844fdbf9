"""Reads of more than a TLS record (16 KB), since h11, httpcore and httpx take the same time for a read of any size."""
# ruff: noqa: ASYNC109 - the signatures are those of httpcore

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


def with_large_reads(transport: httpx.AsyncHTTPTransport) -> httpx.AsyncHTTPTransport:
    """Sets the backend of httpcore, for which httpx has no parameter."""
    transport._pool._network_backend = _Backend()  # noqa: SLF001
    return transport


class _Backend(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._tls: ssl.SSLObject | None = stream.get_extra_info("ssl_object")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Waits for the first bytes, and returns with them all others that have arrived."""
        first = await self._stream.read(max_bytes, timeout)
        if not first or self._tls is None:
            return first
        parts, remaining = [first], max_bytes - len(first)
        try:
            while remaining > 0 and (part := self._tls.read(remaining)):
                parts.append(part)
                remaining -= len(part)
        except ssl.SSLError:
            # Nothing more has arrived, or the stream is broken: the next read waits or raises.
            pass
        return b"".join(parts)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
