"""`compare --by-setting` on a terminal, as CSV, and what it says of what was left out."""

from collections.abc import Sequence

from answers.compare.records import Status
from answers.compare.setting_records import (
    HeldValue,
    SettingComparison,
    SettingPolicy,
    SettingsComparisonRecord,
    UncertainPolicy,
)
from cli import output
from cli.output_options import output_options
from cli.table import Column, Shape, Table, collection_title
from inventory.plurals import counted
from inventory.visible_text import visible

MOST_SHOWN = 3
"""Policies of a value, and assignments of a policy, that a terminal shows; the page and --json have all."""


def print_settings(record: SettingsComparisonRecord, settings: Sequence[SettingComparison]) -> None:
    """The settings, conflicts first; on a terminal with the numbers above and what is uncertain below."""
    here, there = record.here.name, record.there.name
    columns = (
        Column("what", "status", lambda setting: heading(setting, here, there), Shape.HEADING),
        Column("setting", "label"),
        Column(here, "here", lambda setting: _values(setting.here), is_kept=True),
        Column(there, "there", lambda setting: _values(setting.there), is_kept=True),
        Column("within", "differs_within_here", lambda setting: _within(setting, here, there), Shape.BELOW),
        Column(f"in {here}", "key", lambda setting: _policies(setting.here), Shape.BELOW),
        Column(f"in {there}", "kinds", lambda setting: _policies(setting.there), Shape.BELOW),
        Column("not certain", "uncertain", _uncertain, Shape.BELOW),
    )
    table = Table(SettingComparison, columns)
    for setting in settings:
        table.add(setting)
    if not output_options().as_csv:
        for line in summary(record):
            output.stdout.print(line, markup=False)
    table.print(is_ordered=True)


def print_gaps(record: SettingsComparisonRecord) -> None:
    """The collections and policies of which not all is known."""
    for collection in record.collections:
        if not collection.is_compared:
            output.stderr.print(
                f"not compared: {collection.type_key} ({record.here.name}: {collection.here.in_words};"
                f" {record.there.name}: {collection.there.in_words})",
                style="yellow",
                markup=False,
            )
    for policy in record.uncertain_policies:
        output.stderr.print(_gap(policy), style="yellow", markup=False)


def summary(record: SettingsComparisonRecord) -> list[str]:
    """The numbers in words."""
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
        lines.append(f"{counted(counts.differs_within, 'setting')} set to several values within one tenant")
    return lines


def heading(setting: SettingComparison, here: str, there: str) -> str:
    """What became of a setting, as the heading of those that it happened to."""
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


def _values(values: Sequence[HeldValue]) -> str:
    return " | ".join(value_line(value) for value in values)


def value_line(value: HeldValue) -> str:
    """A value on one line."""
    words = " ".join(visible(value.text).split())
    return f"{words} (sets nothing)" if value.is_unset else words


def _within(setting: SettingComparison, here: str, there: str) -> str:
    sides = [
        name
        for name, differs in ((here, setting.differs_within_here), (there, setting.differs_within_there))
        if differs
    ]
    return (
        f"{' and '.join(sides)} set several values"
        if len(sides) > 1
        else f"{sides[0]} sets several values"
        if sides
        else ""
    )


def _policies(values: Sequence[HeldValue]) -> str:
    """The policies of each value; of many the first."""
    if len(values) == 1:
        return _first(list(map(policy_line, values[0].policies)), "policy", "policies")
    return "; ".join(
        f"{value_line(value)}: {_first(list(map(policy_line, value.policies)), 'policy', 'policies')}"
        for value in values
    )


def policy_line(policy: SettingPolicy) -> str:
    """A policy, and whom it is assigned to."""
    name = policy.display_name or policy.external_id
    if policy.assigned_to is None:
        return f'"{name}" (assignments not known)'
    targets = [target.removesuffix(" · direct") for target in policy.assigned_to]
    return f'"{name}" ({_first(targets, "assignment") or "assigned to nobody"})'


def _first(texts: Sequence[str], noun: str, plural: str = "") -> str:
    """The first texts, and how many more there are."""
    more = len(texts) - MOST_SHOWN
    beyond = [f"{more:,} more {noun if more == 1 else plural or noun + 's'}"] if more > 0 else []
    return ", ".join([*texts[:MOST_SHOWN], *beyond])


def _uncertain(setting: SettingComparison) -> str:
    return ", ".join(str(reason).replace("_", " ") for reason in setting.uncertain)


def _gap(policy: UncertainPolicy) -> str:
    reasons = ", ".join(str(reason).replace("_", " ") for reason in policy.reasons)
    name = policy.display_name or policy.external_id
    return f'not certain: "{visible(name)}" of {policy.tenant.name} ({collection_title(policy.type_key)}): {reasons}'
