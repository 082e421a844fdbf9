"""`notify`: notifications, and whether they reach their targets."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer

from answers.notifications.records import NotifyTestRecord
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.options import JsonOption
from cli.output_options import prints_tables
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from delivery.message import trial_message
from delivery.sender import send
from delivery.targets import Notifications, load_notifications

notify = typer.Typer(no_args_is_help=True, help="Notifications: what was told, and what is not.")


@notify.command("test")
@prints_tables
def try_targets(
    names: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="This target; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to each target of NOTIFICATIONS_FILE, and say what came back. It needs the secrets that the
    file refers to, as the workers have them. Exit code 3 if a target did not take it.

    Example: python starter.py notify test --target ops
    """
    with errors_for_people():
        known = configured(load_settings())
        unknown = [name for name in names or () if name not in known.targets]
        if unknown:
            there = ", ".join(sorted(known.targets)) or "none"
            raise UsageError(f"no target {unknown[0]!r} in the notifications file; there are: {there}")
        found = asyncio.run(_tested(known, names or list(known.targets)))
        if as_json:
            for record in found:
                output.print_json(record)
        else:
            print_table(_TESTED, found, record=NotifyTestRecord)
            if not found:
                output.stdout.print("the notifications file has no target")
        if not all(record.delivered for record in found):
            raise typer.Exit(ExitCode.PARTIAL)


async def _tested(known: Notifications, names: list[str]) -> list[NotifyTestRecord]:
    """All at once: each may take its whole time."""
    targets = [known.targets[name] for name in names]
    answers = await asyncio.gather(*(send(target, trial_message(uuid4())) for target in targets))
    return [
        NotifyTestRecord(
            target=target.name, kind=target.kind, delivered=answer.is_delivered, answer=answer.text, body=answer.body
        )
        for target, answer in zip(targets, answers, strict=True)
    ]


_TESTED = (
    Column("target", "target", is_kept=True),
    Column("kind", "kind"),
    Column("delivered", "delivered", lambda row: "yes" if row.delivered else "no", is_kept=True),
    Column("what came back", "answer", is_kept=True),
    Column("it wrote", "body", lambda row: row.body or "", Shape.BELOW),
)


def configured(settings: Settings) -> Notifications:
    """The notifications file. Raises `UserError`."""
    if settings.notifications_file is None:
        raise UsageError("NOTIFICATIONS_FILE is not set; docs/notifications.md shows such a file")
    return load_notifications(settings.notifications_file)
