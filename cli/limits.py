import asyncio
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel

from cli import output
from cli.output_options import output_options, prints_tables
from cli.person import requester
from cli.table import Column, Shape, print_table
from cli.task_queue import Rate, Rates, read_rates, same_rate, set_rates
from configuration import Settings, load_settings
from connections import connect_temporal, temporal_connect_config

REASON = "starter.py limits --apply"


class RateLimit(BaseModel):
    """A rate limit of the activity task queue, in activities a second; null is no limit."""

    configured: float | None
    temporal: float | None
    before: float | None
    set_by: str | None
    set_at: datetime | None
    reason: str | None


class Limits(BaseModel):
    """All limits. `before` of a rate is Temporal's rate before `--apply`, or its present one without it."""

    task_queue: str
    partitions: int
    applied: bool
    in_step: bool
    activities_per_second: RateLimit
    activities_per_second_per_tenant: RateLimit
    runs_per_tenant: int
    runs_overall: int
    waves_in_flight: int
    worker_activities: int
    worker_database_connections: int


@prints_tables
def limits(
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Set the task queue's rate limits to the configured ones, and remove others."),
    ] = False,
) -> None:
    """Show the configured limits and those that Temporal has. --apply gives Temporal the configured ones.

    Example: python starter.py limits --apply
    """
    state = asyncio.run(_limits(load_settings(), apply=apply))
    if output_options().as_json:
        output.print_json(state)
    else:
        _print(state)


async def _limits(settings: Settings, *, apply: bool) -> Limits:
    client = await connect_temporal(temporal_connect_config())
    before = after = await read_rates(client, settings.temporal_task_queue)
    if apply:
        await set_rates(
            client,
            settings.temporal_task_queue,
            overall=settings.activities_per_second,
            per_tenant=settings.activities_per_second_per_tenant,
            identity=requester(),
            reason=REASON,
        )
        after = await read_rates(client, settings.temporal_task_queue)
    return _state(settings, before, after, applied=apply)


def _state(settings: Settings, before: Rates, after: Rates, *, applied: bool) -> Limits:
    def limit(configured: float | None, before: Rate, after: Rate) -> RateLimit:
        now = after._asdict()
        return RateLimit(configured=configured, temporal=now.pop("per_second"), before=before.per_second, **now)

    overall = limit(settings.activities_per_second, before.overall, after.overall)
    per_tenant = limit(settings.activities_per_second_per_tenant, before.per_tenant, after.per_tenant)
    return Limits(
        task_queue=settings.temporal_task_queue,
        partitions=after.partitions,
        applied=applied,
        in_step=all(same_rate(limit.configured, limit.temporal) for limit in (overall, per_tenant)),
        activities_per_second=overall,
        activities_per_second_per_tenant=per_tenant,
        runs_per_tenant=settings.runs_per_tenant,
        runs_overall=settings.runs_overall,
        waves_in_flight=settings.waves_in_flight,
        worker_activities=settings.worker_activities,
        worker_database_connections=settings.database_connections,
    )


_FIELDS = ("limit", "setting", "configured", "temporal", "set_by", "set_at")

_COLUMNS = (
    Column("limit", "limit"),
    Column("configured", "configured", shape=Shape.NUMBER, is_kept=True),
    Column("in Temporal", "temporal", shape=Shape.NUMBER),
    Column("set by", "set_by"),
    Column("set at", "set_at"),
    Column("setting", "setting", yields=True),
)


def _print(state: Limits) -> None:
    rates = (
        ("activities a second, of all tenants", "ACTIVITIES_PER_SECOND", state.activities_per_second),
        (
            "activities a second, of one tenant",
            "ACTIVITIES_PER_SECOND_PER_TENANT",
            state.activities_per_second_per_tenant,
        ),
    )
    setting_rows = [
        (label, name, _number(rate.configured), _number(rate.temporal), rate.set_by, rate.set_at)
        for label, name, rate in rates
    ]
    counts = (
        ("runs at once, of one tenant", "RUNS_PER_TENANT", state.runs_per_tenant),
        ("runs at once, of all tenants", "RUNS_OVERALL", state.runs_overall),
        ("batches at once, of one run", "WAVES_IN_FLIGHT", state.waves_in_flight),
        ("activities at once, of one worker", "WORKER_ACTIVITIES", state.worker_activities),
        ("database connections, of one worker", "WORKER_DATABASE_CONNECTIONS", state.worker_database_connections),
    )
    rows = [*setting_rows, *((label, name, str(count), "", None, None) for label, name, count in counts)]
    print_table(_COLUMNS, [dict(zip(_FIELDS, row, strict=True)) for row in rows])
    if state.applied:
        for _, name, rate in rates:
            output.stdout.print(f"{name}: {_number(rate.before)} before, {_number(rate.temporal)} now")
    elif not state.in_step:
        output.stdout.print(
            "Temporal's rate limits differ from the configured ones; apply these: python starter.py limits --apply",
            style="yellow",
        )
    if state.partitions > 1 and any(rate.temporal is not None for _, _, rate in rates):
        output.stdout.print(
            f"Temporal divides a rate limit over the task queue's {state.partitions} partitions, so one tenant may get"
            " less; docs/configuration.md says how to have one partition",
            style="yellow",
        )


def _number(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:g}"
