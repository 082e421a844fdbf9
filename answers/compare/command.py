"""`compare`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from answers.compare.matrix_command import compare_golden
from answers.compare.pair_command import compare_pair
from answers.compare.records import Status
from answers.compare.session import ComparisonOutput
from answers.compare.setting_command import compare_settings
from answers.compare.setting_comparison import SETTING_COLLECTIONS
from answers.compare.setting_matrix_command import compare_golden_settings
from cli.errors import ExitCode, UsageError
from cli.html_file import HtmlOption, check_html
from cli.options import (
    CategoryOption,
    TypeOption,
    chosen_tenants,
    complete_tenant_name,
    selection_of,
    tenant_id_of,
)
from cli.output_options import prints_tables
from configuration import Settings, load_settings
from tenants_source import configured_tenants_of

GoldenOption = Annotated[
    str | None,
    typer.Option(
        "--golden",
        metavar="A",
        help="The tenant that the others are compared with.",
        autocompletion=complete_tenant_name,
    ),
]


@prints_tables
def compare(
    tenants: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B | B C …",
            help="Two tenants; with --golden, the tenants to compare with it.",
            autocompletion=complete_tenant_name,
            show_default=False,
        ),
    ] = None,
    golden: GoldenOption = None,
    everyone: Annotated[
        bool, typer.Option("--all-tenants", "--all", help="With --golden: all tenants of the tenants file.")
    ] = False,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="With --golden: all tenants with this tag; may be repeated."),
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    only: Annotated[
        list[Status] | None, typer.Option("--only", help="Only items with this result; may be repeated.")
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Show the fields that differ, and the ids that have no name.")
    ] = False,
    by_setting: Annotated[
        bool, typer.Option("--by-setting", help="Compare settings, whatever policies hold them; conflicts first.")
    ] = False,
    html: HtmlOption = None,
) -> None:
    """Compare the items of two tenants, or of a golden one and others, by name and kind, then by content.

    Ids are compared by their meaning: a group by its name, a filter by its rule. Collections that a latest run did
    not list to their end and damaged items are left out and named, and the exit code is 3. With --json the last line
    describes the whole comparison.

    --by-setting tells which settings conflict, whatever policies hold them: settings catalog, administrative templates,
    compliance and device configuration, and CSPs behind OMA-URIs.

    Example: python starter.py compare contoso fabrikam --type conditionalAccessPolicies --fields
    """
    settings = load_settings()
    check_html(html)
    options = ComparisonOutput(only, html, fields=fields)
    named = bool(type_keys or categories)
    chosen_keys = selection_of(type_keys, categories, everything=False).type_keys if named else None
    if by_setting:
        _check_by_setting(only, chosen_keys, fields=fields)
    if golden is None:
        if everyone or tags or tenants is None or len(tenants) != 2:
            raise UsageError("name two tenants, or one with --golden and others, --tag TAG or --all-tenants")
        here, there = (tenant_id_of(settings, tenant) for tenant in tenants)
        if here == there:
            raise UsageError("a tenant is the same as itself; name two different ones")
        answer = compare_settings if by_setting else compare_pair
        is_complete = asyncio.run(answer(settings, here, there, chosen_keys, options))
        code = ExitCode.SUCCESS if is_complete else ExitCode.PARTIAL
    else:
        if fields:
            raise UsageError("--fields goes with two tenants; of many, --html and --json show the fields")
        if only and Status.ONLY_THERE in only:
            raise UsageError(
                "with --golden each row is an item or a setting of that tenant, so --only only_there shows none"
            )
        golden_id = tenant_id_of(settings, golden)
        others = _others(settings, golden_id, tenants, tags, everyone=everyone)
        answer_golden = compare_golden_settings if by_setting else compare_golden
        code = asyncio.run(answer_golden(settings, golden_id, others, chosen_keys, options))
    if code:
        raise typer.Exit(code)


def _check_by_setting(only: Sequence[Status] | None, type_keys: Sequence[str] | None, *, fields: bool) -> None:
    if fields:
        raise UsageError("--fields shows fields of items; leave it out with --by-setting")
    if {Status.RENAMED, Status.AMBIGUOUS}.intersection(only or ()):
        raise UsageError("a setting is never renamed or ambiguous; choose another --only with --by-setting")
    if type_keys is not None and not set(SETTING_COLLECTIONS).intersection(type_keys):
        raise UsageError(f"no settings are compared there; --by-setting compares {', '.join(SETTING_COLLECTIONS)}")


def _others(
    settings: Settings, golden: UUID, tenants: Sequence[str] | None, tags: Sequence[str] | None, *, everyone: bool
) -> list[UUID]:
    if everyone or tags:
        choice = chosen_tenants(settings, tenants, tags, everyone=everyone)
        found = list(choice.resolve(configured_tenants_of(settings).tags()))
    else:
        found = [tenant_id_of(settings, tenant) for tenant in tenants or ()]
    others = [tenant for tenant in dict.fromkeys(found) if tenant != golden]
    if not others:
        raise UsageError("name the tenants to compare with the golden one, or give --tag TAG or --all-tenants")
    return others
