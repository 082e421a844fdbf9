"""The configured tenants, their clouds, and the places of their credentials."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from shlex import quote as quote_word
from typing import Annotated, Any, NamedTuple, Protocol
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from inventory.bounds import ID_BEGINNING, NAMED, NAMED_IDS
from inventory.plurals import first_of
from inventory.portfolio import Tag
from inventory.toml_file import read_toml
from inventory.user_errors import UserError
from inventory.validation_problem import LABEL_SPELLING, first_problem


class Cloud(StrEnum):
    """National clouds; none accepts another's tokens: https://learn.microsoft.com/graph/deployments"""

    PUBLIC = "public"
    USGOV = "usgov"
    USGOV_DOD = "usgov-dod"
    CHINA = "china"


class Endpoints(NamedTuple):
    """URLs have no final slash.

    The authority's discovery document may send a credential to `authority_aliases`, too.
    """

    authority_url: str
    graph_url: str
    authority_aliases: tuple[str, ...] = ()


CLOUD_ENDPOINTS = {
    Cloud.PUBLIC: Endpoints("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    Cloud.USGOV: Endpoints("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    Cloud.USGOV_DOD: Endpoints("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    Cloud.CHINA: Endpoints(
        "https://login.chinacloudapi.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        ("https://login.partner.microsoftonline.cn",),
    ),
}
"""https://learn.microsoft.com/graph/deployments and
https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud (China's alias)."""

CREDENTIALS = (
    "client_secret_env",
    "client_secret_file",
    "certificate_file",
    "federated_token_file",
    "client_secret_vault",
    "certificate_vault",
    "managed_identity",
)


THE_FILE = "the tenants file"
THE_TABLE = "the table of tenants"


VaultName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,127}$")]
"""A secret's or certificate's name in the vault of TENANT_VAULT_URL."""


SPELLING = {
    "name": "has a control character; leave it out",
    "tags": LABEL_SPELLING,
    "client_secret_vault": "write letters, digits and '-', 127 at most",
    "certificate_vault": "write letters, digits and '-', 127 at most",
}
"""What to write in place of a text that a pattern refuses."""


class TenantsFileError(UserError):
    """The tenants file or table is faulty. The message says how in one line, without values."""


class UnknownTenantError(UserError):
    """The message names configured tenants."""


class DisabledTenantError(UserError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"tenant {name!r} is disabled; to read it again: python starter.py tenant enable {quote_word(name)}"
        )


def refuse_disabled(tenant: "TenantConfig") -> None:
    if tenant.disabled:
        raise DisabledTenantError(tenant.name)


class TenantConfig(BaseModel, frozen=True, extra="forbid"):
    """Has exactly one credential field. A disabled tenant is not read; its inventory stays."""

    id: UUID
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
    cloud: Cloud = Cloud.PUBLIC
    client_id: Annotated[str | None, Field(min_length=1)] = None
    client_secret_env: str | None = None
    client_secret_file: Path | None = None
    certificate_file: Path | None = None
    certificate_password_env: str | None = None
    federated_token_file: Path | None = None
    client_secret_vault: VaultName | None = None
    certificate_vault: VaultName | None = None
    managed_identity: bool = False
    tags: tuple[Tag, ...] = ()
    disabled: bool = False

    @field_validator("tags")
    @classmethod
    def _tags_once(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tags)) < len(tags):
            raise ValueError("names a tag twice")
        return tags

    @model_validator(mode="after")
    def _one_credential(self) -> "TenantConfig":
        credentials = [name for name in CREDENTIALS if getattr(self, name)]
        if len(credentials) != 1:
            raise ValueError(f"needs exactly one of {', '.join(CREDENTIALS)}; has {', '.join(credentials) or 'none'}")
        if self.certificate_password_env and not self.certificate_file:
            raise ValueError("certificate_password_env needs certificate_file")
        if self.client_id is None and not self.managed_identity:
            raise ValueError("client_id is missing: the id of the tenant's app in Entra")
        return self


def consent_url(tenant: TenantConfig, authority_url: str | None = None) -> str | None:
    """The link by which a tenant's administrator grants the permissions; None for a managed identity.

    China's sign-in page has another host than its tokens.
    """
    if tenant.client_id is None or tenant.managed_identity:
        return None
    endpoints = CLOUD_ENDPOINTS[tenant.cloud]
    authority = authority_url or next(iter(endpoints.authority_aliases), endpoints.authority_url)
    return f"{authority}/{tenant.id}/adminconsent?client_id={quote(tenant.client_id)}"


class Tenants:
    """In the order of the file, or by name from the table; `place` says to people which of these."""

    def __init__(self, tenants: Sequence[TenantConfig], place: str = THE_FILE) -> None:
        self.place = place
        self._tenants = tenants
        self._by_id = {tenant.id: tenant for tenant in tenants}
        self._by_name = {tenant.name.casefold(): tenant for tenant in tenants}

    def __iter__(self) -> Iterator[TenantConfig]:
        return iter(self._tenants)

    def __len__(self) -> int:
        return len(self._tenants)

    def get(self, tenant_id: UUID) -> TenantConfig | None:
        return self._by_id.get(tenant_id)

    def tags(self) -> dict[UUID, tuple[str, ...]]:
        return {tenant.id: tenant.tags for tenant in self._tenants}

    def names(self) -> dict[UUID, str]:
        return {tenant.id: tenant.name for tenant in self._tenants}

    def all_tags(self) -> list[str]:
        return sorted({tag for tenant in self._tenants for tag in tenant.tags})

    def disabled(self) -> frozenset[UUID]:
        return frozenset(tenant.id for tenant in self._tenants if tenant.disabled)

    def find(self, id_or_name: str) -> TenantConfig:
        """Finds a tenant by id, its beginning, or name in any case. Raises `UnknownTenantError`."""
        try:
            tenant = self._by_id.get(UUID(id_or_name))
        except ValueError:
            tenant = self._by_name.get(id_or_name.casefold()) or self._beginning(id_or_name.lower())
        if tenant is None:
            near = get_close_matches(id_or_name.casefold(), self._by_name, n=1)
            hint = f" (did you mean {self._by_name[near[0]].name!r}?)" if near else ""
            names = ", ".join(sorted(tenant.name for tenant in self._tenants)[:NAMED]) or "none"
            more = f" and {len(self._tenants) - NAMED} more" if len(self._tenants) > NAMED else ""
            raise UnknownTenantError(f"unknown tenant {id_or_name!r}{hint}; {self.place} knows: {names}{more}")
        return tenant

    def _beginning(self, beginning: str) -> TenantConfig | None:
        if len(beginning) < ID_BEGINNING:
            return None
        matches = [tenant for tenant in self._tenants if str(tenant.id).startswith(beginning)]
        if len(matches) > 1:
            ids = first_of([f"{tenant.id} ({tenant.name})" for tenant in matches], NAMED_IDS)
            raise UnknownTenantError(f"several tenants' ids begin with {beginning!r}; write more of the id: {ids}")
        return matches[0] if matches else None


class TenantsSource(Protocol):
    """Messages name the source by `named`."""

    @property
    def named(self) -> str: ...

    def stamp(self) -> Hashable:
        """A value that differs after each change; None if unknown."""

    def load(self) -> Tenants:
        """Raises `UserError`."""


class FileSource(NamedTuple):
    path: Path

    @property
    def named(self) -> str:
        return str(self.path)

    def stamp(self) -> Hashable:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def load(self) -> Tenants:
        return load_tenants(self.path)


def load_tenants(path: Path) -> Tenants:
    """`[defaults]` fills missing values of a tenant. Raises `TenantsFileError`."""
    content = read_toml(path, TenantsFileError, if_missing="set TENANTS_FILE, or see docs/configuration.md")
    unknown = sorted(set(content) - {"tenant", "defaults"})
    if unknown:
        raise TenantsFileError(f"{path}: unknown table {unknown[0]!r}; there are [[tenant]] and [defaults]")
    entries, defaults = content.get("tenant", []), content.get("defaults", {})
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TenantsFileError(f"{path}: write [[tenant]] with two brackets, once for each tenant")
    if not isinstance(defaults, dict) or {"id", "name"} & set(defaults):
        raise TenantsFileError(f"{path}: [defaults] is a table, and has neither id nor name")
    return tenants_of(entries, str(path), defaults)


def tenants_of(
    entries: Sequence[Mapping[str, Any]],
    named: str,
    defaults: Mapping[str, Any] | None = None,
    *,
    place: str = THE_FILE,
) -> Tenants:
    """Raises `TenantsFileError`, whose message begins with `named`."""
    tenants = [_tenant(named, number, entry, defaults or {}) for number, entry in enumerate(entries, start=1)]
    _refuse_duplicates(named, tenants)
    return Tenants(tenants, place)


def _tenant(named: str, number: int, entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> TenantConfig:
    inherited = dict(defaults)
    if any(name in entry for name in CREDENTIALS):
        for credential in (*CREDENTIALS, "certificate_password_env"):
            inherited.pop(credential, None)
    name = entry.get("name")
    which = f"tenant {number}" + (f" ({name})" if isinstance(name, str) else "")
    try:
        return TenantConfig.model_validate({**inherited, **entry})
    except ValidationError as error:
        problem = first_problem(error, TenantConfig, noun="tenant", spelling=SPELLING)
        raise TenantsFileError(f"{named}: {which}: {problem}") from None


def _refuse_duplicates(named: str, tenants: list[TenantConfig]) -> None:
    keys: set[UUID | str] = set()
    for tenant in tenants:
        for key in (tenant.id, tenant.name.casefold()):
            if key in keys:
                raise TenantsFileError(f"{named}: {tenant.name}: another tenant has the same id or name")
            keys.add(key)
