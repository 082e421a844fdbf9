from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from answers.compare.answer import Comparison, side
from answers.compare.matrix import Matrix
from answers.compare.page import TENANTS_ACROSS, occurring
from answers.compare.records import (
    CellStatus,
    ComparisonRecord,
    ItemComparison,
    MatrixRecord,
    MatrixRow,
    Status,
    TenantRecord,
)
from answers.compare.setting_comparison import SettingsComparison
from answers.compare.setting_matrix import SettingMatrix
from answers.compare.setting_records import (
    SettingComparison,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
)
from answers.compare.sides import OnFailure
from answers.item_kinds import title_of
from answers.search.answer import search_basis
from inventory.bounds import NAMED_IDS
from inventory.name_key import list_place
from inventory.plurals import first_of
from inventory.user_errors import UserError
from web.addresses import query_with
from web.page_size import fitting_page
from web.scope import EachTenant, TenantSessions
from web.tenants_in_turn import by_name
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PAGE = 100

ATTEMPTS = tuple(
    {"most": most, "most_fields": fields, "most_lines": lines}
    for most, fields, lines in ((PAGE, 4, 6), (PAGE, 2, 3), (50, 1, 2), (25, 0, 0), (10, 0, 0))
)
"""A page shows less if it gets too long."""

Named = Annotated[str, Query(description="The id of a tenant, or its name.", max_length=200)]
TypeKey = Annotated[str, Query(alias="type", description="Only this collection.", max_length=100)]
Only = Annotated[Status | Literal[""], Query(description="Only what ended so. Default: all that is not the same.")]
Tag = Annotated[str, Query(description="The tenants with this tag.", max_length=64)]
After = Annotated[str, Query(description="Go on after this row: its number.", pattern=r"^\d{0,7}$")]
RecordT = TypeVar("RecordT")
RowT = TypeVar("RowT")


class ComparisonUnit(StrEnum):
    """Policies, or settings whatever policies hold them."""

    POLICY = "policy"
    SETTING = "setting"


By = Annotated[ComparisonUnit, Query(description="By policy, or by setting.")]


class UncomparableError(UserError):
    """The form asks for no comparison."""


class ComparisonRows(NamedTuple, Generic[RecordT, RowT]):
    """A comparison and all its rows, in a page's order."""

    record: RecordT
    rows: list[RowT]


ComparedItems = ComparisonRows[ComparisonRecord, ItemComparison]
ComparedSettings = ComparisonRows[SettingsComparisonRecord, SettingComparison]
GoldenItems = ComparisonRows[MatrixRecord, MatrixRow]
GoldenSettings = ComparisonRows[SettingsMatrixRecord, SettingRow]


class Slice(NamedTuple):
    rows: Sequence[Any]
    begin: int
    total: int


@router.get("/compare", response_class=HTMLResponse, include_in_schema=False)
async def compare_page(
    request: Request,
    each: EachTenant,
    left: Named = "",
    right: Named = "",
    golden: Named = "",
    by: By = ComparisonUnit.POLICY,
    type_key: TypeKey = "",
    only: Only = "",
    tag: Tag = "",
    after: After = "",
    tenants_after: Annotated[str, Query(alias="tenants", pattern=r"^\d{0,5}$", description="Leave out so many.")] = "",
) -> Response:
    """Redirects names to ids."""
    entered = {"left": left.strip(), "right": right.strip(), "golden": golden.strip()}
    named = {field: _id_of(each, value) for field, value in entered.items() if value and _as_id(value) is None}
    if named:
        return RedirectResponse(f"/compare{query_with(request, **named)}", 303)
    left_id, right_id, golden_id = map(_as_id, entered.values())
    context = {
        "tenants": sorted(each.tenants, key=lambda tenant: tenant.name.casefold()),
        "tags": each.tenants.all_tags(),
        "left": left_id,
        "right": right_id,
        "golden": golden_id,
        "by": by,
        "type_key": type_key,
        "only": only,
        "tag": tag,
        "title_of": title_of,
        "query_with": partial(query_with, request, after=None),
    }
    if golden_id:
        return await _golden_page(request, each, golden_id, int(after or 0), int(tenants_after or 0), context)
    if not (left_id and right_id):
        tenant_ids = [tenant.id for tenant in by_name(each.tenants, tag)]
        async with each.portfolio() as session:
            basis = await search_basis(session, tenant_ids, None)
        return fitting_page(request, "compare/choose.html", ({},), basis=basis, searched=len(tenant_ids), **context)
    if by is ComparisonUnit.SETTING:
        found = await _settings(each, left_id, right_id)
        chosen = [setting for setting in found.rows if _is_wanted_setting(setting, only)]
        return _paged(request, "compare/by_setting.html", chosen, int(after or 0), context, record=found.record)
    compared = await _items(each, left_id, right_id, type_key)
    items = [item for item in compared.rows if _is_wanted(item.status, only)]
    columns = occurring(Status, [collection.counts for collection in compared.record.differing])
    return _paged(
        request, "compare/by_policy.html", items, int(after or 0), context, record=compared.record, columns=columns
    )


@router.get("/api/compare")
async def comparison_record(each: EachTenant, left: UUID, right: UUID, type_key: TypeKey = "") -> ComparisonRecord:
    """Two tenants compared by policy, in numbers, with the coverage."""
    return (await _items(each, left, right, type_key)).record


@router.get("/api/compare/items")
async def compared_items(
    request: Request,
    response: Response,
    each: EachTenant,
    left: UUID,
    right: UUID,
    type_key: TypeKey = "",
    only: Only = "",
    after: After = "",
    limit: Limit = PAGE,
) -> Sequence[ItemComparison]:
    """The items of two tenants that are not the same, most urgent first."""
    found = await _items(each, left, right, type_key)
    return _some(request, response, [item for item in found.rows if _is_wanted(item.status, only)], after, limit)


@router.get("/api/compare/settings")
async def compared_settings(
    request: Request,
    response: Response,
    each: EachTenant,
    left: UUID,
    right: UUID,
    only: Only = "",
    after: After = "",
    limit: Limit = PAGE,
) -> Sequence[SettingComparison]:
    """The settings of two tenants that are not the same, conflicts first."""
    found = await _settings(each, left, right)
    chosen = [setting for setting in found.rows if _is_wanted_setting(setting, only)]
    return _some(request, response, chosen, after, limit)


@router.get("/api/compare/golden")
async def golden_record(
    each: EachTenant, golden: UUID, tag: Tag = "", type_key: TypeKey = "", after: After = ""
) -> MatrixRecord:
    """A golden tenant compared with the first tenants after so many, in numbers, with the coverage."""
    return (await _many(each, golden, _others(each, golden, tag)[int(after or 0) :], type_key)).record


@router.get("/api/compare/golden/settings")
async def golden_settings_record(
    each: EachTenant, golden: UUID, tag: Tag = "", after: After = ""
) -> SettingsMatrixRecord:
    """A golden tenant compared by setting with the first tenants after so many, in numbers."""
    return (await _many_settings(each, golden, _others(each, golden, tag)[int(after or 0) :])).record


@router.get("/compare.csv", include_in_schema=False)
async def compared_csv(
    request: Request,
    each: EachTenant,
    left: UUID,
    right: UUID,
    by: By = ComparisonUnit.POLICY,
    type_key: TypeKey = "",
    only: Only = "",
    after: After = "",
    limit: Limit = 1000,
) -> Response:
    links = Response()
    if by is ComparisonUnit.SETTING:
        settings = await compared_settings(request, links, each, left, right, only, after, limit)
        table = csv_file("settings", SettingComparison, settings)
    else:
        items = await compared_items(request, links, each, left, right, type_key, only, after, limit)
        table = csv_file("comparison", ItemComparison, items)
    if "link" in links.headers:
        table.headers["link"] = links.headers["link"]
    return table


@router.get("/compare/golden.csv", include_in_schema=False)
async def golden_csv(
    each: EachTenant,
    golden: UUID,
    by: By = ComparisonUnit.POLICY,
    tag: Tag = "",
    type_key: TypeKey = "",
    after: After = "",
) -> Response:
    """Rows that differ in some tenant."""
    if by is ComparisonUnit.SETTING:
        settings = await _many_settings(each, golden, _others(each, golden, tag)[int(after or 0) :])
        each.failures.refuse_file(settings.record.not_answered)
        return csv_file("golden-settings", SettingRow, [row for row in settings.rows if _differs(row)])
    found = await _many(each, golden, _others(each, golden, tag)[int(after or 0) :], type_key)
    each.failures.refuse_file(found.record.not_answered)
    return csv_file("golden", MatrixRow, [row for row in found.rows if _differs(row)])


async def _golden_page(
    request: Request, each: TenantSessions, golden: UUID, after: int, first: int, context: dict[str, Any]
) -> HTMLResponse:
    others = _others(each, golden, context["tag"])
    shown: dict[str, Any] = {}
    found: GoldenItems | GoldenSettings
    if context["by"] is ComparisonUnit.SETTING:
        template = "compare/golden_settings.html"
        found = await _many_settings(each, golden, others[first:])
    else:
        template = "compare/golden.html"
        found = await _many(each, golden, others[first:], context["type_key"])
        names = (*CellStatus, "extra")
        shown["columns"] = occurring(names, [tenant.counts for tenant in found.record.tenants])
        shown["types"] = sorted({row.type_key for row in found.rows}, key=lambda key: title_of(key).casefold())
    following = first + TENANTS_ACROSS
    return _paged(
        request,
        template,
        [row for row in found.rows if _differs(row)],
        after,
        context,
        record=found.record,
        names=each.tenants.names(),
        number_of_others=len(others),
        first=first,
        last=min(following, len(others)),
        next_tenants=following if following < len(others) else None,
        **shown,
    )


def _paged(
    request: Request, template: str, rows: Sequence[Any], begin: int, context: dict[str, Any], **more: Any
) -> HTMLResponse:
    attempts = (
        {**attempt, "slice": Slice(rows[begin : begin + attempt["most"]], begin, len(rows))} for attempt in ATTEMPTS
    )
    return fitting_page(request, template, attempts, **context, **more)


def _some(request: Request, response: Response, rows: Sequence[RowT], after: str, limit: int) -> Sequence[RowT]:
    end = int(after or 0) + limit
    if end < len(rows):
        say_next(response, request, str(end))
    return rows[end - limit : end]


async def _items(each: TenantSessions, left: UUID, right: UUID, type_key: str) -> ComparedItems:
    async def find() -> ComparedItems:
        async with each.turn(), each.session_of(left) as session_here, each.session_of(right) as session_there:
            sides = await side(here, session_here), await side(there, session_there)
            comparison = Comparison(*sides, [type_key] if type_key else None)
            items = [item async for item in comparison.items()]
            record = comparison.record()
        differing = {collection.type_key: place for place, collection in enumerate(record.differing)}
        return ComparisonRows(record, sorted(items, key=partial(_place, differing)))

    here, there = _two(each, left, right)
    return await each.recent_answers.answer(("items", left, right, type_key), find)


async def _settings(each: TenantSessions, left: UUID, right: UUID) -> ComparedSettings:
    async def find() -> ComparedSettings:
        async with each.turn(), each.session_of(left) as session_here, each.session_of(right) as session_there:
            comparison = SettingsComparison(await side(here, session_here), await side(there, session_there))
            settings = await comparison.settings()
            return ComparisonRows(comparison.record(), settings)

    here, there = _two(each, left, right)
    return await each.recent_answers.answer(("settings", left, right), find)


async def _many(each: TenantSessions, golden: UUID, following: Sequence[TenantRecord], type_key: str) -> GoldenItems:
    async def find() -> GoldenItems:
        async with each.turn(), each.session_of(golden) as session:
            model = await side(_named(each, golden), session)
            matrix = await Matrix.of(model, chosen, each.session_of, [type_key] if type_key else None, _failed(each))
            rows = [row async for row in matrix.rows()]
            record = matrix.record().model_copy(update={"not_answered": each.failures.tenants})
            return ComparisonRows(record, sorted(rows, key=_place_of_row))

    _named(each, golden)
    chosen = following[:TENANTS_ACROSS]
    key = ("golden", golden, tuple(other.tenant_id for other in chosen), type_key)
    return await each.recent_answers.answer(key, find, _is_whole)


async def _many_settings(each: TenantSessions, golden: UUID, following: Sequence[TenantRecord]) -> GoldenSettings:
    async def find() -> GoldenSettings:
        async with each.turn(), each.session_of(golden) as session:
            model = await side(_named(each, golden), session)
            matrix = SettingMatrix(model, chosen, each.session_of, on_failure=_failed(each))
            rows = await matrix.rows()
            record = matrix.record().model_copy(update={"not_answered": each.failures.tenants})
            return ComparisonRows(record, rows)

    _named(each, golden)
    chosen = following[:TENANTS_ACROSS]
    key = ("golden settings", golden, tuple(other.tenant_id for other in chosen))
    return await each.recent_answers.answer(key, find, _is_whole)


def _is_whole(comparison: GoldenItems | GoldenSettings) -> bool:
    return not comparison.record.not_answered


def _failed(each: TenantSessions) -> OnFailure:
    async def add(tenant: TenantRecord, error: Exception) -> None:
        await each.failures.add(tenant.tenant_id, error)

    return add


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _id_of(each: TenantSessions, name: str) -> str:
    found = [str(tenant.id) for tenant in each.tenants if tenant.name.casefold() == name.strip().casefold()]
    if len(found) > 1:
        raise UncomparableError(f"several tenants are called {name!r}; write the id: {first_of(found, NAMED_IDS)}")
    if not found:
        raise UncomparableError(f"no tenant of yours is called {name!r}; write the name or the id of one")
    return found[0]


def _two(each: TenantSessions, left: UUID, right: UUID) -> tuple[TenantRecord, TenantRecord]:
    here, there = _named(each, left), _named(each, right)
    if left == right:
        raise UncomparableError("a tenant is the same as itself; choose two different ones")
    return here, there


def _named(each: TenantSessions, tenant_id: UUID) -> TenantRecord:
    tenant = each.named(tenant_id)
    return TenantRecord(tenant_id=tenant.id, name=tenant.name)


def _others(each: TenantSessions, golden: UUID, tag: str) -> list[TenantRecord]:
    chosen = [tenant for tenant in each.tenants if tenant.id != golden and (not tag or tag in tenant.tags)]
    return [_named(each, tenant.id) for tenant in sorted(chosen, key=lambda tenant: tenant.name.casefold())]


_ORDER = (
    Status.DIFFERENT,
    Status.ONLY_HERE,
    Status.ONLY_THERE,
    Status.RENAMED,
    Status.AMBIGUOUS,
    Status.UNDECIDED,
    Status.SAME,
)


def _place(differing: dict[str, int], item: ItemComparison) -> tuple[int, str, int, str, str]:
    """The most different collection first, then items that somebody can act on."""
    first = (item.here or item.there)[0]
    type_key, name, external_id = list_place(item.type_key, first.display_name, first.external_id)
    return differing.get(type_key, len(differing)), type_key, _ORDER.index(item.status), name, external_id


def _place_of_row(row: MatrixRow) -> tuple[str, int, str, str]:
    otherwise = sum(cell.status is not CellStatus.SAME for cell in row.cells)
    type_key, name, external_id = list_place(row.type_key, row.display_name, row.external_id)
    return type_key, -otherwise, name, external_id


def _is_wanted(status: Status, only: Status | Literal[""]) -> bool:
    return status is only if only else status is not Status.SAME


def _is_wanted_setting(setting: SettingComparison, only: Status | Literal[""]) -> bool:
    return _is_wanted(setting.status, only) or (not only and setting.differs_within)


def _differs(row: MatrixRow | SettingRow) -> bool:
    return any(cell.status is not CellStatus.SAME for cell in row.cells)
