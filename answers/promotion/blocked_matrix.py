"""Blocked items of several tenants, by reason."""

from collections.abc import Sequence

from answers.compare.records import TenantRecord
from answers.promotion.records import BlockCode, BlockedCell, BlockedItem, BlockedRow, PlannedItem
from graph.catalog import load_catalog

COUNTED_FOR_EACH = "an item with several reasons counts for each of them"

Target = tuple[TenantRecord, Sequence[PlannedItem]]


def blocked_rows(targets: Sequence[Target]) -> list[BlockedRow]:
    """Reasons that block most items come first. An item counts for each of its reasons."""
    found: dict[tuple[BlockCode, str], dict[int, list[BlockedItem]]] = {}
    remedies: dict[tuple[BlockCode, str], str] = {}
    for number, (_, items) in enumerate(targets):
        for item in items:
            blocked = BlockedItem(type_key=item.type_key, source_id=item.source_id, title=item.title)
            for reason in item.reasons:
                key = (reason.code, reason.about or load_catalog().collections[item.type_key].title)
                of_target = found.setdefault(key, {}).setdefault(number, [])
                if blocked not in of_target:
                    of_target.append(blocked)
                remedies.setdefault(key, reason.unblocked_by)
    rows = [
        BlockedRow(
            code=code,
            about=about,
            unblocked_by=remedies[code, about],
            items=sum(map(len, of_targets.values())),
            tenants=len(of_targets),
            cells=[
                BlockedCell(tenant=tenant, items=of_targets.get(number, []))
                for number, (tenant, _) in enumerate(targets)
            ],
        )
        for (code, about), of_targets in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.items, row.code, row.about))
