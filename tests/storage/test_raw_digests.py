"""Items with an unchanged raw digest: only their last-seen columns move, unless the item has changed since the read."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from inventory.observation import Observation
from storage import merge as merging
from storage import staging
from storage.database import Database
from storage.raw_digests import DetailAges, same_items
from storage.runs import RunIdentity
from storage.staging import SameItems
from tests.storage.support import begin, end, items, land, observation

TENANT = uuid4()
NO_DETAILS = DetailAges(timedelta(days=7), {})


def digested(external_id: str, value: str = "A") -> Observation:
    return observation("a", external_id, value=value)._replace(raw_digest=_digest(value))


def unchanged_items(*external_ids: str, value: str = "A") -> SameItems:
    return SameItems("a", external_ids, [_digest(value)] * len(external_ids))


def _digest(value: str) -> bytes:
    return value.encode().ljust(16, b"\0")


async def stage(
    database: Database, run: RunIdentity, page: SameItems, observations: Sequence[Observation] = ()
) -> tuple[UUID, int]:
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, observations, [page])
    return token, len(page.external_ids) + len(observations)


async def merge(database: Database, run: RunIdentity, *waves: tuple[UUID, int]) -> merging.MergeResult:
    (token, rows), *others = waves
    async with database.tenant(TENANT) as session:
        return await merging.merge(session, run.run_id, token, promised_rows=rows, together_with=dict(others))


async def known_ids(database: Database, page: SameItems) -> set[str]:
    async with database.tenant(TENANT) as session:
        (found,) = await same_items(session, [page], NO_DETAILS, deep=False)
    return found


async def first_run(database: Database, *external_ids: str) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [digested(external_id) for external_id in external_ids])
    await end(database, TENANT, run)


async def test_merge_moves_only_last_seen_of_items_with_equal_digests(database: Database) -> None:
    await first_run(database, "1", "2")
    before = await items(database, TENANT)
    assert await known_ids(database, unchanged_items("1", "2")) == {"1", "2"}
    run = await begin(database, TENANT, "a")
    merged = await merge(
        database, run, await stage(database, run, unchanged_items("1"), [digested("2", "B"), digested("3")])
    )
    after = await items(database, TENANT)

    assert (merged.created, merged.changed, merged.unchanged, merged.duplicates) == (1, 1, 1, {})
    assert after["1"].last_seen_at > before["1"].last_seen_at
    assert after["1"].last_seen_run_id == run.run_id
    assert after["1"].content_hash == before["1"].content_hash
    assert await known_ids(database, unchanged_items("1", "2", "3")) == {"1", "3"}
    async with database.tenant(TENANT) as session:
        assert (await session.execute(text("SELECT count(*) FROM staged_observation"))).scalar_one() == 0


async def test_pages_of_several_collections_are_compared_each_with_its_own_items(database: Database) -> None:
    run = await begin(database, TENANT, "a", "b")
    of_b = observation("b", "2", value="B")._replace(raw_digest=_digest("B"))
    await land(database, TENANT, run, [digested("1"), digested("2"), of_b])
    await end(database, TENANT, run)
    nothing = SameItems("a", (), ())
    pages = [unchanged_items("2", "4"), SameItems("b", ("1", "2"), [_digest("A"), _digest("B")]), nothing]
    async with database.tenant(TENANT) as session:
        assert await same_items(session, pages, NO_DETAILS, deep=False) == [{"2"}, {"2"}, set()]
        assert await same_items(session, [nothing, *pages[::-1]], NO_DETAILS, deep=False) == [
            set(),
            set(),
            {"2"},
            {"2"},
        ]


@pytest.mark.parametrize(
    "change",
    [
        "raw_digest = 'another'",
        "raw_digest = NULL",
        "last_seen_at = last_seen_at + interval '1 microsecond'",
        "absent_from = last_seen_at",
        "details_complete = false",
        "stale_since = last_seen_at, stale_parts = '[]'",
        "content_observed_at = last_seen_at",
        "form = 0",
        "version_number = 0",
    ],
)
async def test_item_changed_since_its_digest_is_read_in_full(database: Database, change: str) -> None:
    await first_run(database, "1", "2")
    run = await begin(database, TENANT, "a")
    wave = await stage(database, run, unchanged_items("1", "2"))
    async with database.tenant(TENANT) as session:
        await session.execute(text(f"UPDATE inventory_item SET {change} WHERE external_id = '1'"))
    before = await items(database, TENANT)

    assert await known_ids(database, unchanged_items("1", "2")) == {"2"}
    with pytest.raises(merging.StagedRowsLostError, match="1 unchanged item has changed since the read"):
        await merge(database, run, wave)
    assert await items(database, TENANT) == before


async def test_an_older_page_does_not_move_an_item_back(database: Database) -> None:
    await first_run(database, "1")
    late = await begin(database, TENANT, "a")
    page = await stage(database, late, unchanged_items("1"))
    newer = await begin(database, TENANT, "a", "b")
    await land(database, TENANT, newer, [digested("1", "B")])
    before = await items(database, TENANT)
    merged = await merge(database, late, page)
    assert (merged.unchanged, merged.changed) == (1, 0)
    assert await items(database, TENANT) == before


async def test_item_on_several_pages_is_a_duplicate_even_if_read_by_digest(database: Database) -> None:
    await first_run(database, "1", "2", "3")
    run = await begin(database, TENANT, "a")
    pages = [
        await stage(database, run, unchanged_items("1", "2")),
        await stage(database, run, unchanged_items("1"), [digested("2", "B"), digested("3", "B")]),
        await stage(database, run, unchanged_items("3")),
    ]
    merged = await merge(database, run, *pages)

    assert (merged.unchanged, merged.changed, merged.duplicates) == (2, 1, {"a": 3})
    assert merged.duplicate_ids == [("a", "1"), ("a", "2"), ("a", "3")]
    # As the last page shows them.
    assert await known_ids(database, unchanged_items("1", "3")) == {"1", "3"}
    assert await known_ids(database, unchanged_items("2", value="B")) == {"2"}
    again = await merge(database, run, await stage(database, run, unchanged_items("1")))
    assert (again.unchanged, again.duplicates) == (0, {"a": 1})


async def test_digest_is_ignored_after_a_merge_by_an_earlier_release(database: Database) -> None:
    """A worker of an earlier release reads B; then Graph shows A again."""
    await first_run(database, "1")
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [digested("1", "B")])
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE inventory_item SET raw_digest = :a"), {"a": _digest("A")})
        await session.execute(text("UPDATE inventory_item SET raw_digest_at = first_seen_at"))
    assert await known_ids(database, unchanged_items("1")) == set()


async def test_wave_with_a_lost_page_is_lost(database: Database) -> None:
    await first_run(database, "1", "2")
    run = await begin(database, TENANT, "a")
    token, rows = await stage(database, run, unchanged_items("1"))
    with pytest.raises(merging.StagedRowsLostError, match="1 of 2"):
        await merge(database, run, (token, rows + 1))
    kept = await stage(database, run, unchanged_items("2"))
    assert (await merge(database, run, kept, (token, rows + 1))).lost == [token]
