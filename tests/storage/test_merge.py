from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from inventory.observation import Observation
from inventory.records import ItemRecord
from storage import merge as merging
from storage import staging
from storage.database import Database
from storage.documents import document
from storage.runs import RunIdentity
from tests.storage.support import begin, end, items, land, observation, sync

TENANT = uuid4()

_SCANS = text("SELECT idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'inventory_item'")
"""This connection's index scans that PostgreSQL has not summed up yet: only their growth in a transaction counts."""


async def _versions(database: Database) -> list[tuple[str, int]]:
    async with database.tenant(TENANT) as session:
        rows = await session.execute(text("SELECT external_id, version_number FROM item_version ORDER BY 1, 2"))
        return [(row.external_id, row.version_number) for row in rows]


async def _count(database: Database, table: str) -> int:
    async with database.tenant(TENANT) as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_upsert_creates_no_duplicates_and_moves_last_seen(database: Database) -> None:
    wave = [observation("a", "1", displayName="one"), observation("a", "2", displayName="two")]
    first = await sync(database, TENANT, wave, "a")
    before = await items(database, TENANT)
    second = await sync(database, TENANT, wave, "a")
    after = await items(database, TENANT)

    assert (first.created, first.unchanged) == (2, 0)
    assert (second.created, second.changed, second.unchanged) == (0, 0, 2)
    assert after.keys() == before.keys() == {"1", "2"}
    for external_id in before:
        assert after[external_id].last_seen_at > before[external_id].last_seen_at
        assert after[external_id].last_seen_run_id != before[external_id].last_seen_run_id
        assert after[external_id].first_seen_at == before[external_id].first_seen_at
        assert after[external_id].content_hash == before[external_id].content_hash


async def test_unchanged_items_make_no_version_and_no_document(database: Database) -> None:
    wave = [observation("a", "1", value=1)]
    await sync(database, TENANT, wave, "a")
    await sync(database, TENANT, wave, "a")
    assert await _versions(database) == [("1", 1)]
    assert await _count(database, "document") == 1


async def test_returning_document_makes_a_version_but_no_document(database: Database) -> None:
    for value in ("A", "B", "A"):
        await sync(database, TENANT, [observation("a", "1", value=value)], "a")
    assert await _versions(database) == [("1", 1), ("1", 2), ("1", 3)]
    assert await _count(database, "document") == 2


async def test_items_with_equal_content_share_a_document(database: Database) -> None:
    rules_blind_to_id = [observation("a", "1"), observation("b", "1")]
    merged = await sync(database, TENANT, rules_blind_to_id, "a", "b")
    assert merged.created == 2
    assert await _count(database, "document") == 1


async def test_fetch_token_is_merged_once_and_a_retry_gets_the_same_result(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [observation("a", "1")])
    answers = []
    for _ in range(2):
        async with database.tenant(TENANT) as session:
            answers.append(await merging.merge(session, run.run_id, token, promised_rows=1))
    assert answers[0] == answers[1]
    assert answers[0].created == 1
    assert await _versions(database) == [("1", 1)]


async def test_a_zombie_attempt_that_staged_under_its_own_token_changes_nothing(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, uuid4(), [observation("a", "1", value="stale")])
    await land(database, TENANT, run, [observation("a", "1", value="fresh")])
    await end(database, TENANT, run)
    assert await _versions(database) == [("1", 1)]
    assert await _count(database, "staged_observation") == 0


async def test_fetch_token_with_fewer_rows_than_promised_merges_nothing(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [observation("a", "1")])
    with pytest.raises(merging.StagedRowsLostError, match="1 of 2"):
        async with database.tenant(TENANT) as session:
            await merging.merge(session, run.run_id, token, promised_rows=2)
    assert await items(database, TENANT) == {}
    assert await _count(database, "merged_wave") == 0


async def test_first_listing_of_a_collection_looks_no_item_up(database: Database) -> None:
    run = await begin(database, TENANT, "a", "b")
    scans = []
    for wave in range(2):
        token, wave_items = uuid4(), [observation("a", f"{wave}-{number}") for number in range(50)]
        async with database.tenant(TENANT) as session:
            await staging.stage(session, run.run_id, token, [*wave_items, observation("b", f"{wave}")])
        async with database.tenant(TENANT) as session:
            before = (await session.execute(_SCANS)).scalar_one()
            merged = await merging.merge(session, run.run_id, token, promised_rows=51)
            scans.append((await session.execute(_SCANS)).scalar_one() - before)
        assert merged.created == 51
    assert scans[1] - scans[0] >= 51, "a look-up for each item of the second wave only"


async def _staged(database: Database, run: RunIdentity, *waves: list[Observation]) -> list[UUID]:
    tokens = [uuid4() for _ in waves]
    for token, wave in zip(tokens, waves, strict=True):
        async with database.tenant(TENANT) as session:
            await staging.stage(session, run.run_id, token, wave)
    return tokens


async def test_waves_merged_together_keep_the_latest_observation_of_an_item(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "0", value=0)], "a", "b")
    run = await begin(database, TENANT, "a", "b")
    first, *more = await _staged(
        database,
        run,
        [observation("a", "0", value=0), observation("a", "1", value="older"), observation("b", "1")],
        [observation("a", "1", value="newer"), observation("a", "2")],
        [observation("a", "1", value="newest")],
    )
    answers = []
    for _ in range(2):
        async with database.tenant(TENANT) as session:
            rows = dict(zip(more, (2, 1), strict=True))
            merged = await merging.merge(session, run.run_id, first, promised_rows=3, together_with=rows)
            answers.append(merged)
    assert answers[0] == answers[1]
    assert (merged.created, merged.changed, merged.unchanged) == (3, 0, 1)
    assert (merged.duplicates, merged.duplicate_ids, merged.reread) == ({"a": 2}, [("a", "1")], {})
    assert await _versions(database) == [("0", 1), ("1", 1), ("1", 1), ("2", 1)]
    async with database.tenant(TENANT) as session:
        newest = await document(session, "a", "1", 1)
    assert newest is not None
    assert orjson.loads(newest)["value"] == "newest"
    assert await _count(database, "staged_observation") == 0


async def test_waves_of_a_restarted_listing_hold_no_duplicates(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    first, *more = await _staged(database, run, [observation("a", "1")], [observation("a", "1")])
    async with database.tenant(TENANT) as session:
        merged = await merging.merge(
            session, run.run_id, first, promised_rows=1, together_with=dict.fromkeys(more, 1), restarted=["a"]
        )
    assert (merged.created, merged.unchanged, merged.duplicates, merged.reread) == (1, 0, {}, {"a": 1})


@pytest.mark.parametrize("first_is_lost", [True, False])
async def test_merge_of_several_waves_names_the_lost_wave(database: Database, first_is_lost: bool) -> None:
    run = await begin(database, TENANT, "a")
    (staged,) = await _staged(database, run, [observation("a", "1")])
    lost = uuid4()
    first, other = (lost, staged) if first_is_lost else (staged, lost)
    for _ in range(2):
        async with database.tenant(TENANT) as session:
            merged = await merging.merge(session, run.run_id, first, promised_rows=1, together_with={other: 1})
        assert (merged.created, merged.lost) == (1, [lost])
    assert (await items(database, TENANT)).keys() == {"1"}


async def test_merge_fails_if_all_waves_are_lost(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    with pytest.raises(merging.StagedRowsLostError, match="0 of 3"):
        async with database.tenant(TENANT) as session:
            await merging.merge(session, run.run_id, uuid4(), promised_rows=1, together_with={uuid4(): 2})
    assert await _count(database, "merged_wave") == 0


async def test_an_older_observation_never_replaces_a_newer_one(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    early, late = uuid4(), uuid4()
    for token, value in ((early, "older"), (late, "newer")):
        async with database.tenant(TENANT) as session:
            await staging.stage(session, run.run_id, token, [observation("a", "1", displayName=value)])
    for token in (late, early):
        async with database.tenant(TENANT) as session:
            await merging.merge(session, run.run_id, token, promised_rows=1)
    assert (await items(database, TENANT))["1"].display_name == "newer"
    assert await _versions(database) == [("1", 1)]


async def test_an_id_listed_again_on_a_later_page_is_a_duplicate(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "1"), observation("a", "2")])
    merged = await land(database, TENANT, run, [observation("a", "2"), observation("a", "3")])
    assert (merged.created, merged.unchanged) == (1, 0)
    assert merged.duplicates == {"a": 1}
    assert merged.duplicate_ids == [("a", "2")]


async def test_an_item_edited_between_two_pages_keeps_both_versions(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "1", value=1)])
    merged = await land(database, TENANT, run, [observation("a", "1", value=2)])
    assert (merged.changed, merged.duplicates) == (1, {})
    assert await _versions(database) == [("1", 1), ("1", 2)]


async def test_restarted_listing_has_no_duplicates(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "1")])
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [observation("a", "1")])
        merged = await merging.merge(session, run.run_id, token, promised_rows=1, restarted=["a"])
    assert (merged.unchanged, merged.duplicates, merged.reread) == (0, {}, {"a": 1})


listing = st.dictionaries(st.sampled_from("123456"), st.integers(0, 2), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(listings=st.lists(listing, min_size=1, max_size=5))
async def test_any_series_of_runs_matches_a_dictionary_model(
    database: Database, listings: list[dict[str, int]]
) -> None:
    tenant = uuid4()
    model: dict[str, list[int]] = {}
    for values in listings:
        merged = await sync(
            database, tenant, [observation("a", key, value=value) for key, value in values.items()], "a"
        )
        expected = {"created": 0, "changed": 0, "unchanged": 0}
        for key, value in values.items():
            history = model.setdefault(key, [])
            kind = "created" if not history else "unchanged" if history[-1] == value else "changed"
            expected[kind] += 1
            if kind != "unchanged":
                history.append(value)
        assert {kind: getattr(merged, kind) for kind in expected} == expected
        stored: dict[str, ItemRecord] = await items(database, tenant)
        assert stored.keys() == model.keys()
        assert {key for key, item in stored.items() if item.state == "present"} == values.keys()
    async with database.tenant(tenant) as session:
        rows = await session.execute(text("SELECT external_id, count(*) AS versions FROM item_version GROUP BY 1"))
        assert {row.external_id: row.versions for row in rows} == {key: len(h) for key, h in model.items()}
