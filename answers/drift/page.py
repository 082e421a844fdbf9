"""The page of drift."""

from collections.abc import Iterable, Sequence
from typing import Any

from answers.drift.records import DriftFindingRecord, DriftReport, LeftOutItem
from answers.drift.triage import by_item
from answers.pages import Titles, grouped, page


def drift_page(tenant: str, reports: Sequence[tuple[DriftReport, Sequence[DriftFindingRecord]]], titles: Titles) -> str:
    return page("drift/page.html", tenant=tenant, reports=reports, titles=titles, by_reason=_by_reason, by_item=by_item)


def _by_reason(items: Iterable[LeftOutItem]) -> list[tuple[Any, list[LeftOutItem]]]:
    return grouped(items, lambda row: (row.reason, row.type_key))
