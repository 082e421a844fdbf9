import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from graph.tenants import CREDENTIALS, Cloud, TenantConfig, Tenants, TenantsFileError
from tenants_source import TenantEntry
from tenants_table import SECRET_VARIABLE, VAULT_SECRET, TableEdit, TableSource
from web.addresses import query_with
from web.forms import ConfirmedOnce, Reason, typed
from web.layout import page
from web.roles import Admin
from web.scope import Named, NoSuchPageError, TheSite, Visible
from web.site import Site
from web.sorted_pages import After, SortedPage, sorted_page
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PATH = "/configured-tenants"

PAGE = 100


CREDENTIAL_LABELS = {
    "client_secret_file": "client secret in a file",
    "client_secret_env": "client secret in a variable",
    "certificate_file": "certificate in a file",
    "federated_token_file": "federated token in a file",
    "client_secret_vault": "client secret in the vault",
    "certificate_vault": "certificate in the vault",
    "managed_identity": "managed identity of the worker",
}


def _table(site: TheSite) -> TableSource:
    if not isinstance(site.tenants_source, TableSource):
        raise TenantsFileError("the tenants are kept in the tenants file; change them there (docs/configuration.md)")
    return site.tenants_source


Table = Annotated[TableSource, Depends(_table)]


class TenantForm:
    def __init__(
        self,
        name: Annotated[str, Form(max_length=200)] = "",
        credential: Annotated[str, Form(max_length=40, description="The key of the credential.")] = "",
        reference: Annotated[
            str, Form(max_length=400, description="The file, variable or secret of the vault that holds it.")
        ] = "",
        client_id: Annotated[str, Form(max_length=100)] = "",
        cloud: Annotated[Cloud, Form()] = Cloud.PUBLIC,
        certificate_password_env: Annotated[str, Form(max_length=200)] = "",
        tags: Annotated[str, Form(max_length=2000, description="With commas between them.")] = "",
        disabled: Annotated[bool, Form()] = False,
    ) -> None:
        """Raises `TypedTextError`, `TenantsFileError`."""
        if credential not in CREDENTIALS:
            raise TenantsFileError(f"a credential is one of {', '.join(CREDENTIALS)}")
        self._given: dict[str, Any] = {
            "name": typed(name, "name"),
            "cloud": None if cloud is Cloud.PUBLIC else cloud.value,
            "client_id": typed(client_id, "client id"),
            credential: True if credential == "managed_identity" else typed(reference, "reference"),
            "certificate_password_env": typed(certificate_password_env, "password variable"),
            "tags": [tag.strip() for tag in tags.split(",") if tag.strip()],
            "disabled": disabled,
        }

    def entry(self, tenant_id: UUID) -> dict[str, Any]:
        """Leaves out empty fields."""
        return {"id": str(tenant_id), **{key: value for key, value in self._given.items() if value}}


Fields = Annotated[TenantForm, Depends()]


@router.get(PATH, response_class=HTMLResponse, include_in_schema=False)
async def tenants_page(
    request: Request, _admin: Admin, site: TheSite, visible: Visible, after: After = ""
) -> HTMLResponse:
    entries = _entries(visible, after, PAGE)
    return page(
        request,
        "configured_tenants/list.html",
        tenants=entries.rows,
        total=entries.total,
        may_change=isinstance(site.tenants_source, TableSource),
        labels=CREDENTIAL_LABELS,
        next_query=query_with(request, after=entries.goes_on) if entries.goes_on else None,
    )


@router.get(f"/api{PATH}")
async def tenant_entries(
    request: Request, response: Response, _admin: Admin, visible: Visible, after: After = "", limit: Limit = PAGE
) -> Sequence[TenantEntry]:
    """The configured tenants that the administrator sees, by name."""
    shown = _entries(visible, after, limit)
    say_next(response, request, shown.goes_on)
    return shown.rows


def _entries(visible: Tenants, after: str, most: int) -> SortedPage[TenantEntry]:
    entries = [TenantEntry.of(tenant) for tenant in visible]
    return sorted_page(entries, lambda entry: (entry.name.casefold(), str(entry.tenant_id)), after, most)


@router.get(f"{PATH}.csv", include_in_schema=False)
async def tenants_csv(_admin: Admin, visible: Visible) -> Response:
    return csv_file("configured-tenants", TenantEntry, [TenantEntry.of(tenant) for tenant in visible])


@router.get(f"{PATH}/new", response_class=HTMLResponse, include_in_schema=False)
async def new_tenant_page(request: Request, _admin: Admin, _table: Table) -> HTMLResponse:
    return _form(request, None)


@router.get(f"{PATH}/{{tenant_id}}", response_class=HTMLResponse, include_in_schema=False)
async def tenant_form_page(request: Request, _admin: Admin, tenant: Named, table: Table) -> HTMLResponse:
    entry = await asyncio.to_thread(table.entry, tenant.id)
    if entry is None:
        raise NoSuchPageError("somebody has removed this tenant")
    return _form(request, entry)


@router.post(PATH, include_in_schema=False)
async def add_tenant(
    site: TheSite, admin: Admin, table: Table, once: ConfirmedOnce, reason: Reason, fields: Fields,
    tenant_id: Annotated[UUID, Form()],
) -> RedirectResponse:  # fmt: skip
    edit = TableEdit(table, admin, reason=reason, once=once)
    return await _changed(site, edit.add, fields.entry(tenant_id))


@router.post(f"{PATH}/{{tenant_id}}", include_in_schema=False)
async def change_tenant(
    site: TheSite, admin: Admin, tenant: Named, table: Table, once: ConfirmedOnce, reason: Reason,
    fields: Fields,
) -> RedirectResponse:  # fmt: skip
    """Replaces the tenant's whole entry."""
    edit = TableEdit(table, admin, reason=reason, once=once)
    return await _changed(site, edit.replace, fields.entry(tenant.id))


@router.post(f"{PATH}/{{tenant_id}}/remove", include_in_schema=False)
async def remove_tenant(
    site: TheSite, admin: Admin, tenant: Named, table: Table, once: ConfirmedOnce, reason: Reason
) -> RedirectResponse:
    """The tenant's inventory stays."""
    edit = TableEdit(table, admin, reason=reason, once=once)
    return await _changed(site, edit.remove, tenant.id)


async def _changed(site: Site, change: Any, argument: object) -> RedirectResponse:
    await asyncio.to_thread(change, argument)
    await asyncio.to_thread(site.tenants_now)
    return RedirectResponse(PATH, 303)


def _form(request: Request, entry: dict[str, Any] | None) -> HTMLResponse:
    fields = {key: (entry or {}).get(key) for key in TenantConfig.model_fields}
    credential = next((name for name in CREDENTIALS if fields[name]), "client_secret_file")
    return page(
        request,
        "configured_tenants/edit.html",
        entry=entry,
        known=fields,
        credential=credential,
        reference="" if credential == "managed_identity" else fields[credential] or "",
        labels=CREDENTIAL_LABELS,
        clouds=list(Cloud),
        variable=SECRET_VARIABLE,
        vault_secret=VAULT_SECRET,
    )
