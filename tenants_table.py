"""The table of tenants: its entries, and people's changes."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

from graph.tenants import THE_TABLE, Tenants, TenantsFileError, tenants_of
from inventory.people import Person
from storage import configured_tenants
from storage.configured_tenants import Entry, TenantChange

LOOK_SECONDS = 3.0
"""The time between a process's checks for changes."""

SECRET_VARIABLE = "TENANT_SECRET_"  # noqa: S105 (the beginning of names)
"""The prefix of variables that the table may name; others could be sent to Entra."""

VAULT_SECRET = "tenant-"  # noqa: S105 (the beginning of names)
"""The prefix of vault secrets that the table may name; the vault may hold others."""

FILES = ("client_secret_file", "certificate_file", "federated_token_file")
VARIABLES = ("client_secret_env", "certificate_password_env")
VAULT_NAMES = ("client_secret_vault", "certificate_vault")


class TableSource:
    """Entries name files below `folder`."""

    named = THE_TABLE

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._stamp: Hashable = None
        self._asked_at = -LOOK_SECONDS

    def stamp(self) -> Hashable:
        """The table's state, at most `LOOK_SECONDS` old."""
        if monotonic() - self._asked_at >= LOOK_SECONDS:
            self._stamp = configured_tenants.stamp(self._url)
            self._asked_at = monotonic()
        return self._stamp

    def load(self) -> Tenants:
        return self.valid(self.entries())

    def entries(self) -> list[Entry]:
        """All entries, in order of name. Raises `StorageNotReadyError`, `StorageUnavailableError`."""
        return configured_tenants.entries(self._url)

    def entry(self, tenant_id: UUID) -> Entry | None:
        """Raises as `entries`."""
        return next((entry for entry in self.entries() if entry["id"] == str(tenant_id)), None)

    def change(self, tenant_change: TenantChange) -> bool:
        """Adds, replaces or removes an entry; False if nothing changed.

        Raises `TenantsFileError` if the table would be invalid, and as `entries`.
        """
        if tenant_change.entry is not None:
            refuse_references(tenant_change.entry)
        changed = configured_tenants.change(self._url, tenant_change, self.valid)
        self._asked_at = -LOOK_SECONDS
        return changed

    def add_all(self, new_tenants: Sequence[TenantChange]) -> None:
        """Adds all entries or, if it raises, none. Raises as `change`."""
        for tenant_change in new_tenants:
            refuse_references(tenant_change.entry or {})
        configured_tenants.add_all(self._url, new_tenants, self.valid)
        self._asked_at = -LOOK_SECONDS

    def valid(self, entries: Sequence[Mapping[str, Any]]) -> Tenants:
        """The tenants of these entries. Raises `TenantsFileError`."""
        placed = [
            {key: self._folder / value if key in FILES else value for key, value in entry.items()} for entry in entries
        ]
        return tenants_of(placed, THE_TABLE, place=THE_TABLE)


class TableEdit:
    """One person's changes. Each raises `TenantsFileError` if the table would be invalid.

    `once` is a form's id: a form sent again changes nothing.
    """

    def __init__(
        self, source: TableSource, person: Person, *, reason: str | None = None, once: UUID | None = None
    ) -> None:
        self._source = source
        self._person = person
        self._reason = reason
        self._once = once

    def add(self, entry: Mapping[str, Any]) -> None:
        self._change(UUID(entry["id"]), dict(entry), entry.get("name", ""), is_new=True)

    def add_all(self, new_entries: Sequence[Mapping[str, Any]]) -> None:
        """Adds all or, if it raises, none."""
        self._source.add_all(
            [
                TenantChange(self._person, UUID(entry["id"]), dict(entry), entry["name"], is_new=True)
                for entry in new_entries
            ]
        )

    def replace(self, entry: Mapping[str, Any]) -> bool:
        """False if the entry is the same."""
        return self._change(UUID(entry["id"]), dict(entry), entry.get("name", ""))

    def disable(self, tenant_id: UUID, *, disabled: bool) -> bool:
        """False if nothing changed."""
        entry = self._source.entry(tenant_id)
        if entry is None or bool(entry.get("disabled")) == disabled:
            return False
        changed = {key: value for key, value in entry.items() if key != "disabled"}
        return self.replace(changed | ({"disabled": True} if disabled else {}))

    def remove(self, tenant_id: UUID) -> None:
        entry = self._source.entry(tenant_id)
        if entry is not None:
            self._change(tenant_id, None, entry["name"])

    def _change(self, tenant_id: UUID, entry: Entry | None, name: str, *, is_new: bool = False) -> bool:
        return self._source.change(
            TenantChange(self._person, tenant_id, entry, name, is_new=is_new, reason=self._reason, once=self._once)
        )


def refuse_references(entry: Mapping[str, Any]) -> None:
    """Raises `TenantsFileError` unless the entry refers only to secrets meant for tenants."""
    place = f"{THE_TABLE}: {entry.get('name') or entry.get('id')}"
    for key in VARIABLES:
        name = entry.get(key)
        if name is not None and not str(name).startswith(SECRET_VARIABLE):
            raise TenantsFileError(f"{place}: {key} names a variable that begins with {SECRET_VARIABLE}")
    for key in VAULT_NAMES:
        name = entry.get(key)
        # Key Vault ignores the case of names.
        if name is not None and not str(name).lower().startswith(VAULT_SECRET):
            raise TenantsFileError(f"{place}: {key} names a secret of the vault that begins with {VAULT_SECRET}")
    for key in FILES:
        name = entry.get(key)
        if name is not None and (Path(name).is_absolute() or ".." in Path(name).parts):
            raise TenantsFileError(f"{place}: {key} names a file below TENANT_SECRETS_FOLDER, without '..'")
