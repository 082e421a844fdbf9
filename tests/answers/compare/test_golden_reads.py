"""A golden tenant's documents are read once for all tenants that are compared with it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, event, text

from answers.compare import golden_sessions, kept_items
from answers.compare.answer import GoldenSessions, side
from answers.compare.matrix import Matrix
from answers.compare.records import MatrixRow, TenantRecord
from storage.database import Database
from tests.cli.command_line import Terminal
from tests.storage.support import observation, sync

GOLDEN = UUID(int=61)
OTHERS = [UUID(int=62 + number) for number in range(3)]
POLICIES = "deviceCompliancePolicies"
ITEMS = 60
"""More than one batch."""


def policy(tenant: UUID, number: int) -> Any:
    """The first is another in each tenant; the last has another name there."""
    name = f"{tenant.int if number == ITEMS - 1 else 'Policy'} {number}"
    level = tenant.int if number == 0 else number
    return observation(POLICIES, f"{tenant}-{number}", displayName=name, level=level)


async def fill(database: Database) -> None:
    for tenant in (GOLDEN, *OTHERS):
        await sync(database, tenant, [policy(tenant, number) for number in range(ITEMS)], POLICIES)


pytestmark = pytest.mark.filled.with_args(fill)


@contextmanager
def statements(containing: str) -> Iterator[list[dict[str, Any]]]:
    """The parameters of the statements that contain a text."""
    found: list[dict[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: dict[str, Any], *_: object) -> None:
        if containing in statement:
            found.append(parameters)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


def times_read(parameter_sets: list[dict[str, Any]]) -> set[int]:
    """How often each of the golden tenant's documents was read."""
    ids = Counter(external_id for parameters in parameter_sets for external_id in parameters["external_ids"])
    return {ids[f"{GOLDEN}-{number}"] for number in range(ITEMS)}


async def rows_of(database: Database) -> list[MatrixRow]:
    async with database.tenant(GOLDEN, read_only=True, snapshot=True) as session:
        compared = await Matrix.of(
            await side(TenantRecord(tenant_id=GOLDEN, name="golden"), session),
            [TenantRecord(tenant_id=other, name=str(other)) for other in OTHERS],
            lambda tenant_id: database.tenant(tenant_id, read_only=True, snapshot=True),
            [POLICIES],
        )
        return [row async for row in compared.rows()]


async def test_each_golden_document_is_read_once(database: Database) -> None:
    with statements("d.body") as found:
        rows = await rows_of(database)
    assert times_read(found) == {1}
    assert [row.cells[2].fields[0].before for row in rows if row.display_name == "Policy 0"] == [GOLDEN.int]
    assert {str(cell.status) for row in rows for cell in row.cells} == {"different", "same", "renamed"}


@pytest.mark.parametrize("bound", ["MOST_ITEMS", "MOST_BYTES"])
async def test_beyond_the_bounds_documents_are_read_again(
    database: Database, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await rows_of(database)
    monkeypatch.setattr(kept_items, bound, 0)
    with statements("d.body") as found:
        assert await rows_of(database) == before
    assert max(times_read(found)) >= len(OTHERS)


async def test_drift_reads_each_golden_document_once(database: Database, database_url: str, tmp_path: Path) -> None:
    tenants = "".join(
        f'[[tenant]]\nid = "{tenant}"\nname = "{tenant.int}"\nclient_id = "c"\nmanaged_identity = true\n'
        for tenant in (GOLDEN, *OTHERS)
    )
    run = Terminal(database_url, tmp_path, tenants=tenants)
    with statements("d.body") as found:
        result = await run("drift", "--all-tenants", "--golden", GOLDEN)
    assert times_read(found) == {1}
    assert [line.split(": ", 1)[1] for line in result.stdout.splitlines()] == [
        "61: 2 open in 2 items, 1 high, 1 low"
    ] * 3


async def test_settings_of_a_golden_tenant_are_read_once(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Terminal(database_url, tmp_path, "compare", "--golden", str(GOLDEN), "--by-setting")
    with statements("d.body") as found:
        result = await run(*OTHERS, "--json")
    assert times_read(found) == {1}
    assert [tenant["collections"][0]["policies_here"] for tenant in result.objects()[-1]["tenants"]] == [ITEMS] * 3
    with statements("clock_timestamp()") as once:
        await run(*OTHERS)
    monkeypatch.setattr(golden_sessions, "IDLE_TIMEOUT_SECONDS", 0)
    with statements("clock_timestamp()") as more:
        await run(*OTHERS)
    assert len(more) == len(once) + len(OTHERS)


async def test_a_golden_session_without_statements_stays_open(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with statements("clock_timestamp()") as found:
        await rows_of(database)
    once = len(found)
    monkeypatch.setattr(golden_sessions, "IDLE_TIMEOUT_SECONDS", 0)
    with statements("clock_timestamp()") as found:
        await rows_of(database)
    assert len(found) == once + len(OTHERS)


async def test_a_lost_golden_session_is_opened_anew(database: Database, database_url: str) -> None:
    async with GoldenSessions(lambda tenant_id: database.tenant(tenant_id, read_only=True, snapshot=True)) as goldens:
        async with goldens.of(GOLDEN) as first:
            backend = await first.session.scalar(text("SELECT pg_backend_pid()"))
        async with goldens.of(GOLDEN) as again:
            assert again.kept is first.kept
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
        async with goldens.of(GOLDEN) as anew:
            assert anew.kept is not first.kept
            assert await anew.session.scalar(text("SELECT pg_backend_pid()")) != backend
        with pytest.raises(LookupError):
            async with goldens.of(GOLDEN):
                raise LookupError
        async with goldens.of(GOLDEN) as after_failure:
            assert after_failure.kept is not anew.kept
