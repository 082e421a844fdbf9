"""Every command's `--json`: one object or JSON Lines, the fields of the contract, and nothing else on stdout."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from typer.testing import CliRunner

from cli.app import app
from graph.catalog import load_catalog
from inventory.outcomes import Counts
from storage.roles import ROLES
from storage.schema import head
from tests.cli.test_bounds import COMMANDS
from tests.end_to_end.system import System
from tests.entry_tests import of_each

RUN_FIELDS = [
    "run_id",
    "tenant_id",
    "selection_hash",
    "selection",
    "selection_name",
    "workflow_id",
    "status",
    "queued_at",
    "started_at",
    "finished_at",
    "counts",
    "error_codes",
    "collections",
    "kind",
]
COLLECTION_FIELDS = ["outcome", "pages", "items", "error_code", "context"]
COUNT_FIELDS = [
    "pages",
    "requests",
    "throttled",
    "observed",
    "created",
    "changed",
    "unchanged",
    "missing",
    "not_read",
    "stale",
    "invalid",
    "errors",
]
ITEM_FIELDS = [
    "tenant_id",
    "type_key",
    "external_id",
    "display_name",
    "meta",
    "content_hash",
    "first_seen_at",
    "last_seen_at",
    "last_seen_run_id",
    "state",
    "confidence",
    "evidence",
    "details_read_at",
    "stale",
    "graph_id",
    "kind",
    "title",
]

CATALOG_FIELDS = ["type_key", "title", "category", "endpoint", "permission"]
"""The first fields; more may follow."""


def test_each_command_prints_the_fields_of_its_contract(system: System) -> None:
    system.start_worker()
    tenant = system.tenant.name
    groups = system.tenant.documents("groups", "v1.0")

    synced = system.starter("sync", tenant, "--type", "groups", "--json")
    assert synced.code == 0
    (record,) = synced.objects()
    assert list(record) == [*RUN_FIELDS, "compares_hidden_values"]
    assert record.pop("compares_hidden_values") is False, "SENSITIVE_FIELDS_KEY is none here"
    assert list(record["counts"]) == COUNT_FIELDS == list(Counts.model_fields)
    assert list(record["collections"]) == ["groups"]
    assert list(record["collections"]["groups"]) == COLLECTION_FIELDS
    assert record["counts"]["created"] == len(groups)

    reprinted = system.starter("run", record["run_id"], "--json")
    assert (reprinted.code, reprinted.objects()) == (0, [record])
    assert system.starter("runs", "--json").objects() == [record]
    assert system.starter("runs", tenant, "--limit", "1", "--json").objects() == [record]
    assert system.starter("runs", system.graph.tenants[1].name, "--json").objects() == []

    items = system.starter("items", tenant, "--type", "groups", "--selection", record["selection_hash"][:10], "--json")
    assert [list(item) for item in items.objects()] == [ITEM_FIELDS] * len(groups)
    assert {item["external_id"] for item in items.objects()} == {group["id"] for group in groups}
    assert {(item["state"], item["confidence"]) for item in items.objects()} == {("present", "high")}

    system.tenant.remove("groups", groups[0]["id"])
    system.sync("--type", "groups")
    (missing,) = system.starter("missing", tenant, "--json").objects()
    assert list(missing) == [*ITEM_FIELDS, "first_missed_at", "first_missed_run_id"]
    assert [missing[name] for name in ("state", "confidence", "evidence")] == ["missing", "high", "confirmed"]

    upgraded = system.starter("database", "upgrade", "--json").objects()
    assert upgraded == [{"before": head(), "after": head(), "roles": list(ROLES)}]


def test_no_wait_prints_the_record_of_a_queued_run(system: System) -> None:
    started = system.starter("sync", system.tenant.name, "--all", "--no-wait", "--json")
    assert started.code == 0
    (record,) = started.objects()
    assert list(record) == [*RUN_FIELDS, "compares_hidden_values"]
    assert (record["status"], record["started_at"], record["collections"]) == ("queued", None, {})
    cancelled = system.starter("cancel", system.tenant.name, "--all", "--json").objects()
    assert cancelled == [{"workflow_id": record["workflow_id"], "run_id": None, "cancel_requested": True}]
    for named in (("--all",), ("--run", record["run_id"])):
        result = system.starter("cancel", system.tenant.name, *named)
        assert result.stdout == f"asked run {record['run_id']} of {system.tenant.name} to cancel\n"


def test_items_and_missing_are_empty_before_a_completed_run(system: System) -> None:
    assert system.starter("items", system.tenant.name, "--json").objects() == []
    nothing = system.starter("missing", system.tenant.name, "--json")
    assert (nothing.code, nothing.stdout) == (3, "")


def test_the_catalog_lists_every_collection(system: System) -> None:
    listed = system.starter("catalog", "--json").objects()
    assert {line["type_key"] for line in listed} == set(load_catalog().collections)
    assert [list(line)[:5] for line in listed] == [CATALOG_FIELDS] * len(listed)
    (some,) = system.starter("catalog", "--category", "settings-catalog", "--json").objects()
    assert some["endpoint"] == "/beta/deviceManagement/configurationPolicies?$expand=assignments"


@of_each({" ".join(words): words for words in COMMANDS})
def test_help_of_every_command_has_an_example_and_json(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    output = " ".join(result.stdout.split())
    assert "--json Print JSON, and nothing else, on stdout." in output
    typed = ("drift",) if words == ("drift", "show") else words  # `drift TENANT` is `drift show TENANT`
    assert "Example: python starter.py " + " ".join(typed) in output


def test_tables_go_to_stdout_and_errors_to_stderr(system: System) -> None:
    system.start_worker()
    result = system.starter("sync", system.tenant.name, "--type", "groups")
    assert "1 collection: 1 complete" in result.stdout
    *_, warning = result.stderr.splitlines()  # after the run's progress, if it is slow
    assert warning.startswith("warning: SENSITIVE_FIELDS_KEY is none")
    (queued,) = system.starter("runs", "--json").objects()
    verbose = system.starter("run", queued["run_id"], "--verbose")
    assert "groups" in verbose.stdout
    assert (verbose.code, verbose.stderr) == (0, "")
    unknown = system.starter("run", str(UUID(int=0)))
    assert (unknown.code, unknown.stdout) == (2, "")
    assert unknown.stderr == f"error: there is no run {UUID(int=0)}; python starter.py runs lists them\n"
    for line in result.stdout.splitlines():
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(line)


def test_tab_completion_knows_tenants_and_type_keys(system: System) -> None:
    for words, expected in (("sync Con", system.tenant.name), ("sync Contoso --type namedL", "namedLocations")):
        result = subprocess.run(
            [Path(sys.executable).parent / "tenant-inventory"],
            env={
                **system.environment,
                "_TENANT_INVENTORY_COMPLETE": "complete_bash",
                "COMP_WORDS": f"tenant-inventory {words}",
                "COMP_CWORD": str(len(words.split())),
                "PATH": "/usr/bin:/bin",
            },
            cwd=system.folder,
            capture_output=True,
            text=True,
        )
        assert result.stdout.split() == [expected], result.stderr
