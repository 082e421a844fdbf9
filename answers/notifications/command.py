"""`notify`."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.notifications.outbox import end_snooze, notifications, snoozes
from answers.notifications.outbox import snooze as begin_snooze
from answers.notifications.records import NotificationRecord, NotifyTestRecord, SnoozeRecord
from answers.times import typed_time
from cli import output
from cli.errors import ExitCode, UsageError
from cli.options import TenantArgument, complete_type_key, known_type_keys, tenant_id_of
from cli.output_options import prints_json, prints_tables, prints_times
from cli.sessions import answer_of_tenant
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from delivery.message import trial_message
from delivery.sender import send
from delivery.targets import Notifications, load_notifications
from graph.catalog import load_catalog
from inventory.notifications import NotificationKind
from inventory.user_errors import UserError
from inventory.visible_text import visible

ResultT = TypeVar("ResultT")

notify = typer.Typer(no_args_is_help=True, help="Notifications: what was told, and what is not.")


@notify.command("test")
@prints_tables
def try_targets(
    names: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="This target; may be repeated.")
    ] = None,
) -> None:
    """Send a test message to each target of NOTIFICATIONS_FILE, and say what came back. It needs the secrets that the
    file refers to, as the workers have them. Exit code 3 if a target did not take it.

    Example: python starter.py notify test --target ops
    """
    notifications = configured(load_settings())
    unknown = [name for name in names or () if name not in notifications.targets]
    if unknown:
        there = ", ".join(sorted(notifications.targets)) or "none"
        raise UsageError(f"no target {unknown[0]!r} in the notifications file; there are: {there}")
    found = asyncio.run(_tested(notifications, names or list(notifications.targets)))
    print_table(_TESTED, found, record=NotifyTestRecord, if_none="the notifications file has no target")
    if not all(record.delivered for record in found):
        raise typer.Exit(ExitCode.PARTIAL)


async def _tested(notifications: Notifications, names: list[str]) -> list[NotifyTestRecord]:
    """Tests all at once, since each may take its whole time."""
    targets = [notifications.targets[name] for name in names]
    answers = await asyncio.gather(*(send(target, trial_message(uuid4())) for target in targets))
    return [
        NotifyTestRecord(
            target=target.name, kind=target.kind, delivered=answer.is_delivered, answer=answer.text, body=answer.body
        )
        for target, answer in zip(targets, answers, strict=True)
    ]


_NO_FILE = "NOTIFICATIONS_FILE is not set; docs/notifications.md shows such a file"

_TESTED = (
    Column("target", "target", is_kept=True),
    Column("kind", "kind"),
    Column("delivered", "delivered", lambda row: "yes" if row.delivered else "no", is_kept=True),
    Column("what came back", "answer", is_kept=True),
    Column("it wrote", "body", lambda row: row.body or "", Shape.BELOW),
)


@notify.command("list")
@prints_tables
def list_notifications(
    tenant: TenantArgument,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many, the newest.")] = 50,
) -> None:
    """The newest notifications of a tenant: what was told to whom, what waits, what is snoozed, what failed and why.

    Example: python starter.py notify list contoso --limit 20
    """
    found = [placed.record for placed in _answer_of(tenant, lambda session: notifications(session, limit))]
    is_set = load_settings().notifications_file is not None
    hint = "python starter.py notify test tries the targets" if is_set else _NO_FILE
    nothing = f"nothing was to be told; {hint}"
    print_table(_NOTIFICATIONS, found, record=NotificationRecord, is_ordered=True, if_none=nothing)


@notify.command()
@prints_times
def snooze(
    tenant: TenantArgument,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until then: friday, 30d, 2026-06-30.")],
    why: Annotated[
        str, typer.Option("--why", "--reason", metavar="TEXT", help="The reason, for those who come later.")
    ],
    kind: Annotated[NotificationKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    type_key: Annotated[
        str | None,
        typer.Option("--type", metavar="KEY", help="Only of this collection.", autocompletion=complete_type_key),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            "--item", metavar="ITEM", help="Only of this item: its id; with --type its beginning, or its name."
        ),
    ] = None,
) -> None:
    """Tell nobody of some events of a tenant until a time. They are noted, and `notify list` shows them. A state that
    still holds then, such as a token that expires, is told then.

    Example: python starter.py notify snooze contoso --type groups --until friday --why "migration"
    """
    type_keys = known_type_keys([type_key] if type_key is not None else None)
    moment = typed_time(until, datetime.now(UTC), output.time_zone(), is_ahead=True)
    if moment is None:
        raise UsageError(f"--until: {until!r} is not a time; write friday, 30d, 2026-06-30 or ISO 8601")
    scope: dict[str, Any] = {"kind": kind, "type_key": next(iter(type_keys or ()), None), "external_id": item}
    record = _answer_of(
        tenant,
        lambda session: begin_snooze(session, moment.ends, why, getpass.getuser(), **scope),
        read_only=False,
    )
    words = f"snoozed until {output.when(record.until)}: {_about(record)} ({str(record.snooze_id)[:8]})"
    output.print_result(record, words)


@notify.command("snoozes")
@prints_tables
def list_snoozes(tenant: TenantArgument) -> None:
    """The snoozes of a tenant: until when, by whom and why.

    Example: python starter.py notify snoozes contoso
    """
    found = _answer_of(tenant, snoozes)
    print_table(_SNOOZES, found, record=SnoozeRecord, is_ordered=True, if_none="nothing is snoozed")


@notify.command()
@prints_json
def unsnooze(
    tenant: TenantArgument,
    snooze_id: Annotated[
        str, typer.Argument(metavar="SNOOZE", help="The snooze's id, or its beginning.", show_default=False)
    ],
) -> None:
    """End a snooze before its time.

    Example: python starter.py notify unsnooze contoso 1f0c4d2e
    """
    record = _answer_of(tenant, lambda session: end_snooze(session, snooze_id), read_only=False)
    output.print_result(record, f"no longer snoozed: {_about(record)}")


def _answer_of(tenant: str, ask: Callable[[AsyncSession], Awaitable[ResultT]], *, read_only: bool = True) -> ResultT:
    settings = load_settings()
    return answer_of_tenant(settings, tenant_id_of(settings, tenant), ask, read_only=read_only)


def _about(record: SnoozeRecord) -> str:
    parts = [str(record.kind).replace("_", " ")] if record.kind else []
    parts += [record.type_key] if record.type_key else []
    parts += [record.external_id] if record.external_id else []
    return visible(" ".join(parts)) or "all events"


_NOTIFICATIONS = (
    Column("noted", "noted_at", lambda row: output.ago(row.noted_at), is_kept=True),
    Column("what", "text", is_kept=True),
    Column("severity", "severity"),
    Column("target", "target", is_kept=True),
    Column("state", "state", is_kept=True),
    Column("answer", "answer", lambda row: "" if row.state == "sent" else row.answer or "", Shape.BELOW),
)

_SNOOZES = (
    Column("id", "snooze_id", shape=Shape.ID, is_kept=True),
    Column("what", "kind", _about, is_kept=True),
    Column("until", "until", lambda row: output.when(row.until), is_kept=True),
    Column("by", "snoozed_by"),
    Column("why", "reason", shape=Shape.BELOW),
)


def configured(settings: Settings) -> Notifications:
    if settings.notifications_file is None:
        raise UsageError(_NO_FILE)
    notifications = load_notifications(settings.notifications_file)
    for number, rule in enumerate(notifications.rules, start=1):
        try:
            known_type_keys(sorted(rule.types))
            load_catalog().in_categories(rule.categories)
        except UserError as error:
            raise UsageError(f"{settings.notifications_file}: rule {number}: {error}") from None
    return notifications
