"""The cases of `../shared/cases` about readable values and about severity by direction."""

import json
from html import unescape
from pathlib import Path

import pytest

from tests.end_to_end.cases import CASES, Case, SharedSystem, TenantPair, needs_cases

pytestmark = needs_cases


class Situation:
    """A tenant synced before and after a case, with a baseline in between, and another tenant synced as before."""

    def __init__(self, pair: TenantPair) -> None:
        self._stage = pair
        self._case: Case | None = None

    @property
    def case(self) -> Case:
        """The case that is played."""
        assert self._case is not None
        return self._case

    def become(self, case: Case) -> None:
        """Syncs the documents of a case."""
        self._case = case
        _, after = self._stage.play(case, baseline=True)
        assert after.counts.changed >= 1

    def changes(self, *options: str) -> str:
        return self._stage.command("changes", "--type", self.case.type_keys[0], *options).stdout

    def diff(self, *options: str) -> str:
        return self._stage.command("diff", self.case.type_keys[0], self.case.ids[0], *options).stdout

    def drift(self, *options: str) -> str:
        return self._stage.command("drift", "--type", self.case.type_keys[0], *options).stdout

    def compare(self) -> str:
        """Compares the other tenant, as before, with this tenant, as after."""
        names = self.sync_other_tenant(), self._stage.tenant.name
        return self._stage.system.starter("compare", *names, "--type", self.case.type_keys[0], "--fields").stdout

    def sync_other_tenant(self) -> str:
        """Syncs the other tenant as before; returns its name."""
        self._stage.hold(self.case.before, self._stage.other)
        types = [word for type_key in self.case.type_keys for word in ("--type", type_key)]
        result = self._stage.system.starter("sync", self._stage.other.name, *types, "--json")
        assert result.code == 0, result.stderr
        return self._stage.other.name

    def set_baseline(self, name: str, other: str) -> None:
        """Makes another tenant a baseline."""
        result = self._stage.command("baseline", "set", name, "--tenant", other)
        assert result.code == 0, result.stderr


@pytest.fixture
def situation(shared_case_system: SharedSystem) -> Situation:
    return Situation(shared_case_system.pair())


def case(number: int) -> Case:
    (path,) = CASES.glob(f"{number:02}-*.json")
    return Case(path.stem)


def lines_about(output: str, words: str) -> list[str]:
    """The stripped lines of an output that contain these words."""
    return [line.strip() for line in output.splitlines() if words in line]


def people_read(situation: Situation) -> dict[str, str]:
    """The output of each command, as people read it."""
    return {
        "changes": situation.changes(),
        "diff": situation.diff(),
        "drift": situation.drift(),
        "compare": situation.compare(),
    }


MARKED = "UTF-8 → UTF-8 with a byte order mark"
WIDE = "UTF-16 (little-endian, with a byte order mark)"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "encodings"), [(14, MARKED), (15, f"UTF-8 → {WIDE}")])
def test_encoding_change_with_equal_text_is_shown_in_one_line(
    situation: Situation, number: int, encodings: str
) -> None:
    situation.become(case(number))
    for name, output in people_read(situation).items():
        assert len(lines_about(output, "scriptContent")) == 1, name
        assert len(lines_about(output, f"{encodings}; the text is the same")) == 1, name
        assert "Write-Host" not in output
        assert "IyDDpMO2" not in output, "base64"
        assert "//4jACAA" not in output


def test_script_change_shows_removed_and_added_lines(situation: Situation, tmp_path: Path) -> None:
    situation.become(case(16))
    for name, output in people_read(situation).items():
        assert "- Write-Host $text" in output, name
        assert "+ Remove-Item $text" in output, name
        assert "//4jACAA" not in output, name
    output = situation.changes()
    assert lines_about(output, "naïve") == ['$text = "naïve café"'], "an unchanged line is no change"
    page = tmp_path / "page.html"
    situation.changes("--html", str(page))
    html = page.read_text()
    assert "Write-Host $text" in html
    assert "Remove-Item $text" in html
    assert "//4jACAA" not in html
    fields = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    assert fields[0]["before"].startswith("//4jACAA"), "as Graph has it"
    assert fields[0]["text"].splitlines()[-2:] == ["- Write-Host $text", "+ Remove-Item $text"]


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_added_or_removed_setting_shows_its_definition_and_choice(situation: Situation, *, back: bool) -> None:
    played = case(17)
    if back:
        played.before, played.after = played.after, played.before
    situation.become(played)
    definition = "device_vendor_example_policy_config_protection_blockatfirstseen"
    for name, output in people_read(situation).items():
        (line,) = lines_about(output, "protection_blockatfirstseen: ") or lines_about(output, f"{definition}_0")
        assert f"0 ({definition}_0)" in line, name
        assert not lines_about(output, "@odata.type"), name
        assert not lines_about(output, "TemplateReference"), name
    fields = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    (setting,) = [field for field in fields if field["path"] == f"settings[{definition}]"]
    assert setting["before" if back else "after"]["settingInstance"]["settingDefinitionId"] == definition
    assert setting["label"] == definition


@pytest.mark.slow
def test_added_assignment_is_shown_with_group_and_filter_names(situation: Situation, tmp_path: Path) -> None:
    situation.become(case(18))
    text = 'include group "Pilot" · filter "Company devices" (include) · direct'
    outputs = people_read(situation)
    for name in ("changes", "diff", "drift"):
        (line,) = lines_about(outputs[name], text)
        assert "@odata" not in line, name
        assert "_20000000" not in line, name
    for page in (situation.changes, situation.drift):
        page("--html", str(tmp_path / "page.html"))
        assert text in unescape((tmp_path / "page.html").read_text())
    assert lines_about(outputs["diff"], "20000000-0000-4000-8000-000000000018, include filter 30000000-0000-4000-8000")
    (field,) = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    assert field["after"]["target"]["groupId"] == "20000000-0000-4000-8000-000000000018", "the whole object"


@pytest.mark.slow
def test_text_that_becomes_a_number_is_shown_with_unsplit_odata_type(situation: Situation) -> None:
    situation.become(case(19))
    for name, output in people_read(situation).items():
        assert "@odata → type" not in output, name
    assert lines_about(situation.changes(), "retentiondays") == [
        'protection_retentiondays: "8" → 8 (device_vendor_example_policy_config_protection_retentiondays)'
    ]
    fields = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    definition = "device_vendor_example_policy_config_protection_retentiondays"
    assert [field["label"] for field in fields] == [f"{definition} → @odata.type", definition]


@pytest.mark.slow
def test_removed_exclusion_is_shown_with_its_own_intent(situation: Situation) -> None:
    situation.become(case(20))
    text = 'exclude group "Without the archiver" · available · direct'
    outputs = people_read(situation)
    for name in ("changes", "diff", "drift", "compare"):
        assert len(lines_about(outputs[name], text)) == 1, name
        assert "· required ·" not in outputs[name], name
    (field,) = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    group = "20000000-0000-4000-8000-000000000020"
    assert (field["path"], field["kind"]) == (f"assignments[exclusion group {group}, available]", "removed")
    assert field["label"] == 'assignments[exclusion group "Without the archiver", available]'


@pytest.mark.slow
def test_exclusion_with_changed_intent_shows_both_intents_without_assignment_id(
    situation: Situation,
) -> None:
    situation.become(case(21))
    for output in (situation.changes(), situation.diff(), situation.compare()):
        assert "required" in output
        assert "available" in output
        assert "_1_0" not in output
    fields = json.loads(situation.changes("--json").splitlines()[0])["fields"]
    excluded = "assignments[exclusion group 20000000-0000-4000-8000-000000000020"
    assert [(field["path"], field["kind"]) for field in fields] == [
        (f"{excluded}, available]", "added"),
        (f"{excluded}, required]", "removed"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "severity"), [(23, "high"), (24, "low")])
def test_weakening_change_is_more_severe_than_strengthening_change(
    situation: Situation, number: int, severity: str
) -> None:
    situation.become(case(number))
    _, finding = map(json.loads, situation.drift("--json").splitlines())
    assert (finding["path"], finding["severity"]) == ("state", severity)
    assert finding["direction"] == ("weakens" if severity == "high" else "strengthens")
    high = situation.drift("--severity", "high", "--json").splitlines()
    assert len(high) == (2 if severity == "high" else 1)
    situation.set_baseline("other", situation.sync_other_tenant())
    _, against = map(json.loads, situation.drift("--baseline", "other", "--json").splitlines())
    assert (against["path"], against["severity"]) == ("state", severity), "the other tenant is as before"
