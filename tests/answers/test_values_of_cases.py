"""What people read of values: the situations of `../shared/cases`, asked on the command line."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from cli.app import app
from graph.catalog import load_catalog
from inventory.observation import Observer
from storage.database import Database
from tests.cli.looking import Ended
from tests.storage.support import sync

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not here")

pytestmark = needs_cases

A_NAME, B_NAME = "alpha", "beta"


class Case(NamedTuple):
    """A situation: documents by type key before and after, and the item that they are about."""

    before: Mapping[str, list[dict[str, Any]]]
    after: Mapping[str, list[dict[str, Any]]]

    @property
    def type_key(self) -> str:
        """The collection that the case is about."""
        return next(iter(self.before))

    @property
    def external_id(self) -> str:
        """The item that the case is about."""
        return str(self.before[self.type_key][0]["id"])


def case(number: int) -> Case:
    (path,) = CASES.glob(f"{number:02}-*.json")
    said = json.loads(path.read_text())
    before, after = said["documents_before"], said["documents_after"]
    if isinstance(before, list):
        before, after = {said["collection"]: before}, {said["collection"]: after}
    return Case(before, after)


class Situation:
    """A tenant that was read twice, another one that was read once, and the command line."""

    def __init__(self, database: Database, environment: dict[str, str], tenants: tuple[UUID, UUID]) -> None:
        self._database = database
        self._environment = environment
        self._tenants = tenants
        self.item: tuple[str, str] = ("", "")

    async def become(self, case: Case) -> None:
        """Reads a tenant as before, takes that as its baseline, and reads it as after; the other one as before."""
        self.item = (case.type_key, case.external_id)
        await self._read(0, case.before)
        assert (await self("baseline", "set", A_NAME, "then")).code == 0
        await self._read(0, case.after)
        await self._read(1, case.before)

    async def _read(self, tenant: int, documents: Mapping[str, list[dict[str, Any]]]) -> None:
        seen = []
        for type_key, some in documents.items():
            rules = load_catalog().collections[type_key].observation_rules()
            observer = Observer(rules.model_copy(update={"has_details": False}))
            seen += [observer.observe(document) for document in some]
        await sync(self._database, self._tenants[tenant], seen, *documents)

    async def __call__(self, *words: str) -> Ended:
        """Runs one command to its end."""
        done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=self._environment)
        return Ended(done.exit_code, done.stdout, done.stderr)

    async def changes(self, *options: str) -> str:
        return (await self("changes", A_NAME, "--type", self.item[0], *options)).stdout

    async def diff(self, *options: str) -> str:
        return (await self("diff", A_NAME, *self.item, *options)).stdout

    async def drift(self, *options: str) -> str:
        return (await self("drift", A_NAME, *options)).stdout

    async def compare(self, *options: str) -> str:
        """The tenant as before against the one as after."""
        return (await self("compare", B_NAME, A_NAME, "--type", self.item[0], "--fields", *options)).stdout


@pytest.fixture
def situation(database: Database, database_url: str, tmp_path: Path) -> Situation:
    tenants = (uuid4(), uuid4())
    (tmp_path / "tenants.toml").write_text(
        "".join(
            f'[[tenant]]\nid = "{one}"\nname = "{name}"\nclient_id = "{one}"\nclient_secret_env = "S"\n'
            for one, name in zip(tenants, (A_NAME, B_NAME), strict=True)
        )
    )
    environment = {
        "DATABASE_URL": database_url,
        "TENANTS_FILE": str(tmp_path / "tenants.toml"),
        "TENANT_INVENTORY_STATE": str(tmp_path / "no-stack"),
        "LOGNAME": "ada",
    }
    return Situation(database, environment, tenants)


def lines_about(shown: str, words: str) -> list[str]:
    """The lines of an answer that have these words, without those around them."""
    return [line.strip() for line in shown.splitlines() if words in line]


async def people_read(situation: Situation) -> dict[str, str]:
    """All answers for people."""
    return {
        "changes": await situation.changes(),
        "diff": await situation.diff(),
        "drift": await situation.drift(),
        "compare": await situation.compare(),
    }


MARKED = "UTF-8 → UTF-8 with a byte order mark"
WIDE = "UTF-16 (little-endian, with a byte order mark)"


@pytest.mark.parametrize(("number", "encodings"), [(14, MARKED), (15, f"UTF-8 → {WIDE}")])
async def test_the_same_text_in_another_encoding_is_one_line(situation: Situation, number: int, encodings: str) -> None:
    await situation.become(case(number))
    for name, shown in (await people_read(situation)).items():
        (line,) = lines_about(shown, "scriptContent")
        assert f"{encodings}; the text is the same" in line, name
        assert "Write-Host" not in shown
        assert "IyDDpMO2" not in shown, "base64"
        assert "//4jACAA" not in shown


async def test_of_a_script_the_lines_that_went_and_came_are_shown(situation: Situation, tmp_path: Path) -> None:
    await situation.become(case(16))
    for name, shown in (await people_read(situation)).items():
        assert "- Write-Host $text" in shown, name
        assert "+ Remove-Item $text" in shown, name
        assert "//4jACAA" not in shown, name
    shown = await situation.changes()
    assert lines_about(shown, "naïve") == ['$text = "naïve café"'], "what stays is no change"
    page = tmp_path / "page.html"
    await situation.changes("--html", str(page))
    html = page.read_text()
    assert "Write-Host $text" in html
    assert "Remove-Item $text" in html
    assert "//4jACAA" not in html
    fields = json.loads((await situation.changes("--json")).splitlines()[0])["fields"]
    assert fields[0]["before"].startswith("//4jACAA"), "as Graph has it"
    assert fields[0]["text"].splitlines()[-2:] == ["- Write-Host $text", "+ Remove-Item $text"]


@pytest.mark.parametrize("back", [False, True])
async def test_an_added_or_removed_setting_is_its_definition_and_its_whole_choice(
    situation: Situation, *, back: bool
) -> None:
    forth = case(17)
    await situation.become(Case(forth.after, forth.before) if back else forth)
    definition = "device_vendor_example_policy_config_protection_blockatfirstseen"
    for name, shown in (await people_read(situation)).items():
        (line,) = lines_about(shown, "protection_blockatfirstseen: ") or lines_about(shown, f"{definition}_0")
        assert f"0 ({definition}_0)" in line, name
        assert not lines_about(shown, "@odata.type"), name
        assert not lines_about(shown, "TemplateReference"), name
    fields = json.loads((await situation.changes("--json")).splitlines()[0])["fields"]
    (setting,) = [field for field in fields if field["path"] == f"settings[{definition}]"]
    assert setting["before" if back else "after"]["settingInstance"]["settingDefinitionId"] == definition
    assert setting["label"] == definition


async def test_an_added_assignment_is_said_by_names(situation: Situation) -> None:
    await situation.become(case(18))
    said = 'include group "Pilot" · filter "Company devices" (include) · direct'
    shown = await people_read(situation)
    for name in ("changes", "diff", "drift"):
        (line,) = lines_about(shown[name], said)
        assert "@odata" not in line, name
        assert "_20000000" not in line, name
    assert lines_about(shown["diff"], "20000000-0000-4000-8000-000000000018, include filter 30000000-0000-4000-8000")
    (field,) = json.loads((await situation.changes("--json")).splitlines()[0])["fields"]
    assert field["after"]["target"]["groupId"] == "20000000-0000-4000-8000-000000000018", "the whole object"


async def test_a_text_that_becomes_a_number_is_told_and_its_type_is_one_word(situation: Situation) -> None:
    await situation.become(case(19))
    for name, shown in (await people_read(situation)).items():
        assert "@odata → type" not in shown, name
    assert lines_about(await situation.changes(), "retentiondays") == [
        'protection_retentiondays: "8" → 8 (device_vendor_example_policy_config_protection_retentiondays)'
    ]
    fields = json.loads((await situation.changes("--json")).splitlines()[0])["fields"]
    definition = "device_vendor_example_policy_config_protection_retentiondays"
    assert [field["label"] for field in fields] == [f"{definition} → @odata.type", definition]


async def test_of_two_exclusions_the_one_that_goes_has_its_intent(situation: Situation) -> None:
    await situation.become(case(20))
    said = 'exclude group "Without the archiver" · available · direct'
    shown = await people_read(situation)
    for name in ("changes", "diff", "drift", "compare"):
        assert len(lines_about(shown[name], said)) == 1, name
        assert "· required ·" not in shown[name], name


async def test_an_exclusion_that_moves_to_another_intent_has_both_and_no_id_of_an_assignment(
    situation: Situation,
) -> None:
    await situation.become(case(21))
    for shown in (await situation.changes(), await situation.diff(), await situation.compare()):
        assert "required" in shown
        assert "available" in shown
        assert "_1_0" not in shown


@pytest.mark.parametrize(("number", "severity"), [(23, "high"), (24, "low")])
async def test_what_weakens_is_more_severe_than_what_strengthens(
    situation: Situation, number: int, severity: str
) -> None:
    await situation.become(case(number))
    _, finding = map(json.loads, (await situation.drift("--json")).splitlines())
    assert (finding["path"], finding["severity"]) == ("state", severity)
    assert finding["direction"] == ("weakens" if severity == "high" else "strengthens")
    high = (await situation.drift("--severity", "high", "--json")).splitlines()
    assert len(high) == (2 if severity == "high" else 1)
    assert (await situation("baseline", "set", A_NAME, "golden", "--tenant", B_NAME)).code == 0
    _, against = map(json.loads, (await situation.drift("--baseline", "golden", "--json")).splitlines())
    assert (against["path"], against["severity"]) == ("state", severity), "the other tenant is as before"
