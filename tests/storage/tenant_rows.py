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
from answers.drift.rules import Decision
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
from tests.storage.support import LEASE, audit_event, begin, land, listed, observation, sync

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
SELECT given.id::uuid, jsonb_build_object('id', given.id, 'name', 'theirs'), 'ada'
FROM (SELECT CAST(:tenant_id AS text) AS id) AS given
""")
READABLE = {"staged_item": "staged_observation"}


INSERTS = {
    "tenant": "(tenant_id, name) VALUES (:theirs, 'x')",
    "sync_run": "(tenant_id, run_id, workflow_id, selection_hash, selection, lease_expires_at)"
    " VALUES (:theirs, gen_random_uuid(), 'w', repeat('a', 64), '{}', now())",
    "sync_run_collection": "(tenant_id, run_id, type_key) VALUES (:theirs, :run_id, 'b')",
    "staged_item": "(tenant_id, run_id, fetch_token, type_key, external_id, meta, content_hash, document,"
    " document_size, likeness_hash, is_whole)"
    " VALUES (:theirs, :run_id, gen_random_uuid(), 'a', '1', '{}', '', '', 0, '', true)",
    "listed_page": "(tenant_id, run_id, type_key, fetch_token, position, opens, is_merged)"
    " VALUES (:theirs, :run_id, 'b', gen_random_uuid(), gen_random_uuid(), '{}', true)",
    "merged_wave": "(tenant_id, run_id, fetch_token) VALUES (:theirs, :run_id, gen_random_uuid())",
    "request_pace": "(tenant_id, throttle_family) VALUES (:theirs, 'directory')",
    "audit_log_position": "(tenant_id, type_key) VALUES (:theirs, 'auditEvents')",
    "document": "(tenant_id, content_hash, body, size) VALUES (:theirs, sha256('x'), '{}', 2)",
    "inventory_item": "(tenant_id, type_key, external_id, meta, content_hash, version_number, first_seen_at,"
    " first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)"
    " VALUES (:theirs, 'a', 'new', '{}', sha256('x'), 1, now(), :run_id, now(), now(), :run_id)",
    "item_version": "(tenant_id, type_key, external_id, version_number, content_hash, first_observed_at,"
    " first_observed_run_id) SELECT :theirs, 'a', '1', 99, sha256('x'), now(), :run_id",
    "item_version_pin": "(tenant_id, type_key, external_id, version_number, pinned_by)"
    " VALUES (:theirs, 'a', '1', 1, 'me')",
    "portfolio_run_tenant": "(tenant_id, portfolio_run_id, status, joined)"
    " VALUES (:theirs, gen_random_uuid(), 'success', false)",
    "collection_coverage": "(tenant_id, type_key, run_id, run_started_at, outcome)"
    " VALUES (:theirs, 'a', :run_id, now(), 'failed')",
    "item_absence": "(tenant_id, type_key, external_id, absent_from, run_id, last_seen_at, evidence, confidence)"
    " VALUES (:theirs, 'a', '1', now(), :run_id, now() - interval '1 day', 'confirmed', 'high')",
    "item_reference": "(tenant_id, type_key, external_id, position, version_number, path, role, target_type_keys,"
    " target_id) VALUES (:theirs, 'a', '1', 9, 1, 'x', 'use', '{}', '1')",
    "unread_item": "(tenant_id, type_key, external_id) VALUES (:theirs, 'a', '9')",
    "item_name": "(tenant_id, type_key, external_id, name_key) VALUES (:theirs, 'a', '9', 'x')",
    "item_settings": "(tenant_id, type_key, external_id, settings) VALUES (:theirs, 'a', '9', 'x')",
    "collection_setting": "(tenant_id, type_key, setting) VALUES (:theirs, 'a', 'x')",
    "reference_rules": "(tenant_id, type_key, rules_hash) VALUES (:theirs, 'a', '')",
    "promotion_plan": "(tenant_id, plan_id, source_tenant_id, created_by, expires_at, counts, content_hash, content)"
    " VALUES (:theirs, gen_random_uuid(), :theirs, 'me', now(), '{}', sha256('x'), '')",
    "promotion_decision": "(tenant_id, plan_id, decision, content_hash, decided_by, reason)"
    " VALUES (:theirs, gen_random_uuid(), 'approved', sha256('x'), 'me', 'x')",
    "promotion_mapping": "(tenant_id, source_tenant_id, type_key, source_id, target_id, mapped_by, reason)"
    " VALUES (:theirs, :theirs, 'groups', '1', '2', 'me', 'x')",
    "notification": "(tenant_id, target, event_hash, delivery_id, kind, severity, event)"
    " VALUES (:theirs, 'ops', sha256('y'), gen_random_uuid(), 'run_failed', 'high', '{}')",
    "notification_position": "(tenant_id, subject) VALUES (:theirs, 'x')",
    "notification_snooze": "(tenant_id, snooze_id, until, reason, snoozed_by)"
    " VALUES (:theirs, gen_random_uuid(), now(), 'x', 'me')",
    "told_run": "(tenant_id, run_id) VALUES (:theirs, :run_id)",
    "baseline": "(tenant_id, name, kind, at, set_by) VALUES (:theirs, 'x', 'moment', now(), 'me')",
    "baseline_collection": "(tenant_id, baseline, type_key, outcome, run_id, read_at)"
    " VALUES (:theirs, 'golden', 'a', 'complete', :run_id, now())",
    "baseline_gap": "(tenant_id, baseline, type_key, external_id, why) VALUES (:theirs, 'golden', 'a', '1', 'unread')",
    "drift_finding": "(tenant_id, fingerprint, period, baseline, type_key, external_id, item_kind, path, kind, hidden,"
    " value_hash, severity, evidence, first_seen_at, last_seen_at) VALUES (:theirs, repeat('a', 64), 1, 'golden', 'a',"
    " '1', 'x', '', 'item_added', false, sha256('x'), 'low', 'observed', now(), now())",
    "drift_decision": "(tenant_id, fingerprint, number, decision, value_hash, decided_by, reason)"
    " VALUES (:theirs, repeat('a', 64), 1, 'open', sha256('x'), 'me', 'x')",
    "audited_object": "(tenant_id, object_id, activity_at, event_id) VALUES (:theirs, '1', now(), 'f')",
    "pending_item": "(tenant_id, run_id, type_key, external_id, shard, list_hash, list_document, list_document_size)"
    " VALUES (:theirs, :run_id, 'a', '9', 0, '', '', 0)",
}


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
            await decisions.decide(session, [fingerprint], Decision.ACCEPTED, "the test", "a reason", None)
        everything = DecisionScope(field="*")
        fingerprint = everything.fingerprint(THEIRS)
        await decisions.decide_scope(session, fingerprint, everything, Decision.EXPECTED, "the test", "a reason", None)
    await sync(database, THEIRS, [audit_event("e", "1")], AUDIT_EVENTS)
    async with database.tenant(THEIRS) as session:
        for statement in f"{OF_PROMOTIONS};{OF_NOTIFICATIONS}".split(";"):
            await session.execute(text(statement))
    run = await begin(database, THEIRS, "a")
    await land(database, THEIRS, run, [observation("a", "1", displayName="secret"), listed("a", "3")])
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
