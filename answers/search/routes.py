from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.coverage.records import UnreadCollections
from answers.item_filter import SettingCondition
from answers.item_kinds import title_of, told_kind
from answers.pages import grouped
from answers.search import answer
from answers.search.answer import ItemPlace, Sought
from answers.search.records import SettingState, TenantSetting
from graph.catalog import load_catalog
from inventory.records import ItemRecord
from web.addresses import query_with
from web.item_choice import CHOICE_ERRORS, ItemChoice, SettingTextError, item_choice
from web.layout import page
from web.scope import AllTenants, NoSuchPageError, PortfolioScope
from web.twins import Limit, csv_file, say_next, whole_csv_file

router = APIRouter()

PAGE = 100

Choice = Annotated[ItemChoice, Depends(item_choice)]
Tag = Annotated[str, Query(description="Only tenants with this tag.", max_length=64)]
After = Annotated[
    str, Query(description="Go on after this item, TENANT/TYPE/ID: the last one of the page before.", max_length=2000)
]
AfterTenant = Annotated[
    UUID | Literal[""], Query(alias="after", description="Go on after this tenant: the last one of the page before.")
]
SettingName = Annotated[
    str, Query(description="A definition's id or name, an OMA-URI, or the path of a property.", max_length=1000)
]
SettingText = Annotated[str, Query(description="Only tenants that set it to this value.", max_length=1000)]
StateOfSetting = Annotated[SettingState | Literal[""], Query(description="Only tenants in this state.")]


class ItemRow(NamedTuple):
    item: ItemRecord
    collection: str
    kind: str


@router.get("/search", response_class=HTMLResponse, include_in_schema=False)
async def search_page(
    request: Request, scope: AllTenants, choice: Choice, tag: Tag = "", after: After = ""
) -> HTMLResponse:
    chosen = _tenant_ids(scope, tag)
    items, basis, unread, problem = list[ItemRecord](), None, list[UnreadCollections](), ""
    try:
        if (sought := _sought(choice)) is not None:
            items = await answer.find_after(scope.session, sought, chosen, _place(after), PAGE + 1)
        basis = await answer.search_basis(scope.session, chosen, choice.type_keys)
        unread = [] if sought is None else await answer.unread_collections(scope.session, sought, chosen)
    except CHOICE_ERRORS as error:
        problem = str(error)
    rows = [ItemRow(item, title_of(item.type_key), told_kind(item)) for item in items[:PAGE]]
    last = rows[-1].item if len(items) > PAGE else None
    return page(
        request,
        "search/search.html",
        choice=choice,
        is_asked=bool(choice.name.strip() or choice.setting.strip()),
        basis=basis,
        unread=unread,
        title_of=title_of,
        problem=problem,
        searched=len(chosen),
        by_tenant=grouped(rows, lambda row: row.item.tenant_id),
        names=scope.tenants.names(),
        tags=scope.tenants.all_tags(),
        tag=tag,
        categories=load_catalog().categories(),
        next_query=query_with(request, after=_place_of(last)) if last else None,
        in_tenant=query_with(request, after=None, tag=None),
        csv=f"/search.csv{query_with(request, after=None)}",
    )


@router.get("/api/search")
async def found_records(
    request: Request,
    response: Response,
    scope: AllTenants,
    choice: Choice,
    tag: Tag = "",
    after: After = "",
    limit: Limit = PAGE,
) -> list[ItemRecord]:
    """Items of all tenants by tenant, type key and name; `name` or `setting` is needed.

    `/api/coverage` has the collections that were not read.
    """
    sought = _needed(choice)
    found = await answer.find_after(scope.session, sought, _tenant_ids(scope, tag), _place(after), limit + 1)
    say_next(response, request, _place_of(found[limit - 1]) if len(found) > limit else None)
    return found[:limit]


@router.get("/search.csv", include_in_schema=False)
async def search_csv(scope: AllTenants, choice: Choice, tag: Tag = "") -> Response:
    found = answer.find(scope.session, _needed(choice), _tenant_ids(scope, tag))
    return await whole_csv_file("search", ItemRecord, found)


@router.get("/settings", response_class=HTMLResponse, include_in_schema=False)
async def settings_page(
    request: Request,
    scope: AllTenants,
    setting: SettingName = "",
    value: SettingText = "",
    state: StateOfSetting = "",
    tag: Tag = "",
    after: AfterTenant = "",
) -> HTMLResponse:
    tenants, problem = list[TenantSetting](), ""
    if setting.strip():
        try:
            tenants = await _settings(scope, setting, value, tag)
        except CHOICE_ERRORS as error:
            problem = str(error)
    in_state = [tenant for tenant in tenants if state in ("", tenant.state)]
    following = _after_tenant(in_state, after)
    read = [tenant.read_from for tenant in tenants if tenant.read_from is not None]
    chosen = _tenant_ids(scope, tag)
    return page(
        request,
        "search/settings.html",
        setting=setting,
        value=value,
        state=state,
        counts=[(known, count) for known, count in _counts(tenants) if count or known == state],
        meant=tenants[0].settings if tenants else [],
        tenants=following[:PAGE],
        tenant_count=len(tenants),
        basis=None if tenants else await answer.search_basis(scope.session, chosen, None),
        searched=len(chosen),
        read_from=min(read, default=None),
        problem=problem,
        names=scope.tenants.names(),
        tags=scope.tenants.all_tags(),
        tag=tag,
        title_of=title_of,
        with_state=lambda chosen: query_with(request, after=None, state=chosen),
        next_query=query_with(request, after=str(following[PAGE - 1].tenant_id)) if len(following) > PAGE else None,
        csv=f"/settings.csv{query_with(request, after=None)}",
    )


@router.get("/api/settings")
async def setting_records(
    request: Request,
    response: Response,
    scope: AllTenants,
    setting: SettingName,
    value: SettingText = "",
    state: StateOfSetting = "",
    tag: Tag = "",
    after: AfterTenant = "",
    limit: Limit = PAGE,
) -> list[TenantSetting]:
    """Values of a setting in each tenant, by state and the tenant's name."""
    found = await _settings(scope, setting, value, tag)
    rest = _after_tenant([tenant for tenant in found if state in ("", tenant.state)], after)
    say_next(response, request, str(rest[limit - 1].tenant_id) if len(rest) > limit else None)
    return rest[:limit]


@router.get("/settings.csv", include_in_schema=False)
async def settings_csv(
    scope: AllTenants, setting: SettingName, value: SettingText = "", state: StateOfSetting = "", tag: Tag = ""
) -> Response:
    found = await _settings(scope, setting, value, tag)
    return csv_file("settings", TenantSetting, [tenant for tenant in found if state in ("", tenant.state)])


async def _settings(scope: PortfolioScope, setting: str, value: str, tag: str) -> list[TenantSetting]:
    if not setting.strip():
        raise SettingTextError("say which setting")
    condition = SettingCondition(setting.strip(), value.strip() or None)
    found = await answer.tenant_settings(scope.session, condition, _tenant_ids(scope, tag))
    names, order = scope.tenants.names(), list(SettingState)
    return sorted(found, key=lambda tenant: (order.index(tenant.state), names[tenant.tenant_id].casefold()))


def _counts(tenants: Sequence[TenantSetting]) -> list[tuple[SettingState, int]]:
    counts = Counter(tenant.state for tenant in tenants)
    return [(state, counts[state]) for state in SettingState]


def _after_tenant(tenants: list[TenantSetting], after: UUID | str) -> list[TenantSetting]:
    if not after:
        return tenants
    places = {tenant.tenant_id: place for place, tenant in enumerate(tenants)}
    if not isinstance(after, UUID) or after not in places:
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    return tenants[places[after] + 1 :]


def _sought(choice: ItemChoice) -> Sought | None:
    """None without words or setting, which would find everything."""
    if not (choice.name.strip() or choice.setting.strip()) or choice.sought is None:
        return None
    return choice.sought._replace(type_keys=choice.type_keys)


def _needed(choice: ItemChoice) -> Sought:
    sought = _sought(choice)
    if sought is None:
        raise SettingTextError("say what to search for: words of a name, or a setting")
    return sought


def _tenant_ids(scope: PortfolioScope, tag: str) -> list[UUID]:
    return [tenant.id for tenant in scope.tenants if not tag or tag in tenant.tags]


def _place(after: str) -> ItemPlace | None:
    if not after:
        return None
    tenant, slash, rest = after.partition("/")
    type_key, second_slash, external_id = rest.partition("/")
    if not (slash and second_slash):
        raise NoSuchPageError("a place in the list is TENANT/TYPE/ID")
    try:
        return ItemPlace(UUID(tenant), type_key, external_id)
    except ValueError:
        raise NoSuchPageError("a place in the list is TENANT/TYPE/ID") from None


def _place_of(item: ItemRecord) -> str:
    return f"{item.tenant_id}/{item.type_key}/{item.external_id}"
