"""`search`, `settings`."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from answers.search import answer
from answers.search.answer import NamedSettings, Sought
from answers.search.records import SearchBasis, SettingState, SettingValue, TenantSetting
from cli import output
from cli.basis_lines import say_unread
from cli.errors import ExitCode, UsageError
from cli.item_columns import COLLECTION, KIND_AND_ID, NAME, STATE
from cli.item_options import (
    KindOption,
    PlatformOption,
    SettingOption,
    StateOption,
    chosen_type_keys,
    item_filter,
    setting_condition,
)
from cli.options import (
    MOST,
    CategoryOption,
    SomeTenantsOption,
    TagOption,
    TenantNames,
    TypeOption,
    chosen_tenants,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database
from cli.spool import printed_afterwards
from cli.table import Column, Table, print_table, tenant_column
from cli.tenant_walk import tenant_failure
from configuration import Settings, load_settings
from inventory.plurals import counted
from inventory.records import ItemRecord
from tenants_source import configured_tenants_of

MOST_ITEMS = 100

NAMED = 3

_WORDS = {
    SettingState.SET: "set",
    SettingState.HIDDEN: "set to a hidden value",
    SettingState.OTHER_VALUE: "set to another value",
    SettingState.NOT_SET: "not set",
    SettingState.UNKNOWN: "unknown",
}

_STYLES = {SettingState.SET: "bold", SettingState.UNKNOWN: "yellow", SettingState.HIDDEN: "yellow"}


@prints_tables
def search(
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="Words that the name holds, each anywhere in it.", show_default=False),
    ] = None,
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    platform: PlatformOption = None,
    kind: KindOption = None,
    state: StateOption = None,
    setting: SettingOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many items at most.")] = MOST_ITEMS,
) -> None:
    """Items by name over all tenants, or those that --tenant and --tag name; in upper or lower case.

    With --setting the items that set something, and then no TEXT is needed. With --json each line is an item.

    Example: python starter.py search "bitlocker baseline" --platform windows
    """
    if not (text or "").strip() and setting is None:
        raise UsageError("say what to search for: words of a name, or --setting NAME[=VALUE]")
    settings = load_settings()
    tenant_ids = _tenant_ids(settings, tenants, tags)
    keys = chosen_type_keys(type_keys, categories)
    sought = Sought(text, setting_condition(setting), keys, item_filter(platform, kind, state))
    asyncio.run(_search(settings, sought, tenant_ids, limit))


@prints_tables
def settings(
    setting: Annotated[
        str,
        typer.Argument(
            metavar="NAME[=VALUE]",
            help="A definition's id or display name, an OMA-URI, or the path of a property.",
            show_default=False,
        ),
    ],
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    states: Annotated[
        list[SettingState] | None,
        typer.Option("--state", help="Tenants in this state alone; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Which tenants set something, to which value, which do not, and of which nobody can tell.

    A tenant sets what one of its policies does, whomever that is assigned to; `search --setting` lists the policies.
    Where collections that could set it were not read, no answer is "not set". With --json each line is a tenant.

    Example: python starter.py settings bitLockerEnabled=false
    """
    configured = load_settings()
    condition = setting_condition(setting)
    if condition is None:
        raise UsageError("say which setting")
    tenant_ids = _tenant_ids(configured, tenants, tags)
    names_of_tenants = TenantNames.load(configured)

    async def ask() -> NamedSettings:
        async with opened_database(configured) as database:
            async with database.portfolio() as session:
                settings = NamedSettings(await answer.tenant_settings(session, condition, tenant_ids), {})
                catalogs = await answer.catalogs(session)
            for tenant_id in catalogs:
                try:
                    async with database.tenant(tenant_id, read_only=True) as session:
                        named = await answer.with_names(session, settings.tenants)
                except Exception as error:  # noqa: BLE001 - the next tenant has the same definitions
                    words = await tenant_failure(database, error)
                    output.warn(f"no names from the definitions of {names_of_tenants.of(tenant_id)}: {words}")
                    continue
                if named.names:
                    return named
            return settings

    every_tenant, names = asyncio.run(ask())
    chosen = [tenant for tenant in every_tenant if not states or tenant.state in states]
    if output_options().as_json:
        output.print_json(*chosen)
    else:
        _print_settings(chosen, names_of_tenants)
        _say_settings(setting, every_tenant, names)
    _end(sum(tenant.read_from is None for tenant in every_tenant))


def _end(never_read: int) -> None:
    if never_read:
        raise typer.Exit(ExitCode.PARTIAL)


def _tenant_ids(settings: Settings, tenants: Sequence[str] | None, tags: Sequence[str] | None) -> list[UUID]:
    choice = chosen_tenants(settings, tenants, tags, everyone=not (tenants or tags))
    return sorted(choice.resolve(configured_tenants_of(settings).tags()))


async def _search(settings: Settings, sought: Sought, tenant_ids: list[UUID], limit: int) -> None:
    names = TenantNames.load(settings)
    tenant = tenant_column(names.of, is_kept=len(tenant_ids) > 1)
    table = Table(ItemRecord, (COLLECTION, NAME, tenant, *KIND_AND_ID, *STATE), most=limit)
    is_sorted = bool(output_options().sort)
    with_items: set[UUID] = set()
    items = 0
    with printed_afterwards():
        async with opened_database(settings) as database, database.portfolio() as session:
            async for item in answer.find(session, sought, tenant_ids, limit=None if is_sorted else limit):
                items += 1
                with_items.add(item.tenant_id)
                if output_options().as_json:
                    output.print_json(item)
                else:
                    table.add(item)
            basis = await answer.search_basis(session, tenant_ids, sought.type_keys)
            unread = await answer.unread_collections(session, sought, tenant_ids)
    if not output_options().as_json:
        table.print(is_ordered=True)
        output.stdout.print(_rests_on(items, len(with_items), len(tenant_ids), basis))
    say_unread(unread, names.of)
    if items == limit and not is_sorted:
        output.stderr.print(f"there may be more: give --limit {limit * 10}, or more words", style="dim")
    _end(basis.never_read)


def _rests_on(items: int, tenants: int, searched: int, basis: SearchBasis) -> str:
    items_text = f"{counted(items, 'item')} of {counted(tenants, 'tenant')}" if items else "no item"
    when = "nothing was read yet" if basis.read_from is None else f"readings since {output.when(basis.read_from)}"
    gaps = [
        f"{counted(number, 'tenant')} {words}"
        for number, words in ((basis.never_read, "never read"), (basis.incomplete, "not read to the end"))
        if number
    ]
    return f"{items_text}; {counted(searched, 'tenant')} searched, {', '.join([when, *gaps])}"


def _print_settings(tenants: Sequence[TenantSetting], names: TenantNames) -> None:
    columns = (
        tenant_column(names.of, is_kept=False),
        Column(
            "state", "state", lambda tenant: Text(_WORDS[tenant.state], _STYLES.get(tenant.state, "")), is_kept=True
        ),
        Column("values", "values", _values),
        Column("not read", "not_read", _not_read, yields=True),
        Column("read since", "read_from", lambda tenant: output.ago(tenant.read_from) or "never"),
    )
    print_table(columns, tenants, record=TenantSetting, is_ordered=True)


def _values(tenant: TenantSetting) -> str:
    texts = [f"{_value(value)}: {counted(value.items, 'policy', 'policies')}" for value in tenant.values[:NAMED]]
    return ", ".join(texts) + (", …" if len(tenant.values) > NAMED else "")


def _value(value: SettingValue) -> str:
    text = "hidden" if value.value is None else value.value
    return text if value.name is None else f"{value.name} ({text})"


def _not_read(tenant: TenantSetting) -> str:
    texts = [f"{unread.type_key} ({unread.reason})" for unread in tenant.not_read[:NAMED]]
    return ", ".join(texts) + (", …" if len(tenant.not_read) > NAMED else "")


def _say_settings(setting: str, tenants: Sequence[TenantSetting], names: Mapping[str, str]) -> None:
    counts = Counter(tenant.state for tenant in tenants)
    states = ", ".join(f"{counts[state]} {_WORDS[state]}" for state in SettingState if counts[state])
    read = [tenant.read_from for tenant in tenants if tenant.read_from is not None]
    when = f"; readings since {output.when(min(read))}" if read else "; nothing was read yet"
    output.stdout.print(f"{setting}: {counted(len(tenants), 'tenant')}: {states}{when}")
    for tenant in tenants[:1]:
        if tenant.settings != [setting.partition("=")[0]] or names:
            meant = [f'"{names[key]}" ({key})' if key in names else key for key in tenant.settings]
            output.stdout.print(f"this means {', '.join(meant)}", style="dim")
    output.stdout.print(
        "this is what policies say; devices may differ, since a policy may be assigned to nobody", style="dim"
    )
