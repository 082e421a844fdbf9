"""Compares documents stored by release 0.3.0 with Graph's documents, by today's rules of their collection."""

from typing import Any
from uuid import UUID

import pytest

from activities.observers import Observers, SensitivityRules
from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer
from storage.database import Database
from storage.first_form import FirstFormItem
from tests.storage.support import begin

TENANT = UUID(int=1)
WIFI: dict[str, Any] = {
    "@odata.type": "#microsoft.graph.windowsWifiConfiguration",
    "id": "1",
    "displayName": "Office",
    "roleScopeTagIds": ["5", "0"],
    "meteredConnectionLimit": None,
}


@pytest.fixture
async def observers(database: Database) -> Observers:
    await begin(database, TENANT, "deviceConfigurations")
    return Observers(load_catalog(), SensitivityRules(), database)


async def has_same_meaning(observers: Observers, stored: dict[str, Any], graph_object: dict[str, Any]) -> bool:
    rules = load_catalog().collections["deviceConfigurations"].observation_rules()
    today = await observers.of_tenant(TENANT)
    observed = today.observer("deviceConfigurations").observe(graph_object)
    before = Canonicalizer(ordered=rules.ordered).sorted_canonical(stored)
    item = FirstFormItem("deviceConfigurations", "1", before, observed.content_hash)
    (same,) = await observers.comparison(TENANT).says_the_same([item])
    return same


async def test_order_and_nulls_are_no_difference(observers: Observers) -> None:
    assert await has_same_meaning(observers, WIFI, {**WIFI, "roleScopeTagIds": ["0", "5"], "proxySetting": None})
    assert not await has_same_meaning(observers, WIFI, {**WIFI, "roleScopeTagIds": ["0"]})


async def test_a_secret_stored_in_clear_gets_a_new_version_that_hides_it(observers: Observers) -> None:
    with_key = {**WIFI, "preSharedKey": "hunter2"}
    assert not await has_same_meaning(observers, with_key, with_key)
    hidden = {**WIFI, "preSharedKey": {"sensitive": True}}
    assert await has_same_meaning(observers, hidden, with_key)


async def test_a_detail_read_for_the_first_time_gets_a_new_version(observers: Observers) -> None:
    details = load_catalog().collections["deviceConfigurations"].detail_properties
    detail = min(details)
    assert not await has_same_meaning(observers, WIFI, {**WIFI, detail: []})
