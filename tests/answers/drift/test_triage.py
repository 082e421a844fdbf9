"""The order in which drift is shown, and the findings that fail a pipeline."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from answers.drift.records import DriftFindingRecord
from answers.drift.rules import Decision
from answers.drift.triage import FailOn, by_item, fails, items_of, weakens
from inventory.severity import ProtectionEffect, Severity


def finding(
    item: str,
    severity: Severity,
    direction: ProtectionEffect | None = None,
    decision: Decision = Decision.OPEN,
    path: str = "a",
) -> DriftFindingRecord:
    fields: dict[str, Any] = {
        "tenant_id": UUID(int=1),
        "type_key": "k",
        "item_kind": "kind",
        "external_id": item,
        "display_name": f"Item {item}",
        "severity": severity,
        "direction": direction,
        "decision": decision,
        "resolved_at": None,
        "path": path,
        "period": 1,
        "fingerprint": f"{item}{severity}{direction}{decision}{path}",
    }
    return DriftFindingRecord.model_construct(**fields)


findings = st.lists(
    st.builds(
        finding,
        st.sampled_from("123"),
        st.sampled_from(Severity),
        st.none() | st.sampled_from(ProtectionEffect),
        st.sampled_from(Decision),
        st.sampled_from("ab"),
    ),
    max_size=8,
)


def urgency(record: DriftFindingRecord) -> tuple[bool, int]:
    order = [None, *Severity]
    return not record.is_open, order.index(None if weakens(record) else record.severity)


@given(findings)
def test_each_item_is_listed_once_with_weakening_findings_first(records: list[DriftFindingRecord]) -> None:
    items = by_item(records)
    assert sorted(record.fingerprint for item in items for record in item) == sorted(
        record.fingerprint for record in records
    )
    assert len({item[0].external_id for item in items}) == len(items)
    for item in items:
        assert len({record.external_id for record in item}) == 1
        assert [urgency(record) for record in item] == sorted(map(urgency, item))
    assert [urgency(item[0]) for item in items] == sorted(urgency(item[0]) for item in items)


@given(findings)
def test_the_items_of_a_report_hold_all_open_findings(records: list[DriftFindingRecord]) -> None:
    opened = [record for record in records if record.is_open]
    items = items_of(records)
    assert sum(item.open for item in items) == len(opened)
    assert sum(item.weakening for item in items) == sum(map(weakens, opened))
    assert sorted(mark for item in items for mark in item.fingerprints) == sorted(
        record.fingerprint for record in opened
    )


@given(findings)
def test_a_lower_threshold_fails_whenever_a_higher_threshold_does(records: list[DriftFindingRecord]) -> None:
    high, medium, low = (
        [record for record in records if fails(record, level)] for level in (FailOn.HIGH, FailOn.MEDIUM, FailOn.LOW)
    )
    assert all(record in medium for record in high)
    assert all(record in low for record in medium)
    assert low == [record for record in records if record.is_open]
    assert {record.severity for record in high} <= {Severity.HIGH}
    assert [record for record in records if fails(record, FailOn.WEAKENED)] == [
        record for record in records if record.is_open and weakens(record)
    ]
