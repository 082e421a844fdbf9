"""Dangling references, unassigned items and assignments of all tenants, as paginated JSON and as a file."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import answer, routes
from graph.catalog import load_catalog
from inventory.observation import Observation
from inventory.people import Role
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, UNREAD, json_of, person_of, signed_in_as, words_of
from web import tenants_in_turn

CONFIGURATIONS, GROUPS = "deviceConfigurations", "groups"
GONE = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
QUESTIONS = ("dangling", "unassigned", "assignments")


def profile(name: str, *group_ids: str) -> Observation:
    targets = [
        {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id}}
        for group_id in group_ids
    ]
    return observation(CONFIGURATIONS, name, displayName=name, assignments=targets)


async def read(database: Database) -> None:
    """Two tenants: each has two items for a missing group and two unassigned items."""
    for tenant_id, tenant in ((CONTOSO, "c"), (FABRIKAM, "f")):
        items = [
            profile(f"{tenant}1 {HOSTILE}", GONE),
            profile(f"{tenant}2", GONE),
            profile(f"{tenant}3"),
            profile(f"{tenant}4"),
        ]
        await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS)
        await references.catch_up(database, tenant_id, load_catalog().reading_rules(), in_turn=True)


pytestmark = pytest.mark.filled.with_args(read)


async def in_parts(client: httpx.AsyncClient, address: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The parts of a list, which the `Link` headers connect."""
    following: str | None = address
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = answer.links["next"]["url"] if "next" in answer.links else None


def row_names(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The tenant and the name of each row."""
    return [
        (record["tenant_id"], (record.get("item") or record)["display_name"])
        for record in records
        if record.get("answer") != "cannot_say"
    ]


@pytest.mark.parametrize(("question", "none"), [("dangling", "0 references"), ("unassigned", "0 items")])
async def test_pages_and_files_read_many_tenants_in_one_statement(
    app: FastAPI, database: Database, signed_in: httpx.AsyncClient, question: str, none: str
) -> None:
    statements = list[str]()

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.extend(["one"] if "FROM item_reference" in statement and "name_key" in statement else [])

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        page = await words_of(signed_in, f"/{question}")
        file = await words_of(signed_in, f"/{question}.csv")
        async with signed_in_as(app, database, person_of(Role.READER), [FABRIKAM, UNREAD]) as other:
            theirs = await words_of(other, f"/{question}"), await words_of(other, f"/{question}.csv")
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert statements == ["one"] * 4
    _, contoso, fabrikam, unread = page.split('<tr class="group">')
    assert (">c2<" in contoso, ">f2<" in fabrikam) == ((question == "dangling"),) * 2
    assert (">c3<" in contoso, ">f3<" in fabrikam) == ((question == "unassigned"),) * 2
    assert "never read" in unread
    assert [str(CONTOSO) in text for text in (page, file, *theirs)] == [True, True, False, False]
    await sync(database, CONTOSO, [profile("new", GONE), profile("new too")], CONFIGURATIONS, GROUPS)
    later = (await words_of(signed_in, f"/{question}")).split('<tr class="group">')
    assert text_of(later[1]) == f"Contoso {none}; not all is known"
    assert later[2].partition("</tbody>")[0] == fabrikam.partition("</tbody>")[0]


@pytest.mark.parametrize("question", ["dangling", "unassigned"])
async def test_json_reads_tenants_after_the_first_together_and_only_if_needed(
    database: Database, signed_in: httpx.AsyncClient, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync(database, UNREAD, [profile("u1", GONE), profile("u2")], CONFIGURATIONS, GROUPS)
    await references.catch_up(database, UNREAD, load_catalog().reading_rules(), in_turn=True)
    reads = list[set[UUID]]()
    ask_together = getattr(answer, f"{question}_of_tenants")

    async def ask(session: AsyncSession, tenants: Mapping[UUID, object], *arguments: object) -> object:
        reads.append(set(tenants))
        return await ask_together(session, tenants, *arguments)

    monkeypatch.setattr(answer, f"{question}_of_tenants", ask)
    first = await signed_in.get(f"/api/{question}?limit=2")
    assert len(row_names(first.json())) == 2
    assert reads == [], "the first tenant fills the part"
    records = await json_of(signed_in, f"/api/{question}")
    assert reads == [{FABRIKAM, UNREAD}]
    assert {tenant_id for tenant_id, _ in row_names(records)} == {str(CONTOSO), str(FABRIKAM), str(UNREAD)}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("at_a_time", [8, 1])
async def test_list_over_tenants_has_the_rows_of_each_tenants_list(
    signed_in: httpx.AsyncClient, question: str, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants_in_turn, "TENANTS_AT_A_TIME", at_a_time)
    expected = [
        row
        for tenant_id in (CONTOSO, FABRIKAM)
        for row in row_names(await json_of(signed_in, f"/api/tenants/{tenant_id}/{question}?limit=1000"))
    ]
    assert {tenant_id for tenant_id, _ in expected} == {str(CONTOSO), str(FABRIKAM)}
    for limit in (1, 3, 1000):
        parts = [part async for part in in_parts(signed_in, f"/api/{question}?limit={limit}")]
        assert [row for part in parts for row in row_names(part)] == expected
        assert max(len(row_names(part)) for part in parts) <= limit
        unread_tenants = {
            record["tenant_id"] for part in parts for record in part if record.get("answer") == "cannot_say"
        }
        assert str(UNREAD) in unread_tenants, "a tenant that was never read is no tenant without a finding"
    lines = (await words_of(signed_in, f"/{question}.csv")).splitlines()
    assert len(lines) == 1 + len(expected)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_list_over_tenants_is_limited_to_tag_and_visible_tenants(
    app: FastAPI, database: Database, signed_in: httpx.AsyncClient, question: str
) -> None:
    of_tag = row_names(await json_of(signed_in, f"/api/{question}?tag=emea"))
    assert {tenant_id for tenant_id, _ in of_tag} == {str(CONTOSO)}
    assert str(FABRIKAM) not in await words_of(signed_in, f"/{question}.csv?tag=emea")
    await words_of(signed_in, f"/api/{question}?after=nowhere", 404)
    await words_of(signed_in, f"/api/{question}?after=+x", 404)
    async with signed_in_as(app, database, person_of(Role.READER), [FABRIKAM]) as client:
        assert {tenant_id for tenant_id, _ in row_names(await json_of(client, f"/api/{question}"))} == {str(FABRIKAM)}
        assert str(CONTOSO) not in await words_of(client, f"/{question}.csv")
        await words_of(client, f"/api/{question}?after={CONTOSO}", 404)
    page = await words_of(signed_in, f"/{question}?tag=emea")
    assert f'href="/api/{question}?tag=emea"' in page
    assert f'href="/{question}.csv?tag=emea"' in page


async def test_item_is_found_in_the_tenants_that_have_it(signed_in: httpx.AsyncClient) -> None:
    assert row_names(await json_of(signed_in, "/api/assignments?item=f2")) == [(str(FABRIKAM), "f2")]
    assert len((await words_of(signed_in, "/assignments.csv?item=f2")).splitlines()) == 2


async def test_json_has_rows_beyond_the_page_limit(
    signed_in: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST", 1)
    for address in (f"/api/tenants/{CONTOSO}/unassigned", "/api/unassigned?tag=emea"):
        assert [name for _, name in row_names(await json_of(signed_in, address))] == ["c3", "c4"]
