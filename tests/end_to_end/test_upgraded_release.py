"""Runs of today's worker on an upgraded database of release 0.3.0 report no change and rewrite no document."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from answers.drift.answer import drift
from answers.drift.baseline_queries import baselines
from answers.drift.baselines import set_moment
from answers.drift.decision_queries import decide
from answers.drift.evaluation import evaluate
from answers.drift.rules import Decision, NewDecision
from answers.versions import answer
from inventory.normal_form import FORM
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.compression import decompress
from storage.schema import head, upgrade
from tests.end_to_end.system import System
from tests.releases.recorded_release import ITEMS_PER_COLLECTION, SEED, RecordedRelease

RELEASE = RecordedRelease.of("0.3.0", revision="0012")
ALL = [word for key in RELEASE.type_keys for word in ("--type", key)]
EDITED = "deviceConfigurations"

VERSIONS = """
SELECT type_key, item_key(external_id), version_number, body, body_hash IS NULL
FROM item_version JOIN document USING (tenant_id, content_hash)
"""
NEW_VERSIONS = """
SELECT type_key, external_id, version_number FROM item_version WHERE first_observed_at >= CAST(:since AS timestamptz)
"""
OF_EARLIER_FORMS = "SELECT type_key, external_id FROM inventory_item WHERE form < %s AND absent_from IS NULL"


@pytest.fixture
def system(temporal: EmbeddedTemporal, empty_database_url: str, tmp_path: Path) -> Iterator[System]:
    """The release's database, not yet upgraded, and a tenant that serves the documents that the release read."""
    RELEASE.restore(empty_database_url)
    with (
        SimulatedGraph(tenants=1, seed=SEED, items_per_collection=ITEMS_PER_COLLECTION) as graph,
        System(graph, temporal, empty_database_url, tmp_path) as running,
    ):
        assert UUID(running.tenant.id) == RELEASE.tenant_id
        RELEASE.serve(running.tenant)
        yield running


def form_0_documents(system: System) -> dict[tuple[str, str, int], bytes]:
    """The bytes of the documents of form 0, by version."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        return {
            (type_key, external_id, number): decompress(body)
            for type_key, external_id, number, body, is_of_form_0 in connection.execute(VERSIONS)
            if is_of_form_0
        }


def items_of_earlier_forms(system: System) -> list[tuple[str, str]]:
    """The present items whose current version has not been compared under today's form."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        return list(connection.execute(OF_EARLIER_FORMS, [FORM]))


async def count_and_accept_findings(system: System) -> tuple[int, int]:
    """The number of findings against the first run's inventory, and of open findings, which are then accepted."""
    async with system.database() as database, database.tenant(RELEASE.tenant_id) as session:
        if not await baselines(session, "early"):
            finished = await session.execute(text("SELECT min(finished_at) FROM sync_run"))
            await set_moment(session, "early", finished.scalar_one(), "ada", None)
        await evaluate(session, RELEASE.tenant_id, "early")
        findings = (await drift(session, RELEASE.tenant_id, "early")).findings
        deviating = [found for found in findings if found.resolved_at is None]
        still_open = [found.fingerprint for found in deviating if found.is_open]
        await decide(session, still_open, NewDecision(Decision.ACCEPTED, "ada", "planned"))
        return len(deviating), len(still_open)


async def assert_no_reported_change(system: System, since: datetime) -> None:
    """Asserts that no version since then counts as a change or has a reported difference."""
    async with system.database() as database, database.tenant(RELEASE.tenant_id, read_only=True) as session:
        found = await session.execute(text(NEW_VERSIONS), {"since": since})
        new = [(row.type_key, row.external_id, row.version_number) for row in found]
        assert new, "masked secrets have marks with edits now"
        for type_key, external_id, number in new:
            newest = (await answer.history(session, type_key, external_id))[0]
            assert (newest.version, newest.tells_change) == (number, False), newest
            compared = await answer.compare(session, type_key, external_id, None, None)
            assert compared is not None
            assert compared.differences == []


def reported(system: System, command: str, *arguments: str) -> list[tuple[str, str]]:
    """The items that a command reports, each with the kind of change or the path of its finding."""
    result = system.starter(command, system.tenant.name, *arguments, "--json")
    assert result.code == 0, result.stderr
    return [
        (line["external_id"], line.get("path", line.get("kind"))) for line in result.objects() if "type_key" in line
    ]


@pytest.mark.slow
async def test_runs_on_an_upgraded_database_report_no_change_and_keep_documents(system: System) -> None:
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        bodies = connection.execute("SELECT count(DISTINCT version_number), count(*) FROM item_version").fetchone()
    assert bodies == (4, 518), "the release has left items with up to four versions"
    upgraded = upgrade(system.environment["DATABASE_URL"])
    assert (upgraded.before, upgraded.after) == (RELEASE.revision, head())
    before = form_0_documents(system)
    assert len(before) == 518
    waiting = len(items_of_earlier_forms(system))
    deviating, still_open = await count_and_accept_findings(system)
    assert deviating == still_open > 0
    system.start_worker()

    first = system.sync(*ALL)
    assert first.status == "success", first.error_codes
    assert (first.counts.created, first.counts.changed, first.counts.unchanged) == (0, 0, first.counts.observed)
    since = ("--since", str(first.started_at))
    assert reported(system, "changes", *since) == []
    assert reported(system, "drift") == []
    assert 0 < len(items_of_earlier_forms(system)) < waiting, "items whose details are not due wait for their turn"

    deep = system.sync(*ALL, "--deep")
    assert (deep.status, items_of_earlier_forms(system), deep.counts.changed) == ("success", [], 0)
    assert reported(system, "changes", *since) == []
    assert reported(system, "drift") == []
    assert first.started_at is not None
    await assert_no_reported_change(system, first.started_at)
    # One finding is about a property that the first document lacks; documents of two forms are not compared in it
    # (decision 50).
    assert await count_and_accept_findings(system) == (deviating - 1, 0)
    after = form_0_documents(system)
    assert {key: after.get(key) for key in before} == before

    again = system.sync(*ALL, "--deep")
    assert (again.counts.changed, again.counts.requests) == (0, deep.counts.requests)


@pytest.mark.slow
def test_only_an_edit_made_during_the_upgrade_is_reported(system: System) -> None:
    upgrade(system.environment["DATABASE_URL"])
    path = f"deviceManagement/{EDITED}"
    edited = system.tenant.documents(path)[0]["id"]
    system.tenant.change(path, edited, {"description": "edited during the upgrade"})
    system.start_worker()
    run = system.sync("--type", EDITED, "--deep")
    counts = run.counts
    assert (counts.created, counts.changed, counts.missing) == (0, 1, 0)
    assert counts.unchanged == counts.observed - 1 > 0
    assert reported(system, "changes", "--since", str(run.started_at)) == [(edited, "changed")]
    assert reported(system, "drift") == [(edited, "description")]
