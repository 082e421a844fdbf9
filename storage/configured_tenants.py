"""The table of configured tenants. Synchronous, for commands without an event loop.

Functions raise `StorageNotReadyError` and `StorageUnavailableError`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from inventory.people import Action, Person
from storage.access import access
from storage.audit import added_record
from storage.database import PROBE, database_url
from storage.errors import StorageUnavailableError, classified
from storage.models.base import table
from storage.models.web import ConfiguredTenant
from storage.timeouts import TRANSACTION_TIMEOUTS, connection_parameters

Entry = dict[str, Any]
"""One tenant's keys, as in the tenants file, with the id as text."""

Check = Callable[[Sequence[Entry]], object]
"""Raises if the table would be invalid with these entries."""

_TENANT = table(ConfiguredTenant)
_BIND = text("SELECT set_config('role', :role, true), set_config('app.tenant_id', '', true)")
_ONE_AT_A_TIME = text("LOCK TABLE configured_tenant IN SHARE ROW EXCLUSIVE MODE")


class Stamp(NamedTuple):
    """The table's state, different after each change."""

    tenants: int
    changed_at: datetime | None


class TenantChange(NamedTuple):
    """`entry` is None to remove the tenant; an entry that `is_new` replaces none. `once` is the form's id."""

    person: Person
    tenant_id: UUID
    entry: Entry | None
    subject: str
    is_new: bool = False
    reason: str | None = None
    once: UUID | None = None


def entries(url: str) -> list[Entry]:
    """All tenants' entries, by name."""
    with _transaction(url) as connection:
        return _entries(connection)


def stamp(url: str) -> Stamp:
    with _transaction(url) as connection:
        found = connection.execute(select(func.count(), func.max(_TENANT.c.changed_at)).select_from(_TENANT)).one()
        return Stamp(*found)


def change(url: str, edit: TenantChange, check: Check) -> bool:
    """Adds, replaces or removes a tenant; False if nothing has changed, or this form was received before.

    Raises the errors of `check`, too.
    """
    with _transaction(url) as connection:
        connection.execute(_ONE_AT_A_TIME)
        before = _entries(connection)
        others = [entry for entry in before if edit.is_new or entry["id"] != str(edit.tenant_id)]
        after = others if edit.entry is None else [*others, edit.entry]
        check(after)
        if sorted(before, key=_by_id) == sorted(after, key=_by_id):
            return False
        return _write(connection, edit)


def add_all(url: str, edits: Sequence[TenantChange], check: Check) -> None:
    """Adds all of these tenants or, if it raises, none. Raises the errors of `check`, too."""
    with _transaction(url) as connection:
        connection.execute(_ONE_AT_A_TIME)
        check([*_entries(connection), *(edit.entry for edit in edits if edit.entry is not None)])
        for edit in edits:
            _write(connection, edit)


def _write(connection: Connection, edit: TenantChange) -> bool:
    """False if this form was received before."""
    action = Action.TENANT_REMOVED if edit.entry is None else Action.TENANT_CONFIGURED
    record = added_record(
        edit.person,
        action,
        tenant_id=edit.tenant_id,
        subject=edit.subject,
        reason=edit.reason,
        request_id=edit.once,
    )
    if connection.execute(record).one_or_none() is None:
        return False
    if edit.entry is None:
        connection.execute(delete(_TENANT).where(_TENANT.c.tenant_id == edit.tenant_id))
        return True
    new = insert(_TENANT).values(tenant_id=edit.tenant_id, entry=edit.entry, changed_by=edit.person.name)
    replaced = {name: new.excluded[name] for name in ("entry", "changed_by")}
    connection.execute(
        new.on_conflict_do_update(index_elements=["tenant_id"], set_={**replaced, "changed_at": func.clock_timestamp()})
    )
    return True


def _entries(connection: Connection) -> list[Entry]:
    by_name = func.lower(_TENANT.c.entry["name"].astext)
    return list(connection.execute(select(_TENANT.c.entry).order_by(by_name)).scalars())


def _by_id(entry: Entry) -> str:
    return str(entry["id"])


@cache
def _engine(url: str) -> Engine:
    return create_engine(
        database_url(url),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=connection_parameters("tenant-inventory tenants", {**TRANSACTION_TIMEOUTS, "timezone": "UTC"}),
    )


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    """A transaction that sees only rows of no tenant."""
    try:
        with _engine(url).begin() as connection:
            roles = access(connection.execute(PROBE).one_or_none())
            connection.execute(_BIND, {"role": roles.worker})
            yield connection
    except SQLAlchemyError as error:
        raise classified(error) or StorageUnavailableError("PostgreSQL refused the table of tenants") from None
