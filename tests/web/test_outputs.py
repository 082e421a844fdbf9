"""Each question's table, `--json`, `--csv` and page have the same records, for a tenant of awkward documents."""

import asyncio
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from answers.drift.baselines import set_moment
from cli.app import app
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE

PROFILES, GROUPS, SCRIPTS, COMPLIANCE = (
    "deviceConfigurations", "groups", "deviceManagementScripts", "deviceCompliancePolicies",
)  # fmt: skip
TYPES = (PROFILES, GROUPS, SCRIPTS, COMPLIANCE)
PILOT, GONE = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
NAMES = (
    HOSTILE,
    "Tom & Jerry, \"quoted\"; 'single'",
    "=1+1",
    "  two  spaces\nand a line  ",
    "日本語の設定プロファイル Ärzte · ☃",
    "x" * 120,
    None,
    None,
)
KIND = "#microsoft.graph.windows10EndpointProtectionConfiguration"


def profile(number: int, *targets: dict[str, Any], **properties: Any) -> Observation:
    name = {} if NAMES[number] is None else {"displayName": NAMES[number]}
    return observation(
        PROFILES, f"p{number}", **{"@odata.type": KIND, **name, "assignments": list(targets), **properties}
    )


def to_group(group_id: str) -> dict[str, Any]:
    return {
        "intent": "apply",
        "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id},
    }


def group() -> Observation:
    return observation(GROUPS, PILOT, displayName="Pilot <b>&amp;</b>")


async def two_tenants(database: Database) -> None:
    before = [
        group(),
        *(profile(number, to_group(PILOT), text="a\nb", count=number) for number in range(len(NAMES))),
        observation(PROFILES, "gone", **{"@odata.type": KIND}, displayName="Gone | for good"),
        observation(COMPLIANCE, "unread", displayName="Nobody read <this>"),
    ]
    both = to_group(PILOT), to_group(GONE)
    after = [
        group(),
        *(
            profile(number, *both, text="a\nc <&>", count=2**40 + number, new=[1.5, None, "é"])
            for number in range(len(NAMES) - 1)
        ),
        profile(len(NAMES) - 1),
    ]
    for tenant_id in (FABRIKAM, CONTOSO):
        await sync(database, tenant_id, before, *TYPES)
        await references.catch_up(database, tenant_id, load_catalog().reading_rules(), in_turn=True)
    async with database.tenant(CONTOSO) as session:
        await set_moment(session, "golden", None, "ada", None)
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = dict.fromkeys(TYPES, (Outcome.COMPLETE, None))
    outcomes[COMPLIANCE] = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    await sync(database, CONTOSO, after, *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    await references.catch_up(database, CONTOSO, load_catalog().reading_rules(), in_turn=True)


pytestmark = pytest.mark.filled.with_args(two_tenants)


@pytest.fixture
def starter(tenants_file: Path, database_url: str, tmp_path: Path) -> "Starter":
    return Starter(database_url, tenants_file, tmp_path)


class Starter:
    """Commands in a terminal so wide that no cell wraps."""

    def __init__(self, database_url: str, tenants_file: Path, folder: Path) -> None:
        self._environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(tenants_file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
            "LOGNAME": "ada",
            "COLUMNS": "1000",
        }

    async def __call__(self, command: str, *arguments: str) -> str:
        result = await asyncio.to_thread(CliRunner().invoke, app, [*command.split(), *arguments], env=self._environment)
        assert result.exit_code in (0, 3), result.stderr
        return result.stdout

    async def lines(self, command: str, *arguments: str) -> list[Any]:
        return [orjson.loads(line) for line in (await self(command, *arguments, "--json")).splitlines()]

    async def rows(self, command: str, *arguments: str) -> list[dict[str, str]]:
        return rows_of_csv(await self(command, *arguments, "--csv"))


def rows_of_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class Question(NamedTuple):
    """A question: its command, and the addresses of its page, its records and its file."""

    command: str
    arguments: tuple[str, ...]
    page: str
    api: str = ""
    file: str = ""
    words: tuple[str, ...] = ()
    """Fields of a record that the table and the page show."""


C, F = str(CONTOSO), str(FABRIKAM)
OF = f"/tenants/{C}"
P0 = f"{PROFILES}/p0"
TWO = f"left={C}&right={F}"
QUESTIONS = (
    Question("items", (C,), f"{OF}/items", f"/api{OF}/items", f"{OF}/items.csv", ("title", "kind", "state")),
    Question(
        "missing", (C,), f"{OF}/missing", f"/api{OF}/missing", f"{OF}/missing.csv", ("title", "kind", "confidence")
    ),
    Question("changes", (C,), f"{OF}/changes", f"/api{OF}/changes", f"{OF}/changes.csv", ("title", "kind", "fields")),
    Question(
        "drift", (C,), f"{OF}/drift", f"/api{OF}/findings", f"{OF}/drift.csv", ("title", "severity", "label", "text")
    ),
    Question("versions", (C, PROFILES, "p0"), f"{OF}/items/{P0}", f"/api{OF}/versions/{P0}", f"{OF}/versions.csv/{P0}"),
    Question("diff", (C, PROFILES, "p0"), f"{OF}/items/{P0}", words=("label", "text")),
    Question(
        "dangling", (C,), f"{OF}/dangling", f"/api{OF}/dangling", f"{OF}/dangling.csv", ("item.title", "target.title")
    ),
    Question(
        "unassigned", (C,), f"{OF}/unassigned", f"/api{OF}/unassigned", f"{OF}/unassigned.csv", ("title", "evidence")
    ),
    Question(
        "assignments", (C,), f"{OF}/assignments", f"/api{OF}/assignments", f"{OF}/assignments.csv",
        ("title", "intent", "target_name"),
    ),
    Question(
        "dependencies", (C, GROUPS, PILOT), f"{OF}/dependencies?type={GROUPS}&item={PILOT}",
        f"/api{OF}/dependencies?type={GROUPS}&item={PILOT}", words=("item.title",),
    ),
    Question(
        "dependencies", (C, "--reaches", PILOT), f"{OF}/dependencies?reaches={PILOT}",
        f"/api{OF}/reach?reaches={PILOT}", words=("item.title",),
    ),
    Question(
        "compare", (C, F), f"/compare?{TWO}", f"/api/compare/items?{TWO}", f"/compare.csv?{TWO}", ("title", "status")
    ),
    Question(
        "compare", ("--golden", F, C), f"/compare?golden={F}&tag=emea",
        file=f"/compare/golden.csv?golden={F}&tag=emea", words=("title",),
    ),
    Question("runs", (C,), f"{OF}/runs", f"/api{OF}/runs", f"{OF}/runs.csv", ("status",)),
    Question("search", ("e",), "/search?name=e", "/api/search?name=e", "/search.csv?name=e", ("title", "state")),
    Question(
        "settings", ("count",), "/settings?setting=count", "/api/settings?setting=count", "/settings.csv?setting=count",
        ("state",),
    ),
    Question("status", (), "/", "/api/status", "/tenants.csv"),
)  # fmt: skip

OF_ANOTHER_RECORD = {"cannot_say", "not_read", "comparison", "matrix"}


def is_row(line: Any) -> bool:
    """Whether a line of JSON is a row of the table and not a summary."""
    if "summary" in line or "open_by_severity" in line:
        return False
    return not {line.get("answer"), line.get("record")} & OF_ANOTHER_RECORD


def value_at(record: Any, path: str) -> Any:
    for part in path.split("."):
        record = record[part] if record is not None else None
    return record


def in_csv(value: Any) -> Any:
    """The value as its CSV cell; lists and objects are compared as JSON."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            visible = value.translate(INVISIBLE)
            return f"'{visible}" if visible.startswith(("=", "+", "-", "@")) else visible
        case int() | float():
            return str(value)
        case _:
            return orjson.loads(orjson.dumps(value).decode().translate(INVISIBLE))


INVISIBLE = dict.fromkeys(map(ord, "\u202e\n"), "\ufffd")
"""Characters that would hide or move the words around them."""


def plain(text: str) -> str:
    """The words of a text; invisible characters and underscores count as spaces."""
    return " ".join(text.translate(INVISIBLE).replace("\ufffd", " ").replace("_", " ").split())


def shown_words(record: Any, field: str) -> list[str]:
    """The words that the table and the page show of a field."""
    if field == "fields":
        return [word for changed in record["fields"] or [] for word in shown_words(changed, "text")]
    if field == "state" and str(record.get("evidence")).startswith("collection_"):
        return [f"not read {record['evidence'].removeprefix('collection_')}"]
    if field == "title" and "here" in record:
        return [item["title"] for item in (*record["here"], *record["there"])]
    if field == "label":
        return [record["label"].partition("[")[0]]
    if field == "status" and record["status"].startswith("only_"):  # the page names the tenant
        return ["only"]
    if field == "text":
        return [line.strip("+- ") for line in (record["text"] or "").replace(" → ", "\n").splitlines()]
    return [str(value_at(record, field) or "")]


def test_questions_cover_every_command_with_table_and_page() -> None:
    assert {question.command for question in QUESTIONS} == {*COMMANDS_OF_TENANTS, "search", "settings", "status"}


COMMANDS_OF_TENANTS = {
    "assignments", "changes", "compare", "dangling", "dependencies", "diff", "drift", "items", "missing", "runs",
    "unassigned", "versions",
}  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.command} {len(question.arguments)}")
async def test_table_json_csv_and_page_have_the_same_records(
    starter: Starter, signed_in: httpx.AsyncClient, question: Question
) -> None:
    evidence_option = ("--evidence", "not_listed") if question.command == "missing" else ()
    lines = await starter.lines(question.command, *question.arguments, *evidence_option)
    records = [line for line in lines if is_row(line)]
    assert records
    rows = await starter.rows(question.command, *question.arguments, *evidence_option)
    assert len(rows) == len(records)
    for record, row in zip(records, rows, strict=True):
        for field, cell in row.items():
            value = value_at(record, field)
            found = orjson.loads(cell) if isinstance(value, (list, dict)) else cell
            assert found == in_csv(value), field
    if question.command == "compare":  # the pages show equal items only on request
        records = [record for record in records if "same" not in {record.get("status"), *statuses(record)}]
        rows = [row for row in rows if '"same"' not in row.get("cells", "") and row.get("status") != "same"]
    if question.file:
        of_the_page = rows_of_csv((await signed_in.get(question.file)).text)
        assert sorted(map(str, of_the_page)) == sorted(map(str, rows))
    if question.api:
        of_the_page = (await signed_in.get(question.api)).json()
        found = [line for line in of_the_page if is_row(line)]
        if question.command == "missing":
            found = [line for line in found if line["evidence"] == "not_listed"]
        assert sorted(map(str, found)) == sorted(map(str, records))
    for external_id in ("p6", "p7"):  # without a name
        titles = {record.get("title") for record in nested(lines) if record.get("external_id") == external_id}
        assert titles <= {f"Windows endpoint protection {external_id}"}
    table = plain(await starter(question.command, *question.arguments))
    answer = await signed_in.get(question.page)
    assert answer.status_code == 200
    page = plain(text_of(answer.text.partition("<main")[2]))
    for record in records:
        for word in [word for field in question.words for word in shown_words(record, field)]:
            assert plain(word) in table, word
            assert plain(word).replace(": ", ":") in page.replace(": ", ":"), word
    listed = {plain(title) for record in lines for title in shown_titles(record)}
    if not listed:  # versions of one item
        return
    for name in {plain(name) for name in (*NAMES, "Gone | for good", "Nobody read <this>") if name} - listed:
        assert name not in table
        assert name not in page


OF_LISTS = [
    question
    for question in QUESTIONS
    if question.command not in ("changes", "drift", "versions", "diff", "runs", "search", "settings", "status")
]
"""Questions whose records are sorted by collection and name."""


@pytest.mark.parametrize("question", OF_LISTS, ids=lambda question: f"{question.command} {len(question.arguments)}")
async def test_every_output_sorts_by_collection_and_name_unnamed_last(
    starter: Starter, signed_in: httpx.AsyncClient, question: Question
) -> None:
    evidence_option = ("--evidence", "not_listed") if question.command == "missing" else ()
    records = [
        record
        for record in await starter.lines(question.command, *question.arguments, *evidence_option)
        if is_row(record)
    ]
    if question.command == "compare":  # the table and the pages leave out equal items
        records = [record for record in records if "same" not in {record.get("status"), *statuses(record)}]
    order = [item_of(record) for record in records]
    assert order == sorted(order, key=place)
    titles = [plain(title) for title in dict.fromkeys(item["title"] for item in order)]
    table = plain((await starter(question.command, *question.arguments)).partition("\n")[2])
    assert [table.index(title) for title in titles] == sorted(table.index(title) for title in titles)
    if question.command != "compare":  # its page begins with the differences to act on
        page = plain(text_of((await signed_in.get(question.page)).text.partition("<main")[2]))
        assert [page.index(title) for title in titles] == sorted(page.index(title) for title in titles)


def item_of(record: Any) -> Any:
    """The item that a record is about, with its collection."""
    item = record.get("item") or next(iter(record.get("here") or record.get("there") or [record]))
    return {**record, **item}


def place(item: Any) -> tuple[str, bool, str]:
    type_key = item["type_key"] if "type_key" in item else item["type_keys"][0]
    return type_key, item["display_name"] is None, (item["display_name"] or "").lower()


def nested(value: Any) -> Iterator[dict[str, Any]]:
    """All records, including nested records."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from nested(part)


def statuses(record: Any) -> list[str]:
    return [cell["status"] for cell in record.get("cells", [])]


def shown_titles(record: Any) -> list[str]:
    found = [record.get("title"), (record.get("item") or {}).get("title"), record.get("display_name")]
    found += [
        item["title"] for side in ("here", "there") if isinstance(record.get(side), list) for item in record[side]
    ]
    return [title for title in found if title]
