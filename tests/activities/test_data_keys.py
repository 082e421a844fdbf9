"""A tenant's data key: made once, kept in its row, shared only if a setting says so."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from activities.observers import Observers, SensitivityRules
from graph.catalog import load_catalog
from inventory.data_keys import DataKey, DataKeyError, DataKeyKind
from inventory.wrapping_keys import WrappingKeys
from storage.database import Database
from tests.inventory.test_data_keys import NEW, OLD
from tests.storage.support import begin

CONTOSO, FABRIKAM = uuid4(), uuid4()


async def key(database: Database, tenant_id: object, secrecy: SensitivityRules) -> DataKey | None:
    """The key under which a worker that has just started reads the tenant."""
    observers = Observers(load_catalog(), secrecy, database)
    return (await observers.of_tenant(tenant_id)).data_key  # type: ignore[arg-type]


async def record_tenants(database: Database) -> None:
    """Records both tenants as a run does."""
    for tenant_id in (CONTOSO, FABRIKAM):
        await begin(database, tenant_id, "groups")


async def test_concurrent_workers_make_one_key_per_tenant(database: Database) -> None:
    await record_tenants(database)
    secrecy = SensitivityRules(WrappingKeys(OLD))
    mine = await asyncio.gather(*(key(database, CONTOSO, secrecy) for _ in range(8)))
    assert len(set(mine)) == 1
    assert mine[0] is not None
    theirs = await key(database, FABRIKAM, secrecy)
    assert theirs is not None
    assert theirs.key_id != mine[0].key_id


async def test_a_worker_rereads_a_known_key_after_five_minutes(database: Database) -> None:
    await record_tenants(database)
    seconds = [0.0]
    observers = Observers(load_catalog(), SensitivityRules(), database, now=lambda: seconds[0])
    assert (await observers.of_tenant(CONTOSO)).data_key is None
    # A worker that starts later has a key, and reads the tenant with it from now on.
    await key(database, CONTOSO, SensitivityRules(WrappingKeys(OLD)))
    seconds[0] = 300
    assert (await observers.of_tenant(CONTOSO)).data_key is None
    seconds[0] = 301
    with pytest.raises(DataKeyError, match="was read with one"):
        await observers.of_tenant(CONTOSO)


async def test_a_previous_wrapping_key_still_opens_its_data_key(database: Database) -> None:
    await record_tenants(database)
    mine = await key(database, CONTOSO, SensitivityRules(WrappingKeys(OLD)))
    assert await key(database, CONTOSO, SensitivityRules(WrappingKeys(NEW, OLD))) == mine
    for other in (WrappingKeys(NEW), None):
        with pytest.raises(DataKeyError, match="SENSITIVE_FIELDS_KEY"):
            await key(database, CONTOSO, SensitivityRules(other))


async def test_a_shared_key_stays_shared_after_the_wrapping_key_changes(database: Database) -> None:
    await record_tenants(database)
    mine = await key(database, CONTOSO, SensitivityRules(WrappingKeys(OLD), is_comparable=True))
    assert await key(database, FABRIKAM, SensitivityRules(WrappingKeys(NEW, OLD), is_comparable=True)) == mine
    # A tenant keeps its key after the setting changes.
    assert await key(database, CONTOSO, SensitivityRules(WrappingKeys(OLD))) == mine


@pytest.mark.parametrize(("keys", "secret"), [(WrappingKeys(OLD), OLD), (WrappingKeys(NEW, "a"), "a")])
async def test_a_tenant_of_an_earlier_release_keeps_its_marks(
    database: Database, keys: WrappingKeys, secret: str
) -> None:
    await record_tenants(database)
    async with database.tenant(CONTOSO) as session:
        await session.execute(text(f"UPDATE tenant SET data_key_kind = '{DataKeyKind.LEGACY}'"))
    assert await key(database, CONTOSO, SensitivityRules(keys, is_comparable=True)) == DataKey(secret.encode())


async def test_no_key_is_made_without_a_wrapping_key(database: Database) -> None:
    await record_tenants(database)
    assert await key(database, CONTOSO, SensitivityRules()) is None
    data_key = await key(database, CONTOSO, SensitivityRules(WrappingKeys(OLD)))
    assert data_key is not None
