"""Forgetting runs changes no answer about the inventory, now or at any earlier moment."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from answers.changes import queries as changes
from answers.changes.queries import Window
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from storage import documents, queries, runs
from storage import run_retention as forgetting
from storage.database import Database
from tests.storage.support import begin, end, items, land, observation, sync

COMPLETE = (Outcome.COMPLETE, None)
THROTTLED = (Outcome.INCOMPLETE, ErrorCode.GRAPH_THROTTLED)
FORBIDDEN = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
SELECTIONS = (("groups",), ("apps", "groups"))
NOW = timedelta(0)


class Read(NamedTuple):
    """A collection as a run read it: its ids, outcome and content."""

    ids: frozenset[str]
    outcome: tuple[Outcome, ErrorCode | None]
    says: str


class Step(NamedTuple):
    """A run. If it `overlaps`, it ends after the next runs of the other selection."""

    type_keys: tuple[str, ...]
    reads: Mapping[str, Read]
    overlaps: bool
    is_cancelled: bool
    confirms: bool


reads = st.builds(
    Read,
    st.frozensets(st.sampled_from("123")),
    st.sampled_from([COMPLETE, COMPLETE, COMPLETE, THROTTLED, FORBIDDEN]),
    st.sampled_from(["one", "one", "one", "two"]),
)
USUAL = Read(frozenset("12"), COMPLETE, "one")
steps = st.builds(
    Step,
    st.sampled_from(SELECTIONS),
    st.fixed_dictionaries({"groups": st.just(USUAL) | reads, "apps": st.just(USUAL) | reads}),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, False, True]),
    st.booleans(),
)


class History:
    """Plays runs on a tenant, and records the moments between their steps."""

    def __init__(self, database: Database) -> None:
        self.tenant_id = uuid4()
        self.moments: list[datetime] = []
        self._database = database

    async def play(self, played: Sequence[Step]) -> None:
        open_run: tuple[runs.RunIdentity, Step] | None = None
        for step in played:
            if open_run is not None and open_run[1].type_keys == step.type_keys:
                await self._end(*open_run)
                open_run = None
            run = await begin(self._database, self.tenant_id, *step.type_keys)
            for type_key in step.type_keys:
                await land(self._database, self.tenant_id, run, _seen(type_key, step.reads[type_key]))
                await self._note()
            if step.overlaps and open_run is None:
                open_run = (run, step)
            else:
                await self._end(run, step)
        if open_run is not None:
            await self._end(*open_run)

    async def _end(self, run: runs.RunIdentity, step: Step) -> None:
        outcomes = {type_key: step.reads[type_key].outcome for type_key in step.type_keys}
        status = RunStatus.SUCCESS if set(outcomes.values()) == {COMPLETE} else RunStatus.PARTIAL
        if step.confirms:
            await self._confirm(run, [key for key, outcome in outcomes.items() if outcome == COMPLETE])
            await self._note()
        await end(self._database, self.tenant_id, run, RunStatus.CANCELLED if step.is_cancelled else status, outcomes)
        await self._note()

    async def _confirm(self, run: runs.RunIdentity, type_keys: Sequence[str]) -> None:
        """Confirms items as missing, like a GET by id with the answer 404."""
        confirm = text("""
            UPDATE inventory_item SET missing_confirmed_at = clock_timestamp(), missing_confirmed_run_id = :run_id
            WHERE last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
                AND type_key = ANY (:type_keys)
        """)
        async with self._database.tenant(self.tenant_id) as session:
            await session.execute(confirm, {"run_id": run.run_id, "type_keys": list(type_keys)})

    async def _note(self) -> None:
        async with self._database.tenant(self.tenant_id) as session:
            self.moments.append(await documents.database_time(session))

    async def answers(self) -> tuple[dict[str, Any], set[tuple[int, str]]]:
        """The answers to all questions, and the items that are only presumed present, by moment and id."""
        answers: dict[str, Any] = {}
        async with self._database.tenant(self.tenant_id, read_only=True) as session:
            presumed: set[tuple[int, str]] = set()
            for number, moment in enumerate(self.moments):
                then = [state async for state in documents.items_at(session, moment)]
                presumed |= {(number, state.external_id) for state in then if state.is_presumed}
                answers[f"items at {number}"] = [state._replace(is_presumed=False) for state in then]
                answers[f"not read at {number}"] = await documents.types_not_read(session, moment)
            for type_keys in (None, *SELECTIONS):
                selection_hash = Selection(type_keys=type_keys).hash() if type_keys else None
                question = await queries.question(session, selection_hash)
                answers[f"items of {type_keys}"] = [item async for item in queries.items(session, question)]
                if question is not None:
                    answers[f"missing of {type_keys}"] = [
                        item async for item in queries.missing_items(session, question)
                    ]
                    answers[f"new in the latest of {type_keys}"] = await queries.items_first_seen_in(session, question)
            window = Window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
            answers["changes"] = await changes.events(session, window, 1000)
        return answers, presumed

    async def forget(self, most: int) -> int:
        """Forgets batch after batch to the end, and returns the number of runs."""
        forgotten, batch = 0, most
        while batch:
            async with self._database.tenant(self.tenant_id) as session:
                batch = await forgetting.forget_runs(session, older_than=NOW, most=most)
            forgotten += batch
        return forgotten


def _seen(type_key: str, read: Read) -> Iterable[Observation]:
    return [
        observation(type_key, f"{type_key}-{entry}", displayName=entry, says=read.says) for entry in sorted(read.ids)
    ]


@pytest.mark.parametrize("examples", [2, pytest.param(150, marks=pytest.mark.slow)])
def test_forgetting_runs_changes_no_answer(database_url: str, examples: int) -> None:
    @given(st.lists(steps, min_size=1, max_size=9), st.integers(1, 5))
    @settings(max_examples=examples)
    def holds(played: list[Step], most: int) -> None:
        asyncio.run(check(played, most))

    async def check(played: list[Step], most: int) -> None:
        async with Database(database_url) as database:
            history = History(database)
            await history.play(played)
            before, presumed_before = await history.answers()
            forgotten = await history.forget(most)
            event("runs were forgotten" if forgotten else "none was forgotten")
            after, presumed = await history.answers()
            assert presumed <= presumed_before, "certainty is kept"
            assert {question: after[question] for question in before if after[question] != before[question]} == {}

    holds()


async def run_ids(database: Database, tenant_id: UUID) -> list[UUID]:
    """The ids of the stored runs, in the order of their start."""
    async with database.tenant(tenant_id, read_only=True) as session:
        kept = await session.execute(text("SELECT run_id FROM sync_run ORDER BY queued_at"))
        return list(kept.scalars())


async def forget(database: Database, tenant_id: UUID, older_than: timedelta = NOW) -> int:
    async with database.tenant(tenant_id) as session:
        return await forgetting.forget_runs(session, older_than=older_than, most=100)


async def test_first_and_last_of_equal_runs_are_kept(database: Database) -> None:
    tenant_id = uuid4()
    for _ in range(6):
        await sync(database, tenant_id, [observation("groups", "a")], "groups")
    began = await run_ids(database, tenant_id)
    assert await forget(database, tenant_id) == 4
    assert await run_ids(database, tenant_id) == [began[0], began[-1]]
    async with database.tenant(tenant_id, read_only=True) as session:
        rows = await session.execute(text("SELECT DISTINCT run_id FROM sync_run_collection"))
        assert set(rows.scalars()) == {began[0], began[-1]}


async def test_runs_younger_than_the_limit_are_kept(database: Database) -> None:
    tenant_id = uuid4()
    for _ in range(4):
        await sync(database, tenant_id, [observation("groups", "a")], "groups")
    async with database.tenant(tenant_id) as session:
        await session.execute(text("UPDATE sync_run SET finished_at = finished_at - interval '2 days'"))
    for _ in range(3):
        await sync(database, tenant_id, [observation("groups", "a")], "groups")
    assert await forget(database, tenant_id, timedelta(days=3)) == 0
    assert await forget(database, tenant_id, timedelta(days=1)) == 3
    assert len(await run_ids(database, tenant_id)) == 4


async def test_runs_with_a_different_result_and_open_runs_are_kept(database: Database) -> None:
    tenant_id, both = uuid4(), [observation("groups", "a"), observation("groups", "b")]
    for listing, outcome in (
        (both, COMPLETE),
        (both, COMPLETE),
        (both, THROTTLED),
        (both, THROTTLED),
        (both, COMPLETE),
    ):
        status = RunStatus.SUCCESS if outcome == COMPLETE else RunStatus.PARTIAL
        await sync(database, tenant_id, listing, "groups", status=status, outcomes={"groups": outcome})
    for listing in (both, both[:1], both[:1], both[:1], both):
        await sync(database, tenant_id, listing, "groups")
    await begin(database, tenant_id, "groups")
    began = await run_ids(database, tenant_id)
    assert await forget(database, tenant_id) == 5
    # The second, fourth, sixth, eighth and ninth run had the same result as the run before.
    assert await run_ids(database, tenant_id) == [began[place - 1] for place in (1, 3, 5, 7, 10, 11)]


async def test_runs_that_overlap_a_longer_run_are_kept(database: Database) -> None:
    tenant_id, listing = uuid4(), [observation("groups", "a")]
    await sync(database, tenant_id, listing, "groups")
    long = await begin(database, tenant_id, "apps", "groups")
    for _ in range(3):
        await sync(database, tenant_id, listing, "groups")
    assert await forget(database, tenant_id) == 0
    await land(database, tenant_id, long, [observation("groups", "a"), observation("apps", "b")])
    await end(database, tenant_id, long)
    # The long run overlaps all three, so its end decides which of them answers for a moment.
    assert await forget(database, tenant_id) == 0
    for _ in range(3):
        await sync(database, tenant_id, listing, "groups")
    assert await forget(database, tenant_id) == 2
    assert len(await run_ids(database, tenant_id)) == 6


async def test_listings_before_and_after_a_404_are_kept(database: Database) -> None:
    sees = Step(("groups",), {"groups": USUAL}, overlaps=False, is_cancelled=False, confirms=False)
    nothing = Read(frozenset(), COMPLETE, "one")
    asks = Step(("groups",), {"groups": nothing}, overlaps=False, is_cancelled=True, confirms=True)
    history = History(database)
    await history.play([sees, sees, sees, asks, sees, sees, sees])
    began = await run_ids(database, history.tenant_id)
    before = await history.answers()
    assert await history.forget(10) == 3
    assert await run_ids(database, history.tenant_id) == [began[place - 1] for place in (1, 3, 5, 7)]
    assert await history.answers() == before


async def test_latest_run_of_each_selection_is_kept(database: Database) -> None:
    tenant_id = uuid4()
    for type_keys in (("apps", "groups"), ("apps", "groups"), ("groups",), ("apps",)):
        await sync(database, tenant_id, [observation(key, "a") for key in type_keys], *type_keys)
    assert await forget(database, tenant_id) == 0


@pytest.mark.parametrize(("created", "forgotten"), [(0, 2), (1, 1)])
async def test_partial_run_that_created_items_is_kept(database: Database, created: int, forgotten: int) -> None:
    tenant_id = uuid4()
    throttled: dict[str, tuple[Outcome, ErrorCode | None]] = {"groups": THROTTLED}
    for _ in range(4):
        listing = [observation("groups", "a")]
        await sync(database, tenant_id, listing, "groups", status=RunStatus.PARTIAL, outcomes=throttled)
    second = (await run_ids(database, tenant_id))[1]
    async with database.tenant(tenant_id) as session:
        await session.execute(
            text("UPDATE sync_run SET created = :created WHERE run_id = :run_id"),
            {"created": created, "run_id": second},
        )
    assert await forget(database, tenant_id) == forgotten
    assert (second in await run_ids(database, tenant_id)) is bool(created)


def saw(**ids: str) -> Step:
    """A run that listed these items of these collections."""
    reads = {key: Read(frozenset(external_ids), COMPLETE, "one") for key, external_ids in ids.items()}
    return Step(tuple(ids), reads, overlaps=False, is_cancelled=False, confirms=False)


@pytest.mark.parametrize(
    ("played", "noticing", "forgotten"),
    [
        # The number of missing items is the same before and after it.
        ([saw(groups="12"), saw(groups="1"), saw(groups="2"), saw(groups="2"), saw(groups="2")], [3], 1),
        # As many items are missing from both collections as from the single collection before.
        (
            [
                saw(apps="12", groups="12"),
                saw(apps="1", groups="12"),
                saw(groups="1"),
                saw(apps="1", groups="12"),
                saw(groups="12"),
                saw(apps="1", groups="12"),
                saw(groups="12"),
            ],
            [3, 4],
            0,
        ),
    ],
    ids=["another item", "an item of another collection"],
)
async def test_run_that_noticed_an_absence_is_kept_despite_equal_counts(
    database: Database, played: list[Step], noticing: list[int], forgotten: int
) -> None:
    history = History(database)
    await history.play(played)
    began = await run_ids(database, history.tenant_id)
    before = await history.answers()
    assert await history.forget(10) == forgotten
    assert {began[place - 1] for place in noticing} <= set(await run_ids(database, history.tenant_id))
    assert await history.answers() == before


@pytest.mark.parametrize("names", ["the baseline", "its collection"])
async def test_run_that_a_baseline_names_is_kept(database: Database, names: str) -> None:
    tenant_id = uuid4()
    for _ in range(4):
        await sync(database, tenant_id, [observation("groups", "a")], "groups")
    began = await run_ids(database, tenant_id)
    own = names == "the baseline"
    baseline = text("""
        INSERT INTO baseline (name, kind, at, run_id, set_by)
        VALUES ('then', :kind, clock_timestamp(), CAST(:run_id AS uuid), 'ada')
    """)
    collection = text("""
        INSERT INTO baseline_collection (baseline, type_key, outcome, run_id, read_at)
        VALUES ('then', 'groups', 'complete', :run_id, clock_timestamp())
    """)
    async with database.tenant(tenant_id) as session:
        named = {"kind": "run" if own else "moment", "run_id": began[1] if own else None}
        await session.execute(baseline, named)
        await session.execute(collection, {"run_id": began[3 if own else 1]})
    assert await forget(database, tenant_id) == 1
    assert await run_ids(database, tenant_id) == [began[0], began[1], began[3]]


async def test_another_tenant_keeps_its_runs(database: Database) -> None:
    tenant, other_tenant = uuid4(), uuid4()
    for tenant_id in (tenant, other_tenant):
        for _ in range(3):
            await sync(database, tenant_id, [observation("groups", "a")], "groups")
    assert await forget(database, tenant) == 1
    assert len(await run_ids(database, other_tenant)) == 3


async def test_forgetting_runs_leaves_items_unchanged(database: Database) -> None:
    tenant_id = uuid4()
    for _ in range(3):
        await sync(database, tenant_id, [observation("groups", "a")], "groups")
    before = await items(database, tenant_id, "groups")
    assert await forget(database, tenant_id) == 1
    assert await items(database, tenant_id, "groups") == before
