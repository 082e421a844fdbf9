"""Pages: everything is escaped, nothing is loaded, and each page names its coverage."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from answers.changes.audit import Attribution, AuditEvent, AuditStatus
from answers.changes.page import changes_page
from answers.changes.records import ChangeKind, ChangeRecord, ChangesSummary, UnlistedCollection
from answers.compare.page import comparison_page, matrix_page, settings_page
from answers.compare.records import (
    CellCounts,
    CellStatus,
    CollectionComparison,
    ComparisonCounts,
    ComparisonRecord,
    FieldRecord,
    ItemComparison,
    ItemName,
    MatchedBy,
    MatrixCell,
    MatrixCollection,
    MatrixRecord,
    MatrixRow,
    MatrixTenant,
    SideCoverage,
    Status,
    TenantRecord,
)
from answers.compare.setting_records import (
    HeldValue,
    SettingCollection,
    SettingComparison,
    SettingCounts,
    SettingPolicy,
    SettingsComparisonRecord,
    SettingUncertainty,
    UncertainPolicy,
)
from answers.drift.page import drift_page
from answers.drift.records import BaselineRecord, DriftCounts, DriftFindingRecord, DriftReport, LeftOutCollection
from answers.drift.rules import BaselineKind, Decision, FindingKind
from answers.field_labels import FieldChange
from answers.field_text import LONGEST_VALUE
from answers.page_values import MAX_FIELDS, left_out, rows
from inventory.canonical import SENSITIVE_MARK
from inventory.differences import DifferenceKind
from inventory.missing import Confidence
from inventory.settings import SettingKind
from inventory.severity import Severity
from inventory.stale import Staleness, StalePart

TENANT, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert('\"')</script>&\u202e\x1b[2J{{ 7 * 7 }}"
VOID = {"meta", "br"}


class ParsedPage(HTMLParser):
    """A page's text, tags and attributes; fails if tags are not balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def field(value: Any) -> FieldChange:
    return FieldChange(path="p", label=HOSTILE, kind=DifferenceKind.CHANGED, before=value, after=HOSTILE)


def changes(value: Any = 1, run_ids: Sequence[UUID] = (UUID(int=7),), goes_on_after: str | None = None) -> str:
    change = ChangeRecord(
        tenant_id=TENANT,
        run_id=UUID(int=7),
        noticed_at=NOW,
        seen_before_at=NOW,
        type_key="groups",
        external_id=HOSTILE,
        display_name=HOSTILE,
        item_kind="Groups",
        kind=ChangeKind.RENAMED,
        confidence=Confidence.HIGH,
        evidence="observed",
        version=2,
        renamed_from=HOSTILE,
        fields=[field(value)],
        audit=Attribution(
            status=AuditStatus.FOUND,
            events=(
                AuditEvent(
                    event_id="1", at=NOW, actor=HOSTILE, actor_id=None, operation=None, activity=None, result=None
                ),
            ),
        ),
    )
    missing = change.model_copy(
        update={
            "kind": ChangeKind.MISSING,
            "fields": None,
            "evidence": "not_listed",
            "audit": Attribution(status=AuditStatus.NOT_FOUND),
        }
    )
    summary = ChangesSummary(
        tenant_id=TENANT,
        since=NOW,
        until=NOW,
        run_id=None,
        changes={ChangeKind.RENAMED: 1, ChangeKind.MISSING: 1},
        listed=3,
        not_read=[UnlistedCollection(type_key="mobileApps", reason="failed:graph_throttled", listed_at=NOW)],
        audit={},
        audit_log_read_from=NOW,
        goes_on_after=goes_on_after,
    )
    of_runs = [change.model_copy(update={"run_id": run_id}) for run_id in run_ids[1:]]
    return changes_page(HOSTILE, summary, [change, *of_runs] if of_runs else [change, missing], {})


BEFORE, AFTER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def mark(digits: str) -> dict[str, str]:
    return {SENSITIVE_MARK: digits}


def drift() -> str:
    baseline = BaselineRecord(
        tenant_id=TENANT,
        name="golden",
        kind=BaselineKind.MOMENT,
        at=NOW,
        run_id=None,
        other_tenant_id=None,
        set_by=HOSTILE,
        set_at=NOW,
        reason=HOSTILE,
        covered=["groups"],
        not_covered=[],
        pinned=1,
        forgotten=0,
        unread=0,
        presumed=0,
    )
    report = DriftReport(
        tenant_id=TENANT,
        baseline=baseline,
        evaluated_at=NOW,
        counts=DriftCounts(open=1),
        open_by_severity={Severity.HIGH: 1},
        compared=[],
        left_out=[
            LeftOutCollection(
                type_key="mobileApps", title="Apps", category=None, in_baseline="complete", now="failed:graph_throttled"
            )
        ],
        left_out_items=[],
    )
    finding = DriftFindingRecord(
        tenant_id=TENANT,
        baseline="golden",
        fingerprint="a" * 64,
        period=1,
        type_key="groups",
        item_kind="Groups",
        external_id="1",
        display_name=HOSTILE,
        kind=FindingKind.CHANGED,
        path="p",
        label=HOSTILE,
        before=HOSTILE,
        after=2,
        before_named=None,
        after_named=None,
        hidden=False,
        severity=Severity.HIGH,
        evidence="observed",
        first_seen_at=NOW,
        last_seen_at=NOW,
        resolved_at=None,
        is_checked=True,
        decision=Decision.OPEN,
        decided=None,
    )
    hidden = finding.model_copy(update={"hidden": True, "before": mark(BEFORE), "after": mark(AFTER)})
    return drift_page(HOSTILE, [(report, [finding, hidden])], {})


HERE, THERE = TenantRecord(tenant_id=TENANT, name=HOSTILE), TenantRecord(tenant_id=OTHER, name="other")
DIFFERENT = FieldRecord(path="p", kind=DifferenceKind.CHANGED, before=HOSTILE, after=None, hidden=False)
NAMED = [ItemName(external_id="1", display_name=HOSTILE, title=HOSTILE)]


def comparison() -> str:
    never = SideCoverage.of(None)
    collections = [
        CollectionComparison(
            type_key=key, title=title, category="directory", here=never, there=never, is_compared=is_compared,
            counts=ComparisonCounts(different=1),
        )
        for key, title, is_compared in (("groups", "Groups", True), ("mobileApps", "Apps", False))
    ]  # fmt: skip
    record = ComparisonRecord(
        here=HERE, there=THERE, asked_at=NOW, counts=ComparisonCounts(different=1), collections=collections,
        referenced=[],
    )  # fmt: skip
    item = ItemComparison(
        type_key="groups", kind="Groups", status=Status.DIFFERENT, matched_by=MatchedBy.NAME, here=NAMED, there=NAMED,
        fields=[DIFFERENT],
    )  # fmt: skip
    return comparison_page(record, [item])


def settings() -> str:
    never = SideCoverage.of(None)
    collections = [
        SettingCollection(type_key=key, title=key, here=never, there=never, is_compared=is_compared)
        for key, is_compared in (("configurationPolicies", True), ("mobileApps", False))
    ]
    policy = SettingPolicy(
        type_key="intents", external_id="1", display_name=HOSTILE, kind=HOSTILE, assigned_to=[HOSTILE]
    )
    doubtful = UncertainPolicy(
        tenant=HERE,
        type_key="intents",
        external_id="1",
        display_name=HOSTILE,
        kind=HOSTILE,
        reasons=[SettingUncertainty.STALE],
        stale=Staleness(since=NOW, parts=[StalePart(detail=HOSTILE, member_detail=HOSTILE, member_name=HOSTILE)]),
    )
    record = SettingsComparisonRecord(
        here=HERE, there=THERE, asked_at=NOW, counts=SettingCounts(different=1, shared=1), collections=collections,
        uncertain_policies=[doubtful],
    )  # fmt: skip
    values = [HeldValue(value=HOSTILE, text=HOSTILE, policies=[policy])]
    setting = SettingComparison(
        key=HOSTILE, label=HOSTILE, kinds=[SettingKind.PROPERTY], status=Status.DIFFERENT, here=values, there=[]
    )
    return settings_page(record, [setting])


def matrix() -> str:
    never = SideCoverage.of(None)
    left_out = MatrixCollection(
        type_key="mobileApps", golden=never, tenant=never, is_compared=False, counts=CellCounts()
    )
    tenant = MatrixTenant(
        tenant_id=OTHER, name=HOSTILE, counts=CellCounts(different=1), collections=[left_out], referenced=[]
    )
    record = MatrixRecord(golden=HERE, asked_at=NOW, tenants=[tenant])
    cell = MatrixCell(tenant_id=OTHER, status=CellStatus.DIFFERENT, fields=[DIFFERENT])
    row = MatrixRow(type_key="groups", kind="Groups", external_id="1", display_name=HOSTILE, cells=[cell])
    return matrix_page(record, [row], {})


@pytest.mark.parametrize("page", [changes, drift, comparison, settings, matrix])
def test_pages_escape_tenant_data_and_load_nothing(page: Any) -> None:
    read = ParsedPage(page())
    assert "script" not in read.tags
    assert not read.tags & {"link", "img", "iframe", "object", "embed", "form", "base"}
    assert [name for name, _ in read.attributes if name in {"src", "href"} or name.startswith("on")] == []
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes
    assert "<script>alert('" in read.text
    assert "{{ 7 * 7 }}" in read.text, "the page is no template"
    assert "\u202e" not in read.text
    assert "\x1b" not in read.text


@pytest.mark.parametrize("page", [changes, drift, comparison, settings, matrix])
def test_pages_name_collections_not_read(page: Any) -> None:
    read = ParsedPage(page())
    assert "mobileApps" in read.text
    assert ("graph_throttled" in read.text) or ("never read" in read.text)


def test_changes_page_names_the_actor_or_the_lack_of_audit_events() -> None:
    text = ParsedPage(changes()).text
    assert "By <script>alert" in text
    assert "Not in the audit log." in text


def test_cut_value_states_its_length() -> None:
    page = changes("x" * 1_000_000)
    assert len(page) < 20_000 + LONGEST_VALUE
    assert "1,000,002 characters in all" in ParsedPage(page).text


def test_long_text_shows_changed_lines_with_context() -> None:
    script = "Write-Host 'the same'\n" * 1_000
    field = FieldChange(
        path="p", label="p", kind=DifferenceKind.CHANGED, before=f"{script}before", after=f"{script}after"
    )
    (row,) = rows([field])
    same = "  Write-Host 'the same'"
    assert row.lines == ("@@ line 998 @@", same, same, same, "- before", "+ after")
    assert (row.before, row.after) == (None, None)


def test_long_values_are_cut_around_their_difference() -> None:
    script = "Write-Host 'the same'; " * 1_000
    field = FieldChange(
        path="p", label="p", kind=DifferenceKind.CHANGED, before=f"{script}before", after=f"{script}after"
    )
    (row,) = rows([field])
    assert row.before is not None
    assert row.after is not None
    assert 'before"' in row.before
    assert 'after"' in row.after
    assert len(row.before) < LONGEST_VALUE


@pytest.mark.parametrize(("before", "after"), [("5", 5), ("true", True), ("a\nb", ["a", "b"])])
def test_values_with_equal_text_are_distinguished(before: Any, after: Any) -> None:
    (row,) = rows([FieldChange(path="p", label="p", kind=DifferenceKind.CHANGED, before=before, after=after)])
    assert row.before != row.after or {line[:1] for line in row.lines} >= {"-", "+"}


def test_fields_over_the_limit_are_counted() -> None:
    many = [field(1)] * (MAX_FIELDS + 2)
    assert (len(rows(many)), left_out(many)) == (MAX_FIELDS, 2)


def test_changes_of_overlapping_runs_are_grouped_by_run() -> None:
    first, second = UUID(int=7), UUID(int=8)
    page = changes(run_ids=(first, second, first))
    assert page.count("2 changes by run") == page.count("1 change by run") == 1


def test_changes_page_states_that_more_changes_exist() -> None:
    assert "These are not all changes" in changes(goes_on_after="somewhere")
    assert "These are not all changes" not in changes()


@pytest.mark.parametrize("page", [changes, drift, comparison, settings, matrix])
def test_headings_are_in_order(page: Any) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page())]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_drift_page_states_only_that_a_hidden_value_changed() -> None:
    page = drift()
    assert ParsedPage(page).text.count("hidden, changed") == 1
    assert BEFORE[:8] not in page
    assert AFTER[:8] not in page
    assert SENSITIVE_MARK not in page


def test_changes_page_without_changes_says_so() -> None:
    summary = ChangesSummary(
        tenant_id=TENANT, since=NOW, until=NOW, run_id=None, changes={}, listed=0, not_read=[], audit={},
        audit_log_read_from=None,
    )  # fmt: skip
    assert "no changes" in ParsedPage(changes_page("x", summary, [], {})).text


NEVER = SideCoverage.of(None)


def counts_table(html: str) -> list[list[str]]:
    """The cells of the page's table of totals, row by row."""
    [table] = re.findall(r'<table class="totals">(.*?)</table>', html, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_comparison_page_omits_zero_counts_and_sorts_by_difference() -> None:
    def collection(title: str, **counts: int) -> CollectionComparison:
        return CollectionComparison(
            type_key=title, title=title, category="x", here=NEVER, there=NEVER, is_compared=True,
            counts=ComparisonCounts(**counts),
        )  # fmt: skip

    tenants = [TenantRecord(tenant_id=UUID(int=number), name=f"T{number}") for number in (1, 2)]
    record = ComparisonRecord(
        here=tenants[0],
        there=tenants[1],
        asked_at=NOW,
        counts=ComparisonCounts(same=7, different=4, only_here=1),
        collections=[
            collection("Alike", same=5),
            collection("Few", same=2, different=1),
            collection("Many", different=3, only_here=1),
        ],
        referenced=[],
    )
    page = comparison_page(record, [])
    assert counts_table(page) == [
        ["Collection", "same", "different", "only in T1"],
        ["Many", "", "3", "1"],
        ["Few", "2", "1", ""],
    ]
    assert "5 items of 1 other collection are the same" in page


def test_matrix_page_omits_zero_counts_and_sorts_by_difference() -> None:
    tenants = [
        MatrixTenant(
            tenant_id=UUID(int=number), name=f"T{number}", counts=CellCounts(**counts), collections=[], referenced=[]
        )
        for number, counts in ((2, {"same": 4, "missing": 1}), (3, {"same": 3, "missing": 2}))
    ]
    golden = TenantRecord(tenant_id=UUID(int=1), name="T1")
    page = matrix_page(MatrixRecord(golden=golden, asked_at=NOW, tenants=tenants), [], {})
    assert counts_table(page) == [["Tenant", "same", "missing"], ["T3", "3", "2"], ["T2", "4", "1"]]
