"""Pages that ask all tenants in one statement: no value in a tenant's documents makes them an error."""

from typing import Any

import httpx
import pytest

from answers.drift.baselines import set_moment
from graph.catalog import load_catalog
from inventory.observation import Observer
from storage import references
from storage.database import Database
from tests.storage.support import sync
from tests.web.support import CONTOSO, words_of

COLLECTIONS = ("applications", "configurationPolicies", "deviceConfigurations")
PROPERTIES = (
    *("displayName", "name", "@odata.type", "platforms", "technologies", "version", "state", "templateReference"),
    *("createdDateTime", "lastModifiedDateTime", "settings", "assignments", "conditions", "bitLockerEnabled"),
    *("passwordCredentials", "groupTypes"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 5, -1e308, 10**400, [], {}, [[]], {"a": {"b": []}}, "", "x" * 200, "\u202e<script>"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "infinity", "99999-01-01", ["\x1e\x1f"], "\x1e\x1f|%_*["),
)


async def read(database: Database) -> None:
    """Each collection has an item for each value, which all its properties have."""
    items = []
    for type_key in COLLECTIONS:
        observer = Observer(load_catalog().collections[type_key].observation_rules())
        items += [
            observer.observe({"id": f"p{number}", **dict.fromkeys(PROPERTIES, value)})
            for number, value in enumerate(VALUES)
        ]
    await sync(database, CONTOSO, items, *COLLECTIONS)
    await references.catch_up(database, CONTOSO, load_catalog().reading_rules(), in_turn=True)
    async with database.tenant(CONTOSO) as session:
        await set_moment(session, "golden", None, "ada", "as approved")


pytestmark = [pytest.mark.slow, pytest.mark.filled.with_args(read)]


async def test_pages_over_tenants_show_odd_documents(signed_in: httpx.AsyncClient) -> None:
    for address in ("/", "/drift", "/settings?setting=bitLockerEnabled", "/search?name=x"):
        await words_of(signed_in, address)
    names = {f"p{number}" for number in range(len(VALUES))}
    found = (await signed_in.get("/api/search?name=x&limit=1000")).json()
    assert {item["type_key"] for item in found} == set(COLLECTIONS)
    assert {item["external_id"] for item in found} <= names
