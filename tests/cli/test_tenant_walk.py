"""Questions over several tenants: in the order of their names, and no tenant stops another."""

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner

from cli.app import app
from cli.options import AskedTenant, AskedTenants
from cli.output import print_json
from cli.tenant_walk import NeverReadError, ask_each
from configuration import Settings
from inventory.user_errors import UserError
from storage.database import Database
from tests.answers.dependencies.test_answer import CONFIGURATIONS, GROUPS, configuration, group, target
from tests.cli.looking import Ended
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

    async def __call__(self, *arguments: str) -> Ended:
        done = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=self._environment)
        return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def portfolio(database_url: str, tmp_path: Path) -> Portfolio:
    return Portfolio(database_url, tmp_path)


async def fill(database: Database, *tenant_ids: UUID) -> None:
    """A profile for a group that is not there, and two for nobody, which appeared."""
    for tenant_id in tenant_ids:
        items = [configuration("c", target("group", "gone")), group("g")]
        await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS)
        await sync(database, tenant_id, [*items, *map(configuration, ("x", "y"))], CONFIGURATIONS, GROUPS)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_each_tenant_answers_under_its_name_and_one_that_was_never_read_says_so(
    database: Database, portfolio: Portfolio, question: str
) -> None:
    await fill(database, ALPHA, GAMMA)
    done = await portfolio(question, "--all-tenants")
    assert [line for line in done.stdout.splitlines() if line in NAMES.values()] == ["Alpha", "gamma"]
    assert "beta: this tenant was never read: no run has completed" in done.stderr
    assert done.stderr.splitlines()[-1] == "3 tenants, 1 never read"
    assert done.code == 3


@pytest.mark.parametrize("question", QUESTIONS)
async def test_each_line_of_json_names_its_tenant(database: Database, portfolio: Portfolio, question: str) -> None:
    await fill(database, ALPHA, BETA, GAMMA)
    done = await portfolio(question, "--all-tenants", "--json")
    assert done.code == 0
    named = [(line.get("summary") or line)["tenant_id"] for line in done.objects()]
    assert list(dict.fromkeys(named)) == [str(ALPHA), str(BETA), str(GAMMA)]


@pytest.mark.parametrize("question", QUESTIONS)
async def test_csv_has_one_header(database: Database, portfolio: Portfolio, question: str) -> None:
    await fill(database, ALPHA, GAMMA)
    header, *rows = csv.reader((await portfolio(question, "--all-tenants", "--csv")).stdout.splitlines())
    tenants = [row[header.index("tenant_id")] for row in rows]
    assert tenants == [str(ALPHA)] * (len(rows) // 2) + [str(GAMMA)] * (len(rows) // 2) != []


async def test_a_tag_chooses_tenants(database: Database, portfolio: Portfolio) -> None:
    await fill(database, ALPHA, BETA, GAMMA)
    done = await portfolio("unassigned", "--tag", "emea", "--json")
    assert {line["tenant_id"] for line in done.objects()} == {str(ALPHA), str(BETA)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say which tenants: TENANT, --tag TAG or --all-tenants"),
        (("alpha", "--all-tenants"), "say which tenants: TENANT, --tag TAG or --all-tenants"),
        (("alpha", "--tag", "emea"), "say which tenants: TENANT, --tag TAG or --all-tenants"),
        (("--tag", "apac"), "no tenant has the tag 'apac'; the tenants file has: emea, large"),
        (("--all-tenants", "--run", "0" * 12), "--run is about one tenant: give it with TENANT"),
        (("--all-tenants", "--since", str(ALPHA)), "is no time, and a run is of one tenant"),
        (("--all-tenants", "--html", "x.html"), "--html is about one tenant: give it with TENANT"),
    ],
)
async def test_a_choice_that_is_none_is_refused(portfolio: Portfolio, arguments: Sequence[str], words: str) -> None:
    done = await portfolio("changes", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr


def walk(
    database_url: str, monkeypatch: pytest.MonkeyPatch, answers: Sequence[Exception | None], *, are_many: bool = True
) -> int:
    """Asks tenants a, b, … of which each prints a line, and then fails as it is told; the exit code."""
    tenants = tuple(AskedTenant(UUID(int=number), chr(ord("a") + number)) for number in range(len(answers)))
    monkeypatch.setenv("DATABASE_URL", database_url)

    async def ask(database: Database, tenant: AskedTenant) -> None:
        print_json({"tenant": tenant.name})
        if (error := answers[tenant.tenant_id.int]) is not None:
            raise error

    try:
        ask_each(Settings(), AskedTenants(tenants, are_many), ask, as_json=True)
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
def test_a_failure_is_a_line_and_an_exit_code_and_stops_no_other_tenant(
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
    failed = [name for name, answer in zip("ab", answers, strict=True) if isinstance(answer, UserError)]
    assert [line for line in err.splitlines() if "no such run" in line] == [f"{name}: no such run" for name in failed]
