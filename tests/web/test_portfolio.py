"""The portfolio and a tenant's page: reasons for attention, and coverage."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from answers.status.records import Attention, TenantStatus
from answers.status.rules import following, has_words, reasons
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Role
from storage.database import Database
from tests.storage.support import begin, observation, sync
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, LOCATIONS, POLICIES, UNREAD, json_of, words_of

Clients = dict[Role, httpx.AsyncClient]


def rows_of(page: str) -> list[str]:
    """The tenants of the table, in its order."""
    return [part.partition('"')[0] for part in page.split('<th scope="row"><a href="/tenants/')[1:]]


async def test_portfolio_is_sorted_by_urgency_and_filtered_by_reason(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    await sync(database, CONTOSO, [observation(POLICIES, "p1")], POLICIES)
    await sync(
        database,
        FABRIKAM,
        [],
        POLICIES,
        status=RunStatus.FAILED,
        outcomes={POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)},
    )
    page = await words_of(reader, "/")
    assert rows_of(page) == [str(UNREAD), str(FABRIKAM), str(CONTOSO)]
    assert "2 of 3 tenants need attention" in page
    assert "Of 1 tenant not all was read." in page
    assert "1 tenant never read: nothing is known of it." in page
    assert rows_of(await words_of(reader, "/?why=run_failed")) == [str(FABRIKAM)]
    assert rows_of(await words_of(reader, "/?name=TOSO%20con")) == [str(CONTOSO)]
    assert rows_of(await words_of(reader, "/?tag=emea&why=never_read")) == []
    assert "No tenant here has this tag" in await words_of(reader, "/?name=nobody")
    records = await json_of(reader, f"/api/status?after={UNREAD}&limit=1")
    assert [record["tenant_id"] for record in records] == [str(FABRIKAM)]
    await words_of(reader, f"/?after={uuid4()}", 404)
    header, line = (await words_of(reader, "/tenants.csv?why=run_failed")).splitlines()
    assert (header.partition(",")[0], line.partition(",")[0]) == ("tenant_id", str(FABRIKAM))


def write_five_hundred(tenants_file: Path) -> list[UUID]:
    tenant_ids = [uuid4() for _ in range(500)]
    tenants_file.write_text(
        "".join(
            f'[[tenant]]\nid = "{tenant_id}"\nname = "{number:03} {"Tenant " * 5}"\nclient_id = "{uuid4()}"\n'
            "managed_identity = true\n"
            for number, tenant_id in enumerate(tenant_ids)
        )
    )
    return tenant_ids


async def test_five_hundred_tenants_are_paginated(tenants_file: Path, clients: Clients, database: Database) -> None:
    tenant_ids = await asyncio.to_thread(write_five_hundred, tenants_file)
    listed: list[str] = []
    address: str | None = "/"
    while address is not None:
        page = await words_of(clients[Role.READER], address)
        assert len(page) < 100_000
        listed += rows_of(page)
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"/{follows}" if follows else None
    assert (len(listed), set(listed)) == (500, set(map(str, tenant_ids)))


async def test_empty_tenants_file_and_unread_tenant_show_the_next_step(
    tenants_file: Path, clients: Clients, database: Database
) -> None:
    page = await words_of(clients[Role.OPERATOR], f"/tenants/{UNREAD}")
    assert f'href="/tenants/{UNREAD}/sync">Start its first run' in page
    assert "An operator starts its first run" in await words_of(clients[Role.READER], f"/tenants/{UNREAD}")
    await asyncio.to_thread(tenants_file.write_text, "")
    assert "The tenants file has no tenant yet" in await words_of(clients[Role.READER], "/")


async def test_tenant_page_summarises_its_runs_and_links_to_details(database: Database, clients: Clients) -> None:
    everything = [observation(POLICIES, "p1", state="enabled"), observation(LOCATIONS, "l1")]
    await sync(database, CONTOSO, everything, POLICIES, LOCATIONS)
    await sync(
        database,
        CONTOSO,
        [],
        POLICIES,
        LOCATIONS,
        outcomes={POLICIES: (Outcome.COMPLETE, None), LOCATIONS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
        status=RunStatus.PARTIAL,
    )
    run = await begin(database, CONTOSO, POLICIES)
    page = await words_of(clients[Role.READER], f"/tenants/{CONTOSO}")
    assert "1 of 2 collections read to their end" in page
    assert "not read" in page
    for link in ("changes?since=1d", "changes?since=7d", "missing", "drift", "coverage", f"runs/{run.run_id}"):
        assert f'href="/tenants/{CONTOSO}/{link}"' in page, link
    assert "<b>1</b> missing" in page
    assert "by 2 runs" in page, "not the open run"
    assert "Start a run" not in page
    assert "Start a run" in await words_of(clients[Role.OPERATOR], f"/tenants/{CONTOSO}")


async def test_search_words_are_escaped(clients: Clients, database: Database) -> None:
    page = (await clients[Role.READER].get("/", params={"name": HOSTILE, "tag": HOSTILE})).text
    assert "<script" not in page
    assert "&lt;script" in page


def status(tenant_id: UUID, *attention: Attention) -> TenantStatus:
    return TenantStatus(
        tenant_id=tenant_id, run_id=None, run_status=None, run_started_at=None, oldest=None, collections=0, read=0,
        not_read=[], missing=0, stale=0, high_drift=0, attention=list(attention),
    )  # fmt: skip


def test_reasons_are_counted_most_urgent_first() -> None:
    first, second = uuid4(), uuid4()
    tenants = [status(first, Attention.MISSING, Attention.STALE), status(second, Attention.MISSING)]
    assert list(reasons(tenants).items()) == [(Attention.STALE, 1), (Attention.MISSING, 2)]
    assert [tenant.tenant_id for tenant in following(tenants, first)] == [second]
    with pytest.raises(LookupError, match="begin with the first"):
        following(tenants, uuid4())
    assert has_words("Contoso Ltd", "LTD con")
    assert not has_words("Contoso Ltd", "contoso inc")
