"""References are read once from each current version, even during concurrent writes."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from answers.dependencies import queries as dependencies
from answers.dependencies.queries import Edge
from inventory.observation import Observation, ObservationRules, Observer
from inventory.outcomes import RunStatus
from inventory.reference_extraction import NOBODY, ReadingRules
from storage import merge as merging
from storage import references, staging, versions
from storage.database import Database
from tests.deadlines import until_async
from tests.storage.support import begin, end, land, list_document, observation, sync

TENANT = uuid4()
RULES = {"policies": ReadingRules({"groupIds": ("groups",), "use": ("groups", "apps")}, assignable=False)}

NOTHING = {"policies": ReadingRules({}, assignable=False)}


def policy(external_id: str = "p", **properties: Any) -> Observation:
    return observation("policies", external_id, **properties)


def referring(external_id: str = "p", **properties: Any) -> Observation:
    """A policy with its references, as the first listing of its collection reads it."""
    observer = Observer(ObservationRules(type_key="policies"), reading=RULES["policies"])
    return observer.observe({"id": external_id, **properties}, with_references=True)


async def stored_references(
    database: Database, external_id: str = "p", type_key: str = "policies"
) -> list[tuple[int, str]]:
    """Version and target of each stored reference of an item."""
    async with database.tenant(TENANT, read_only=True) as session:
        found = await dependencies.of_items(session, [(type_key, external_id)], 100)
    return [(reference.version, reference.target_id) for reference in found]


async def unread(database: Database) -> int:
    async with database.tenant(TENANT, read_only=True) as session:
        return await references.count_unread(session, RULES)


async def catch_up(database: Database, rules: dict[str, ReadingRules] = RULES) -> None:
    await references.catch_up(database, TENANT, rules, in_turn=True)


async def test_only_references_of_the_current_version_are_stored(database: Database) -> None:
    await sync(database, TENANT, [policy(groupIds=["a", "b"])], "policies")
    assert await stored_references(database) == []
    await catch_up(database)
    assert await stored_references(database) == [(1, "a"), (1, "b")]
    await sync(database, TENANT, [policy(groupIds=["b"])], "policies")
    await catch_up(database)
    assert await stored_references(database) == [(2, "b")]
    await sync(database, TENANT, [policy()], "policies")
    await catch_up(database)
    assert await stored_references(database) == []


async def test_an_unchanged_item_is_not_read_again(database: Database) -> None:
    for _ in range(2):
        await sync(database, TENANT, [policy(groupIds=["a"])], "policies")
        await catch_up(database)
    async with database.tenant(TENANT) as session:
        before = (await session.execute(text("SELECT xmin::text FROM item_reference"))).scalar_one()
    await sync(database, TENANT, [policy(groupIds=["a"])], "policies")
    assert await unread(database) == 0
    await catch_up(database)
    async with database.tenant(TENANT) as session:
        assert (await session.execute(text("SELECT xmin::text FROM item_reference"))).scalar_one() == before


async def are_read(database: Database, rules: dict[str, ReadingRules] = RULES) -> bool:
    async with database.tenant(TENANT, read_only=True) as session:
        hashes = {key: rule.hash() for key, rule in rules.items()}
        return await references.read_tenants(session, [TENANT], hashes) == {TENANT}


async def test_tenant_counts_as_read_only_under_current_rules_and_versions(database: Database) -> None:
    assert not await are_read(database), "no rules are stored"
    await catch_up(database)
    assert await are_read(database)
    for name in "ab":
        await sync(
            database, TENANT, [policy(groupIds=[name]), observation("things", "1", name=name)], "policies", "things"
        )
        assert not await are_read(database)
        await catch_up(database)
        assert await are_read(database), "a later release's collections do not count"
    others = {"policies": ReadingRules({"use": ("groups",)}, assignable=False)}
    assert not await are_read(database, others)
    assert not await are_read(database, {**RULES, "apps": ReadingRules({"x": ("groups",)}, assignable=False)})


async def test_list_document_is_read_once_it_is_the_version(database: Database) -> None:
    run = await begin(database, TENANT, "policies")
    await land(database, TENANT, run, [list_document("policies", "p", groupIds=["a"])])
    await catch_up(database)
    assert await stored_references(database) == []
    await end(database, TENANT, run, RunStatus.PARTIAL)
    assert await unread(database) == 1
    await catch_up(database)
    assert await stored_references(database) == [(1, "a")]


async def test_changed_rules_read_only_their_own_collections_again(database: Database) -> None:
    await sync(database, TENANT, [policy(groupIds=["a"], other=["x"]), observation("apps", "1")], "apps", "policies")
    both = {**RULES, "apps": ReadingRules({"x": ("groups",)}, assignable=False)}
    await catch_up(database, both)
    async with database.tenant(TENANT) as session:
        await references.follow_rules(session, both)
        assert await references.count_unread(session, both) == 0
        changed_rules = {**both, "policies": ReadingRules({"other": ("groups",)}, assignable=False)}
        await references.follow_rules(session, changed_rules)
        assert await references.count_unread(session, changed_rules) == 1
    await catch_up(database, changed_rules)
    assert await stored_references(database) == [(1, "x")]


async def test_references_read_by_a_later_release_are_left_alone(database: Database) -> None:
    later = "things"
    both = {**RULES, later: ReadingRules({"groupIds": ("groups",)}, assignable=False)}
    await catch_up(database, both)
    for group, kept_before in (("b", []), ("c", [(1, "b")])):
        items = [policy(groupIds=["a"]), observation(later, "p", groupIds=[group])]
        await sync(database, TENANT, items, later, "policies")
        await catch_up(database)
        assert await stored_references(database) == [(1, "a")]
        assert (await stored_references(database, type_key=later), await unread(database)) == (kept_before, 0)
        await catch_up(database, both)
    assert await stored_references(database, type_key=later) == [(2, "c")]


async def test_failed_batch_is_read_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await sync(database, TENANT, [policy(groupIds=["a"]), policy("q", groupIds=["b"])], "policies")
    with monkeypatch.context() as broken:
        broken.setattr(references, "_read_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await catch_up(database)
    assert await unread(database) == 2
    await catch_up(database)
    assert (await stored_references(database), await stored_references(database, "q")) == ([(1, "a")], [(1, "b")])


async def test_version_made_during_a_read_is_read_afterwards(database: Database, database_url: str) -> None:
    await sync(database, TENANT, [policy(groupIds=["old"])], "policies")
    run = await begin(database, TENANT, "policies")
    async with database.tenant(TENANT) as reader:
        assert await references.read_some(reader, RULES) == 1
        merging = asyncio.create_task(land(database, TENANT, run, [policy(groupIds=["new"])]))
        await _until_a_transaction_waits(database_url)
        assert not merging.done()
    await merging
    assert (await stored_references(database), await unread(database)) == ([(1, "old")], 1)
    await catch_up(database)
    assert await stored_references(database) == [(2, "new")]


async def rows(database: Database) -> list[tuple[Any, ...]]:
    """All stored references."""
    async with database.tenant(TENANT, read_only=True) as session:
        found = await session.execute(text("SELECT * FROM item_reference ORDER BY external_id, position"))
        return [tuple(row) for row in found]


async def test_first_version_stores_the_same_references_as_a_reader(database: Database) -> None:
    await catch_up(database)
    await sync(database, TENANT, [referring(groupIds=["b", "a"], use="c"), referring("q"), policy("r")], "policies")
    assert await unread(database) == 1, "the version without references"
    assert await stored_references(database) == [(1, "a"), (1, "b"), (1, "c")]
    kept = await rows(database)
    async with database.tenant(TENANT) as session:
        await session.execute(
            text("INSERT INTO unread_item (type_key, external_id) VALUES ('policies', 'p'), ('policies', 'q')")
        )
    await catch_up(database)
    assert await rows(database) == kept


async def test_references_of_a_later_version_are_left_to_a_reader(database: Database) -> None:
    await catch_up(database)
    for group in "ab":
        await sync(database, TENANT, [referring(groupIds=[group])], "policies")
    assert (await stored_references(database), await unread(database)) == ([(1, "a")], 1)
    await catch_up(database)
    assert await stored_references(database) == [(2, "b")]


async def test_references_read_with_details_are_stored_with_the_version(database: Database) -> None:
    await catch_up(database)
    run = await begin(database, TENANT, "policies")
    await land(database, TENANT, run, [list_document("policies", "p")])
    whole = referring(groupIds=["a"])._replace(list_hash=list_document("policies", "p").list_hash)
    async with database.tenant(TENANT) as session:
        await merging.merge_whole(session, run.run_id, uuid4(), [whole])
    await end(database, TENANT, run)
    assert (await stored_references(database), await unread(database)) == ([(1, "a")], 0)


@pytest.mark.parametrize("followed", [{}, {"policies": ReadingRules({"use": ("groups",)}, assignable=False)}])
async def test_references_read_by_other_rules_are_read_again(
    database: Database, followed: dict[str, ReadingRules]
) -> None:
    await catch_up(database, followed)
    await sync(database, TENANT, [referring(groupIds=["a"], use="c")], "policies")
    assert (await stored_references(database), await unread(database)) == ([], 1)


async def test_first_listing_counts_as_read_under_rules_without_references(database: Database) -> None:
    await catch_up(database, NOTHING)
    observer = Observer(ObservationRules(type_key="policies"), reading=NOTHING["policies"])
    observed = observer.observe({"id": "p", "groupIds": ["a"]}, with_references=True)
    await sync(database, TENANT, [observed, policy("q")], "policies")
    assert await unread(database) == 1, "the version without references"
    await catch_up(database, NOTHING)
    assert (await stored_references(database), await unread(database)) == ([], 0)


async def test_references_follow_added_and_removed_rules(database: Database) -> None:
    await sync(database, TENANT, [policy(groupIds=["a"]), policy("q")], "policies")
    await catch_up(database, NOTHING)
    await catch_up(database)
    assert await stored_references(database) == [(1, "a")]
    async with database.tenant(TENANT) as session:
        await references.follow_rules(session, NOTHING)
    assert await unread(database) == 1, "only this version has a reference"
    await catch_up(database, NOTHING)
    assert await stored_references(database) == []


async def test_rules_changed_during_a_merge_read_its_items_again(database: Database, database_url: str) -> None:
    await catch_up(database)
    run = await begin(database, TENANT, "policies")
    token, others = uuid4(), {"policies": ReadingRules({"use": ("groups",)}, assignable=False)}
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [referring(groupIds=["a"], use="c")])
    async with database.tenant(TENANT) as session:
        await merging.merge(session, run.run_id, token, promised_rows=1)
        changing = asyncio.create_task(catch_up(database, others))
        await _until_a_transaction_waits(database_url)
        assert not changing.done()
    await changing
    assert await stored_references(database) == [(1, "c")]


async def test_two_readers_divide_the_unread_items(database: Database, database_url: str) -> None:
    await catch_up(database)
    items = [policy(str(number), groupIds=["a"]) for number in range(30)]
    await sync(database, TENANT, items, "policies")
    async with database.tenant(TENANT) as slow:
        assert await references.read_some(slow, RULES, 10) == 10
        await references.catch_up(database, TENANT, RULES)
        waiting = asyncio.create_task(catch_up(database))
        await _until_a_transaction_waits(database_url)
        assert not waiting.done(), "a reader waits for the references that another task reads"
    await waiting
    async with database.tenant(TENANT, read_only=True) as session:
        found = await dependencies.to_items(session, [("groups", "a")], 100)
    assert sorted(reference.external_id for reference in found) == sorted(item.external_id for item in items)


async def test_retention_leaves_references_alone(database: Database) -> None:
    for group in "abc":
        await sync(database, TENANT, [policy(groupIds=[group])], "policies")
    await catch_up(database)
    async with database.tenant(TENANT) as session:
        assert (await versions.forget(session, older_than=None, kept=1, most=10)).versions == 2
    assert await stored_references(database) == [(3, "c")]


async def test_present_item_is_preferred_as_a_references_target(database: Database) -> None:
    await sync(database, TENANT, [observation("groups", "1")], "groups")
    await sync(database, TENANT, [], "groups")
    await sync(database, TENANT, [policy(use="1")], "policies")
    await catch_up(database)

    async def only_edge() -> Edge:
        async with database.tenant(TENANT, read_only=True) as session:
            (edge,) = await dependencies.of_items(session, [("policies", "p")], 10)
            return edge

    dangling = await only_edge()
    assert dangling.target is not None
    assert (dangling.target.type_key, dangling.target.absence_evidence) == ("groups", "not_listed")
    await sync(database, TENANT, [observation("apps", "1", displayName="App")], "apps")
    there = await only_edge()
    assert there.target is not None
    assert (there.target.type_key, there.target.display_name, there.target.absence_evidence) == ("apps", "App", None)


async def test_unassigned_items_are_stored_apart_from_references(database: Database) -> None:
    rules = {"policies": ReadingRules(RULES["policies"].references, assignable=True)}
    await sync(database, TENANT, [policy(assignments=[], groupIds=["a"]), policy("q", groupIds=["a"])], "policies")
    await catch_up(database, rules)
    assert await stored_references(database) == [(1, "a")]
    async with database.tenant(TENANT, read_only=True) as session:
        unassigned = [item.external_id async for item in dependencies.unassigned(session, [TENANT], None)]
        unknown = await dependencies.unknown_assignments(session, [TENANT], None)
        everything = [reference async for reference in dependencies.all_references(session)]
    assert (unassigned, unknown) == (["p"], [(TENANT, "policies", 1)])
    assert {reference.target_id for reference in everything} == {"a"}
    assert NOBODY not in {reference.target_id for reference in everything}


async def _until_a_transaction_waits(database_url: str) -> None:
    """Waits until a transaction waits for another's lock."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def waits() -> bool:
            return await (await connection.execute(statement)).fetchone() != (0,)

        await until_async(waits)


def test_a_reference_of_an_unknown_role_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO item_reference VALUES (gen_random_uuid(), 'a', '1', 0, 1, 'x', 'perhaps', '{}', '1')"
        )
