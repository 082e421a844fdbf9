"""The pages. What they show comes from tenants and is hostile: the templates escape all of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from inventory.changing import ChangeRecord, ChangesSummary
from inventory.comparing import Status
from inventory.comparison_records import CellStatus, ComparisonRecord, ItemComparison, MatrixRecord, MatrixRow
from inventory.drift_records import DriftFindingRecord, DriftReport
from inventory.exact_json import encode

MOST = 5_000
"""Changes, findings or items that one page holds: more of them nobody reads, and a browser shows them badly."""

MAX_VALUE = 400
"""Characters of a value that a page shows."""


def changes_page(tenant: str, summary: ChangesSummary, changes: Sequence[ChangeRecord]) -> str:
    """What changed, by run and collection."""
    runs = [
        (run_id, [(key, list(some)) for key, some in groupby(sorted(of_run, key=_place), key=lambda one: one.type_key)])
        for run_id, of_run in ((key, list(some)) for key, some in groupby(changes, key=lambda one: one.run_id))
    ]
    return _page("changes.html", tenant=tenant, summary=summary, runs=runs)


def drift_page(tenant: str, reports: Sequence[tuple[DriftReport, Sequence[DriftFindingRecord]]]) -> str:
    """How a tenant deviates from its baselines, the most severe findings first."""
    return _page("drift.html", tenant=tenant, reports=reports)


def comparison_page(record: ComparisonRecord, items: Sequence[ItemComparison]) -> str:
    """Two tenants side by side, by collection; what is the same is counted only."""
    shown = [item for item in items if item.status is not Status.SAME]
    of_type = {key: list(some) for key, some in groupby(shown, key=lambda one: one.type_key)}
    return _page("comparison.html", record=record, of_type=of_type, statuses=list(Status))


def matrix_page(record: MatrixRecord, rows: Sequence[MatrixRow]) -> str:
    """A golden tenant against others: a row for each of its items."""
    of_type = [(key, list(some)) for key, some in groupby(rows, key=lambda one: one.type_key)]
    return _page("matrix.html", record=record, of_type=of_type, statuses=list(CellStatus))


def _place(change: ChangeRecord) -> tuple[str, datetime]:
    return change.type_key, change.noticed_at


def _page(template: str, **shown: Any) -> str:
    return _environment().get_template(template).render(**shown)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": _when, "words": _words, "value": _value, "shown": _printable, "names": _names}
    return environment


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _words(code: object) -> str:
    return str(code).replace("_", " ")


def _value(value: object) -> str:
    """A value of a document as JSON, cut where it is long."""
    written = _printable(encode(value).decode())  # type: ignore[arg-type]
    return written if len(written) <= MAX_VALUE else f"{written[:MAX_VALUE]}… ({len(written)} characters)"


def _printable(words: object) -> str:
    """A text without the characters that turn the direction of a line or cannot be seen."""
    return "".join(one if one.isprintable() else "\ufffd" for one in str(words))


def _names(items: Iterable[Any]) -> str:
    return ", ".join(_printable(one.display_name or one.external_id) for one in items)
