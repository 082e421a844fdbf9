"""A golden tenant compared with many."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from uuid import UUID

from answers.compare import queries
from answers.compare.answer import Comparison, SessionOf, Side, referenced, side
from answers.compare.golden_sessions import LastingSession
from answers.compare.kept_items import KeptItems
from answers.compare.records import (
    CellCounts,
    CellStatus,
    CoverageState,
    ItemComparison,
    MatrixCell,
    MatrixCollection,
    MatrixRecord,
    MatrixRow,
    MatrixTenant,
    ReferencedCollection,
    SideCoverage,
    Status,
    TenantRecord,
)
from answers.compare.sides import OnFailure, end_comparison
from graph.catalog import kind_of, load_catalog
from inventory.coverage import Coverage
from inventory.records import DamagedRecord
from storage.coverage import coverage as coverage_of

_EXTRA = "extra"


class _OtherTenant:
    def __init__(self, tenant: TenantRecord, coverage: Mapping[str, Coverage]) -> None:
        self.tenant = tenant
        self.covered = {key: SideCoverage.of(collection) for key, collection in coverage.items()}
        self.counts: dict[str, Counter[str]] = {}
        self.referenced: dict[str, ReferencedCollection] = {}
        self.damaged: dict[DamagedRecord, None] = {}
        self.failed: set[str] = set()
        """Type keys of collections that cannot be compared."""


class Matrix:
    """Read `rows`, then `record`.

    Compares one collection of two tenants at a time. The golden tenant is seen at one moment, each collection of
    another at its own.
    """

    def __init__(
        self,
        golden: Side,
        coverage: Mapping[TenantRecord, Mapping[str, Coverage]],
        sessions: SessionOf,
        type_keys: Collection[str] | None = None,
        on_failure: OnFailure = end_comparison,
    ) -> None:
        """`coverage` is of the other tenants. After a failure, the tenant's next collection is compared."""
        known = load_catalog().collections
        covered = set(golden.coverage).union(*coverage.values()) - load_catalog().logs
        self.type_keys: Sequence[str] = sorted(key for key in (type_keys or covered) if key in known)
        self._kept = KeptItems()
        self._lasting = LastingSession(golden.session)
        self._golden = golden._replace(kept=self._kept)
        self._others = [_OtherTenant(tenant, collections) for tenant, collections in coverage.items() if collections]
        self._without_inventory = [tenant for tenant, collections in coverage.items() if not collections]
        self._sessions = sessions
        self._on_failure = on_failure

    @classmethod
    async def of(
        cls,
        golden: Side,
        tenants: Sequence[TenantRecord],
        sessions: SessionOf,
        type_keys: Collection[str] | None = None,
        on_failure: OnFailure = end_comparison,
    ) -> "Matrix":
        """Without `type_keys`, compares all collections that any tenant has read, except logs."""
        coverage = {}
        for tenant in tenants:
            try:
                async with sessions(tenant.tenant_id) as session:
                    coverage[tenant] = await coverage_of(session)
            except Exception as error:  # noqa: BLE001 - one tenant's defect is not the others'
                await on_failure(tenant, error)
        return cls(golden, coverage, sessions, type_keys, on_failure)

    async def rows(self) -> AsyncIterator[MatrixRow]:
        for type_key in self.type_keys:
            self._kept.clear()
            if self._golden.covered(type_key).state is CoverageState.COMPLETE:
                items = await queries.present_items(self._golden.session, type_key)
            elif self._golden.covered(type_key).is_answered:
                items = []
            else:
                continue
            ids = [item.external_id for item in items]
            columns = [await self._column(other, type_key, ids) for other in self._others]
            for item in items:
                yield MatrixRow(
                    type_key=type_key,
                    kind=kind_of(type_key, item.meta),
                    external_id=item.external_id,
                    display_name=item.display_name,
                    cells=[column[item.external_id] for column in columns],
                )

    def record(self) -> MatrixRecord:
        return MatrixRecord(
            golden=self._golden.tenant,
            asked_at=self._golden.asked_at,
            tenants=[self._tenant(other) for other in self._others],
            without_inventory=self._without_inventory,
            damaged=[*self._golden.damaged, *(damaged for other in self._others for damaged in other.damaged)],
        )

    async def _column(self, compared: _OtherTenant, type_key: str, ids: Sequence[str]) -> dict[str, MatrixCell]:
        try:
            return await self._compared(compared, type_key, ids)
        except Exception as error:  # noqa: BLE001 - one tenant's defect is not the others'
            await self._on_failure(compared.tenant, error)
        compared.failed.add(type_key)
        compared.counts[type_key] = Counter({CellStatus.NOT_COVERED: len(ids)})
        cell = MatrixCell(tenant_id=compared.tenant.tenant_id, status=CellStatus.NOT_COVERED)
        return dict.fromkeys(ids, cell)

    async def _compared(self, compared: _OtherTenant, type_key: str, ids: Sequence[str]) -> dict[str, MatrixCell]:
        await self._lasting.stay_open()
        tenant_id = compared.tenant.tenant_id
        counts = compared.counts[type_key] = Counter()
        cells: dict[str, MatrixCell] = {}
        async with self._sessions(tenant_id) as session:
            other = await side(compared.tenant, session)
            covered = compared.covered[type_key] = other.covered(type_key)
            if not covered.is_answered:
                counts[CellStatus.NOT_COVERED] += len(ids)
                return dict.fromkeys(ids, MatrixCell(tenant_id=tenant_id, status=CellStatus.NOT_COVERED))
            cannot_have = covered.state is CoverageState.CANNOT_HAVE
            async for item in Comparison(self._golden, other, [type_key]).items():
                if item.status is Status.ONLY_THERE:
                    counts[_EXTRA] += 1
                    continue
                cell = _cell(tenant_id, item, cannot_have=cannot_have)
                cells.update((item_name.external_id, cell) for item_name in item.here)
                counts[cell.status] += len(item.here)
                # The number of indistinguishable items beyond the golden tenant's.
                counts[_EXTRA] += max(0, len(item.there) - len(item.here))
            compared.referenced |= {collection.type_key: collection for collection in referenced(self._golden, other)}
            compared.damaged |= dict.fromkeys(other.damaged)
        return cells

    def _tenant(self, compared: _OtherTenant) -> MatrixTenant:
        return MatrixTenant(
            tenant_id=compared.tenant.tenant_id,
            name=compared.tenant.name,
            counts=CellCounts(**sum(compared.counts.values(), Counter())),
            collections=[
                MatrixCollection(
                    type_key=key,
                    golden=self._golden.covered(key),
                    tenant=covered,
                    is_compared=self._golden.covered(key).is_answered
                    and covered.is_answered
                    and key not in compared.failed,
                    counts=CellCounts(**compared.counts.get(key, Counter())),
                )
                for key in self.type_keys
                for covered in [compared.covered.get(key) or SideCoverage.of(None)]
            ],
            referenced=[compared.referenced[key] for key in sorted(compared.referenced)],
        )


def _cell(tenant_id: UUID, item: ItemComparison, *, cannot_have: bool) -> MatrixCell:
    if item.status is Status.ONLY_HERE:
        status = CellStatus.CANNOT_HAVE if cannot_have else CellStatus.MISSING
    else:
        status = CellStatus(item.status)
    return MatrixCell(
        tenant_id=tenant_id,
        status=status,
        **item.model_dump(include=MatrixCell.model_fields.keys() - {"tenant_id", "status"}),
    )
