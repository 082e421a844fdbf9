"""`web`: the web page on this machine."""

import asyncio
import getpass
import logging
import socket
import sys
from typing import Annotated

import typer
import uvicorn
from pydantic import BaseModel

from cli import output
from cli.errors import UsageError, errors_for_people
from cli.options import JsonOption
from cli.sessions import opened_database
from configuration import Settings, load_settings
from connections import check_database, temporal_connect_config
from inventory.log_lines import FORMAT
from web.application import create_app
from web.sign_in import new_link
from web.site import Site

HOST = "127.0.0.1"

PORT = 8080

CONNECTIONS = 10
"""To PostgreSQL: as many pages can be asked for at the same moment."""


class WebAddresses(BaseModel):
    """Where the web page is, and the address that signs a person in once."""

    url: str
    sign_in_url: str


def web(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="A port of 127.0.0.1; 0 takes a free one.")] = PORT,
    as_json: JsonOption = False,
) -> None:
    """Serve the web page to this machine: tenants, inventory, coverage and runs. Ctrl-C ends it.

    It prints an address that signs you in once, within an hour.

    Example: python starter.py web --port 8081
    """
    with errors_for_people():
        settings = load_settings()
        asyncio.run(_serve(settings, port, as_json=as_json))


async def _serve(settings: Settings, port: int, *, as_json: bool) -> None:
    logging.basicConfig(format=FORMAT, level=settings.log_level)
    async with opened_database(settings, pool_size=CONNECTIONS) as database:
        await check_database(database)
        site = Site(settings, database, temporal_connect_config().get("namespace", "default"))
        site.tenants()
        with _listener(port) as listener:
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            sign_in_url = await new_link(database, url, getpass.getuser())
            if as_json:
                output.print_json(WebAddresses(url=url, sign_in_url=sign_in_url))
                sys.stdout.flush()
            else:
                output.stdout.print(f"Open this to sign in, once, within an hour: {sign_in_url}")
            server = _Server(
                uvicorn.Config(create_app(site), lifespan="off", log_config=None, access_log=False, server_header=False)
            )
            server.closing = site.closing
            await server.serve([listener])


class _Server(uvicorn.Server):
    """Ends pages that follow a run when it ends itself; it would wait minutes for them."""

    closing: asyncio.Event

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.closing.set()
        await super().shutdown(sockets)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise UsageError(f"port {port} of {HOST} cannot be used ({error.strerror}); name another one: --port") from None
