"""`database rotate-key` on several tenants, one of which fails."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from inventory.data_keys import DataKeyKind
from inventory.wrapping_keys import WrappingKeys
from storage.data_keys import keep_data_key
from storage.database import Database
from tests.cli.command_line import Terminal
from tests.storage.support import observation, sync, without_locks

OLD, NEW = (bytes(range(first, first + 32)).hex() for first in (1, 101))
TENANTS = ALPHA, BETA, GAMMA = tuple(UUID(int=number) for number in (71, 72, 73))


async def keys_of_old(database: Database) -> None:
    keys = WrappingKeys(OLD)
    for tenant_id in TENANTS:
        await sync(database, tenant_id, [observation("groups", "g")], "groups")
        async with database.tenant(tenant_id) as session:
            wrapped = keys.wrap(keys.new_secret(DataKeyKind.TENANT), tenant_id)
            assert await keep_data_key(session, wrapped, DataKeyKind.TENANT)


@pytest.mark.filled.with_args(keys_of_old)
async def test_rotation_goes_on_after_a_locked_tenant(filled: None, database_url: str, tmp_path: Path) -> None:
    keys = {"SENSITIVE_FIELDS_KEY": NEW, "SENSITIVE_FIELDS_KEY_PREVIOUS": OLD}
    terminal = Terminal(database_url, tmp_path, "database", "rotate-key", "--json", **keys)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT FROM tenant WHERE tenant_id = %s FOR UPDATE", [BETA])
        rotated = await without_locks(database_url, terminal())
    reason = "an administrator ended a statement; run the command again for this tenant"
    assert rotated.objects() == [{"wrapped_anew": 2, "kept": 0, "failed": {str(BETA): reason}}]
    assert rotated.code == 1
    assert (await terminal()).objects() == [{"wrapped_anew": 1, "kept": 2, "failed": {}}]
