"""The change feed on a database alone: changes, their evidence and audit events, and the summary."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from answers.changes import answer
from answers.changes.answer import ChangeFeed, changes
from answers.changes.audit import AuditStatus
from answers.changes.queries import Event, Window
from answers.changes.records import ChangeKind, ChangeRecord, ChangesSummary
from answers.old_details import OldDetailsRecord, old_details_in_words
from graph.catalog import AUDIT_EVENTS, load_catalog
from inventory.error_codes import ErrorCode
from inventory.missing import Confidence
from inventory.observation import Observation, ObservationRules, Observer
from inventory.outcomes import Outcome, RunStatus
from storage import confirmations as confirming
from storage import details
from storage import merge as merging
from storage.coverage import coverage
from storage.database import Database
from storage.documents import database_time
from tests.storage.support import age_details, audit_event, begin, end, land, list_document, observation, sync

TENANT = uuid4()
HOUR = timedelta(hours=1)
A, B = "deviceCompliancePolicies", "groups"
POLICY = {"displayName": "Baseline", "passwordRequired": True}
FAILED: dict[str, tuple[Outcome, ErrorCode | None]] = {A: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}

KindAndId = tuple[ChangeKind, str]


def policy(external_id: str, **properties: Any) -> Observation:
    return observation(A, external_id, **{**POLICY, **properties})


class Feed:
    """Reads the changes on from its last position."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: datetime | None = None

    async def new_changes(self, **window: Any) -> list[ChangeRecord]:
        """The changes noticed since the last call."""
        async with self._database.tenant(TENANT, read_only=True) as session:
            now = await database_time(session)
            period = Window(self._since or datetime.fromisoformat("2000-01-01T00:00:00Z"), now, **window)
            found = [change async for _, change in changes(session, TENANT, period)]
        self._since = now
        return found

    async def kinds_and_ids(self) -> list[KindAndId]:
        """The kinds and ids of these changes."""
        return sorted((change.kind, change.external_id) for change in await self.new_changes())


@pytest.fixture
def feed(database: Database) -> Feed:
    return Feed(database)


async def test_the_first_complete_listing_is_no_change(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A, status=RunStatus.PARTIAL, outcomes=FAILED)
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    assert await feed.kinds_and_ids() == []


async def test_each_change_is_reported_once(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1"), policy("2"), policy("3")], A)
    await feed.kinds_and_ids()
    changed = [policy("1", displayName="Other"), policy("2", passwordRequired=False), policy("4", extra=1)]
    for expected in (
        [
            (ChangeKind.APPEARED, "4"),
            (ChangeKind.CHANGED, "2"),
            (ChangeKind.MISSING, "3"),
            (ChangeKind.RENAMED, "1"),
        ],
        [],
    ):
        await sync(database, TENANT, changed, A)
        assert await feed.kinds_and_ids() == expected
    await sync(database, TENANT, [*changed, policy("3")], A)
    assert await feed.kinds_and_ids() == [(ChangeKind.CAME_BACK, "3")]


async def test_batches_of_any_size_have_the_same_changes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(number) for number in range(7)]
    await sync(database, TENANT, [policy(name) for name in names], A)
    await sync(database, TENANT, [policy(name, level=1) for name in names[1:]], A)
    await sync(database, TENANT, [policy(name, level=2) for name in names], A)
    whole = await Feed(database).new_changes()
    assert len(whole) == 6 + 1 + 7 + 1, "changed, missing, changed, came back"
    monkeypatch.setattr(answer, "EVENTS_AT_A_TIME", 5)  # so that the last of three pages is full
    monkeypatch.setattr(answer, "CHANGES_AT_A_TIME", 2)
    assert await Feed(database).new_changes() == whole


async def test_a_change_has_fields_times_and_evidence(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    await feed.kinds_and_ids()
    run = await begin(database, TENANT, A)
    await land(database, TENANT, run, [policy("1", displayName="Other", passwordRequired=False)])
    await end(database, TENANT, run)
    renamed, missing = await feed.new_changes()
    assert (renamed.run_id, renamed.version, renamed.renamed_from, renamed.display_name) == (
        run.run_id,
        2,
        "Baseline",
        "Other",
    )
    assert renamed.fields is not None
    assert [(field.path, field.before, field.after) for field in renamed.fields] == [
        ("displayName", "Baseline", "Other"),
        ("passwordRequired", True, False),
    ]
    assert renamed.seen_before_at is not None
    assert renamed.seen_before_at < renamed.noticed_at
    assert (renamed.confidence, renamed.evidence) == (Confidence.HIGH, "observed")
    assert (missing.kind, missing.confidence, missing.evidence) == (ChangeKind.MISSING, Confidence.HIGH, "not_listed")
    assert missing.item_kind == "Compliance policies"


async def test_an_item_recreated_under_another_id_is_one_change(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await feed.kinds_and_ids()
    await sync(database, TENANT, [policy("2")], A)
    (made_again,) = await feed.new_changes()
    assert (made_again.kind, made_again.external_id, made_again.recreates_external_id) == (
        ChangeKind.RECREATED,
        "2",
        "1",
    )


async def test_a_recreation_first_seen_by_a_faulty_run_becomes_one_change(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1"), policy("9", level=9)], A)
    await feed.kinds_and_ids()
    whole, of_the_faulty_run = Feed(database), Feed(database)
    await whole.kinds_and_ids()
    await of_the_faulty_run.kinds_and_ids()
    faulty = await begin(database, TENANT, A)
    await land(database, TENANT, faulty, [policy("2")])
    await end(database, TENANT, faulty, RunStatus.PARTIAL, FAILED)
    assert await feed.kinds_and_ids() == [(ChangeKind.APPEARED, "2")], "the recreation is not known yet"
    clean = await begin(database, TENANT, A)
    await land(database, TENANT, clean, [policy("2"), policy("9", level=9)])
    await end(database, TENANT, clean)
    for reader in (feed, whole):
        (made_again,) = await reader.new_changes()
        assert (made_again.kind, made_again.external_id, made_again.recreates_external_id, made_again.run_id) == (
            ChangeKind.RECREATED,
            "2",
            "1",
            clean.run_id,
        )
    assert await of_the_faulty_run.new_changes(run_id=faulty.run_id) == [], "the change is reported once"
    await sync(database, TENANT, [policy("1"), policy("2"), policy("9", level=9)], A)
    assert await feed.kinds_and_ids() == [(ChangeKind.CAME_BACK, "1")]


async def test_a_faulty_run_delays_changes_and_invents_none(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    await feed.kinds_and_ids()
    await sync(database, TENANT, [policy("1", extra=1)], A, status=RunStatus.PARTIAL, outcomes=FAILED)
    assert await feed.kinds_and_ids() == [(ChangeKind.CHANGED, "1")], "changes of read items are reported"
    await sync(database, TENANT, [], A, status=RunStatus.FAILED, outcomes=FAILED)
    await sync(database, TENANT, [], A, status=RunStatus.CANCELLED)
    assert await feed.kinds_and_ids() == []
    await sync(database, TENANT, [policy("1", extra=1)], A)
    assert await feed.kinds_and_ids() == [(ChangeKind.MISSING, "2")]


async def test_details_read_later_are_no_change_but_edits_beside_them_are(database: Database, feed: Feed) -> None:
    rules = ObservationRules(type_key="configurationPolicies", has_details=True)

    async def run(description: str, read_details: dict[str, Any] | None) -> None:
        listing = {"id": "1", "displayName": "One", "description": description}
        opened_run = await begin(database, TENANT, "configurationPolicies")
        await land(database, TENANT, opened_run, [list_document("configurationPolicies", **_named(listing))])
        if read_details is not None:
            async with database.tenant(TENANT) as session:
                token = uuid4()
                item = Observer(rules).observe({**listing, **read_details})
                await merging.claim(session, opened_run.run_id, token)
                await merging.merge_whole(session, opened_run.run_id, token, [item])
                pending = await details.some_pending(
                    session, opened_run.run_id, [details.Share("configurationPolicies")], 10
                )
                await details.drop(session, opened_run.run_id, pending)
        await end(database, TENANT, opened_run)

    await run("first", None)
    await feed.kinds_and_ids()
    await run("first", {"settings": [{"id": "0"}]})
    assert await feed.kinds_and_ids() == []
    await run("second", {"settings": [{"id": "0"}]})
    assert await feed.kinds_and_ids() == [(ChangeKind.CHANGED, "1")]


async def test_a_change_from_an_incomplete_version_omits_newly_read_details(database: Database, feed: Feed) -> None:
    rules = ObservationRules(type_key="configurationPolicies", has_details=True)
    await sync(
        database, TENANT, [list_document("configurationPolicies", "1", description="first")], "configurationPolicies"
    )
    await feed.kinds_and_ids()
    run = await begin(database, TENANT, "configurationPolicies")
    await land(database, TENANT, run, [list_document("configurationPolicies", "1", description="second")])
    async with database.tenant(TENANT) as session:
        token = uuid4()
        await merging.claim(session, run.run_id, token)
        whole = Observer(rules).observe({"id": "1", "description": "second", "settings": []})
        await merging.merge_whole(session, run.run_id, token, [whole])
        share = [details.Share("configurationPolicies")]
        await details.drop(session, run.run_id, await details.some_pending(session, run.run_id, share, 10))
    await end(database, TENANT, run)
    (change,) = await feed.new_changes()
    assert change.was_incomplete
    assert change.fields is not None
    assert [field.path for field in change.fields] == ["description"]


def _named(listing: dict[str, Any]) -> dict[str, Any]:
    return {"external_id": listing["id"], **{name: value for name, value in listing.items() if name != "id"}}


async def test_a_newly_volatile_property_is_no_change(database: Database, feed: Feed) -> None:
    """An earlier release stored `version`; the catalog now calls it volatile."""
    await sync(database, TENANT, [policy("1", version=1)], A)
    await feed.kinds_and_ids()
    await sync(database, TENANT, [policy("1")], A)
    assert await feed.kinds_and_ids() == []


async def test_a_newly_read_detail_is_no_change(database: Database, feed: Feed) -> None:
    lifetimes = "tokenLifetimePolicies"
    await sync(database, TENANT, [observation(lifetimes, "1", level=1)], lifetimes)
    await feed.kinds_and_ids()
    await sync(database, TENANT, [observation(lifetimes, "1", level=1, appliesTo=[{"id": "app"}])], lifetimes)
    assert await feed.kinds_and_ids() == []
    await sync(database, TENANT, [observation(lifetimes, "1", level=1, appliesTo=[])], lifetimes)
    (change,) = await feed.new_changes()
    assert [field.path for field in change.fields or ()] == ["appliesTo[app]"]


async def test_a_change_has_no_fields_if_the_earlier_version_is_deleted(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await feed.kinds_and_ids()
    await sync(database, TENANT, [policy("1", extra=1)], A)
    async with database.tenant(TENANT) as session:
        await session.execute(text("SELECT forget_versions(clock_timestamp(), 0, 100, '', '')"))
    (change,) = await feed.new_changes()
    assert (change.kind, change.fields) == (ChangeKind.CHANGED, None)


async def test_paging_through_the_feed_keeps_its_order(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy(str(number)) for number in range(30)], A, B)
    some = [policy(str(number), extra=1) for number in range(20)]
    await sync(database, TENANT, [*some, observation(B, "g")], A, B)
    async with database.tenant(TENANT, read_only=True) as session:
        window = Window(datetime.fromisoformat("2000-01-01T00:00:00Z"), await database_time(session))
        events = [event async for event, _ in changes(session, TENANT, window)]
        assert len(events) == 31
        pages: list[Event] = []
        while True:
            after = pages[-1] if pages else None
            page = []
            async for event, _ in changes(session, TENANT, window, after):
                page.append(event)
                if len(page) == 7:
                    break
            if not page:
                break
            pages += page
        assert pages == events
        of_groups = window._replace(type_keys=[B])
        assert [event.type_key async for event, _ in changes(session, TENANT, of_groups)] == [B]


async def _summary(database: Database) -> ChangesSummary:
    async with database.tenant(TENANT, read_only=True) as session:
        now = await database_time(session)
        return await ChangeFeed(session, TENANT, Window(now, now, None, sorted(load_catalog().logs))).summary()


async def test_the_summary_names_collections_not_read_to_their_end(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    outcomes = {
        **FAILED,
        B: (Outcome.COMPLETE, None),
        "mobileApps": (Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED),
        "auditEvents": (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING),
    }
    await sync(database, TENANT, [], A, B, "mobileApps", "auditEvents", status=RunStatus.PARTIAL, outcomes=outcomes)
    summary = await _summary(database)
    assert summary.listed == 1
    (not_read,) = summary.not_read
    async with database.tenant(TENANT, read_only=True) as session:
        listed_at = (await coverage(session))[A].listed_at
    assert (not_read.type_key, not_read.reason, not_read.listed_at) == (A, "failed:graph_throttled", listed_at)


async def test_an_item_not_found_by_id_is_missing_with_confirmed_evidence(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await feed.kinds_and_ids()
    run = await begin(database, TENANT, A)
    async with database.tenant(TENANT) as session:
        await confirming.record_gone(session, run.run_id, [confirming.UnlistedItem(A, "1")])
    await end(database, TENANT, run)
    (change,) = await feed.new_changes()
    assert (change.kind, change.evidence, change.run_id) == (ChangeKind.MISSING, "confirmed", run.run_id)


async def test_another_tenants_changes_are_not_in_the_feed(database: Database, feed: Feed) -> None:
    other = UUID(int=9)
    await sync(database, other, [policy("1")], A)
    await sync(database, other, [policy("1", extra=1)], A)
    assert await feed.kinds_and_ids() == []


ADA = "ada@contoso.example"


async def _now(database: Database) -> datetime:
    async with database.tenant(TENANT, read_only=True) as session:
        return await database_time(session)


def _attribution(change: ChangeRecord) -> tuple[AuditStatus, list[str]]:
    return change.audit.status, [event.event_id for event in change.audit.events]


async def test_a_change_names_all_events_that_explain_it_latest_first(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await feed.new_changes()
    since = await _now(database)
    events = [
        audit_event("first", "1", at=since),
        audit_event("second", "1", at=since + timedelta(seconds=1), actor={"applicationDisplayName": "Autopilot"}),
        audit_event("tried", "1", at=since, activityResult="Failure"),
        audit_event("of another", "2", at=since),
        audit_event("long ago", "1", at=since - timedelta(days=1)),
    ]
    await sync(database, TENANT, [policy("1", extra=1), *events], A, AUDIT_EVENTS)
    (change,) = await feed.new_changes(type_keys=[A])
    assert _attribution(change) == (AuditStatus.FOUND, ["second", "first"])
    assert [(event.actor, event.operation) for event in change.audit.events] == [
        ("Autopilot", "Patch"),
        (ADA, "Patch"),
    ]


async def test_create_and_delete_events_explain_appeared_and_missing_items(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1"), policy("3")], A)
    await feed.new_changes()
    since = await _now(database)
    events = [
        audit_event(f"{operation} {external_id}", external_id, at=since, activityOperationType=operation)
        for operation in ("Create", "Patch", "Delete")
        for external_id in ("1", "2")
    ]
    await sync(database, TENANT, [policy("2", extra=1), policy("3"), *events], A, AUDIT_EVENTS)
    attributions = {change.kind: _attribution(change) for change in await feed.new_changes(type_keys=[A])}
    assert attributions == {
        ChangeKind.APPEARED: (AuditStatus.FOUND, ["Create 2"]),
        ChangeKind.MISSING: (AuditStatus.FOUND, ["Delete 1"]),
    }


async def test_not_found_needs_an_audit_log_read_after_the_change(
    database: Database,
) -> None:
    async def audit() -> AuditStatus:
        (change,) = await Feed(database).new_changes(type_keys=[A])
        return change.audit.status

    await sync(database, TENANT, [policy("1")], A)
    await sync(database, TENANT, [policy("1", extra=1)], A)
    assert await audit() is AuditStatus.NOT_READ, "the log was never read"
    refused: dict[str, tuple[Outcome, ErrorCode | None]] = {
        AUDIT_EVENTS: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    }
    await sync(database, TENANT, [], AUDIT_EVENTS, status=RunStatus.FAILED, outcomes=refused)
    assert await audit() is AuditStatus.NOT_READ, "the tenant does not grant the log's permission"
    await sync(database, TENANT, [], AUDIT_EVENTS)
    assert await audit() is AuditStatus.NOT_FOUND


async def test_a_log_read_by_the_noticing_run_may_predate_the_change(database: Database, feed: Feed) -> None:
    await sync(database, TENANT, [policy("1")], A, AUDIT_EVENTS)
    await feed.new_changes()
    await sync(database, TENANT, [policy("1", extra=1)], A, AUDIT_EVENTS)
    (change,) = await feed.new_changes()
    assert _attribution(change) == (AuditStatus.NOT_READ, [])


async def test_intunes_log_does_not_explain_changes_of_other_services(database: Database, feed: Feed) -> None:
    types = (B, "cloudPc.provisioningPolicies", "leftTheCatalog")
    await sync(database, TENANT, [observation(key, "1") for key in types], *types)
    await feed.new_changes()
    event = audit_event("assigned to it", "1", at=await _now(database))
    await sync(database, TENANT, [*(observation(key, "1", extra=1) for key in types), event], *types, AUDIT_EVENTS)
    await sync(database, TENANT, [event], AUDIT_EVENTS)
    attributions = [_attribution(change) for change in await feed.new_changes(left_out=[AUDIT_EVENTS])]
    assert attributions == [(AuditStatus.NOT_READ, []), *[(AuditStatus.NOT_AUDITED, [])] * 2]


@pytest.mark.parametrize(
    ("type_key", "status"),
    [("deviceManagementScripts", AuditStatus.FOUND), ("assignmentFilters", AuditStatus.NOT_READ)],
)
async def test_events_before_the_last_listing_explain_only_unlisted_details(
    database: Database, feed: Feed, monkeypatch: pytest.MonkeyPatch, type_key: str, status: AuditStatus
) -> None:
    """Lists of scripts omit assignments, so a changed script looks unchanged until its details are read again."""
    monkeypatch.setattr("answers.changes.audit.CLOCK_DIFFERENCE", timedelta(0))
    item = observation(type_key, "1", payload="first")
    await sync(database, TENANT, [item], type_key)
    await feed.new_changes()
    event = audit_event("assigned", "1", at=await _now(database), activityOperationType="Assign")
    await sync(database, TENANT, [item], type_key)
    await sync(database, TENANT, [observation(type_key, "1", payload="second"), event], type_key, AUDIT_EVENTS)
    (change,) = await feed.new_changes(type_keys=[type_key])
    assert change.audit.status is status


async def test_the_summary_says_whether_the_audit_log_was_read(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    assert (await _summary(database)).audit_log_read_from is None
    await sync(database, TENANT, [], AUDIT_EVENTS)
    async with database.tenant(TENANT, read_only=True) as session:
        read_from = (await coverage(session))[AUDIT_EVENTS].listed_from
    assert read_from is not None
    assert (await _summary(database)).audit_log_read_from == read_from


@pytest.mark.parametrize(("type_key", "is_old"), [("servicePrincipals", True), ("deviceHealthScripts", False)])
async def test_the_summary_names_old_details_that_lists_do_not_show(
    database: Database, type_key: str, is_old: bool
) -> None:
    await sync(database, TENANT, [observation(type_key, "1"), observation(type_key, "2")], type_key)
    assert (await _summary(database)).old_details == []
    await age_details(database, TENANT, timedelta(days=3), type_key)
    summary = await _summary(database)
    assert [(old.type_key, old.items) for old in summary.old_details] == [(type_key, 2)] * is_old
    for old in summary.old_details:
        assert "appRoleAssignments" in old.properties
        assert old.in_words(summary.until).startswith("servicePrincipals: rests on details read 3 days ago (2 items), ")


def test_old_details_of_many_collections_are_one_line() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    old = [
        OldDetailsRecord(type_key=f"collection{hours}", properties=["x"], items=hours, read_at=now - hours * HOUR)
        for hours in range(1, 6)
    ]
    assert len(old_details_in_words(old[:3], now)) == 3
    (line,) = old_details_in_words(old, now)
    assert line.startswith("5 collections rest on details of 15 items, the first read 5 h ago, so changes of")
    assert old_details_in_words([], now) == []
