"""The least cost of reading a tenant: GET a page, parse it, hash its items, COPY them, and nothing else.

`benchmarks.large_tenant` runs it as a process of its own, with type keys as arguments and addresses and credentials in
the environment. It prints one line of JSON: numbers of items and pages, bytes of documents, and seconds.
Collections are read side by side, each by plain GETs one after another, with the product's HTTP, token, canonical form
and digest.
"""

import asyncio
import os
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import httpx
import orjson
import psycopg

from graph.catalog import Collection, load_catalog
from graph.client import DEADLINE_SECONDS
from graph.tenants import TenantConfig
from graph.tokens import TokenSource
from graph.trust import ssl_context
from inventory.canonical import Canonicalizer

SCHEMA = "bare_loop"

_SETUP = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.item (type_key text, external_id text, body_hash bytea, document text)
    WITH (autovacuum_enabled = false)
"""

_COPY = f"COPY {SCHEMA}.item (type_key, external_id, body_hash, document) FROM STDIN"


class Loaded(NamedTuple):
    """The result of one collection."""

    items: int
    pages: int
    document_bytes: int


async def load(http: httpx.AsyncClient, collection: Collection, tenant: TenantConfig, database_url: str) -> Loaded:
    """Reads one collection to its end into the table, in one COPY."""
    rules = collection.observation_rules(hide_script_bodies=False)
    canonicalizer = Canonicalizer(volatile=rules.volatile, sensitive=rules.sensitive, ordered=rules.ordered)
    link: str | None = f"{os.environ['GRAPH_BASE_URL']}/{collection.api_version}{collection.first_url(tenant.id)}"
    items = pages = document_bytes = 0
    async with (
        await psycopg.AsyncConnection.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(_COPY) as copy,
    ):
        while link is not None:
            page = orjson.loads((await http.get(link)).raise_for_status().content)
            link = page.get("@odata.nextLink")
            pages += 1
            for item in page["value"]:
                if item.get("@odata.type") in collection.left_out_types:
                    continue
                document = canonicalizer.canonical(item)
                row = (collection.type_key, item["id"], sha256(document).digest(), document.decode())
                await copy.write_row(row)
                items += 1
                document_bytes += len(document)
    return Loaded(items, pages, document_bytes)


async def measure(collections: list[Collection], database_url: str) -> dict[str, float]:
    """Loads all of them, and prints the time."""
    context = ssl_context(Path(os.environ["GRAPH_CA_FILE"]))
    tenant = TenantConfig(
        id=UUID(os.environ["TENANT_ID"]),
        name="tenant",
        client_id=os.environ["CLIENT_ID"],
        client_secret_env="CLIENT_SECRET",  # noqa: S106 (the name of the variable)
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_SETUP)
    began = time.perf_counter()
    token = await TokenSource(context, authority_url=os.environ["GRAPH_AUTHORITY_URL"]).token(tenant)
    async with httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(DEADLINE_SECONDS, connect=15),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Prefer": "include-unknown-enum-members",
        },
    ) as http:
        loaded = await asyncio.gather(*(load(http, collection, tenant, database_url) for collection in collections))
    return {
        "seconds": time.perf_counter() - began,
        "items": sum(collection_load.items for collection_load in loaded),
        "pages": sum(collection_load.pages for collection_load in loaded),
        "document_bytes": sum(collection_load.document_bytes for collection_load in loaded),
    }


if __name__ == "__main__":
    known = load_catalog().collections
    figures = asyncio.run(measure([known[type_key] for type_key in sys.argv[1:]], os.environ["DATABASE_URL"]))
    print(orjson.dumps(figures).decode())
