"""`baseline` and `drift` as people and machines see them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from typer.testing import CliRunner

from answers.drift.command import left_out_lines
from answers.drift.records import BaselineRecord, DriftDecisionRecord, DriftFindingRecord, DriftReport, LeftOutItem
from cli.app import app
from cli.basis_lines import by_reason
from cli.output_options import OutputOptions, using
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.stale import Staleness, StalePart
from storage.database import Database
from tests.answers.drift.support import OTHER, TENANT, A, assigned, policy
from tests.cli.command_line import CommandResult, Terminal
from tests.storage.support import observation, sync

PILOT = "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f"


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Terminal:
    return Terminal(database_url, tmp_path)


@pytest.fixture
async def drifted(database: Database) -> Any:
    """Sets the tenant up and returns a function that makes it drift."""
    group = observation("groups", PILOT, displayName="Pilot")
    await sync(database, TENANT, [policy("1", assignments=[]), policy("2"), group], A, "groups")

    async def drift() -> None:
        changed = policy("1", level=2, assignments=[assigned(PILOT)])
        await sync(database, TENANT, [changed, group], A, "groups")

    return drift


async def test_a_baseline_is_set_listed_and_dropped(run: Terminal, drifted: Any) -> None:
    set_one = await run("baseline", "set", TENANT, "golden", "--reason", "as approved", "--json")
    record = BaselineRecord.model_validate(orjson.loads(set_one.stdout))
    assert (set_one.code, record.name, record.covered, record.pinned) == (0, "golden", [A, "groups"], 3)
    (listed,) = (await run("baseline", "list", TENANT, "--json")).objects()
    assert BaselineRecord.model_validate(listed) == record
    assert "golden" in (await run("baseline", "list", TENANT)).stdout
    assert (await run("baseline", "drop", TENANT, "golden")).code == 0
    again = await run("baseline", "drop", TENANT, "golden")
    assert (again.code, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1


async def test_drift_is_shown_with_names_and_can_be_decided(run: Terminal, drifted: Any) -> None:
    await run("baseline", "set", TENANT, "golden")
    await drifted()
    result = await run("drift", TENANT, "--json")
    assert result.code == 0
    report, *lines = result.objects()
    assert DriftReport.model_validate(report).counts.open == 3
    findings = {line.label or str(line.kind): line for line in map(DriftFindingRecord.model_validate, lines)}
    assert set(findings) == {'assignments[group "Pilot"]', "level", "item_missing"}
    people = await run("drift", TENANT)
    assert "1 → 2" in people.stdout
    assert '+ include group "Pilot"' in people.stdout
    fingerprint = findings["level"].fingerprint
    decided = await run("drift", "decide", TENANT, fingerprint[:12], "--as", "accepted", "--why", "pilot", "--json")
    assert DriftFindingRecord.model_validate(orjson.loads(decided.stdout)).decision == "accepted"
    report, *lines = (await run("drift", "show", TENANT, "--json")).objects()
    assert (report["counts"]["accepted"], len(lines)) == (1, 2), "accepted findings are left out"
    everything = (await run("drift", TENANT, "--baseline", "golden", "--all", "--json")).objects()
    assert len(everything) == 4
    assert "accepted by ada: pilot" in (await run("drift", TENANT, "--all")).stdout


async def test_a_limit_bounds_the_output_but_not_the_exit_code(
    run: Terminal, database: Database, tmp_path: Path
) -> None:
    names = {TENANT: "alpha", OTHER: "beta", UUID(int=13): "gamma"}
    (tmp_path / "no-tenants.toml").write_text(
        "".join(
            f'[[tenant]]\nid = "{key}"\nname = "{name}"\nclient_id = "c"\nmanaged_identity = true\n'
            for key, name in names.items()
        )
    )
    for tenant_id in names:
        await sync(database, tenant_id, [policy(number) for number in "123"], A)
        await run("baseline", "set", tenant_id, "golden")
    for tenant_id, weak in zip(names, (False, False, True), strict=True):
        await sync(database, tenant_id, [policy(number, level=2, **({"x": 1} if weak else {})) for number in "123"], A)
    report, finding = (await run("drift", "alpha", "--limit", "1", "--json")).objects()
    assert (report["counts"]["open"], finding["label"]) == (3, "level"), "the report counts all findings"
    limited = await run("drift", "alpha", "--limit", "1")
    assert (limited.stdout.count("1 → 2"), limited.stderr.splitlines()[-1]) == (1, "--limit 1 leaves out 2 more rows")
    lines = await run("drift", "--all-tenants", "--limit", "2", "--fail-on", "low")
    assert [line.split(":")[0] for line in lines.stdout.splitlines()] == ["alpha", "beta"]
    assert lines.stderr.splitlines()[-2:] == ["3 tenants", "--limit 2 leaves out 1 more row"]
    assert lines.code == 4
    rows = await run("drift", "--all-tenants", "--limit", "4", "--csv")
    assert len(rows.stdout.splitlines()) == 5
    assert rows.stderr.splitlines()[-1] == "--limit 4 leaves out 8 more rows", "every tenant is evaluated"
    page = await run("drift", "alpha", "--limit", "1", "--html", tmp_path / "page.html")
    assert (page.code, page.stderr.count("\n")) == (2, 1)


async def test_decisions_about_items_and_fields_are_made_listed_and_revoked(run: Terminal, drifted: Any) -> None:
    await run("baseline", "set", TENANT, "golden")
    await drifted()
    await run("drift", TENANT)

    async def decide(*about: str, decision: str = "accepted") -> CommandResult:
        return await run("drift", "decide", TENANT, *about, "--as", decision, "--why", "pilot", "--until", "2999-12-31")

    result = await decide("--item", "Policy 1", "--field", "assign*")
    assert (result.code, result.stdout.endswith("; 1 finding closed by it now\n")) == (0, True), result.stderr
    whole = DriftDecisionRecord.model_validate_json((await decide("--field", "*", "--type", A, "--json")).stdout)
    assert (whole.covers, whole.state) == (2, "holds")
    people = await run("drift", TENANT)
    assert people.stdout.endswith(": nothing open, 3 accepted\n")
    listed = await run("drift", "decisions", TENANT)
    assert listed.stdout.startswith("2 decisions, 2 in force\n")
    assert "Policy 1 assign*" in listed.stdout
    assert f"* in {A}" in listed.stdout
    back = await decide(whole.decision_id[:8], decision="open")
    assert back.stdout == f"{whole.decision_id[:12]} * in {A}: taken back; 0 findings closed by it now\n"
    found = (await run("drift", TENANT, "--json")).objects()
    assert [line["path"] or line["kind"] for line in found[1:]] == ["level", "item_missing"]
    history = (await run("drift", "decisions", TENANT, "--all", "--json")).objects()
    assert [(line["decision"], line["decided_by"], line["state"]) for line in history] == [
        ("open", "ada", "revoked"), ("accepted", "ada", "replaced"), ("accepted", "ada", "holds"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--fail-on", "high"), 4),
        (("--fail-on", "low"), 4),
        (("--fail-on", "weakened"), 4),
        (("--fail-on", "high", "--severity", "low"), 4),
        (("--fail-on", "high", "--type", "groups"), 0),
    ],
)
async def test_a_threshold_makes_the_exit_code_4(
    run: Terminal, database: Database, options: tuple[str, ...], code: int
) -> None:
    await sync(database, TENANT, [policy("1", passwordMinimumLength=8)], A, "groups")
    await run("baseline", "set", TENANT, "golden")
    await sync(database, TENANT, [policy("1", passwordMinimumLength=4)], A, "groups")
    result = await run("drift", TENANT, *options)
    assert result.code == code, result.stderr
    assert "1 open" in result.stdout or "nothing open" in result.stdout, "the answer is printed with every exit code"
    if options:
        await run("drift", "decide", TENANT, "--field", "password*", "--as", "accepted", "--why", "agreed")
        assert (await run("drift", TENANT, *options)).code == 0


async def test_fail_on_does_not_pass_with_unread_collections(run: Terminal, drifted: Any, database: Database) -> None:
    unread = await run("drift", UUID(int=99), "--fail-on", "high")
    assert (unread.code, unread.stdout) == (3, "")
    await run("baseline", "set", TENANT, "golden")
    failed: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
    await sync(database, TENANT, [], A, "groups", status=RunStatus.FAILED, outcomes={A: failed, "groups": failed})
    assert (await run("drift", TENANT, "--fail-on", "high")).code == 3


async def test_an_unread_collection_makes_the_exit_code_3(run: Terminal, drifted: Any, database: Database) -> None:
    await run("baseline", "set", TENANT, "golden")
    failed: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
    outcomes = {A: failed, "groups": failed}
    await sync(database, TENANT, [], A, "groups", status=RunStatus.FAILED, outcomes=outcomes)
    result = await run("drift", TENANT)
    assert result.code == 3
    assert f"left out: {A}, groups (baseline: complete; now: failed:graph_throttled)" in result.stderr
    many = [(f"c{number}", "failed") for number in range(9)]
    assert list(by_reason("left out", [("a", "skipped"), *many])) == [
        "left out: a (skipped)",
        "left out: c0, c1, c2, c3, c4, c5 and 3 more (failed)",
    ]


async def test_another_tenant_can_be_the_baseline(run: Terminal, drifted: Any, database: Database) -> None:
    await sync(database, OTHER, [policy("9", displayName="Policy 1", level=5)], A)
    set_one = await run("baseline", "set", TENANT, "other", "--tenant", OTHER)
    assert set_one.code == 0, set_one.stderr
    result = await run("drift", TENANT, "--type", A, "--json")
    report, *lines = result.objects()
    assert UUID(report["baseline"]["other_tenant_id"]) == OTHER
    assert ("level", 5, 1) in [(line["path"], line["before"], line["after"]) for line in lines]


async def test_tagged_tenants_are_compared_with_a_golden_tenant(
    run: Terminal, database: Database, tmp_path: Path
) -> None:
    names = {TENANT: "alpha", OTHER: "golden one", UUID(int=13): "gamma", UUID(int=14): "delta"}
    (tmp_path / "no-tenants.toml").write_text(
        "".join(
            f'[[tenant]]\nid = "{key}"\nname = "{name}"\nclient_id = "c"\nmanaged_identity = true\ntags = ["all"]\n'
            for key, name in names.items()
        )
    )
    for tenant_id, length in ((OTHER, 8), (TENANT, 4), (UUID(int=13), 8)):
        await sync(database, tenant_id, [policy("9", displayName="Policy 1", passwordMinimumLength=length)], A)
    held = await run("drift", "--tag", "all", "--golden", "golden one")
    assert held.stdout.splitlines() == [
        "alpha: golden-one: 1 open in 1 item, 1 weakens protection, 1 high",
        "gamma: golden-one: nothing open",
    ]
    assert held.code == 3, "delta was never read"
    assert held.stderr.splitlines()[-1] == "3 tenants, 1 never read"
    gate = await run("drift", "--tag", "all", "--baseline", "golden-one", "--fail-on", "weakened")
    assert gate.code == 4
    again = await run("drift", "alpha", "--golden", "golden one", "--json")
    assert [line["tenant_id"] for line in again.objects()] == [str(TENANT)] * 2, "the same baseline, and its finding"
    assert len((await run("baseline", "list", "alpha", "--json")).objects()) == 1
    itself = await run("drift", "golden one", "--golden", "golden one")
    assert (itself.code, itself.stdout) == (2, "")


WRONG = [
    ("baseline", "set", TENANT, "no/name"),
    ("baseline", "set", TENANT, "golden", "--run", "x"),
    ("baseline", "set", TENANT, "golden", "--at", "yesterday"),
    ("baseline", "set", TENANT, "golden", "--at", "2999-01-01"),
    ("baseline", "set", TENANT, "golden", "--at", "2026-01-01", "--run", UUID(int=13)),
    ("baseline", "set", TENANT, "golden", "--tenant", TENANT),
    ("drift", TENANT),
    ("drift", TENANT, "--baseline", "none"),
    ("drift", TENANT, "--baseline", "none", "--golden", OTHER),
    ("drift", TENANT, "--golden", TENANT),
    ("drift", TENANT, "--all-tenants"),
    ("drift", "decide", TENANT, "abcdef", "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "ab", "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "abcdef", "--as", "accepted", "--why", " "),
    ("drift", "decide", TENANT, "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "--type", A, "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "abcdef", "--item", "Policy 1", "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "--item", "Policy 7", "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "--field", "x", "--baseline", "none", "--as", "accepted", "--why", "x"),
    ("drift", "decide", TENANT, "--field", "x", "--type", "none", "--as", "accepted", "--why", "x"),
]


async def test_wrong_usage_is_reported_in_one_line(run: Terminal, drifted: Any) -> None:
    for words in WRONG:
        result = await run(*words)
        assert (result.code, result.stdout, result.stderr.count("\n")) == (2, "", 1), (words, result.stderr)


async def test_a_tenant_may_stand_in_place_of_a_subcommand(
    run: Terminal, drifted: Any, tmp_path: Path, database_url: str
) -> None:
    await run("baseline", "set", TENANT, "golden")
    assert (await run("drift", "--baseline", "golden", TENANT)).code == 0, "an option may come first"
    help_of = {words: (await run(*words, "--help")).stdout for words in (("drift",), ("drift", "x"))}
    assert "TENANT [OPTIONS] | COMMAND [ARGS]..." in help_of["drift",]
    assert "decide" in help_of["drift",]
    assert "--severity" in help_of["drift", "x"]
    (tmp_path / "tenants.toml").write_text(
        f'[[tenant]]\nid = "{TENANT}"\nname = "decadent"\nclient_id = "{TENANT}"\nclient_secret_env = "X"\n'
    )
    completing = {
        "_STARTER_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "starter drift dec",
        "TENANTS_FILE": str(tmp_path / "tenants.toml"),
        "DATABASE_URL": database_url,
    }
    result = await asyncio.to_thread(CliRunner().invoke, app, [], env=completing, prog_name="starter")
    assert {"decide", "decadent"} <= set(result.stdout.replace('"', " ").split())


def test_items_that_cannot_be_compared_are_counted_by_collection_and_reason() -> None:
    stale = Staleness(since=datetime(2026, 3, 1, tzinfo=UTC), parts=[StalePart()])
    items = [
        LeftOutItem(type_key=A, external_id=x, display_name=x, item_kind="Kind", reason="undecided") for x in "abcde"
    ]
    items += [LeftOutItem(type_key=A, external_id="f", display_name="f", item_kind="Kind", reason="forgotten")]
    items += [LeftOutItem(type_key=A, external_id="g", display_name="g", item_kind="Kind", reason="stale", stale=stale)]
    with using(OutputOptions(utc=True)):
        lines = list(left_out_lines(items))
    assert lines[0].startswith(f"cannot be compared: g ({A}): stale since 2026-03-01 00:00:00Z: ")
    assert lines[1:] == [
        f"cannot be compared: a, b, c and 2 more ({A}): hidden values, or ids without a counterpart",
        f"cannot be compared: f ({A}): retention has deleted the version of the baseline",
    ]
