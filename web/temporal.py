"""The web process's client of Temporal, connected at first use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from connections import (
    UnreachableError,
    connect_temporal,
    refused,
    register_search_attributes,
    temporal_connect_config,
)
from temporal_errors import no_answer

ANSWER_SECONDS = 10
"""The longest wait for Temporal."""

RETRY_SECONDS = 5.0
"""After a failure, requests fail at once for this time."""


class TemporalAccess:
    """`config` returns the arguments of `Client.connect`."""

    def __init__(
        self, config: Callable[[], Mapping[str, Any]] = temporal_connect_config, runtime: Runtime | None = None
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._may_start = False
        self._failure: tuple[float, UnreachableError] | None = None

    async def client(self) -> Client:
        """A client that reconnects by itself. Raises `UnreachableError`, `ConfigurationError`."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if self._client is not None:
                return self._client
            if self._failure is not None and clock() - self._failure[0] < RETRY_SECONDS:
                raise UnreachableError(str(self._failure[1]))
            config = self._config()
            began = clock()
            try:
                self._client = await connect_temporal(config, runtime=self._runtime)
            except UnreachableError as error:
                self._failure = (clock(), error)
                raise
            except asyncio.CancelledError:
                # The request has timed out, as with a host that drops packets.
                silence = UnreachableError(no_answer(config["target_host"], round(clock() - began, 1)))
                self._failure = (clock(), silence)
                raise
            return self._client

    @asynccontextmanager
    async def answering(self, seconds: float = ANSWER_SECONDS, *, to_start: bool = False) -> AsyncIterator[Client]:
        """The client for one request. Raises `UnreachableError` if Temporal refuses or does not answer in time.

        `to_start` registers the search attributes first.
        """
        address = self._config()["target_host"]
        try:
            async with asyncio.timeout(seconds):
                client = await self.client()
                if to_start and not self._may_start:
                    await register_search_attributes(client)
                    self._may_start = True
                yield client
        except TimeoutError:
            raise UnreachableError(no_answer(address, seconds)) from None
        except RPCError as error:
            raise refused(client, error) from None
