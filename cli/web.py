import asyncio
import getpass
import logging
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import BaseModel

from cli import output
from cli.errors import UsageError
from cli.output_options import output_options, prints_json
from cli.sessions import opened_database
from configuration import Settings, load_settings
from connections import check_database, temporal_connect_config
from graph.entra_sign_in import EntraSignIn
from graph.proxy import proxy_of
from graph.trust import ssl_context
from inventory.log_lines import WithoutQuotes, log_handler
from storage.connection_turns import WAIT_SECONDS
from temporal_runtime import quiet_runtime
from web.application import create_app
from web.place import WebPlace, place
from web.sign_in import new_link
from web.site import Site
from web.temporal import TemporalAccess

CONNECTIONS = 10
"""Connections to PostgreSQL, which limit the pages served at once."""


class WebAddresses(BaseModel):
    """The addresses of the web page, and of one sign-in; none of these where people sign in with Entra ID."""

    url: str
    sign_in_url: str | None


@prints_json
def web(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 8080,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="An address of this machine.")] = "127.0.0.1",
    hostname: Annotated[str | None, typer.Option(metavar="NAME", help="The name in the page's address.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")] = None,
    behind_proxy: Annotated[
        str | None, typer.Option(metavar="NAME", help="The host name of an HTTPS proxy in front of the page.")
    ] = None,
    proxy_address: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="The proxy's address; only it is answered. May be repeated."),
    ] = None,
    only_codec: Annotated[
        bool, typer.Option("--only-codec", help="Serve Temporal Web's codec server, and no page.")
    ] = False,
) -> None:
    """Serve the web page: tenants, inventory, coverage, changes, drift, runs. Ctrl-C ends it.

    It listens to this machine alone and prints an address that signs you in once, within an hour. To others it listens
    only if people sign in with Entra ID and the way is encrypted (docs/web.md).

    Example: python starter.py web --port 8081
    """
    settings = load_settings()
    where = place(
        listen,
        hostname=hostname,
        certificate=tls_certificate,
        key=tls_key,
        behind_proxy=behind_proxy,
        proxies=proxy_address or (),
        has_sign_in=settings.web_sign_in_app is not None,
    )
    asyncio.run(_serve(settings, where, port, only_codec=only_codec))


async def _serve(settings: Settings, where: WebPlace, port: int, *, only_codec: bool) -> None:
    logging.basicConfig(level=settings.log_level, handlers=[log_handler(settings.log_format)])
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(WithoutQuotes())
    async with opened_database(settings, pool_size=CONNECTIONS, pool_timeout=WAIT_SECONDS) as database:
        await check_database(database)
        with listener(where.address, port) as bound:
            url = where.url(bound.getsockname()[1])
            namespace = temporal_connect_config().get("namespace", "default")
            runtime = quiet_runtime(settings.web_metrics_address)
            site = Site(
                settings,
                database,
                namespace,
                TemporalAccess(runtime=runtime),
                place=where,
                url=url,
                entra=_entra(settings),
                meter=runtime.metric_meter,
            )
            site.tenants()
            sign_in_url = None if site.entra else await new_link(database, url, getpass.getuser())
            if output_options().as_json:
                output.print_json(WebAddresses(url=url, sign_in_url=sign_in_url))
                sys.stdout.flush()
            elif sign_in_url is None:
                output.stdout.print(f"People sign in with Entra ID at {url}")
            else:
                output.stdout.print(f"Open this to sign in, once, within an hour: {sign_in_url}")
            certificate, key = where.tls or (None, None)
            server = _Server(
                uvicorn.Config(
                    create_app(site, only_codec=only_codec),
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    # The page knows its own address, and trusts no forwarded header.
                    proxy_headers=False,
                    ssl_certfile=certificate,
                    ssl_keyfile=key,
                )
            )
            server.closing = site.closing
            await server.serve([bound])


class _Server(uvicorn.Server):
    """Ends live pages at shutdown, which would otherwise wait minutes for them."""

    closing: asyncio.Event

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.closing.set()
        await super().shutdown(sockets)


def _entra(settings: Settings) -> EntraSignIn | None:
    app = settings.web_sign_in_app
    if app is None:
        return None
    context = ssl_context(settings.graph_ca_file)
    return EntraSignIn(
        app,
        settings.web_sign_in_tenants,
        context,
        authority_url=settings.graph_authority_url,
        proxy=proxy_of(settings.graph_proxy, context),
    )


def listener(address: str, port: int) -> socket.socket:
    """Raises `UsageError` if the page cannot listen."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        bound = socket.create_server((address, port), family=family)
    except OSError as error:
        raise UsageError(
            f"port {port} of {address} cannot be used ({error.strerror}); name another one: --port"
        ) from None
    # asyncio sets it only for sockets created with IPPROTO_TCP. Without it a page's second packet waits for the
    # acknowledgement of the first, which browsers delay by 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound
