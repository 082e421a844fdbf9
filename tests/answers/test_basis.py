"""All questions: answers about a tenant never read, and the basis of empty answers."""

from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from cli.app import COMMANDS
from inventory.coverage import TENANT_NEVER_READ
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.cli.test_tenant_walk import ALPHA, Portfolio
from tests.storage.support import observation, sync

TENANT, OTHER, UNREAD = UUID(int=61), UUID(int=62), UUID(int=63)
GROUP_ID = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"
TYPES = ("groups", "deviceConfigurations", "assignmentFilters")


class Question(NamedTuple):
    """A command, and its messages about an empty and about an unread tenant."""

    command: str
    arguments: tuple[str, ...]
    empty: str
    unread: str = TENANT_NEVER_READ


NO_ITEM = "groups has no item 'x' in this tenant's inventory"

QUESTIONS = (
    Question("changes", (), "3 collections read to the end"),
    Question("items", (), "no items: 3 collections read to their end since "),
    Question("missing", (), "nothing is missing: 3 collections read to their end since "),
    Question("versions", ("groups", "x"), NO_ITEM),
    Question("show", ("groups", "x"), NO_ITEM),
    Question("diff", ("groups", "x"), NO_ITEM),
    Question("drift", (), "this tenant has no baseline"),
    Question("baseline set", ("golden",), "0 versions pinned, 3 collections covered"),
    Question(
        "compare",
        (str(OTHER),),
        "nothing to compare: neither tenant has an item",
        "was never read: no run has",
    ),
    Question("promote plan", (str(OTHER),), "0 to create, 0 to update", "was never read: no run has"),
    Question("dependencies", ("groups", "x"), NO_ITEM),
    Question("dependencies", ("groups", GROUP_ID), "3 collections read to their end since "),
    Question("dependencies", ("--reaches", GROUP_ID), "3 collections read to their end since "),
    Question("dependencies", ("--all",), "3 collections read to their end since "),
    Question("dangling", (), "no dangling references: 3 collections read to their end since "),
    Question("unassigned", (), "no unassigned items: 3 collections read to their end since "),
    Question("assignments", (), "no assignments: 3 collections read to their end since "),
    Question("assignments", ("x",), "nothing that can be assigned has the id or name 'x'"),
    Question("export", ("out",), "0 written, 0 unchanged, 0 removed", "no run had read this tenant yet"),
    Question("runs", (), "success", "no runs: this tenant was never read"),
)

OF_THE_PORTFOLIO = (("status",), ("search", "x"))

ASK_NO_TENANT = {
    *("run", "status", "search", "settings", "compare", "baseline"),
    *("database", "portfolio", "schedule", "retention", "limits"),
}
NO_QUESTIONS = {
    "demo",
    "catalog",
    "permissions",
    "check",
    "sync",
    "cancel",
    "tenant",
    "doctor",
    "watch",
    "notify",
    "web",
    "access",
}


def test_every_question_command_is_covered() -> None:
    covered = {question.command.split()[0] for question in QUESTIONS}
    assert COMMANDS.keys() - ASK_NO_TENANT - NO_QUESTIONS == covered - ASK_NO_TENANT


async def test_answers_name_unread_tenants_and_the_basis_of_empty_results(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for tenant_id in (TENANT, OTHER):
        await sync(database, tenant_id, [], *TYPES)
    of_unread, of_empty = (CommandLine(database_url, tmp_path, tenant_id) for tenant_id in (UNREAD, TENANT))
    for question in QUESTIONS:
        unread = await of_unread(question.command, *question.arguments)
        assert question.unread in unread.stdout + unread.stderr
        assert unread.code == (0 if question.command == "runs" else 3), f"a script may rest on 0: {question.command}"
        assert not unread.stdout or question.command in ("compare", "runs")
        empty = await of_empty(question.command, *question.arguments)
        assert question.empty in empty.stdout + empty.stderr
        assert empty.code != 3, question.command


@pytest.mark.parametrize("words", OF_THE_PORTFOLIO, ids=" ".join)
async def test_portfolio_answers_name_tenants_never_read(
    database_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = await Portfolio(database_url, tmp_path)(*words)
    assert result.code == (0 if words == ("status",) else 3), "unread tenants are the subject of status"
    assert "never" in result.stdout


async def test_setting_is_unknown_until_a_run_completes(database: Database, database_url: str, tmp_path: Path) -> None:
    portfolio = Portfolio(database_url, tmp_path)
    for words in (("settings", "bitLockerEnabled=false"), ("search", "--setting", "bitLockerEnabled=false")):
        result = await portfolio(*words)
        line = "error: no run has completed here, so nobody can tell what sets 'bitLockerEnabled'\n"
        assert (result.code, result.stdout, result.stderr) == (3, "", line)
    await sync(database, ALPHA, [], *TYPES)
    result = await portfolio("settings", "bitLockerEnabled=false")
    assert result.code == 2
    assert result.stderr.startswith("error: no item that has been read sets 'bitLockerEnabled'; not read: access")
    assert result.stderr.endswith(" more (never_read)\n")


async def test_empty_portfolio_run_list_shows_how_to_start_a_run(database_url: str, tmp_path: Path) -> None:
    result = await Portfolio(database_url, tmp_path)("portfolio", "runs")
    assert (result.code, result.stdout) == (
        0,
        "no portfolio runs; python starter.py portfolio sync --all-tenants --all starts one\n",
    )


@pytest.mark.parametrize("question", ["changes", "assignments", "dangling", "unassigned"])
async def test_an_answer_names_its_oldest_listing_if_the_newest_run_did_not_read_it(
    database: Database, database_url: str, tmp_path: Path, question: str
) -> None:
    starter = CommandLine(database_url, tmp_path, TENANT)
    await sync(database, TENANT, [observation("deviceConfigurations", "p", assignments=[])], *TYPES)
    await sync(database, TENANT, [], "auditEvents")
    fresh = await starter(question)
    assert "oldest reading" not in fresh.stdout + fresh.stderr, "logs are no part of the basis"
    assert 'oldest_listing":{' not in (await starter(question, "--json")).stdout
    await sync(database, TENANT, [], "groups", "assignmentFilters")
    result = await starter(question)
    (line,) = [line for line in result.stderr.splitlines() if "oldest reading" in line]
    assert line.startswith("oldest reading: deviceConfigurations, 20")
    assert ", before the newest run (20" in line
    *_, last = (await starter(question, "--json")).objects()
    oldest = last["summary"]["oldest_listing"] if question == "changes" else last
    assert oldest["type_key"] == "deviceConfigurations"
    assert oldest["read_from"] < oldest["newest_run_at"]
    only = await starter(question, "--type", "groups")
    assert ("oldest reading" in only.stderr) is (question == "dangling"), "references lead to other collections"
