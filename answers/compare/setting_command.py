"""`compare --by-setting`: two tenants by setting."""

from collections.abc import Sequence
from uuid import UUID

from answers.compare.answer import side
from answers.compare.page import settings_page
from answers.compare.records import Status
from answers.compare.session import ComparisonOutput, named, opened_sessions, say_never_read, say_what_is_left_out
from answers.compare.setting_comparison import SETTING_COLLECTIONS, SettingsComparison
from answers.compare.setting_records import (
    HeldValue,
    SettingComparison,
    SettingPolicy,
    SettingsComparisonRecord,
    SettingUncertainty,
    UncertainPolicy,
)
from cli import output
from cli.html_file import check_count, write_html
from cli.options import TenantNames
from cli.output_options import output_options
from cli.sessions import say_what_is_damaged
from cli.stale_lines import stale_words
from cli.table import Column, Shape, collection_title, print_table
from configuration import Settings
from inventory.plurals import counted
from inventory.stale import Staleness
from inventory.visible_text import visible

MOST_SHOWN = 3
"""Policies of a value, and assignments of a policy, that a terminal shows."""


async def compare_settings(
    settings: Settings,
    here: UUID,
    there: UUID,
    type_keys: Sequence[str] | None,
    options: ComparisonOutput,
) -> bool:
    """True if the whole request was compared."""
    names = TenantNames.load(settings)
    async with (
        opened_sessions(settings) as session_of,
        session_of(here) as session_here,
        session_of(there) as session_there,
    ):
        sides = (await side(named(names, here), session_here), await side(named(names, there), session_there))
        comparison = SettingsComparison(*sides, type_keys)
        found = await comparison.settings()
        record = comparison.record()
    chosen = [setting for setting in found if not options.only or setting.status in options.only]
    differing = [setting for setting in chosen if setting.status is not Status.SAME or setting.differs_within]
    shown = chosen if options.only or output_options().as_csv else differing
    if output_options().as_json:
        output.print_json(*chosen, record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, settings_page(record, shown))
    elif say_never_read(*sides):
        return False
    elif record.collections:
        _print_settings(record, shown)
        print_gaps(record)
    else:
        none = ", ".join(SETTING_COLLECTIONS)
        output.warn(f"nothing is compared: neither tenant has read one of {none}")
    say_what_is_damaged(record.damaged)
    return record.is_complete


def _print_settings(record: SettingsComparisonRecord, settings: Sequence[SettingComparison]) -> None:
    here, there = record.here.name, record.there.name
    columns = (
        Column("what", "status", lambda setting: _heading(setting, here, there), Shape.HEADING),
        Column("setting", "label"),
        Column(here, "values_here", lambda setting: value_lines(setting.here), is_kept=True),
        Column(there, "values_there", lambda setting: value_lines(setting.there), is_kept=True),
        Column("within", "within", lambda setting: _within(setting, here, there), Shape.BELOW),
        Column(f"in {here}", "policies_here", lambda setting: _policies(setting.here), Shape.BELOW),
        Column(f"in {there}", "policies_there", lambda setting: _policies(setting.there), Shape.BELOW),
        Column("not certain", "uncertain", _uncertain, Shape.BELOW),
    )
    if not output_options().as_csv:
        for line in _summary(record):
            output.stdout.print(line)
    print_table(columns, settings, record=SettingComparison, is_ordered=True)


def print_gaps(record: SettingsComparisonRecord) -> None:
    say_what_is_left_out(record)
    output.warn(*map(_gap, record.uncertain_policies))


def _summary(record: SettingsComparisonRecord) -> list[str]:
    counts, here, there = record.counts, record.here.name, record.there.name
    policies = [
        counted(sum(numbers), "policy", "policies")
        for numbers in (
            [collection.policies_here for collection in record.collections],
            [collection.policies_there for collection in record.collections],
        )
    ]
    shared = counted(counts.shared, "setting")
    undecided = f", {counts.undecided:,} cannot be told" if counts.undecided else ""
    lines = [
        f"{here} ({policies[0]}) and {there} ({policies[1]}), as of {output.when(record.asked_at)}",
        f"{shared} in both: {counts.different:,} in conflict{undecided}, {counts.same:,} the same",
        f"only {here} sets {counts.only_here:,}, only {there} sets {counts.only_there:,}",
    ]
    if counts.differs_within:
        settings = counted(counts.differs_within, "setting has", "settings have")
        lines.append(f"{settings} several values within one tenant")
    if counts.why_undecided is not None:
        lines.append(counts.why_undecided)
    return lines


def _heading(setting: SettingComparison, here: str, there: str) -> str:
    match setting.status:
        case Status.DIFFERENT:
            return "in conflict"
        case Status.UNDECIDED:
            return "cannot be told"
        case Status.ONLY_HERE:
            return f"only {here} sets"
        case Status.ONLY_THERE:
            return f"only {there} sets"
    return "the same, but several values in one tenant" if setting.differs_within else "the same"


def value_lines(values: Sequence[HeldValue]) -> str:
    return " | ".join(map(_value_line, values))


def _value_line(value: HeldValue) -> str:
    words = " ".join(visible(value.text).split())
    return f"{words} (sets nothing)" if value.is_unset else words


def _within(setting: SettingComparison, here: str, there: str) -> str:
    differing = {here: setting.differs_within_here, there: setting.differs_within_there}
    names = [name for name, differs in differing.items() if differs]
    return f"{' and '.join(names)} {'sets' if len(names) == 1 else 'set'} several values" if names else ""


def _policies(values: Sequence[HeldValue]) -> str:
    lines = [_first(list(map(policy_line, value.policies)), "policy", "policies") for value in values]
    if len(values) == 1:
        return lines[0]
    return "; ".join(f"{_value_line(value)}: {policies}" for value, policies in zip(values, lines, strict=True))


def policy_line(policy: SettingPolicy) -> str:
    name = policy.title
    if policy.assigned_to is None:
        return f'"{name}" (assignments not known)'
    targets = [target.removesuffix(" · direct") for target in policy.assigned_to]
    return f'"{name}" ({_first(targets, "assignment", "assignments") or "assigned to nobody"})'


def _first(texts: Sequence[str], noun: str, plural: str) -> str:
    most = None if output_options().as_csv else MOST_SHOWN
    beyond = len(texts[:0] if most is None else texts[most:])
    return ", ".join([*texts[:most], *([counted(beyond, f"more {noun}", f"more {plural}")] if beyond else [])])


def _uncertain(setting: SettingComparison) -> str:
    return ", ".join(str(reason).replace("_", " ") for reason in setting.uncertain)


def _gap(policy: UncertainPolicy) -> str:
    reasons = ", ".join(_reason(reason, policy.stale) for reason in policy.reasons)
    name, collection = visible(policy.title), collection_title(policy.type_key)
    return f'not certain: "{name}" of {policy.tenant.name} ({collection}): {reasons}'


def _reason(reason: SettingUncertainty, stale: Staleness | None) -> str:
    if reason is SettingUncertainty.STALE and stale is not None:
        return stale_words(stale)
    return str(reason).replace("_", " ")
