"""The simulated Graph as a running server, in a thread."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Self

import uvicorn
from starlette.applications import Starlette

from local.simulated_graph.application import application
from local.simulated_graph.budgets import Budget, Budgets
from local.simulated_graph.certificates import Authority, write_private
from local.simulated_graph.content import Content
from local.simulated_graph.control import control_route
from local.simulated_graph.credentials import Credentials
from local.simulated_graph.delivery import OpenProtocol
from local.simulated_graph.deviations import DEVIATIONS
from local.simulated_graph.documents import made_id, read_folder
from local.simulated_graph.faults import Faults
from local.simulated_graph.get_answers import Reader
from local.simulated_graph.licences import Licences
from local.simulated_graph.messages import BeforeAnswer
from local.simulated_graph.pages import Pager
from local.simulated_graph.permissions import Grants
from local.simulated_graph.service import Service
from local.simulated_graph.tenant import SimulatedTenant
from local.simulated_graph.tokens import DEFAULT_LIFETIME, TokenService
from local.simulated_graph.waits import Waits

_NAMES = ("Contoso", "Fabrikam", "Northwind", "Tailspin", "Woodgrove", "Litware", "Proseware", "Adatum")
_KEEP_ALIVE_SECONDS = 75


class SimulatedGraph:
    """A simulated Microsoft Graph and Entra's token endpoint, over HTTPS on this machine, in a `with` block.

    `documents` is a folder of published documents; a sample adds the types that the folder lacks. All tenants of a
    folder have the same documents, so an id is unique in its tenant only. `items_per_collection` scales every
    collection. `page_size` and `empty_page_every` are `Pager`'s, `latency` and `latency_spread` are `Service`'s,
    `keeps_answers` is `Reader`'s. The same `seed` makes the same tenants, documents and skiptokens. `state` is a folder
    for CA and control key that outlives the server. `budgets` are none by default, `REAL_BUDGETS` as in Graph. `alike`
    tenants have the same sample, but for `deviations` of the second and third.
    """

    def __init__(
        self,
        documents: Path | None = None,
        *,
        tenants: int = 2,
        items_per_collection: int | None = None,
        page_size: int | None = None,
        empty_page_every: int = 0,
        latency: timedelta = timedelta(0),
        latency_spread: float = 0.0,
        token_lifetime: timedelta = DEFAULT_LIFETIME,
        generation: int = 0,
        seed: int = 0,
        budgets: Mapping[str, Budget] | None = None,
        keeps_answers: bool = False,
        alike: bool = False,
        port: int = 0,
        state: Path | None = None,
    ) -> None:
        folder_documents = read_folder(documents) if documents else {}
        self._held = ExitStack()
        folder = state or Path(self._held.enter_context(TemporaryDirectory(prefix="simulated-graph-")))
        authority = Authority(folder)
        self.ca_file = authority.ca_file
        self.control_key_file, self.control_key = _control_key(folder)
        self._socket = self._held.enter_context(_listening(port))
        self.base_url = self.authority_url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.control_url = f"{self.base_url}/_simulator"

        ids = [made_id(f"tenant/{seed}/{number}") for number in range(tenants)]
        credentials = {
            tenant_id: Credentials(made_id(f"{tenant_id}/app"), f"secret-{made_id(f'{tenant_id}/secret')}")
            for tenant_id in ids
        }
        model = f"model/{seed}" if alike else None
        grants = {tenant_id: Grants() for tenant_id in ids}
        licences = {tenant_id: Licences() for tenant_id in ids}
        contents = {tenant_id: Content(tenant_id, folder_documents, items_per_collection, model) for tenant_id in ids}
        pager = Pager(f"skiptokens {seed}", page_size, empty_page_every)
        reader = Reader(self.base_url, pager, keeps_answers=keeps_answers)
        tokens = TokenService(self.base_url, credentials, str(seed), token_lifetime)
        self.sign_ins = tokens.sign_ins
        self.faults = Faults()
        self.budgets = Budgets(budgets)
        waits = Waits()
        self.violations, self.clear_violations = waits.violations, waits.clear_violations
        self._service = Service(
            reader, tokens, contents, grants, licences, self.faults, self.budgets, waits, latency, latency_spread
        )
        recorder = self._service.recorder
        self.requests, self.clear_requests = recorder.requests, recorder.clear
        self.request_counts, self.request_paths = recorder.counts, recorder.paths
        self.tenants = [
            SimulatedTenant(
                tenant_id,
                _name(number),
                credentials[tenant_id],
                contents[tenant_id],
                reader,
                tokens,
                grants[tenant_id],
                licences[tenant_id],
                DEVIATIONS.get(number, ()) if alike else (),
            )
            for number, tenant_id in enumerate(ids)
        ]
        self.set_generation(generation)
        control = control_route(self.set_generation, self.control_key)
        self._server = _Server(_configuration(application(self._service, control), authority.server_context()))
        self._thread = Thread(target=self._serve, name="simulated-graph")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.ready.wait()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.stop()
        self._thread.join()
        self._held.close()

    @property
    def before_answer(self) -> BeforeAnswer | None:
        """A test's own fault, which precedes `faults`."""
        return self._service.before_answer

    @before_answer.setter
    def before_answer(self, before_answer: BeforeAnswer | None) -> None:
        self._service.before_answer = before_answer

    def set_generation(self, generation: int) -> None:
        for tenant in self.tenants:
            tenant.set_generation(generation)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    async def main_loop(self) -> None:
        ticking = asyncio.create_task(super().main_loop())
        await self._stopping.wait()
        self.should_exit = True
        ticking.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 (uvicorn passes it)
        # uvicorn's own shutdown waits for clients, and one that keeps its connection never answers TLS's goodbye.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _name(number: int) -> str:
    name = _NAMES[number % len(_NAMES)]
    return name if number < len(_NAMES) else f"{name} {number // len(_NAMES) + 1}"


def _control_key(folder: Path) -> tuple[Path, str]:
    file = folder / "control.key"
    if not file.exists():
        write_private(file, token_urlsafe().encode())
    return file, file.read_text()


def _listening(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    # Inherited by accepted sockets; without it, Nagle's algorithm holds each answer's body back for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _configuration(app: Starlette, context: ssl.SSLContext) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_context_factory=lambda _config, _default: context,
        http=OpenProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
