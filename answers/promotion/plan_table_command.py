"""A plan for people: greatest changes first."""

from collections.abc import Sequence

from rich.text import Text

from answers.field_text import field_text, shown_fields
from answers.promotion.blocked_matrix import COUNTED_FOR_EACH
from answers.promotion.effects import ALARMING, EFFECT_WORDS, concerns_of, worst_first
from answers.promotion.records import AudienceChange, PlanAction, PlanContent, PlannedItem, PlanRecord
from cli import output
from cli.output_options import output_options
from cli.table import COLLECTION_COLUMN, Column, Shape, print_table
from graph.catalog import kind_of_one
from inventory.plurals import counted
from inventory.visible_text import visible

STYLES = {
    PlanAction.CREATE: "green",
    PlanAction.UPDATE: "yellow",
    PlanAction.NOTHING_TO_DO: "dim",
    PlanAction.BLOCKED: "red",
}


def print_plan(record: PlanRecord, content: PlanContent, *, fields: bool = False, requests: bool = False) -> None:
    ordered = worst_first(content.items)
    if output_options().as_json:
        output.print_json(*content.items, record)
        return
    if output_options().as_csv:
        print_table(_ITEM_COLUMNS, ordered, record=PlannedItem)
        return
    counts = record.counts
    output.stdout.print(f"plan {record.plan_id}: {_source(content)} → {record.target.name}")
    output.stdout.print(
        f"{counts.create} to create, {counts.update} to update, {counts.nothing_to_do} with nothing to do,"
        f" {counts.blocked} blocked; {counted(counts.requests, 'request')}"
    )
    output.stdout.print(
        f"{record.state}; made by {record.created_by} {output.ago(record.created_at)}, can be approved until"
        f" {output.when(record.expires_at)}; nothing is written to Graph",
        style="dim",
    )
    concerns = concerns_of(content.items)
    if concerns:
        counts_in_words = ", ".join(f"{counted(number, 'item')} {EFFECT_WORDS[kind]}" for kind, number in concerns)
        output.stdout.print(f"look first at: {counts_in_words}", style="bold")
    if record.decided is not None:
        decided = record.decided
        output.stdout.print(
            f"{decided.decision} by {decided.decided_by} {output.ago(decided.decided_at)}: {visible(decided.reason)}"
        )
    if fields or requests:
        for item in ordered:
            _print_item(item, fields=fields, requests=requests)
    else:
        shown = [item for item in ordered if item.action is not PlanAction.NOTHING_TO_DO]
        print_table(_ITEM_COLUMNS, shown, record=PlannedItem, is_ordered=True)
    _print_reasons(ordered)
    for collection in content.collections:
        if not collection.is_planned:
            output.warn(
                f"not planned: {collection.type_key} ({content.source.name}: {collection.source.in_words};"
                f" {content.target.name}: {collection.target.in_words})"
            )


def _source(content: PlanContent) -> str:
    if content.source_baseline is not None:
        return f"baseline {content.source_baseline} of {content.source.name}"
    if content.source_version is None:
        return content.source.name
    return f"version {content.source_version} of {content.source.name}"


def _print_item(item: PlannedItem, *, fields: bool, requests: bool) -> None:
    action = Text(str(item.action).replace("_", " "), style=STYLES[item.action])
    output.stdout.print(
        Text.assemble(action, f"  {kind_of_one(item.type_key, item.kind)}: ", (visible(item.title), "bold"))
    )
    for effect in item.effects:
        style = "red" if effect.kind in ALARMING else "yellow"
        output.stdout.print(f"    {visible(effect.text)}", style=style)
    if item.audience:
        output.stdout.print(f"    for: {visible(_audience(item))}")
    for reason in item.reasons:
        output.stdout.print(f"    {visible(reason.text)}; {visible(reason.unblocked_by)}", style="red")
    if fields:
        for field in shown_fields(item.fields):
            output.print_field(field_text(field), indent="    ")
    if requests:
        for request in item.requests:
            output.stdout.print(f"    {request.number:>4} {request.step}: {request.method} {visible(request.path)}")


def _print_reasons(items: Sequence[PlannedItem]) -> None:
    found: dict[tuple[str, str], int] = {}
    for item in items:
        for reason in {(str(reason.code), reason.unblocked_by) for reason in item.reasons}:
            found[reason] = found.get(reason, 0) + 1
    if sum(found.values()) > sum(bool(item.reasons) for item in items):
        output.warn(COUNTED_FOR_EACH)
    for (code, unblocked_by), number in sorted(found.items(), key=lambda pair: -pair[1]):
        words = f"{counted(number, 'item')} blocked ({code.replace('_', ' ')}): {visible(unblocked_by)}"
        output.warn(words)


def _audience(item: PlannedItem) -> str:
    signs = {AudienceChange.ADDED: "+", AudienceChange.REMOVED: "-", AudienceChange.FILTERED_OTHERWISE: "~"}
    return ", ".join(
        f"{signs.get(member.change, '')}{'not ' if member.role == 'exclude' else ''}{member.name}"
        f"{' (filtered)' if member.is_filtered else ''}"
        for member in item.audience
    )


def _why(item: PlannedItem) -> str:
    if item.reasons:
        more = f" (and {len(item.reasons) - 1} more)" if len(item.reasons) > 1 else ""
        return visible(item.reasons[0].text) + more
    if item.effects:
        more = f" (and {len(item.effects) - 1} more)" if len(item.effects) > 1 else ""
        return visible(item.effects[0].text) + more
    if item.action is PlanAction.UPDATE:
        return counted(len(shown_fields(item.fields)), "field")
    return ""


_ITEM_COLUMNS = (
    COLLECTION_COLUMN,
    Column("name", "title", lambda item: visible(item.title)),
    Column(
        "what", "action", lambda item: Text(str(item.action).replace("_", " "), style=STYLES[item.action]), is_kept=True
    ),
    Column("requests", "requests", lambda item: len(item.requests) or None, Shape.NUMBER),
    Column("why", "reasons", _why),
)
