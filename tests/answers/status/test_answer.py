"""The status of all tenants, and the table that shows it."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from typer.testing import CliRunner

from answers.drift import decision_queries
from answers.drift.answer import drift
from answers.drift.baselines import set_moment
from answers.drift.decision_scope import DecisionScope
from answers.drift.decisions import decide_scope
from answers.drift.evaluation import evaluate
from answers.drift.rules import Decision, NewDecision
from answers.status.answer import status
from answers.status.records import Attention, NotReadReason, TenantStatus
from answers.status.rules import attention, most_urgent_first
from cli.app import app
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.severity import Severity
from storage.database import Database
from storage.documents import database_time
from tests.storage.support import observation, sync

CALM, WORRIED, UNREAD = UUID(int=1), UUID(int=2), UUID(int=3)
TYPES = ("conditionalAccessPolicies", "groups")
REFUSED: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
SKIPPED: tuple[Outcome, ErrorCode | None] = (Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED)


async def states(database: Database, old_after: timedelta = timedelta(hours=1)) -> dict[UUID, TenantStatus]:
    async with database.portfolio() as session:
        return {row.tenant_id: row for row in await status(session, [CALM, WORRIED, UNREAD], old_after)}


async def test_status_counts_the_latest_run_of_each_collection(database: Database) -> None:
    items = [observation(key, external_id) for key in TYPES for external_id in ("1", "2")]
    await sync(database, CALM, items, *TYPES)
    await sync(database, WORRIED, items, *TYPES)
    await sync(database, WORRIED, [observation("groups", "1")], "groups")
    outcomes = {
        "namedLocations": REFUSED,
        "domains": REFUSED,
        "organization": SKIPPED,
    }
    await sync(database, WORRIED, [], *outcomes, status=RunStatus.FAILED, outcomes=outcomes)
    # An expired audit event is not missing.
    await sync(database, CALM, [observation("auditEvents", "1")], "auditEvents")
    await sync(database, CALM, [], "auditEvents")

    found = await states(database)
    assert list(found) == [UNREAD, WORRIED, CALM], "the most urgent tenant comes first"
    assert found[UNREAD].attention == [Attention.NEVER_READ]
    worried = found[WORRIED]
    assert (worried.collections, worried.read, worried.missing, worried.run_status) == (4, 2, 1, RunStatus.FAILED)
    assert worried.not_read == [NotReadReason(reason="failed:graph_permission_missing", collections=2)]
    assert worried.attention == [Attention.RUN_FAILED, Attention.NOT_READ, Attention.MISSING]
    calm = found[CALM]
    assert (calm.collections, calm.read, calm.missing, calm.not_read, calm.attention) == (2, 2, 0, [], [])


async def test_collections_that_no_run_selected_are_counted_without_need_for_attention(
    database: Database, environment: dict[str, str]
) -> None:
    expected = len(load_catalog().everything() - load_catalog().logs)
    await sync(database, CALM, [], "groups", "auditEvents")
    await sync(database, WORRIED, [], *load_catalog().everything())
    found = await states(database)
    assert [found[tenant_id].never_selected for tenant_id in (CALM, WORRIED, UNREAD)] == [expected - 1, 0, expected]
    assert found[CALM].attention == []
    result = await asyncio.to_thread(CliRunner().invoke, app, ["status"], env=environment)
    assert f"no run has selected: {expected - 1} collections of Calm\n" in result.stderr


async def test_tenant_is_old_after_the_age_limit(database: Database) -> None:
    await sync(database, CALM, [observation("groups", "1")], "groups")
    await sync(database, CALM, [], "namedLocations")
    async with database.tenant(CALM, read_only=True) as session:
        now = await database_time(session)
    (fresh, *_) = [entry for entry in (await states(database)).values() if entry.tenant_id == CALM]
    assert fresh.oldest is not None
    age = now - fresh.oldest
    assert attention(fresh, now, age) == []
    assert attention(fresh, now, age - timedelta(microseconds=1)) == [Attention.OLD]


async def test_tenant_whose_runs_fail_shows_and_grows_old_by_its_last_reading(database: Database) -> None:
    await sync(database, CALM, [], *TYPES)
    read_at = (await states(database))[CALM].oldest
    refused = dict.fromkeys(TYPES, REFUSED)
    await sync(database, CALM, [], *TYPES, status=RunStatus.FAILED, outcomes=refused)
    calm = (await states(database))[CALM]
    assert (calm.oldest, calm.attention) == (read_at, [Attention.RUN_FAILED])
    assert (await states(database, timedelta(0)))[CALM].attention == [Attention.RUN_FAILED, Attention.OLD]


async def test_stale_items_count_while_present(database: Database) -> None:
    groups = [observation("groups", external_id) for external_id in ("1", "2")]
    await sync(database, CALM, groups, "groups")
    async with database.tenant(CALM) as session:
        await session.execute(text("UPDATE inventory_item SET stale_since = now(), stale_parts = '[]'"))
    calm = (await states(database))[CALM]
    assert (calm.stale, calm.attention) == (2, [Attention.STALE])
    await sync(database, CALM, [], "groups")
    calm = (await states(database))[CALM]
    assert (calm.stale, calm.attention) == (0, [Attention.MISSING])


@pytest.mark.parametrize(
    ("code", "read", "tried", "is_told"),
    [
        (ErrorCode.GRAPH_PERMISSION_MISSING, "never", "now", True),
        (ErrorCode.GRAPH_PERMISSION_MISSING, "10 minutes", "now", True),
        (ErrorCode.GRAPH_PERMISSION_MISSING, "never", "4 hours", False),
        (ErrorCode.GRAPH_UNAVAILABLE, "10 minutes", "now", False),
        (ErrorCode.GRAPH_UNAVAILABLE, "2 hours", "now", True),
        (ErrorCode.GRAPH_UNAVAILABLE, "never", "now", True),
        (ErrorCode.GRAPH_NOT_LICENSED, "never", "now", False),
        (None, "now", "now", False),
    ],
)
async def test_unreadable_audit_log_needs_attention(
    database: Database, code: ErrorCode | None, read: str, tried: str, is_told: bool
) -> None:
    await sync(database, CALM, [observation("groups", "1")], "groups")
    ago = {"now": "0", "never": None}
    async with database.tenant(CALM) as session:
        await session.execute(
            text(
                "INSERT INTO audit_log_position (type_key, tried_at, read_at, error_code)"
                " VALUES ('auditEvents', clock_timestamp() - CAST(:tried AS interval),"
                " clock_timestamp() - CAST(:read AS interval), :code)"
            ),
            {"tried": ago.get(tried, tried), "read": ago.get(read, read), "code": code},
        )
    calm = (await states(database))[CALM]
    assert [log.error_code for log in calm.not_watched] == [code] * is_told
    assert calm.attention == [Attention.NOT_WATCHED] * is_told


async def test_tenant_of_which_nothing_was_read_has_one_reason(database: Database) -> None:
    refused = {"groups": REFUSED, "domains": REFUSED}
    await sync(database, CALM, [], *refused, status=RunStatus.FAILED, outcomes=refused)
    await sync(database, WORRIED, [], *refused, status=RunStatus.PARTIAL, outcomes=refused | {"domains": SKIPPED})
    found = await states(database, timedelta(0))
    assert (found[CALM].oldest, found[CALM].attention) == (None, [Attention.RUN_FAILED])
    assert (found[WORRIED].oldest, found[WORRIED].attention) == (None, [Attention.NOT_READ])
    assert found[CALM].not_read == [NotReadReason(reason="failed:graph_permission_missing", collections=2)]
    await sync(database, CALM, [], "groups")
    await sync(
        database, CALM, [], *refused, status=RunStatus.FAILED, outcomes=refused | {"groups": (Outcome.COMPLETE, None)}
    )
    expected = [Attention.RUN_FAILED, Attention.NOT_READ, Attention.OLD]
    assert (await states(database, timedelta(0)))[CALM].attention == expected


async def test_equally_urgent_tenants_keep_the_given_order(database: Database) -> None:
    tenant_ids = [UNREAD, *(UUID(int=number) for number in (19, 13, 17, 11, 15))]
    for tenants in (tenant_ids, tenant_ids[::-1]):
        async with database.portfolio() as session:
            assert [tenant.tenant_id for tenant in await status(session, tenants)] == tenants


async def test_high_finding_counts_until_a_decision_covers_it(database: Database) -> None:
    await sync(database, CALM, [observation(TYPES[0], "1", state="enabled")], TYPES[0])
    async with database.tenant(CALM) as session:
        await set_moment(session, "golden", None, "ada", "as approved")
    await sync(database, CALM, [observation(TYPES[0], "1", state="disabled", displayName="x")], TYPES[0])
    async with database.tenant(CALM) as session:
        await evaluate(session, CALM, "golden")
        high = [
            finding for finding in (await drift(session, CALM, "golden")).findings if finding.severity is Severity.HIGH
        ]
    assert len(high) == 1
    assert (await states(database))[CALM].high_drift == 1

    async def decide(decision: Decision, until: datetime | None = None) -> int:
        async with database.tenant(CALM) as session:
            await decision_queries.decide(
                session, [high[0].fingerprint], NewDecision(decision, "ada", "as agreed", until)
            )
        return (await states(database))[CALM].high_drift

    async with database.tenant(CALM, read_only=True) as session:
        now = await database_time(session)
    assert await decide(Decision.ACCEPTED) == 0
    assert await decide(Decision.OPEN) == 1
    assert await decide(Decision.ACCEPTED, now + timedelta(days=1)) == 0
    assert await decide(Decision.ACCEPTED, now - timedelta(days=1)) == 1

    item = {"type_key": TYPES[0], "external_id": "1"}
    covering = [{"field": "state"}, {"field": "st*", "type_key": TYPES[0]}, item, {**item, "baseline": "golden"}]
    others = [{"field": "states"}, {**item, "external_id": "2"}, {"field": "*", "type_key": TYPES[1]}]
    for number, about in [(0, scope) for scope in covering] + [(1, scope) for scope in others]:
        scope = DecisionScope(**about)
        async with database.tenant(CALM) as session:
            await decide_scope(session, CALM, scope, NewDecision(Decision.EXPECTED, "ada", "as agreed"))
        assert (await states(database))[CALM].high_drift == number, about
        async with database.tenant(CALM) as session:
            await decide_scope(session, CALM, scope, NewDecision(Decision.OPEN, "ada", "no more"))
        assert (await states(database))[CALM].high_drift == 1, about


@given(st.lists(st.lists(st.sampled_from(Attention), unique=True).map(sorted), max_size=8))
def test_tenants_are_sorted_by_urgency(drawn: list[list[Attention]]) -> None:
    tenants = [state(reasons=sorted(reasons, key=list(Attention).index)) for reasons in drawn]
    needs = [bool(tenant.attention) for tenant in most_urgent_first(tenants)]
    assert needs == sorted(needs, reverse=True)
    firsts = [list(Attention).index(row.attention[0]) for row in most_urgent_first(tenants) if row.attention]
    assert firsts == sorted(firsts)


def state(reasons: list[Attention]) -> TenantStatus:
    return TenantStatus(
        tenant_id=uuid4(), run_id=None, run_status=None, run_started_at=None, oldest=None, collections=0, read=0,
        not_read=[], missing=0,
        stale=0, high_drift=0, attention=reasons,
    )  # fmt: skip


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    tenants = tmp_path / "tenants.toml"
    named = {CALM: "Calm", WORRIED: "Worried", UNREAD: "Never read"}
    tenants.write_text(
        "\n".join(
            f'[[tenant]]\nname = {orjson.dumps(name).decode()}\nid = "{tenant_id}"\nclient_id = "{tenant_id}"\n'
            f'client_secret_env = "NONE"\ntags = ["{name[0].lower()}"]\n'
            for tenant_id, name in named.items()
        )
    )
    return {"DATABASE_URL": database_url, "TENANTS_FILE": str(tenants)}


def test_status_names_disabled_tenants(environment: dict[str, str]) -> None:
    file = Path(environment["TENANTS_FILE"])
    file.write_text(file.read_text().replace("[[tenant]]", "[[tenant]]\ndisabled = true", 1))
    result = CliRunner().invoke(app, ["status"], env=environment)
    (note,) = [line for line in result.stderr.splitlines() if "disabled" in line]
    assert note.startswith("not read while disabled: ")
    assert "," not in note
    assert "2 of 2 tenants need attention" in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines() if line.endswith("disabled")] == ["Calm"]
    others = CliRunner().invoke(app, ["status", "--json"], env=environment)
    assert "disabled" not in others.stderr
    states = map(TenantStatus.model_validate_json, others.stdout.splitlines())
    assert [(state.tenant_id, state.attention) for state in states if state.disabled] == [(CALM, [])]


async def test_status_table_lists_reasons_for_attention(database: Database, environment: dict[str, str]) -> None:
    await sync(database, CALM, [observation("groups", "1")], "groups")
    await sync(database, WORRIED, [], "groups", status=RunStatus.FAILED, outcomes={"groups": REFUSED})
    async with database.tenant(CALM) as session:
        refused = text("INSERT INTO audit_log_position (type_key, error_code) VALUES ('directoryAudits', :code)")
        await session.execute(refused, {"code": ErrorCode.GRAPH_PERMISSION_MISSING})
    result = await asyncio.to_thread(CliRunner().invoke, app, ["status"], env=environment)
    assert result.exit_code == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split("  ")[0] == "tenant"
    assert [row.split("  ")[0] for row in rows] == ["Never read", "Worried", "Calm"]
    assert "1 of 1" in rows[2]
    assert rows[1].endswith("run failed"), "nothing was read, so its failure is the one reason"
    assert "not watched" in rows[2]
    assert "3 of 3 tenants need attention" in result.stderr
    assert "watch:graph_permission_missing: 1 audit log of Calm" in result.stderr
    assert "failed:graph_permission_missing: 1 collection of Worried" in result.stderr

    some = await asyncio.to_thread(CliRunner().invoke, app, ["status", "--tag", "c", "--json"], env=environment)
    (only,) = map(TenantStatus.model_validate_json, some.stdout.splitlines())
    assert (only.tenant_id, only.attention) == (CALM, [Attention.NOT_WATCHED])
