"""One golden tenant against many: what each of them has of its items."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.comparing import Comparison, Side, referenced
from answers.logs import log_types
from graph.catalog import kind_of, load_catalog
from inventory.comparing import Status
from inventory.comparison_records import (
    CellCounts,
    CellStatus,
    CoverageState,
    ItemComparison,
    MatrixCell,
    MatrixCollection,
    MatrixRecord,
    MatrixRow,
    MatrixTenant,
)
from storage import comparing

SessionOf = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]
"""Opens a session that is bound to one tenant."""

_EXTRA = "extra"


class Matrix:
    """A golden tenant against others. First the `rows`, then the `record` of them.

    One collection of two tenants is compared at a time, and the cells of one collection are in memory.
    """

    def __init__(self, golden: Side, others: Sequence[Side], type_keys: Collection[str] | None = None) -> None:
        known = load_catalog().collections
        covered = {key for one in (golden, *others) for key in one.coverage} - set(log_types())
        self.type_keys: Sequence[str] = sorted(key for key in (type_keys or covered) if key in known)
        self._golden = golden
        self._others = others
        self._counts: dict[UUID, dict[str, Counter[str]]] = {one.tenant.tenant_id: {} for one in others}

    async def rows(self, sessions: SessionOf) -> AsyncIterator[MatrixRow]:
        """A row for each item of the golden tenant, collection by collection."""
        for type_key in self.type_keys:
            if self._golden.covered(type_key).state is CoverageState.COMPLETE:
                items = await comparing.present_items(self._golden.session, type_key)
            elif self._golden.covered(type_key).is_answered:
                items = []
            else:
                continue
            ids = [item.external_id for item in items]
            columns = [await self._column(one, type_key, ids, sessions) for one in self._others]
            for item in items:
                yield MatrixRow(
                    type_key=type_key,
                    kind=kind_of(type_key, item.meta),
                    external_id=item.external_id,
                    display_name=item.display_name,
                    cells=[column[item.external_id] for column in columns],
                )

    def record(self) -> MatrixRecord:
        """The matrix in numbers, and what it rests on."""
        return MatrixRecord(
            golden=self._golden.tenant,
            asked_at=self._golden.asked_at,
            tenants=[self._tenant(one) for one in self._others],
        )

    async def _column(
        self, other: Side, type_key: str, ids: Sequence[str], sessions: SessionOf
    ) -> dict[str, MatrixCell]:
        """What one tenant has of the golden tenant's items of a collection, by their ids."""
        tenant_id = other.tenant.tenant_id
        counts = self._counts[tenant_id][type_key] = Counter()
        if not other.covered(type_key).is_answered:
            counts[CellStatus.NOT_COVERED] += len(ids)
            return dict.fromkeys(ids, MatrixCell(tenant_id=tenant_id, status=CellStatus.NOT_COVERED))
        cannot_have = other.covered(type_key).state is CoverageState.CANNOT_HAVE
        cells: dict[str, MatrixCell] = {}
        async with sessions(tenant_id) as session:
            comparison = Comparison(self._golden, other._replace(session=session), [type_key])
            async for item in comparison.items():
                if item.status is Status.ONLY_THERE:
                    counts[_EXTRA] += 1
                    continue
                cell = _cell(tenant_id, item, cannot_have=cannot_have)
                cells.update((one.external_id, cell) for one in item.here)
                counts[cell.status] += len(item.here)
                # Of several that one cannot tell apart, so many are more than the golden tenant has.
                counts[_EXTRA] += max(0, len(item.there) - len(item.here))
        return cells

    def _tenant(self, other: Side) -> MatrixTenant:
        counts = self._counts[other.tenant.tenant_id]
        return MatrixTenant(
            tenant_id=other.tenant.tenant_id,
            name=other.tenant.name,
            counts=CellCounts(**sum(counts.values(), Counter())),
            collections=[
                MatrixCollection(
                    type_key=key,
                    golden=self._golden.covered(key),
                    tenant=other.covered(key),
                    is_compared=self._golden.covered(key).is_answered and other.covered(key).is_answered,
                    counts=CellCounts(**counts.get(key, Counter())),
                )
                for key in self.type_keys
            ],
            referenced=referenced(self._golden, other),
        )


def _cell(tenant_id: UUID, item: ItemComparison, *, cannot_have: bool) -> MatrixCell:
    if item.status is Status.ONLY_HERE:
        status = CellStatus.CANNOT_HAVE if cannot_have else CellStatus.MISSING
    else:
        status = CellStatus(item.status)
    return MatrixCell(
        tenant_id=tenant_id,
        status=status,
        **item.model_dump(
            include={"matched_by", "there", "fields", "uncertain", "unresolved_here", "unresolved_there"}
        ),
    )
