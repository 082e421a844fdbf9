"""`drift decide` and `drift decisions`."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.decision_scope import LONGEST_FIELD, DecisionScope
from answers.drift.decisions import DecisionOverError, decide_scope, decided_scope, decisions, item_with_findings
from answers.drift.decisions import decide as record_decision
from answers.drift.records import DecisionState, DriftDecisionRecord, DriftFindingRecord
from answers.drift.rules import Decision, NewDecision
from answers.times import typed_time
from cli import output
from cli.errors import UsageError
from cli.options import TenantArgument, complete_type_key, known_type_keys, tenant_id_of
from cli.output_options import prints_tables, prints_times
from cli.sessions import answer_of_tenant
from cli.table import Column, Shape, print_table
from configuration import load_settings
from inventory.bounds import ID_BEGINNING
from inventory.plurals import counted
from inventory.visible_text import visible

ID_SHOWN = 12


@prints_times
def decide(
    tenant: TenantArgument,
    decision: Annotated[Decision, typer.Option("--as", help="What it is; open takes a decision back.")],
    why: Annotated[
        str, typer.Option("--why", "--reason", metavar="TEXT", help="The reason, for those who come later.")
    ],
    fingerprint: Annotated[
        str | None,
        typer.Argument(
            metavar="FINDING",
            help="The finding's fingerprint or a decision's id, or its beginning.",
            show_default=False,
        ),
    ] = None,
    item: Annotated[
        str | None, typer.Option("--item", metavar="ITEM", help="All of this item: its id, its beginning, or its name.")
    ] = None,
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="PATTERN", help="The fields of this path, * for any text: 'settings.*'."),
    ] = None,
    type_key: Annotated[
        str | None,
        typer.Option("--type", metavar="KEY", help="Only in this collection.", autocompletion=complete_type_key),
    ] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", metavar="NAME", help="Only of this baseline.")] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="Through this day: friday, 2026-06-30; or for 30d."),
    ] = None,
) -> None:
    """Accept drift, or say that it is expected here: of a finding, an item, or a field.

    About a finding it holds for the value that was found, until that changes. About an item or a field it holds for
    all that deviates there, also later: give it an end. Of several decisions the most specific that holds counts.

    Example: python starter.py drift decide contoso --item 1f0c4d2e --as accepted --why "pilot" --until 30d
    """
    _check(fingerprint, item, field, type_key, baseline, why)
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    new = NewDecision(decision, getpass.getuser(), why, None if until is None else _until(until))

    async def ask(session: AsyncSession) -> DriftFindingRecord | DriftDecisionRecord:
        scope = await _scope(session, fingerprint, item, baseline=baseline, type_key=type_key, field=field)
        if scope is not None:
            return await decide_scope(session, tenant_id, scope, new)
        return await record_decision(session, tenant_id, str(fingerprint), new)

    try:
        record = answer_of_tenant(settings, tenant_id, ask, read_only=False)
    except DecisionOverError:
        raise UsageError(f"--until: {until} is over already") from None
    output.print_result(record, _decision_line(record))


async def _scope(
    session: AsyncSession, fingerprint: str | None, item: str | None, *, type_key: str | None, **scope: str | None
) -> DecisionScope | None:
    if fingerprint is not None:
        return await decided_scope(session, fingerprint)
    if item is None:
        return DecisionScope(type_key=type_key, **scope)
    known = await item_with_findings(session, item, type_key)
    return DecisionScope(type_key=known.type_key, external_id=known.external_id, **scope)


def _decision_line(record: DriftFindingRecord | DriftDecisionRecord) -> str:
    if isinstance(record, DriftFindingRecord):
        name = visible(record.title)
        field = record.label or str(record.kind).replace("_", " ")
        return f"{record.fingerprint[:ID_SHOWN]} {name} {field}: {decision_words(record)}"
    decision = "taken back" if record.decision is Decision.OPEN else f"{record.decision}{_until_when(record.until)}"
    return (
        f"{record.decision_id[:ID_SHOWN]} {_about(record)}: {decision};"
        f" {counted(record.covers, 'finding')} closed by it now"
    )


@prints_tables
def list_decisions(
    tenant: TenantArgument,
    everything: Annotated[bool, typer.Option("--all", help="Also what was taken back or replaced.")] = False,
) -> None:
    """The decisions about a tenant's drift: who made each, when and why, and whether it holds.

    Example: python starter.py drift decisions contoso --all
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    records = answer_of_tenant(
        settings, tenant_id, lambda session: decisions(session, tenant_id, with_earlier=everything)
    )
    holding = sum(record.state is DecisionState.HOLDS for record in records)
    title = f"{counted(len(records), 'decision')}, {holding:,} in force" if records else "no decisions"
    print_table(_DECISION_COLUMNS, records, record=DriftDecisionRecord, title=title, is_ordered=True)


def _about(record: DriftDecisionRecord) -> str:
    scope = record.scope
    if scope is None:
        return "a finding of a baseline that was dropped"
    words = []
    if record.title is not None:
        words.append(visible(record.title))
    if scope.field is not None:
        words.append(visible(scope.field))
    if scope.external_id is None and scope.type_key is not None:
        words.append(f"in {scope.type_key}")
    if scope.baseline is not None and not record.is_of_finding:
        words.append(f"of baseline {visible(scope.baseline)}")
    return " ".join(words)


_DECISION_COLUMNS = (
    Column("about", "display_name", _about),
    Column("decision", "decision", is_kept=True),
    Column("state", "state", lambda record: str(record.state).replace("_", " "), is_kept=True),
    Column("closes", "covers", shape=Shape.NUMBER),
    Column("by", "decided_by"),
    Column("made", "decided_at", lambda record: output.ago(record.decided_at)),
    Column("until", "until", lambda record: output.when(record.until) if record.until else ""),
    Column("id", "decision_id", shape=Shape.ID, is_kept=True),
    Column("", "reason", shape=Shape.BELOW),
)


def _check(
    fingerprint: str | None,
    item: str | None,
    field: str | None,
    type_key: str | None,
    baseline: str | None,
    why: str,
) -> None:
    if fingerprint is not None and (item or field or type_key or baseline):
        raise UsageError("FINDING names one finding: leave out --item, --field, --type and --baseline")
    if fingerprint is None and not (item or field):
        raise UsageError("say what is decided: FINDING, --item ITEM or --field PATTERN")
    if fingerprint is not None and len(fingerprint) < ID_BEGINNING:
        raise UsageError(f"{fingerprint!r} is too short; give {ID_BEGINNING} digits of the fingerprint")
    if item is not None and len(item) < ID_BEGINNING:
        raise UsageError(f"{item!r} is too short; give {ID_BEGINNING} characters of the item's id or its name")
    if field is not None and len(field) > LONGEST_FIELD:
        raise UsageError(f"--field: a pattern has {LONGEST_FIELD} characters at most")
    if not why.strip():
        raise UsageError("--why is empty: give the reason of the decision")
    if type_key is not None:
        known_type_keys([type_key])


def _until(value: str) -> datetime:
    """A day means its end. Raises `UsageError`."""
    typed = typed_time(value, datetime.now(UTC), output.time_zone(), is_ahead=True)
    if typed is None:
        raise UsageError(f"--until: {value!r} is not a time; write friday, 30d, 2026-06-30 or ISO 8601")
    return typed.ends


def decision_words(finding: DriftFindingRecord) -> str:
    """The decision in force, or why the latest lapsed."""
    words = [f"resolved {output.when(finding.resolved_at)}"] if finding.resolved_at else []
    decided = finding.decided
    if decided is None or decided.decision is Decision.OPEN:
        words.append("open")
    elif decided.fallen is not None:
        words.append(f"open: {decided.decision} by {decided.decided_by}, {str(decided.fallen).replace('_', ' ')}")
    else:
        by = f"{decided.decided_by}{_of_scope(decided.scope)}"
        words.append(f"{decided.decision} by {by}{_until_when(decided.until)}: {decided.reason}")
    if not finding.is_checked and not finding.resolved_at:
        words.append("not checked this time")
    return visible("; ".join(words))


def _of_scope(scope: DecisionScope | None) -> str:
    if scope is None:
        return ""
    return " (the item)" if scope.field is None else f" ({visible(scope.field)})"


def _until_when(until: datetime | None) -> str:
    return f" until {output.when(until)}" if until else ""
