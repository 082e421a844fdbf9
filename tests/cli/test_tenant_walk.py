"""Questions over several tenants: in the order of their names, and no tenant stops another."""

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import typer
from pydantic import BaseModel
from sqlalchemy import Engine, event
from typer.testing import CliRunner

from answers.dependencies.tenants_together import TenantsTogether
from cli.app import app
from cli.options import CommandTenant, CommandTenants
from cli.output import print_json
from cli.output_options import OutputOptions, using
from cli.table import Column, print_table
from cli.tenant_walk import ask_each
from configuration import Settings
from inventory.user_errors import NeverReadError, UserError
from local.postgres import EmbeddedPostgres
from storage.database import Database, StorageNotReadyError, StorageServerError, StorageUnavailableError
from tests.answers.dependencies.test_answer import CONFIGURATIONS, GROUPS, configuration, group, target
from tests.cli.command_line import CommandResult
from tests.conftest import copy_of
from tests.storage.support import sync

ALPHA, BETA, GAMMA = (UUID(int=number) for number in (51, 52, 53))
NAMES = {GAMMA: "gamma", ALPHA: "Alpha", BETA: "beta"}

TENANTS_FILE = "".join(
    f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\nclient_id = "c"\nmanaged_identity = true\ntags = ["{tag}"]\n'
    for (tenant_id, name), tag in zip(NAMES.items(), ("large", "emea", "emea"), strict=True)
)

QUESTIONS = ("changes", "dangling", "unassigned")


class Portfolio:
    """The command line on a database and a tenants file."""

    def __init__(self, database_url: str, folder: Path) -> None:
        (folder / "tenants.toml").write_text(TENANTS_FILE)
        self._environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(folder / "tenants.toml"),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
        }

    async def __call__(self, *arguments: str) -> CommandResult:
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=self._environment)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def portfolio(database_url: str, tmp_path: Path) -> Portfolio:
    return Portfolio(database_url, tmp_path)


async def fill(database: Database, *tenant_ids: UUID) -> None:
    """A profile assigned to an absent group, and in a second run two new profiles without assignments."""
    for tenant_id in tenant_ids:
        items = [configuration("c", target("group", "gone")), group("g")]
        await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS)
        await sync(database, tenant_id, [*items, *map(configuration, ("x", "y"))], CONFIGURATIONS, GROUPS)


async def two(database: Database) -> None:
    await fill(database, ALPHA, GAMMA)


async def three(database: Database) -> None:
    await fill(database, ALPHA, BETA, GAMMA)


TWO, THREE = pytest.mark.filled.with_args(two), pytest.mark.filled.with_args(three)


@pytest.mark.parametrize("question", QUESTIONS)
@TWO
async def test_each_tenant_answers_under_its_name_or_as_never_read(portfolio: Portfolio, question: str) -> None:
    result = await portfolio(question, "--all-tenants")
    assert [line for line in result.stdout.splitlines() if line in NAMES.values()] == ["Alpha", "gamma"]
    assert "beta: this tenant was never read: no run has completed" in result.stderr
    assert result.stderr.splitlines()[-1] == "3 tenants, 1 never read"
    assert result.code == 3


@pytest.mark.parametrize("question", QUESTIONS)
@THREE
async def test_each_line_of_json_names_its_tenant(portfolio: Portfolio, question: str) -> None:
    result = await portfolio(question, "--all-tenants", "--json")
    assert result.code == 0
    tenant_ids = [(line.get("summary") or line)["tenant_id"] for line in result.objects()]
    assert list(dict.fromkeys(tenant_ids)) == [str(ALPHA), str(BETA), str(GAMMA)]


@pytest.mark.parametrize("question", QUESTIONS)
@TWO
async def test_csv_of_several_tenants_has_a_single_header(portfolio: Portfolio, question: str) -> None:
    header, *rows = csv.reader((await portfolio(question, "--all-tenants", "--csv")).stdout.splitlines())
    tenants = [row[header.index("tenant_id")] for row in rows]
    assert tenants == [str(ALPHA)] * (len(rows) // 2) + [str(GAMMA)] * (len(rows) // 2) != []


@TWO
async def test_a_hint_is_a_command_that_names_the_tenant(portfolio: Portfolio) -> None:
    drift = await portfolio("drift", "--all-tenants")
    for name in ("Alpha", "gamma"):
        assert f"make one called golden: python starter.py baseline set {name} golden\n" in drift.stderr
    for words, hint in (
        (("drift", "alpha"), "baseline set alpha golden"),
        (("drift", "alpha", "--baseline", "april"), "baseline list alpha shows what it has"),
        (("show", str(ALPHA), "groups", "nobody"), f"items {ALPHA} --type groups lists what it has"),
    ):
        assert f"python starter.py {hint}" in (await portfolio(*words)).stderr
    assert (await portfolio("baseline", "list", "alpha")).stdout.endswith("baseline set alpha golden\n")


@THREE
async def test_a_tag_chooses_tenants(portfolio: Portfolio) -> None:
    result = await portfolio("unassigned", "--tag", "emea", "--json")
    assert {line["tenant_id"] for line in result.objects()} == {str(ALPHA), str(BETA)}


async def sync_profiles(database: Database, names: dict[UUID, str]) -> None:
    """Syncs a profile for each letter of a tenant's text."""
    for tenant_id, letters in names.items():
        items = [configuration(letter, displayName=letter) for letter in letters]
        await sync(database, tenant_id, items, CONFIGURATIONS)


@pytest.mark.parametrize("question", ["dangling", "unassigned"])
@THREE
async def test_a_single_query_for_all_tenants_gives_their_separate_answers(portfolio: Portfolio, question: str) -> None:
    alone = [
        line for name in ("alpha", "beta", "gamma") for line in (await portfolio(question, name, "--json")).objects()
    ]
    statements: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.extend(["one"] if "FROM item_reference" in statement and "name_key" in statement else [])

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        together = await portfolio(question, "--all-tenants", "--json")
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert sorted(map(str, together.objects())) == sorted(map(str, alone))
    assert {line["answer"] for line in alone} >= {question}
    assert statements == ["one"]


async def test_a_failed_joint_query_leaves_tenants_to_separate_queries(database: Database) -> None:
    await fill(database, ALPHA, BETA)

    async def fail(*_: object) -> dict[UUID, list[BaseModel]]:
        raise UserError("one of them is broken")

    together = TenantsTogether([ALPHA, BETA], fail)
    assert [await together.answer(database.portfolio, tenant_id) for tenant_id in (ALPHA, BETA)] == [None, None]


@pytest.mark.parametrize("question", ["items", "changes"])
async def test_a_limit_holds_over_all_tenants(database: Database, portfolio: Portfolio, question: str) -> None:
    await sync_profiles(database, {ALPHA: "ab", BETA: "cd", GAMMA: "ef"})
    if question == "changes":
        await sync_profiles(database, {ALPHA: "abx", BETA: "cdxy", GAMMA: "efx"})
    for limit, answered in ((1, [ALPHA]), (3, [ALPHA, BETA]), (100, [ALPHA, BETA, GAMMA])):
        result = await portfolio(question, "--all-tenants", "--limit", str(limit), "--json")
        rows = [line["tenant_id"] for line in result.objects() if "external_id" in line]
        assert len(rows) == min(limit, {"items": 6, "changes": 4}[question])
        assert result.code == 0
        not_asked = {
            1: "--limit 1 is reached: 2 tenants were not asked",
            3: "--limit 3 is reached: 1 tenant was not asked",
        }
        if question == "items":
            assert list(dict.fromkeys(rows)) == list(map(str, answered))
            assert result.stderr.splitlines()[-1] == not_asked.get(limit, "3 tenants")


@pytest.mark.parametrize("question", ["dangling", "unassigned"])
async def test_a_limit_reports_the_number_of_omitted_rows(
    database: Database, portfolio: Portfolio, question: str
) -> None:
    items = [configuration(name, target("group", "gone")) for name in "abc"]
    for tenant_id in (ALPHA, BETA, GAMMA):
        await sync(database, tenant_id, [*items, *map(configuration, "xyz")], CONFIGURATIONS, GROUPS)
    in_json = await portfolio(question, "alpha", "--limit", "2", "--json")
    assert len([line for line in in_json.objects() if "reason" not in line]) == 2
    assert in_json.stderr.splitlines()[-1] == "--limit 2 leaves out 1 more row"
    for words, rows in (((), 3), (("--limit", "2"), 2), (("--limit", "2", "--sort", "-name"), 2)):
        cut = await portfolio(question, "alpha", *words, "--csv")
        assert len(cut.stdout.splitlines()) == 1 + rows
        assert ("leaves out 1 more row" in cut.stderr) is (rows == 2)
    several = await portfolio(question, "--all-tenants", "--limit", "4", "--csv")
    assert len(several.stdout.splitlines()) == 5
    assert several.stderr.splitlines()[-2:] == [
        "--limit 4 leaves out 2 more rows",
        "--limit 4 is reached: 1 tenant was not asked",
    ]
    assert "3 " in (await portfolio(question, "alpha", "--limit", "2")).stdout.splitlines()[0], "the title counts all"


async def test_rows_of_all_tenants_are_sorted_together(database: Database, portfolio: Portfolio) -> None:
    await sync_profiles(database, {ALPHA: "adf", BETA: "be", GAMMA: "c"})
    result = await portfolio("items", "--all-tenants", "--sort", "-name", "--limit", "4", "--csv")
    header, *rows = csv.reader(result.stdout.splitlines())
    assert [row[header.index("display_name")] for row in rows] == ["f", "e", "d", "c"]
    assert "--limit 4 leaves out 2 more rows" in result.stderr
    result = await portfolio("items", "--all-tenants", "--sort", "-name")
    assert any(line.split()[:2] == ["name", "tenant"] for line in result.stdout.splitlines())
    result = await portfolio("items", "--all-tenants", "--sort", "tenant,-name", "--columns", "name")
    answers, table = result.stdout.split("name  tenant\n")
    assert [line.split() for line in table.splitlines()] == [
        ["f", "Alpha"], ["d", "Alpha"], ["a", "Alpha"], ["e", "beta"], ["b", "beta"], ["c", "gamma"]
    ]  # fmt: skip
    assert [line.split(":")[0] for line in answers.splitlines() if line[0] != " "] == ["Alpha", "beta", "gamma"]


async def test_rows_of_a_tenant_are_sorted_before_they_are_limited(database: Database, portfolio: Portfolio) -> None:
    await sync_profiles(database, {ALPHA: "abcd"})
    result = await portfolio("items", "alpha", "--sort", "-name", "--limit", "1", "--columns", "name")
    assert result.stdout.splitlines()[-1] == "d"
    assert "--limit 1 leaves out 3 more rows" in result.stderr
    assert "--after" not in result.stderr
    found = await portfolio("search", "d", "--sort", "-name", "--limit", "1", "--csv", "--columns", "name,tenant")
    assert found.stdout.splitlines() == ["title,tenant", "d,Alpha"]


async def test_changes_are_sorted_in_csv(database: Database, portfolio: Portfolio) -> None:
    for words in ({ALPHA: "a", BETA: "a"}, {ALPHA: "axz", BETA: "ay"}):
        await sync_profiles(database, words)
    for arguments, expected in ((("alpha",), ["z", "x"]), (("--all-tenants",), ["z", "y", "x"])):
        result = await portfolio("changes", *arguments, "--csv", "--sort", "-display_name", "--columns", "display_name")
        assert result.stdout.splitlines() == ["display_name", *expected]


async def test_an_unknown_column_is_refused_once(database: Database, portfolio: Portfolio) -> None:
    await sync_profiles(database, {ALPHA: "a", BETA: "b"})
    result = await portfolio("items", "--all-tenants", "--sort", "nonsense")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.count("there is no column 'nonsense'") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say which tenants, in one way: TENANT, --tag TAG or --all-tenants"),
        (("alpha", "--all-tenants"), "say which tenants, in one way: TENANT, --tag TAG or --all-tenants"),
        (("alpha", "--tag", "emea"), "say which tenants, in one way: TENANT, --tag TAG or --all-tenants"),
        (("--tag", "apac"), "no tenant has the tag 'apac'; the tenants file has: emea, large"),
        (("--all-tenants", "--run", "0" * 12), "--run is about one tenant: give it with TENANT"),
        (("--all-tenants", "--since", str(ALPHA)), "is no time, and a run is of one tenant"),
        (("--all-tenants", "--html", "x.html"), "--html is about one tenant: give it with TENANT"),
    ],
)
async def test_an_invalid_choice_of_tenants_is_refused(
    portfolio: Portfolio, arguments: Sequence[str], words: str
) -> None:
    result = await portfolio("changes", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert words in result.stderr


def walk(
    database_url: str, monkeypatch: pytest.MonkeyPatch, answers: Sequence[Exception | None], *, are_many: bool = True
) -> int:
    """Asks tenants a, b, …: each prints a line, then raises its answer, if any. Returns the exit code."""
    tenants = tuple(CommandTenant(UUID(int=number), chr(ord("a") + number)) for number in range(len(answers)))
    monkeypatch.setenv("DATABASE_URL", database_url)

    async def ask(database: Database, tenant: CommandTenant) -> None:
        print_json({"tenant": tenant.name})
        if (error := answers[tenant.tenant_id.int]) is not None:
            raise error

    try:
        with using(OutputOptions(as_json=True)):
            ask_each(Settings(), CommandTenants(tenants, are_many), ask)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


@pytest.mark.parametrize(
    ("answers", "code", "printed"),
    [
        ([None, None], 0, "ab"),
        ([UserError("no such run"), None], 3, "b"),
        ([RuntimeError(), None], 3, "b"),
        ([NeverReadError("never read"), None], 3, "ab"),
        ([typer.Exit(3), None], 3, "ab"),
        ([UserError("no such run"), typer.Exit(4)], 4, "b"),
        ([UserError("no such run"), UserError("no such run")], 4, ""),
    ],
)
def test_a_failure_sets_the_exit_code_and_stops_no_other_tenant(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: Sequence[Exception | None],
    code: int,
    printed: str,
) -> None:
    assert walk(database_url, monkeypatch, answers) == code
    out, err = capsys.readouterr()
    assert out == "".join(f'{{"tenant":"{name}"}}\n' for name in printed)
    is_failure = [isinstance(answer, UserError) and not isinstance(answer, NeverReadError) for answer in answers]
    failed = [name for name, failed in zip("ab", is_failure, strict=True) if failed]
    assert [line for line in err.splitlines() if "no such run" in line] == [f"{name}: no such run" for name in failed]


def test_a_storage_error_of_one_tenant_stops_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert walk(database_url, monkeypatch, [StorageUnavailableError("a lock was not free in time"), None]) == 3
    out, err = capsys.readouterr()
    assert out == '{"tenant":"b"}\n'
    assert err.splitlines()[0] == "a: a lock was not free in time; run the command again for this tenant"


@pytest.mark.parametrize(
    "error",
    [
        StorageUnavailableError("it broke"),
        StorageNotReadyError("it is not ready"),
        StorageServerError("the disk is not ready"),
    ],
)
def test_no_tenant_is_asked_after_an_error_that_concerns_all(
    error: Exception, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://nobody@127.0.0.1:9/none" if type(error) is StorageUnavailableError else database_url
    with pytest.raises((StorageUnavailableError, StorageNotReadyError), match=r"nothing listens|is not ready"):
        walk(url, monkeypatch, [error, None])
    assert capsys.readouterr() == ("", "")


async def test_a_server_that_is_read_only_is_told_once(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    # A copy: connections kept for other tests would stay read-only.
    for url in copy_of(postgres, migrated_template):
        async with Database(url) as database:
            await fill(database, ALPHA, BETA)  # their references are not read yet, so the command writes them
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        result = await Portfolio(url, tmp_path)("dangling", "--all-tenants")
    assert (result.code, result.stdout) == (1, "")
    line = "error: PostgreSQL is read-only; DATABASE_URL has to name a primary server that accepts writes\n"
    assert result.stderr == line


def test_sorted_rows_omit_failed_tenants(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tenants = tuple(CommandTenant(UUID(int=number), name) for number, name in enumerate("abc"))
    monkeypatch.setenv("DATABASE_URL", database_url)

    async def ask(database: Database, tenant: CommandTenant) -> None:
        print_table((Column("name", "name"),), [{"name": tenant.name}])
        if tenant.name == "b":
            raise RuntimeError("no answer")

    with using(OutputOptions(as_csv=True, sort=("-name",))), pytest.raises(typer.Exit):
        ask_each(Settings(), CommandTenants(tenants, are_many=True), ask)
    assert capsys.readouterr().out.splitlines() == ["name", "c", "a"]
