"""Items and settings of the session's tenants."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.answer import Extent
from answers.coverage.answer import unread_collections as unread_of_tenants
from answers.coverage.records import UnreadCollections
from answers.item_filter import ItemFilter, SettingCondition
from answers.item_kinds import with_kind
from answers.item_states import StateChoice
from answers.object_names import setting_names
from answers.search import queries
from answers.search.records import ItemGroup, SettingState, SettingValue, TenantSetting
from answers.search.rules import alike, meant, patterns, setting_state, titled
from graph.catalog import load_catalog
from inventory.plurals import counted, either
from inventory.records import ItemRecord
from inventory.settings import setting_key
from inventory.user_errors import NeverReadError, UserError
from storage.coverage import is_read
from storage.name_order import NamePlace, place_of
from storage.queries import Question

MOST_MEANT = 100
"""Settings that one name may mean; beyond that, people must choose."""


TENANTS_AT_A_TIME = 50
"""Tenants in one query: few enough, among 500, that PostgreSQL reads names by an index."""


class UnknownSettingError(UserError):
    """The setting is ambiguous or unknown."""


class UnreadSettingError(UnknownSettingError, NeverReadError):
    """No run has completed, so no setting is known."""


class Sought(NamedTuple):
    """`words` are of a name."""

    words: str | None = None
    setting: SettingCondition | None = None
    type_keys: Sequence[str] | None = None
    items: ItemFilter = ItemFilter()


class ItemPlace(NamedTuple):
    """The item after which a list goes on."""

    tenant_id: UUID
    type_key: str
    external_id: str


async def find(
    session: AsyncSession,
    sought: Sought,
    tenant_ids: Collection[UUID] | None = None,
    *,
    question: Question | None = None,
    limit: int | None = None,
    after: NamePlace | None = None,
) -> AsyncGenerator[ItemRecord, None]:
    """Items by tenant, type key and name; without `tenant_ids`, of all visible tenants.

    States are relative to the question `asked`, else to each collection's latest run. `after` needs one tenant. Raises
    `UnknownSettingError`.
    """
    query = await _query(session, sought, tenant_ids, after)
    if question is None and sought.items.state is not None:
        query = query._replace(is_seen=sought.items.state is StateChoice.PRESENT)
    count = 0
    for part in _parts(query):
        async with aclosing(queries.found_items(session, part, question)) as items:
            async for item in items:
                if sought.items.wants(item):
                    yield with_kind(item)
                    count += 1
                    if count == limit:
                        return


async def _query(
    session: AsyncSession,
    sought: Sought,
    tenant_ids: Collection[UUID] | None = None,
    after: NamePlace | None = None,
) -> queries.ItemQuery:
    """Leaves out `sought.items`."""
    names = None if sought.setting is None else await settings_meant(session, sought.setting.name)
    return queries.ItemQuery(
        tenant_ids=None if tenant_ids is None else sorted(tenant_ids),
        type_keys=sought.type_keys,
        patterns=patterns(sought.words) if sought.words else None,
        titled=titled(sought.words, _titles()) or None if sought.words and names is None else None,
        settings=names,
        values=None if sought.setting is None or names is None else sought.setting.values(names),
        after=after,
    )


async def groups_of_found(session: AsyncSession, sought: Sought, most: int) -> list[ItemGroup]:
    """Groups of the first `most` items; `sought.items` filters nothing. Raises `UnknownSettingError`."""
    return await queries.item_groups(session, await _query(session, sought), most)


def _titles() -> dict[str, str]:
    return {key: entry.title for key, entry in load_catalog().collections.items() if entry.singleton}


async def find_after(
    session: AsyncSession, sought: Sought, tenant_ids: Collection[UUID], place: ItemPlace | None, limit: int
) -> list[ItemRecord]:
    """The items of `find` after a place. Raises `UnlistedItemError`, `UnknownSettingError`."""
    later = sorted(tenant_ids)
    items: list[ItemRecord] = []
    if place is not None:
        here = [tenant_id for tenant_id in later if tenant_id == place.tenant_id]
        later = [tenant_id for tenant_id in later if tenant_id > place.tenant_id]
        if here:
            after = await place_of(session, place.type_key, place.external_id, place.tenant_id)
            items = [item async for item in find(session, sought, here, limit=limit, after=after)]
    if later and len(items) < limit:
        items += [item async for item in find(session, sought, later, limit=limit - len(items))]
    return items


def _parts(query: queries.ItemQuery) -> Iterator[queries.ItemQuery]:
    """Splits the tenants, since a full page ends the search."""
    if query.tenant_ids is None or query.settings is not None or query.is_seen is False:
        yield query
        return
    for first in range(0, len(query.tenant_ids), TENANTS_AT_A_TIME):
        yield query._replace(tenant_ids=query.tenant_ids[first : first + TENANTS_AT_A_TIME])


async def unread_collections(
    session: AsyncSession, sought: Sought, tenant_ids: Collection[UUID]
) -> list[UnreadCollections]:
    """Collections that may hold more of what is sought, by reason."""
    extent = Extent.of(sought.type_keys, with_settings=sought.setting is not None)
    return await unread_of_tenants(session, tenant_ids, extent)


search_basis = queries.basis
catalogs = queries.catalogs


async def settings_meant(session: AsyncSession, name: str) -> list[str]:
    """Settings with this whole name, last parts or definition's display name.

    Raises `UnknownSettingError`, or `UnreadSettingError` if nothing was read.
    """
    for exact in dict.fromkeys((name, setting_key(name))):
        if await queries.is_known(session, exact):
            return [exact]
    read_settings = await queries.known_settings(session)
    settings = meant(name, read_settings)
    if not settings:
        defined = [setting_key(definition) for definition in await queries.definitions_called(session, name)]
        settings = [key for key in defined if key in set(read_settings)] or defined
    if not settings and not read_settings and not await is_read(session):
        raise UnreadSettingError(f"no run has completed here, so nobody can tell what sets {name!r}")
    if not settings:
        near = alike(name, read_settings)
        hint = f"; did you mean {either(list(map(repr, near)))}?" if near else ""
        unread = await unread_of_tenants(session, None, Extent.of(None, with_settings=True))
        if unread:
            hint += f"{'' if near else ';'} not read: {'; '.join(gap.in_words for gap in unread)}"
        raise UnknownSettingError(f"no item that has been read sets {name!r}{hint}")
    if len(settings) > MOST_MEANT:
        raise UnknownSettingError(
            f"{name!r} means {counted(len(settings), 'setting')}, such as {', '.join(settings[:5])}"
        )
    return settings


async def tenant_settings(
    session: AsyncSession, condition: SettingCondition, tenant_ids: Collection[UUID]
) -> list[TenantSetting]:
    """Each tenant's values, ordered by state. Raises `UnknownSettingError`.

    A collection can set the setting if any tenant's item does, or once did. Only settings catalog policies can set a
    setting that only that catalog defines.
    """
    names = await settings_meant(session, condition.name)
    values = condition.values(names)
    set_items = await queries.set_items(session, names)
    collections = load_catalog().collections
    can_set = {items.type_key for items in set_items} or await queries.knowing(session, names) or _of_settings_catalog()
    rules = {key: collections[key].reading_rules.hash() for key in sorted(can_set) if key in collections}
    read = await queries.readings(session, sorted(tenant_ids), rules)
    by_tenant: dict[UUID, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    for items in set_items:
        by_tenant[items.tenant_id][items.value] += items.items
    answers = []
    for tenant_id in sorted(tenant_ids):
        found_values = [SettingValue(value=value, items=count) for value, count in by_tenant[tenant_id].items()]
        found_values.sort(key=lambda value: (-value.items, value.value or ""))
        answers.append(
            TenantSetting(
                tenant_id=tenant_id,
                settings=names,
                value=condition.value,
                state=setting_state(found_values, values, is_read=not read[tenant_id].not_read),
                values=found_values,
                not_read=read[tenant_id].not_read,
                read_from=read[tenant_id].read_from,
            )
        )
    order = list(SettingState)
    return sorted(answers, key=lambda tenant: (order.index(tenant.state), tenant.tenant_id))


class NamedSettings(NamedTuple):
    """Tenants' values with names of choices, and settings' display names."""

    tenants: list[TenantSetting]
    names: dict[str, str]


async def with_names(session: AsyncSession, tenants: Sequence[TenantSetting]) -> NamedSettings:
    """Adds display names from the definitions of the session's tenant."""
    settings = sorted({setting for tenant in tenants for setting in tenant.settings})
    ids = {*settings, *(setting.removeprefix("device_") for setting in settings)}
    names_of_ids = {setting_key(name_id): name for (_, name_id), name in (await setting_names(session, ids)).items()}

    def named(value: SettingValue, tenant: TenantSetting) -> SettingValue:
        ids = [setting_key(f"{setting}_{value.value}") for setting in tenant.settings]
        return value.model_copy(
            update={"name": next((names_of_ids[choice] for choice in ids if choice in names_of_ids), None)}
        )

    return NamedSettings(
        [tenant.model_copy(update={"values": [named(value, tenant) for value in tenant.values]}) for tenant in tenants],
        {setting: names_of_ids[setting] for setting in settings if setting in names_of_ids},
    )


def _of_settings_catalog() -> set[str]:
    return {
        key
        for key, collection in load_catalog().collections.items()
        if collection.has_settings and "settings" in collection.detail_properties
    }
