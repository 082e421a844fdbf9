"""Query plans under the statistics of a large inventory: they use indexes at any size.

Times depend on the machine and are measured by `benchmarks/growth.py`; plans do not.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url, text

from answers.assignments import queries as assignments
from answers.changes import audit_queries as auditing
from answers.changes import queries as changes
from answers.coverage import queries as coverage
from answers.coverage.answer import Extent, unread_collections
from answers.dependencies import queries as dependencies
from answers.drift.baseline_queries import latest_ended_run
from answers.drift.queries import drift_in_numbers
from answers.item_filter import ItemFilter, SettingCondition
from answers.item_states import StateChoice
from answers.items import queries as items
from answers.notifications.queries import newest_notifications
from answers.search import queries as search
from answers.search.answer import Sought, find, search_basis, settings_meant, tenant_settings
from answers.status.queries import tenant_states
from benchmarks.filled_inventory import ITEM_TYPES, fill, observation
from benchmarks.growth import SLOTS
from graph.catalog import load_catalog
from inventory.notifications import NotificationState
from inventory.observation import Observation
from inventory.outcomes import CollectionResult, Counts, Outcome, RunKind, RunStatus
from inventory.reference_extraction import ReadingRules
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from storage import confirmations as confirming
from storage import detail_ages, details, documents, queries, references, runs, staging, unread_references
from storage import merge as merging
from storage.access import Access
from storage.coverage import coverage_of_tenants
from storage.current_documents import current_documents
from storage.database import Database
from storage.name_order import NamePlace, place_of
from storage.object_names import display_names
from storage.roles import ROLES, script
from storage.schema import upgrade
from storage.titles import give_titles
from tests.conftest import make_login, url_of
from tests.storage.statement_plans import Explained
from tests.storage.support import AUDITED_AT, sync

MINE, THEIRS = UUID(int=1), UUID(int=2)
ITEMS = 10_000
PAGE = queries.Page(limit=100)
SOME = Selection(type_keys=ITEM_TYPES[:2])


REFERRING = (
    """
    INSERT INTO item_reference (
        tenant_id, type_key, external_id, position, version_number, path, role, target_type_keys, target_id
    )
    SELECT tenant_id, type_key, external_id, position, 1, 'x', role, CAST(types AS text[]), target_id
    FROM (SELECT *, row_number() OVER () AS number FROM inventory_item) AS item CROSS JOIN LATERAL (VALUES
        (0, 'include', '{groups}', CAST(number % 300 AS text)), (1, 'use', '{roleScopeTags}', '0'),
        (2, 'include', '{}', CASE WHEN number % 100 = 0 THEN 'nobody' ELSE 'all devices' END)
    ) AS made (position, role, types, target_id)
    """,
    """
    INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
    SELECT CAST(lpad(to_hex(tenant), 32, '0') AS uuid), type_key, external_id, name_key
    FROM item_name CROSS JOIN generate_series(100, 105) AS tenant
    WHERE tenant_id = '00000000-0000-0000-0000-000000000001'
    """,
    """
    INSERT INTO item_settings (tenant_id, type_key, external_id, settings)
    SELECT tenant_id, type_key, external_id, string_agg(
        E'\\x1ea_setting' || number * (position + 7) % 3000 || E'\\x1f' || number % 5, '' ORDER BY position
    ) || E'\\x1e'
    FROM (SELECT *, row_number() OVER () AS number FROM inventory_item) AS item
        CROSS JOIN generate_series(0, 4) AS position
    GROUP BY tenant_id, type_key, external_id
    """,
    """
    INSERT INTO collection_setting (tenant_id, type_key, setting)
    SELECT DISTINCT tenant_id, type_key, split_part(entry, E'\\x1f', 1)
    FROM item_settings CROSS JOIN string_to_table(trim(settings, E'\\x1e'), E'\\x1e') AS entry
    """,
    """
    INSERT INTO tenant (tenant_id, name)
    SELECT gen_random_uuid(), CAST(number AS text) FROM generate_series(1, 300) AS number
    """,
    """
    INSERT INTO collection_coverage (tenant_id, type_key, run_id, run_started_at, outcome)
    SELECT tenant.tenant_id, key, gen_random_uuid(), clock_timestamp(), 'skipped'
    FROM tenant CROSS JOIN (SELECT DISTINCT type_key AS key FROM collection_coverage) AS known
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO unread_item SELECT tenant_id, type_key, external_id FROM inventory_item ORDER BY external_id LIMIT 9000
    """,
)
"""The references of each item: one of three hundred groups, the one scope tag, and everyone or nobody.

Its settings: five of three thousand. Six other tenants have names alone, so that one tenant's are few.
"""

ANY_RULES = {key: ReadingRules({"x": ("groups",)}, assignable=False) for key in ITEM_TYPES}


# One event about each item, all at the same time.
_FILL_AUDIT_LOG = """
INSERT INTO inventory_item (
    tenant_id, type_key, external_id, meta, content_hash, version_number, first_seen_at, first_seen_run_id,
    content_changed_at, last_seen_at, last_seen_run_id
)
SELECT tenant_id, 'auditEvents', type_key || '/' || external_id,
    jsonb_build_object('resource_ids', ARRAY[external_id], 'activity_at', to_char(
        CAST(%(at)s AS timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
    content_hash, 1, first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id
FROM inventory_item
"""


_FILL_NOTIFICATIONS = """
INSERT INTO notification (tenant_id, target, event_hash, delivery_id, kind, severity, event, state, noted_at, ended_at)
SELECT tenant_id, 'mail', sha256(CAST(number AS text)::bytea), gen_random_uuid(), 'run_failed', 'high',
    '{"text": "a run failed"}', 'sent', clock_timestamp() - number * interval '1 minute', clock_timestamp()
FROM (SELECT DISTINCT tenant_id FROM inventory_item) AS known CROSS JOIN generate_series(1, 5000) AS number
"""


_FILL_PENDING = """
INSERT INTO pending_item (run_id, type_key, external_id, shard, list_hash, list_document, list_document_size)
SELECT :run_id, type_key, external_id, hashtext(external_id) & 15, content_hash, content_hash, 32
FROM inventory_item LIMIT :items
"""


@pytest.fixture
def explained() -> Iterator[Explained]:
    found = Explained()
    event.listen(Engine, "before_cursor_execute", found.add)
    yield found
    event.remove(Engine, "before_cursor_execute", found.add)


@pytest.fixture(scope="module")
def filled_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:  # the roles are there
    name = f"plans_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        make_login(connection, name)
        connection.execute(script(name).encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    assert upgrade(url_of(postgres, name, name)).roles == ROLES
    url = url_of(postgres, name)
    for tenant_id in (MINE, THEIRS):
        fill(url, ITEMS, tenant_id)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in REFERRING:
            connection.execute(statement)
        connection.execute(_FILL_AUDIT_LOG, {"at": AUDITED_AT})
        connection.execute(_FILL_NOTIFICATIONS)
        connection.execute("VACUUM (ANALYZE)")
    yield url_of(postgres, name, name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["two roles", pytest.param("one role", marks=pytest.mark.slow)])
async def filled(filled_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database = Database(filled_url, pool_size=1)
    if request.param == "one role":
        owner = make_url(filled_url).username
        assert owner is not None
        database._access = Access(owner, owner)  # policies are those of a database without roles
    yield database
    await database.close()


LATER_PAGE = PAGE._replace(after=NamePlace(ITEM_TYPES[7], "policy 7", "7"))
IN_ORDER = {
    ("Index Only Scan", "item_name", "item_name_by_name"),
    ("Index Scan", "inventory_item", "inventory_item_pkey"),
}
AROUND = {"Limit", "Subquery Scan", "Nested Loop", "Aggregate", "Function Scan", "Memoize", "Result"}


@pytest.mark.parametrize("type_keys", [None, [ITEM_TYPES[7]], list(ITEM_TYPES[3:30])])
@pytest.mark.parametrize("page", [queries.EVERYTHING, PAGE, LATER_PAGE])
async def test_items_are_read_in_name_order_without_a_sort(
    filled: Database, explained: Explained, type_keys: list[str] | None, page: queries.Page
) -> None:
    async with filled.tenant(MINE, read_only=True) as session:
        async for _ in queries.items(session, None, type_keys, page):
            pass
    assert {node[:3] for node in explained.nodes if node.kind not in AROUND} == IN_ORDER
    [start] = [node.condition for node in explained.nodes if node.table == "item_name"]
    assert "ROW(type_key, name_key, external_id) >" in start
    assert type_keys is None or "type_key >= (" in start


async def test_place_of_an_item_is_read_by_primary_key(filled: Database, explained: Explained) -> None:
    some = observation(7)
    for session_of in (filled.tenant(MINE, read_only=True), filled.portfolio([MINE])):
        async with session_of as session:
            place = await place_of(session, some.type_key, some.external_id, MINE)
            assert place == (some.type_key, "policy 7", some.external_id)
    assert {node.by for node in explained.nodes if node.table} == {"item_name_pkey"}


async def test_missing_items_of_a_collection_are_read_by_index(filled: Database, explained: Explained) -> None:
    async with filled.tenant(MINE, read_only=True) as session:
        question = await queries.question(session)
        assert question is not None
        async for _ in queries.missing_items(session, question, [ITEM_TYPES[7]], PAGE):
            pass
    explained.assert_by_index()


async def test_missing_items_of_all_collections_are_read_by_the_absence_index(
    filled: Database, explained: Explained
) -> None:
    async with filled.tenant(MINE, read_only=True) as session:
        question = await queries.question(session)
        assert question is not None
        found = [item async for item in queries.missing_items(session, question, None, PAGE)]
    assert found
    assert "inventory_item_absent" in {node.by for node in explained.nodes}
    explained.assert_by_index()


async def test_changes_are_read_by_the_index_of_observation_times(filled: Database, explained: Explained) -> None:
    some = [observation(number) for number in range(20)]
    async with filled.tenant(MINE, read_only=True) as session:
        now = await documents.database_time(session)
        for days in (1, 400):
            await changes.events(session, changes.Window(now - timedelta(days=days), now), 100)
            await changes.newest_events(session, changes.Window(now - timedelta(days=days), now), 100)
        noticed = [
            changes.Event(now, item.type_key, item.external_id, changes.EventKind.VERSION, uuid4(), 1) for item in some
        ]
        assert len(list(await changes.versions_of(session, noticed))) == len(some)
        await changes.absences_of(session, noticed)
    explained.assert_by_index()
    assert "item_version_observed" in {node.by for node in explained.nodes}


async def test_the_newest_changes_of_all_tenants_are_found_by_index(filled: Database, explained: Explained) -> None:
    async with filled.portfolio() as session:
        window = changes.Window(AUDITED_AT - timedelta(days=9), await documents.database_time(session))
        last = changes.Event(window.until, ITEM_TYPES[7], "7", changes.EventKind.VERSION, uuid4(), 2, MINE)
        for before in (None, last):
            await changes.newest_events(session, window, 50, before, tenant_ids=[MINE, THEIRS])
    explained.assert_by_index()
    assert "item_version_observed" in {node.by for node in explained.nodes}
    assert "Incremental Sort" in {node.kind for node in explained.nodes}, (
        "the scan stops after the row that fills a page"
    )


async def test_the_audit_events_of_objects_are_found_by_index(filled: Database, explained: Explained) -> None:
    ids = [observation(number).external_id for number in range(20)]
    async with filled.tenant(MINE, read_only=True) as session:
        found = await auditing.audit_events(session, ids, AUDITED_AT, AUDITED_AT)
    assert len(found) == len(ids)
    assert "audited_object_pkey" in {node.by for node in explained.nodes}
    explained.assert_by_index()


async def test_missing_items_of_all_tenants_are_counted_by_the_absence_index(
    filled: Database, explained: Explained
) -> None:
    for visible in (None, [MINE, THEIRS]):
        async with filled.portfolio(visible) as session:
            found = await tenant_states(session, [MINE, THEIRS], ["auditEvents"], ITEM_TYPES)
        assert {tenant.tenant_id for tenant in found} == {MINE, THEIRS}
    explained.assert_by_index()
    assert "inventory_item_absent" in {node.by for node in explained.nodes}


async def test_names_and_settings_of_tenants_are_read_by_index(filled: Database, explained: Explained) -> None:
    setting, word = SettingCondition("a_setting77", None), observation(7).display_name
    assert word is not None
    for session_of in (filled.portfolio(), filled.portfolio([MINE]), filled.tenant(MINE, read_only=True)):
        async with session_of as session:
            for sought in (
                Sought(word),
                Sought("zeppelin"),
                Sought(f"{word[:4]} {word[-4:]}"),
                Sought("sharepoint"),
                Sought(None, setting),
                Sought(word, setting),
            ):
                assert [item async for item in find(session, sought, [MINE], limit=10)] or sought != Sought(word)
            assert await tenant_settings(session, setting, [MINE])
            assert await settings_meant(session, "SETTING77") == ["a_setting77"]
            missing = ItemFilter(state=StateChoice.MISSING)
            assert [item async for item in find(session, Sought(items=missing), [MINE])]
            assert [item async for item in find(session, Sought(word, items=missing), [MINE])] == []
    explained.assert_by_index()
    assert "inventory_item_absent" in {node.by for node in explained.nodes}
    used = {"item_name_pkey", "item_settings_pkey", "collection_setting_by_name"}
    assert used <= {node.by for node in explained.nodes}


async def test_coverage_is_read_by_index_for_the_requested_tenants(filled: Database, explained: Explained) -> None:
    async with filled.portfolio() as session:
        assert (await search_basis(session, [MINE], None)).never_read == 0
        assert await unread_collections(session, [MINE], Extent.of(ITEM_TYPES)) == []
        assert await tenant_states(session, [MINE], [], ITEM_TYPES)
        assert await search.catalogs(session) == []
        assert len((await coverage_of_tenants(session, [MINE, THEIRS]))[THEIRS]) == len(ITEM_TYPES)
    read = [node for node in explained.nodes if node.table == "collection_coverage"]
    assert len(read) >= 5
    assert [node for node in read if "tenant_id" not in node.condition and node.kind != "Bitmap Heap Scan"] == []
    explained.assert_by_index()


async def test_run_records_and_items_are_found_by_index(filled: Database, explained: Explained) -> None:
    some = observation(7)
    async with filled.tenant(MINE, read_only=True) as session:
        assert await queries.item(session, some.type_key, some.external_id) is not None
        (newest, *_) = await queries.recent_runs(session, 5)
    for visible in (None, [MINE]):
        async with filled.portfolio(visible) as session:
            assert await queries.run_record(session, newest.run_id) == newest
            assert await queries.recent_runs(session, 5, kind=RunKind.WATCH) == []
    assert "sync_run_recent_of_watch" in {node.by for node in explained.nodes}
    explained.assert_by_index()
    assert [node for node in explained.nodes if node.table == "sync_run_collection" and node.kind == "Seq Scan"] == []


async def test_latest_ended_run_is_read_by_index(filled: Database, explained: Explained) -> None:
    baseline = "INSERT INTO baseline (name, kind, at, set_by, evaluated_at) VALUES ('x', 'moment', now(), 'x', now())"
    async with filled.tenant(MINE) as session:
        await session.execute(text(baseline))
        (drift,) = await drift_in_numbers(session, [MINE])
        assert not drift.is_behind
        assert await latest_ended_run(session) is not None
        await session.rollback()
    assert {node.by for node in explained.nodes if node.table == "sync_run"} == {"sync_run_ended"}


async def test_notifications_are_read_by_time_without_a_sort(filled: Database, explained: Explained) -> None:
    async with filled.portfolio() as session:
        found = await newest_notifications(session, 100, None, None)
        assert len(found) == 100
        later = await newest_notifications(session, 100, NotificationState.SENT, found[-1].place)
        assert later[0].place < found[-1].place
    read = [node for node in explained.nodes if node.table == "notification" or "Sort" in node.kind]
    assert [(node.kind, node.by) for node in read] == [("Index Scan", "notification_by_time")] * 2
    assert "noted_at" in read[1].condition


async def test_names_of_referenced_items_are_read_by_index(filled: Database, explained: Explained) -> None:
    some = observation(7)
    async with filled.tenant(MINE, read_only=True) as session:
        (found,) = await current_documents(session, some.type_key, [some.external_id, "nobody"])
        assert found.external_id == some.external_id
        assert await display_names(session, [("servicePrincipals", "00000002-0000-0ff1-ce00-000000000000")]) == {}
    explained.assert_by_index()


async def test_items_of_a_collection_are_found_by_name_with_an_index(filled: Database, explained: Explained) -> None:
    some = observation(7)
    async with filled.tenant(MINE, read_only=True) as session:
        assert await documents.find(session, some.type_key, some.external_id, 5)
        assert not await documents.find(session, some.type_key, "no such name", 5)
        assert not await assignments.items(session, [some.type_key], "no such name")
    explained.assert_by_index()


async def test_references_of_an_item_are_read_by_index(filled: Database, explained: Explained) -> None:
    some = observation(7)
    item = (some.type_key, some.external_id)
    async with filled.tenant(MINE, read_only=True) as session:
        assert await dependencies.known_object(session, item)
        assert await dependencies.of_items(session, [item] * 3, 10)
        assert await dependencies.to_items(session, [("groups", "7"), ("roleScopeTags", "0")], 10)
        assert [record async for record in dependencies.not_there(session, [MINE], None)]
        assert [record async for record in dependencies.unassigned(session, [MINE], None)]
        assert [record async for record in dependencies.reaching(session, "7", everyone=False)]
    explained.assert_by_index()


async def test_references_of_many_tenants_are_read_by_a_loose_index_scan(
    filled: Database, explained: Explained
) -> None:
    hashes = {key: rule.hash() for key, rule in ANY_RULES.items()}
    for session_of in (filled.portfolio, partial(filled.tenant, MINE, read_only=True)):
        explained.nodes.clear()
        async with session_of() as session:
            assert [record async for record in dependencies.not_there(session, [MINE, THEIRS], None)]
            walked = [node.condition for node in explained.nodes if "target_id >" in node.condition]
            assert len(walked) == 1, "otherwise each step reads all earlier rows"
            assert [record async for record in dependencies.unassigned(session, [MINE, THEIRS], None)]
            assert await dependencies.unknown_assignments(session, [MINE, THEIRS], None) == []
            assert await references.read_tenants(session, [MINE, THEIRS], hashes) == set()
            assert await detail_ages.old_details(session, ITEM_TYPES, [MINE, THEIRS]) == []
        explained.assert_by_index()


async def test_unread_items_are_found_by_index(filled: Database, explained: Explained) -> None:
    async with filled.tenant(MINE) as session:
        await references.follow_rules(session, ANY_RULES)
        explained.nodes.clear()  # new rules read their collections as a whole
        assert not await references.read_tenants(session, [MINE], {key: rule.hash() for key, rule in ANY_RULES.items()})
        for in_turn in (False, True):
            assert await references.read_some(session, ANY_RULES, in_turn=in_turn) == references.ITEMS_AT_A_TIME
        await session.rollback()
    explained.assert_by_index()


async def test_collection_sizes_and_gaps_are_read_by_index(filled: Database, explained: Explained) -> None:
    hashes = {key: rule.hash() for key, rule in ANY_RULES.items()}
    async with filled.tenant(MINE, read_only=True) as session:
        sizes = await items.collection_sizes(session)
        assert await unread_references.unread_references(session, hashes)
        await coverage.failing_collections(session)
    assert sizes
    assert max(size.items for size in sizes) <= items.MOST_COUNTED + 1
    explained.assert_by_index()


async def test_run_reads_its_collections_by_index(filled: Database, explained: Explained) -> None:
    covered = [observation(number) for number in range(200) if observation(number).type_key in SOME.type_keys]
    changed = [observation(number, 1) for number in range(200) if observation(number).type_key in SOME.type_keys]
    new = [observation(10**9 + number) for number in range(200)]
    run = runs.RunIdentity(uuid4(), "sync/plans", SOME, "Contoso")
    async with filled.tenant(MINE) as session:
        await runs.open_run(session, run, SLOTS)
    explained.nodes.clear()  # opening counts the missing items of an abandoned run, if any: rare and long
    for wave in (covered, changed, new):
        await land(filled, run, wave)
    async with filled.tenant(MINE) as session:
        await confirming.count_unlisted(session, run.run_id, SOME.type_keys)
        await confirming.some_unlisted(session, run.run_id, SOME.type_keys, 100)
        results = {type_key: CollectionResult(outcome=Outcome.COMPLETE) for type_key in SOME.type_keys}
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.SUCCESS, Counts(), [], results))
    explained.assert_by_index()
    assert explained.waves_looped_over == [], "each row of a wave is compared with each"
    by_place = [node for node in explained.nodes if node.table == "staged_item" and node.kind == "Tid Scan"]
    assert len(by_place) == 3 * 4, "documents, references, settings and pending documents of three waves"


async def test_end_of_a_run_reads_by_index_what_is_cheaper_to_read_whole(
    database: Database, explained: Explained
) -> None:
    """As if most items were of one tenant and a few collections."""
    await sync(database, MINE, [observation(1)], *ITEM_TYPES)
    async with database.tenant(MINE) as session:
        await give_titles(session, load_catalog().title_rules())
    explained.nodes = [
        node for node in explained.nodes if "absent_from = unlisted" in node.statement or "titled" in node.statement
    ]
    explained.assert_by_index()
    assert {node.table for node in explained.nodes} >= {"inventory_item", "item_reference", "collection_coverage"}


async def test_batch_of_details_reads_only_its_own_pending_items(filled: Database, explained: Explained) -> None:
    """The table has no statistics, since a run fills it and empties it again."""
    run = runs.RunIdentity(uuid4(), "sync/plans", SOME, "Contoso")
    async with filled.tenant(MINE) as session:
        await runs.open_run(session, run, SLOTS)
        await session.execute(text(_FILL_PENDING), {"run_id": run.run_id, "items": ITEMS // 2})
    explained.nodes.clear()
    shares = [details.Share(type_key, 0, 4) for type_key in SOME.type_keys]
    async with filled.tenant(MINE) as session:
        some = await details.some_pending(session, run.run_id, shares, 20)
        await details.note(session, run.run_id, some[:10], [None] * 10)
        await details.drop(session, run.run_id, some[10:])
        await details.left(session, run.run_id, shares)
    assert len(some) == 20
    read = [
        node
        for node in explained.nodes
        if node.table == "pending_item" and node.kind not in ("ModifyTable", "Tid Scan")
    ]
    assert len(read) == 4
    assert [node for node in read if "type_key" not in node.condition] == []
    async with filled.tenant(MINE) as session:
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.CANCELLED, Counts(), [], {}))


async def land(database: Database, run: runs.RunIdentity, wave: list[Observation]) -> None:
    token = uuid4()
    async with database.tenant(MINE) as session:
        await staging.stage(session, run.run_id, token, wave)
    async with database.tenant(MINE) as session:
        merged = await merging.merge(
            session, run.run_id, token, promised_rows=len(wave), detail_refresh=timedelta(hours=168)
        )
    assert merged.created + merged.changed + merged.unchanged == len(wave)
