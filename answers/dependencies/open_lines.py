"""Lines about an answer's gaps."""

from collections.abc import Sequence

import typer

from answers.dependencies import answer
from answers.dependencies.records import CannotSayRecord
from answers.dependencies.rules import DAMAGED
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.old_details import NAMED_COLLECTIONS
from cli import output
from cli.basis_lines import rests_on_coverage
from cli.errors import ExitCode
from inventory.coverage import TENANT_NEVER_READ
from inventory.plurals import counted
from inventory.user_errors import NeverReadError

UNREAD_SHOWN = 6
"""Collections that one line names."""


def open_lines(records: Sequence[CannotSayRecord], words: str) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    old = {
        record.type_key: (record.read_at, record.references or 0) for record in records if record.read_at is not None
    }
    lines = [
        f"{type_key}: rests on details of {counted(items, 'item')} read since {output.when(read_at)}"
        for type_key, (read_at, items) in old.items()
    ]
    if len(old) > NAMED_COLLECTIONS:
        items = counted(sum(items for _, items in old.values()), "item")
        since = output.when(min(read_at for read_at, _ in old.values()))
        lines = [f"{len(old)} collections rest on details of {items} read since {since}"]
    for record in records:
        if record.read_at is not None:
            continue
        number = f" ({record.references:,})" if record.references is not None else ""
        by_reason.setdefault(answer.reason_in_words(record), []).append(f"{record.type_key}{number}")
    for reason, named in sorted(by_reason.items()):
        more = f" and {len(named) - UNREAD_SHOWN} more" if named[UNREAD_SHOWN:] else ""
        lines.append(f"{words} {', '.join(named[:UNREAD_SHOWN])}{more}: {reason}")
    return lines


def say_what_is_open(records: Sequence[CannotSayRecord], words: str) -> None:
    output.warn(*open_lines(records, words))


def refuse_never_read(coverage: TenantCoverage) -> None:
    if not coverage.collections:
        raise NeverReadError(TENANT_NEVER_READ)


def say_basis(coverage: TenantCoverage) -> None:
    output.stderr.print(rests_on_coverage(coverage.collections.values()), style="dim")


def end_if_damaged(cannot_say: Sequence[CannotSayRecord]) -> None:
    """Raises `typer.Exit` if documents are damaged, since the answer lacks them."""
    if any(record.reason == DAMAGED for record in cannot_say):
        raise typer.Exit(ExitCode.PARTIAL)
