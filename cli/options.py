"""Shared arguments and options."""

from collections.abc import Sequence
from shlex import quote
from typing import Annotated, NamedTuple
from uuid import UUID

import typer

from cli.errors import UsageError
from configuration import Settings, TenantsFrom, load_settings
from graph.catalog import load_catalog
from graph.tenants import TenantConfig, Tenants
from inventory.bounds import NAMED
from inventory.portfolio import MOST_TENANTS, TenantChoice
from inventory.selection import Selection, select
from inventory.typed_text import NAME
from inventory.user_errors import UnavailableError
from tenants_source import configured_tenants_of

MOST = 1_000_000
"""The largest `--limit`."""


def complete_tenant_name(incomplete: str) -> list[str]:
    try:
        tenants = configured_tenants_of(load_settings())
    except (ValueError, UnavailableError):
        return []
    return [tenant.name for tenant in tenants if tenant.name.lower().startswith(incomplete.lower())]


def complete_type_key(incomplete: str) -> list[str]:
    return [key for key in sorted(load_catalog().collections) if key.lower().startswith(incomplete.lower())]


def _categories(incomplete: str) -> list[str]:
    return [name for name in load_catalog().categories() if name.startswith(incomplete.lower())]


TenantArgument = Annotated[
    str,
    typer.Argument(
        metavar="TENANT", help="A tenant's id or name.", autocompletion=complete_tenant_name, show_default=False
    ),
]
OptionalTenantArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TENANT", help="A tenant's id or name.", autocompletion=complete_tenant_name, show_default=False
    ),
]
DeepOption = Annotated[
    bool, typer.Option("--deep", help="Read the details of every item, even if its list shows no change.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="KEY", help="A collection by its type key; may be repeated.", autocompletion=complete_type_key
    ),
]
CategoryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--category", metavar="NAME", help="All collections of a category; may be repeated.", autocompletion=_categories
    ),
]
SomeTenantsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant", metavar="NAME", help="A tenant's id or name; may be repeated.", autocompletion=complete_tenant_name
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="All tenants with this tag in the tenants file; may be repeated."),
]
AllTenantsOption = Annotated[bool, typer.Option("--all-tenants", help="All tenants of the tenants file.")]
AllOption = Annotated[
    bool,
    typer.Option(
        "--all",
        help="All collections except opt-in ones (device data, Microsoft's catalogs): name those by --type.",
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, max=MOST, help="Show at most this many.", show_default=False)
]
SelectionNameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="A name for the selection.", show_default=False),
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show every collection, not only those that were not read.")
]
SelectionOption = Annotated[
    str | None,
    typer.Option(
        "--selection",
        metavar="NAME|HASH",
        help="A selection's name, hash, or the hash's beginning. Default: the latest run of each collection decides.",
    ),
]


def selection_of(type_keys: Sequence[str] | None, categories: Sequence[str] | None, *, everything: bool) -> Selection:
    """Raises `UsageError` if the options name none."""
    if not type_keys and not categories and not everything:
        raise UsageError(
            "say which collections: --type KEY, --category NAME or --all; python starter.py catalog lists them"
        )
    catalog = load_catalog()
    named = set(type_keys or ()) | catalog.in_categories(categories or ())
    return select(named | (catalog.everything() if everything else set()), collections=catalog.collections)


def selection_or_all(
    type_keys: Sequence[str] | None, categories: Sequence[str] | None, *, everything: bool
) -> Selection:
    """The options' selection, by default `--all`."""
    return selection_of(type_keys, categories, everything=everything or not (type_keys or categories))


def valid_selection_name(name: str | None) -> str | None:
    """Raises `UsageError`."""
    if name is not None and NAME.fullmatch(name) is None:
        raise UsageError(f"--name: {name!r} is no name: letters, digits, '.', '_' and '-', 100 at most")
    return name


def selection_name_of(selection: Selection, name: str | None = None) -> str:
    return name or load_catalog().name_of(selection.type_keys)


def known_type_keys(type_keys: Sequence[str] | None) -> tuple[str, ...] | None:
    """The filter's type keys; None without a filter. Raises `UnknownTypeKeysError`."""
    if not type_keys:
        return None
    return select(type_keys, collections=load_catalog().collections).type_keys


def configured_tenant(settings: Settings, tenant: str) -> TenantConfig:
    """Finds a tenant by id or name. Raises `UnknownTenantError`, `TenantsFileError`, `UnavailableError`."""
    return configured_tenants_of(settings).find(tenant)


def chosen_tenants(
    settings: Settings, tenants: Sequence[str] | None, tags: Sequence[str] | None, *, everyone: bool
) -> TenantChoice:
    """Raises `UsageError` if the options name no tenant, an unknown tag, too many tenants, or both all and some."""
    if not (tenants or tags or everyone):
        raise UsageError("say which tenants: --tenant NAME, --tag TAG or --all-tenants")
    if everyone and (tenants or tags):
        raise UsageError("--all-tenants goes with neither --tenant nor --tag")
    configured = configured_tenants_of(settings)
    _refuse_unknown_tags(configured, tags)
    ids = tuple(configured.find(tenant).id for tenant in tenants or ())
    choice = TenantChoice(everyone=everyone, tenant_ids=ids, tags=tuple(tags or ()))
    count = len(choice.resolve(configured.tags()))
    if not count:
        raise UsageError(no_tenants(configured))
    if count > MOST_TENANTS:
        raise UsageError(f"{count} tenants are more than one portfolio run takes ({MOST_TENANTS}); divide them by tags")
    return choice


def chosen_to_read(
    settings: Settings, tenants: Sequence[str] | None, tags: Sequence[str] | None, *, everyone: bool
) -> TenantChoice:
    """As `chosen_tenants`. Names disabled tenants, which runs leave out, on stderr; raises `UsageError` if all are."""
    choice = chosen_tenants(settings, tenants, tags, everyone=everyone)
    configured = configured_tenants_of(settings)
    chosen = choice.resolve(configured.tags())
    disabled = [entry.name for entry in configured if entry.disabled and entry.id in chosen]
    if len(disabled) == len(chosen):
        raise UsageError(
            f"disabled: {shortened(disabled)}; to read one: python starter.py tenant enable {quote(disabled[0])}"
        )
    if disabled:
        from cli import output  # `sync` loads Rich only when its run is under way

        output.stderr.print(f"left out while disabled: {shortened(disabled)}", style="yellow")
    return choice


def no_tenants(configured: Tenants) -> str:
    return f"{configured.place} has no tenants; python starter.py tenant add --help shows how to add one"


def shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _refuse_unknown_tags(configured: Tenants, tags: Sequence[str] | None) -> None:
    all_tags = configured.all_tags()
    for tag in tags or ():
        if tag not in all_tags:
            raise UsageError(f"no tenant has the tag {tag!r}; {configured.place} has: {', '.join(all_tags) or 'none'}")


class CommandTenant(NamedTuple):
    """`name`: a single tenant's, as typed."""

    tenant_id: UUID
    name: str


class CommandTenants(NamedTuple):
    """Sorted by name. `are_many`: each needs a heading, even if there is only one."""

    tenants: tuple[CommandTenant, ...]
    are_many: bool


def command_tenants(
    settings: Settings, tenant: str | None, tags: Sequence[str] | None, *, everyone: bool
) -> CommandTenants:
    """Raises `UsageError` unless exactly one of TENANT, `--tag` and `--all-tenants` is given."""
    if sum((tenant is not None, bool(tags), everyone)) != 1:
        raise UsageError("say which tenants, in one way: TENANT, --tag TAG or --all-tenants")
    if tenant is not None:
        return CommandTenants((CommandTenant(tenant_id_of(settings, tenant), tenant),), are_many=False)
    configured = configured_tenants_of(settings)
    _refuse_unknown_tags(configured, tags)
    any_of = set(tags or ())
    chosen = [entry for entry in configured if everyone or not any_of.isdisjoint(entry.tags)]
    if not chosen:
        raise UsageError(no_tenants(configured))
    by_name = sorted(chosen, key=lambda entry: entry.name.casefold())
    return CommandTenants(tuple(CommandTenant(entry.id, entry.name) for entry in by_name), are_many=True)


class TenantNames:
    """A tenant that is not configured has its id as name."""

    def __init__(self, tenants: Tenants | None) -> None:
        self._tenants = tenants

    @classmethod
    def load(cls, settings: Settings) -> "TenantNames":
        is_there = settings.tenants_from is TenantsFrom.TABLE or settings.tenants_file.exists()
        return cls(configured_tenants_of(settings) if is_there else None)

    def of(self, tenant_id: UUID) -> str:
        tenant = self._tenants.get(tenant_id) if self._tenants is not None else None
        return str(tenant_id) if tenant is None else tenant.name


def tenant_id_of(settings: Settings, tenant: str) -> UUID:
    """Accepts any id, or the name of a configured tenant."""
    try:
        return UUID(tenant)
    except ValueError:
        return configured_tenant(settings, tenant).id
