"""The source of tenants: a file, or a table that administrators edit on the web page."""

from typing import TYPE_CHECKING, Union
from uuid import UUID

from pydantic import BaseModel

from configuration import Settings, TenantsFrom
from graph.tenants import CREDENTIALS, Cloud, FileSource, TenantConfig, Tenants
from graph.tenants_edit import TenantsFileEdit
from inventory.people import Person

if TYPE_CHECKING:
    from tenants_table import TableEdit, TableSource

TenantsEdit = Union[TenantsFileEdit, "TableEdit"]


class TenantEntry(BaseModel, frozen=True):
    """A configured tenant. `credential` is the key that says where its credential is."""

    tenant_id: UUID
    name: str
    cloud: Cloud
    client_id: str | None
    credential: str
    tags: tuple[str, ...]
    disabled: bool

    @classmethod
    def of(cls, tenant: TenantConfig) -> "TenantEntry":
        (credential,) = (name for name in CREDENTIALS if getattr(tenant, name))
        return cls(
            tenant_id=tenant.id,
            name=tenant.name,
            cloud=tenant.cloud,
            client_id=tenant.client_id,
            credential=credential,
            tags=tenant.tags,
            disabled=tenant.disabled,
        )


def tenants_edit(settings: Settings, person: Person) -> TenantsEdit:
    """Raises `TenantsFileError` if the file is invalid."""
    source = tenants_source(settings)
    if isinstance(source, FileSource):
        return TenantsFileEdit(source.path)
    from tenants_table import TableEdit  # loads SQLAlchemy, which a tenants file does not need

    return TableEdit(source, person)


def tenants_source(settings: Settings) -> "FileSource | TableSource":
    if settings.tenants_from is TenantsFrom.FILE:
        return FileSource(settings.tenants_file)
    from tenants_table import TableSource  # loads SQLAlchemy, which a tenants file does not need

    return TableSource(settings.database_url.get_secret_value(), settings.tenant_secrets_folder)


def configured_tenants_of(settings: Settings) -> Tenants:
    """Raises `TenantsFileError`, `StorageNotReadyError`, `StorageUnavailableError`."""
    return tenants_source(settings).load()
