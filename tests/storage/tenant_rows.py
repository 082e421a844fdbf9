"""Two tenants, and rows of one in every table, for the tests of isolation."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from answers.drift import decision_queries as decisions
from answers.drift import queries as drift
from answers.drift.baselines import set_moment
from answers.drift.decision_scope import DecisionScope
from answers.drift.evaluation import evaluate
from answers.drift.rules import Decision, NewDecision
from graph.catalog import AUDIT_EVENTS
from inventory.outcomes import RunStatus
from inventory.people import Person, Role
from inventory.portfolio import TenantChoice
from inventory.reference_extraction import ReadingRules
from inventory.selection import Selection
from storage import (
    access_rules,
    listed_pages,
    portfolio,
    references,
    runs,
    staging,
    versions,
    watch,
    web_sessions,
)
from storage import request_pace as pacing
from storage.database import Database
from storage.watch import LogLook
from tests.storage.support import LEASE, audit_event, begin, land, list_document, observation, sync

MINE, THEIRS = uuid4(), uuid4()

TABLES = frozenset(
    {
        "tenant",
        "sync_run",
        "sync_run_collection",
        "collection_coverage",
        "item_absence",
        "audited_object",
        "staged_item",
        "listed_page",
        "merged_wave",
        "request_pace",
        "audit_log_position",
        "document",
        "inventory_item",
        "item_version",
        "item_version_pin",
        "pending_item",
        "item_reference",
        "unread_item",
        "item_name",
        "item_settings",
        "collection_setting",
        "reference_rules",
        "baseline",
        "baseline_collection",
        "baseline_gap",
        "drift_finding",
        "drift_decision",
        "promotion_plan",
        "promotion_decision",
        "promotion_mapping",
        "notification",
        "notification_position",
        "notification_snooze",
        "told_run",
        "portfolio_run_tenant",
    }
)
WITHOUT_KEY = {"collection_setting"}
"""An index that starts with the tenant finds its rows. Transactions that add equal ones do not wait for each other."""

OF_NO_TENANT = "portfolio_run"
OF_THE_WEB = {
    "access_rule", "audit_record", "configured_tenant", "sign_in_flow", "sign_in_link", "web_person", "web_session",
}  # fmt: skip
"""Seen in a session of no tenant alone: see `tests/web`."""
PORTFOLIO = portfolio.PortfolioIdentity(
    uuid4(), "portfolio/test", Selection(type_keys=("a",)), TenantChoice(tenant_ids=(THEIRS,))
)
RULES = {"b": ReadingRules({"needs": ("a",)}, assignable=True, has_settings=True)}
CONFIGURED = text("""
INSERT INTO configured_tenant (tenant_id, entry, changed_by)
SELECT tenant.id::uuid, jsonb_build_object('id', tenant.id, 'name', 'theirs'), 'ada'
FROM (SELECT CAST(:tenant_id AS text) AS id) AS tenant
""")
READABLE = {"staged_item": "staged_observation"}

OF_PROMOTIONS = """
INSERT INTO promotion_plan (plan_id, source_tenant_id, created_by, expires_at, counts, content_hash, content)
VALUES (gen_random_uuid(), gen_random_uuid(), 'ada', now(), '{}', sha256('x'), '');
INSERT INTO promotion_decision (plan_id, decision, content_hash, decided_by, reason)
SELECT plan_id, 'approved', content_hash, 'grace', 'a reason' FROM promotion_plan;
INSERT INTO promotion_mapping (source_tenant_id, type_key, source_id, target_id, mapped_by, reason)
VALUES (gen_random_uuid(), 'groups', '1', '2', 'ada', 'a reason')
"""

OF_NOTIFICATIONS = """
INSERT INTO notification (target, event_hash, delivery_id, kind, severity, event)
VALUES ('ops', sha256('x'), gen_random_uuid(), 'run_failed', 'high', '{}');
INSERT INTO notification_position (subject) VALUES ('runs');
INSERT INTO notification_snooze (snooze_id, until, reason, snoozed_by)
VALUES (gen_random_uuid(), now(), 'a reason', 'ada');
INSERT INTO told_run (run_id) SELECT run_id FROM sync_run LIMIT 1
"""


async def their_rows(database: Database) -> runs.RunIdentity:
    """Another tenant's open run, with rows in every table."""
    await sync(database, THEIRS, [observation("b", "7", needs="1")], "b")
    await sync(database, THEIRS, [], "b")
    await references.catch_up(database, THEIRS, RULES)
    async with database.tenant(THEIRS) as session:
        await set_moment(session, "golden", None, "the test", None)
        await session.execute(
            text(
                "INSERT INTO baseline_gap (baseline, type_key, external_id, why)"
                " VALUES ('golden', 'b', '6', 'forgotten')"
            )
        )
    await sync(database, THEIRS, [observation("b", "8")], "b")
    async with database.tenant(THEIRS) as session:
        await evaluate(session, THEIRS, "golden")
        for fingerprint in await drift.open_values(session, "golden"):
            await decisions.decide(session, [fingerprint], NewDecision(Decision.ACCEPTED, "the test", "a reason"))
        everything = DecisionScope(field="*")
        fingerprint = everything.fingerprint(THEIRS)
        await decisions.decide_scope(
            session, fingerprint, everything, NewDecision(Decision.EXPECTED, "the test", "a reason")
        )
    await sync(database, THEIRS, [audit_event("e", "1")], AUDIT_EVENTS)
    async with database.tenant(THEIRS) as session:
        for statement in f"{OF_PROMOTIONS};{OF_NOTIFICATIONS}".split(";"):
            await session.execute(text(statement))
    run = await begin(database, THEIRS, "a")
    await land(database, THEIRS, run, [observation("a", "1", displayName="secret"), list_document("a", "3")])
    async with database.tenant(THEIRS) as session:
        await staging.stage(session, run.run_id, uuid4(), [observation("a", "2")])
        of_an_older_worker: Any = observation("a", "4")
        await staging.stage(session, run.run_id, uuid4(), [of_an_older_worker._replace(body_hash=None)])
        await listed_pages.open_listings(session, run.run_id, {"a": "/a"})
        await pacing.pause(session, "apps", LEASE)
        await watch.keep_position(session, LogLook(AUDIT_EVENTS), datetime.now(UTC))
        await versions.pin(session, "a", "1", 1, "the test", None)
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, PORTFOLIO)
        for link in (bytes(32), b"x" * 32):
            await web_sessions.add_link(
                session, link, Person(person_id="local/ada", name="ada", role=Role.READER), LEASE
            )
        await web_sessions.redeem_link(session, bytes(32), bytes(32), LEASE)
        await web_sessions.begin_flow(session, bytes(32), {"state": "x"}, "/", LEASE)
        everyone = access_rules.Subject(None, Role.READER)
        await access_rules.set_rule(session, everyone, is_excluded=False, set_by="ada", reason=None)
        await session.execute(CONFIGURED, {"tenant_id": str(THEIRS)})
    async with database.tenant(THEIRS) as session:
        await portfolio.record_tenant(
            session, PORTFOLIO.portfolio_run_id, portfolio.TenantRunOutcome(run.run_id, RunStatus.SUCCESS, False, [])
        )
    return run
