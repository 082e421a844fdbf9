"""The cost of refreshing silent details: docs/scaling.md against the catalog and against a day of hourly runs."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from graph.catalog import Collection, load_catalog
from storage import details, staging
from storage import merge as merging
from storage.database import Database
from storage.details import Share
from tests.storage.support import begin, end, list_document, observation

SCALING = (Path(__file__).resolve().parents[2] / "docs" / "scaling.md").read_text()
READS = {6: 4.9, 24: 1.35}
"""How often a day of hourly runs reads a detail, by its period in hours."""

ROW = re.compile(r"^\| (.+) \| (\d+) hours \| (\d+)(?: to (\d+))? \| ([\d,]+)(?: to ([\d,]+))? \| .* \|$", re.MULTILINE)
NAMED = re.compile(r"`(\w+)`")
OTHERS = {6: "the other privileged ones", 24: "all others"}


def requests(collection: Collection) -> tuple[int, int]:
    """The least and the most requests for the details of an item, without those for members of a detail."""
    always = [call for call in collection.details if not call.types and not call.only_where and not call.doubted_by]
    of_type = max((sum(kind in call.types for call in collection.details) for kind in kinds(collection)), default=0)
    conditional = sum(bool(call.only_where) for call in collection.details)
    return len(always), len(always) + of_type + conditional


def kinds(collection: Collection) -> set[str]:
    return {kind for call in collection.details for kind in call.types}


def test_scaling_table_agrees_with_every_refreshed_collection() -> None:
    rows = {row[1]: row for row in ROW.finditer(SCALING)}
    assert len(rows) == 6
    alone = {name: row for label, row in rows.items() for name in NAMED.findall(label) if not label.startswith("the")}
    others = {hours: next(row for label, row in rows.items() if label.startswith(OTHERS[hours])) for hours in READS}
    silent = {
        key: collection for key, collection in load_catalog().collections.items() if collection.refresh_hours in READS
    }
    assert set(alone) == {"servicePrincipals", "mobileApps", "applications", "groups"}
    for key, collection in silent.items():
        hours = collection.refresh_hours or 0
        row = alone.get(key, others[hours])
        least, most = int(row[3]), int(row[4] or row[3])
        now_least, now_most = requests(collection)
        assert int(row[2]) == hours, key
        assert least <= max(now_least, 1), key
        assert now_most <= most, key
        if key in alone and key != "mobileApps":
            assert (now_least, now_most) == (least, most), key
    for row in rows.values():
        for number, total in ((row[3], row[5]), (row[4], row[6])):
            if number:
                assert int(total.replace(",", "")) == round(int(number) * 1000 * READS[int(row[2])]), row[0]


@pytest.mark.slow
@pytest.mark.parametrize("hours", READS)
async def test_day_of_hourly_runs_reads_an_item_as_often_as_documented(database: Database, hours: int) -> None:
    tenant_id, items = uuid4(), [list_document("a", str(uuid4()), name="A") for _ in range(300)]
    refresh = timedelta(hours=hours)
    read = 0
    for hour in range(2 * hours + 24):
        run = await begin(database, tenant_id, "a")
        async with database.tenant(tenant_id) as session:
            await session.execute(text("UPDATE inventory_item SET details_read_at = details_read_at - interval '1 h'"))
            token = uuid4()
            await staging.stage(session, run.run_id, token, items)
            await merging.merge(session, run.run_id, token, promised_rows=len(items), detail_refresh=refresh)
            due = await details.some_pending(session, run.run_id, [Share("a")], 1000)
            whole = [observation("a", item.external_id, name="A")._replace(list_hash=item.list_hash) for item in due]
            if whole:
                token = uuid4()
                assert await merging.claim(session, run.run_id, token) is None
                await merging.merge_whole(session, run.run_id, token, whole)
                await details.drop(session, run.run_id, due)
        await end(database, tenant_id, run)
        # The first reads are of all items at once; after two periods they have spread over the hours.
        read += len(due) if hour >= 2 * hours else 0
    assert read / len(items) == pytest.approx(READS[hours], rel=0.08)
