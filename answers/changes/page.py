from collections.abc import Sequence
from datetime import datetime

from answers.changes.audit import AUDIT_LOGS
from answers.changes.records import ChangeRecord, ChangesSummary
from answers.pages import Titles, grouped, page


def changes_page(tenant: str, summary: ChangesSummary, changes: Sequence[ChangeRecord], titles: Titles) -> str:
    runs = [
        (run_id, of_run, grouped(sorted(of_run, key=_place), lambda change: change.type_key))
        for run_id, of_run in grouped(changes, lambda change: change.run_id)
    ]
    return page("changes/page.html", tenant=tenant, summary=summary, runs=runs, titles=titles, log_names=AUDIT_LOGS)


def _place(change: ChangeRecord) -> tuple[str, datetime]:
    return change.type_key, change.noticed_at
