"""Pages over tenants, one of which the database cannot answer: they name it, and show the others."""

from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from graph.catalog import load_catalog
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import text_of
from tests.web.support import CONTOSO, FABRIKAM, UNREAD, json_of, words_of
from web import recent_answers

CONFIGURATIONS, GROUPS = "deviceConfigurations", "groups"
GONE = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
TARGET = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": GONE}
QUESTIONS = ("changes", "dangling", "unassigned", "assignments")

SLOW, LOCKED, UNEXPECTED, FULL = "57014", "55P03", "P0001", "53100"
REASONS = {
    SLOW: "the database needed longer than 5 seconds; narrow the question, or ask it on the command line",
    LOCKED: "a lock was not free in time",
    UNEXPECTED: "unexpected ProgrammingError; the log of the web process names its place",
}


async def read(database: Database) -> None:
    """Two tenants, each with an assigned item, an unassigned one and a later change of both."""
    for state in ("before", "after"):
        for tenant_id, name in ((CONTOSO, "c"), (FABRIKAM, "f")):
            items = [
                observation(CONFIGURATIONS, f"{name}1", displayName=f"{name}1", description=state,
                            assignments=[{"target": TARGET}]),
                observation(CONFIGURATIONS, f"{name}2", displayName=f"{name}2", description=state, assignments=[]),
            ]  # fmt: skip
            await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS)
            await references.catch_up(database, tenant_id, load_catalog().reading_rules(), in_turn=True)


pytestmark = pytest.mark.filled.with_args(read)


@pytest.fixture
def fail_for_contoso(database_url: str) -> Iterator[Callable[[str], None]]:
    """Statements that read the tenant's rows end with this SQLSTATE, as on a damaged or locked page of a table."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def fail(code: str) -> None:
            connection.execute(
                f"CREATE FUNCTION is_readable(tenant uuid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
                f" IF tenant = '{CONTOSO}' THEN RAISE EXCEPTION 'timeout' USING ERRCODE = '{code}'; END IF;"
                f" RETURN true; END $$"
            )
            for table in ("document", "item_reference"):
                connection.execute(f"CREATE POLICY readable ON {table} AS RESTRICTIVE USING (is_readable(tenant_id))")

        yield fail
        connection.execute("DROP FUNCTION IF EXISTS is_readable CASCADE")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("code", REASONS)
async def test_a_page_names_the_tenant_without_an_answer_and_shows_the_others(
    signed_in: httpx.AsyncClient, fail_for_contoso: Callable[[str], None], question: str, code: str
) -> None:
    fail_for_contoso(code)
    page = await words_of(signed_in, f"/{question}")
    assert "This answer is incomplete. It lacks 1 tenant:" in text_of(page)
    assert f"Contoso: {REASONS[code]}" in text_of(page)
    assert f"/tenants/{FABRIKAM}/items/{CONFIGURATIONS}/f" in page
    assert f"/tenants/{CONTOSO}/items" not in page


@pytest.mark.parametrize("question", QUESTIONS)
async def test_json_names_the_tenant_without_an_answer_beside_the_records_of_the_others(
    signed_in: httpx.AsyncClient, fail_for_contoso: Callable[[str], None], question: str
) -> None:
    fail_for_contoso(LOCKED)
    records = await json_of(signed_in, f"/api/{question}")
    failed = [record for record in records if record.get("answer") == "no_answer"]
    assert failed == [{"answer": "no_answer", "tenant_id": str(CONTOSO), "reason": REASONS[LOCKED]}]
    of_others = {record["tenant_id"] for record in records if record not in failed}
    assert of_others - {str(UNREAD)} == {str(FABRIKAM)}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_file_that_would_lack_a_tenant_is_refused_by_its_name(
    signed_in: httpx.AsyncClient, fail_for_contoso: Callable[[str], None], question: str
) -> None:
    fail_for_contoso(LOCKED)
    page = await words_of(signed_in, f"/{question}.csv", 503)
    assert f"The file would lack Contoso: {REASONS[LOCKED]}." in text_of(page)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_full_disk_of_the_server_is_no_failure_of_one_tenant(
    signed_in: httpx.AsyncClient, fail_for_contoso: Callable[[str], None], question: str
) -> None:
    fail_for_contoso(FULL)
    page = text_of(await words_of(signed_in, f"/{question}", 503))
    assert "PostgreSQL's disk is full; free space on its server." in page


async def test_complete_pages_do_not_speak_of_a_gap(signed_in: httpx.AsyncClient) -> None:
    for question in QUESTIONS:
        assert "incomplete" not in await words_of(signed_in, f"/{question}")


@pytest.mark.parametrize("unit", ["policy", "setting"])
async def test_a_golden_tenants_page_names_the_tenant_that_cannot_be_compared(
    signed_in: httpx.AsyncClient, database_url: str, unit: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE inventory_item SET meta = '[]' WHERE tenant_id = %s", [CONTOSO])
    page = text_of(await words_of(signed_in, f"/compare?golden={FABRIKAM}&by={unit}"))
    reason = "unexpected RowError; the log of the web process names its place"
    assert f"It lacks all or some collections of 1 tenant: Contoso: {reason}" in page
    assert "Never read was never read" in page
    address = {"policy": "/api/compare/golden", "setting": "/api/compare/golden/settings"}[unit]
    record = await json_of(signed_in, f"{address}?golden={FABRIKAM}")
    assert record["not_answered"] == [{"answer": "no_answer", "tenant_id": str(CONTOSO), "reason": reason}]
    file = await words_of(signed_in, f"/compare/golden.csv?golden={FABRIKAM}&by={unit}", 503)
    assert f"The file would lack Contoso: {reason}." in text_of(file)


@pytest.mark.parametrize("unit", ["policy", "setting"])
async def test_a_golden_tenants_page_asks_again_after_an_incomplete_answer(
    signed_in: httpx.AsyncClient, database_url: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_answers, "INCOMPLETE_SECONDS", 0)
    address = f"/compare?golden={FABRIKAM}&by={unit}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE inventory_item SET meta = '[]' WHERE tenant_id = %s", [CONTOSO])
        assert "This answer is incomplete." in await words_of(signed_in, address)
        connection.execute("UPDATE inventory_item SET meta = '{}' WHERE tenant_id = %s", [CONTOSO])
        whole = await words_of(signed_in, address)
        assert "incomplete" not in whole
        connection.execute("UPDATE inventory_item SET meta = '[]' WHERE tenant_id = %s", [CONTOSO])
    assert await words_of(signed_in, address) == whole, "a whole answer is kept"
