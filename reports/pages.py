"""The pages. What they show comes from tenants and is hostile: the templates escape all of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from inventory.changing import ChangeRecord, ChangesSummary
from inventory.comparing import Status
from inventory.comparison_records import CellStatus, ComparisonRecord, ItemComparison, MatrixRecord, MatrixRow
from inventory.drift_records import DriftFindingRecord, DriftReport, LeftOutItem
from reports import values

MOST = 5_000
"""Changes, findings or items that one page holds: more of them nobody reads, and a browser shows them badly."""

TENANTS_ACROSS = 6
"""Columns of a matrix that a sheet of paper has room for; more tenants make more tables."""

MAX_LISTED = 20
"""How many of the lesser things a page names of one item: audit events, ids that mean nothing, its likes."""

_DETAILED = (CellStatus.DIFFERENT, CellStatus.RENAMED, CellStatus.UNDECIDED, CellStatus.AMBIGUOUS)
"""Of these a matrix has more to say than the word."""

T = TypeVar("T")
Titles = Mapping[str, str]
"""Collections as people call them, by type key. One that is not among them goes by its key."""


def changes_page(tenant: str, summary: ChangesSummary, changes: Sequence[ChangeRecord], titles: Titles) -> str:
    """What changed, by run and collection."""
    runs = [
        (run_id, of_run, _grouped(sorted(of_run, key=_place), lambda one: one.type_key))
        for run_id, of_run in _grouped(changes, lambda one: one.run_id)
    ]
    return _page("changes.html", tenant=tenant, summary=summary, runs=runs, titles=titles)


def drift_page(tenant: str, reports: Sequence[tuple[DriftReport, Sequence[DriftFindingRecord]]], titles: Titles) -> str:
    """How a tenant deviates from its baselines, the most severe findings first."""
    return _page("drift.html", tenant=tenant, reports=reports, titles=titles)


def comparison_page(record: ComparisonRecord, items: Sequence[ItemComparison]) -> str:
    """Two tenants side by side, by collection; what is the same is counted only."""
    shown = [item for item in items if item.status is not Status.SAME]
    return _page(
        "comparison.html",
        record=record,
        of_type=dict(_grouped(shown, lambda one: one.type_key)),
        statuses=list(Status),
        titles={one.type_key: one.title for one in record.collections},
    )


def matrix_page(record: MatrixRecord, rows: Sequence[MatrixRow], titles: Titles) -> str:
    """A golden tenant against others: a row for each of its items."""
    return _page(
        "matrix.html",
        record=record,
        of_type=_grouped(rows, lambda one: one.type_key),
        statuses=list(CellStatus),
        detailed=_DETAILED,
        across=TENANTS_ACROSS,
        titles=titles,
    )


def _grouped(records: Iterable[T], key: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    """The records by what they have in common, in the order of the first of each; they need not be neighbours."""
    groups: dict[Any, list[T]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())


def _place(change: ChangeRecord) -> tuple[str, datetime]:
    return change.type_key, change.noticed_at


def _by_reason(items: Iterable[LeftOutItem]) -> list[tuple[Any, list[LeftOutItem]]]:
    return _grouped(items, lambda one: (one.reason, one.type_key))


def _page(template: str, **shown: Any) -> str:
    return _environment().get_template(template).render(most=MAX_LISTED, **shown)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": _when,
        "words": _words,
        "many": _many,
        "shown": values.name,
        "rows": values.rows,
        "left_out": values.left_out,
        "by_reason": _by_reason,
    }
    return environment


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _words(code: object) -> str:
    return str(code).replace("_", " ")


def _many(number: int, one: str) -> str:
    """`1 item`, `2,000 items`."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"
