"""`demo`: the whole thing on this machine, from servers to a result."""

import asyncio
import json
import os
import ssl
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from commands import output
from commands.errors import EXIT_CODE_OF_STATUS, ExitCode, errors_for_people, fail
from commands.options import JsonOption
from commands.sync import sync_tenant
from configuration import Settings, load_settings, state_folder
from graph.catalog import load_catalog
from graph.tenants import load_tenants
from inventory.outcomes import RunStatus
from inventory.records import ItemRecord, RunRecord
from inventory.selection import Selection
from local.processes import PartError
from local.stack import Ports, StackProcess, stop_running
from local.state import StackInfo, State
from storage import queries
from storage.database import Database

PortOption = Annotated[int, typer.Option(min=0, max=65_535, help="A port of 127.0.0.1; 0 takes a free one.")]


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what --keep left running.")] = False,
    temporal_ui_port: PortOption = 0,
    temporal_port: PortOption = 0,
    postgres_port: PortOption = 0,
    graph_port: PortOption = 0,
    as_json: JsonOption = False,
) -> None:
    """The whole thing on this machine: embedded servers, a simulated Graph, a worker, a sync of three sample tenants.

    Run it twice: the sample tenants change a little from run to run, and nothing is duplicated.

    Example: python starter.py demo --keep
    """
    with errors_for_people():
        state = State(state_folder())
        try:
            if stop:
                stopped = stop_running(state)
                output.stderr.print("stopped" if stopped else "nothing was running")
                return
            ports = Ports(postgres_port, temporal_port, temporal_ui_port, graph_port)
            _demo(state, ports, keep=keep, as_json=as_json)
        except PartError as error:
            fail(str(error), ExitCode.UNEXPECTED)


def _demo(state: State, ports: Ports, *, keep: bool, as_json: bool) -> None:
    generation = state.next_generation()
    running = state.running()
    with StackProcess(state, ports) as stack:
        if running is None:
            output.stderr.print("starting the embedded stack …", style="dim")
            info = stack.start(lambda part: output.stderr.print(f"  {part}", style="dim", highlight=False))
        else:
            output.stderr.print("the embedded stack is running already", style="dim")
            _set_generation(running, generation)
            info = running
        os.environ.update(info.environment)
        settings = load_settings()
        results = asyncio.run(_sync_all(settings))
        if as_json:
            for result in results:
                output.print_json(result["run"])
        else:
            _report(results, info, state, generation)
        if keep or running is not None:
            stack.keep()
            output.stderr.print("\nIt all keeps running. Stop it: python starter.py demo --stop")
        elif sys.stdin.isatty() and sys.stdout.isatty():
            _wait_for_enter()
        else:
            output.stderr.print("\nNow it stops. Leave it running: make demo KEEP=1")
    worst = max((EXIT_CODE_OF_STATUS[result["run"].status] for result in results), default=ExitCode.SUCCESS)
    raise typer.Exit(worst)


def _set_generation(info: StackInfo, generation: int) -> None:
    """Moves the sample tenants of a running stack one step on."""
    context = ssl.create_default_context(cafile=info.environment["GRAPH_CA_FILE"])
    request = urllib.request.Request(  # noqa: S310 - the simulated Graph's own https address
        f"{info.control_url}/generation",
        data=json.dumps({"generation": generation}).encode(),
        headers={"X-Simulator-Key": Path(info.control_key_file).read_text().strip()},
        method="PUT",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    opener.open(request, timeout=10).close()


async def _sync_all(settings: Settings) -> list[dict[str, Any]]:
    """One run a tenant, one after the other so that each can be watched."""
    selection = Selection(type_keys=tuple(load_catalog().everything()))
    results = []
    for tenant in load_tenants(settings.tenants_file):
        run = await sync_tenant(settings, tenant.id, tenant.name, selection, wait=True, quiet=True)
        results.append({"tenant": tenant.name, "run": run, **await _changes(settings, run)})
    return results


async def _changes(settings: Settings, run: RunRecord) -> dict[str, list[ItemRecord]]:
    """What the run found new, changed and missing, where the tenant had been read before."""
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        async with database.tenant(run.tenant_id, read_only=True) as session:
            asked = await queries.question(session, run.selection_hash)
            if asked is None or run.status is not RunStatus.SUCCESS:
                return {"added": [], "changed": [], "missing": []}
            first = run.counts.observed == run.counts.created
            return {
                "added": [] if first else await queries.items_first_seen_in(session, asked),
                "changed": await queries.items_changed_in(session, asked),
                "missing": [item async for item in queries.missing_items(session, asked)],
            }
    finally:
        await database.close()


def _wait_for_enter() -> None:
    """Leaves the person time to look around."""
    with suppress(KeyboardInterrupt, EOFError):
        input("\nPress Enter to stop everything (make demo KEEP=1 leaves it running) … ")


def _report(results: list[dict[str, Any]], info: StackInfo, state: State, generation: int) -> None:
    output.print_table(
        ("tenant", "status", "took", "items#", "created#", "changed#", "unchanged#", "missing#", "run"),
        [_summary(result["tenant"], result["run"]) for result in results],
    )
    for result in results:
        for kind in ("added", "changed", "missing"):
            for item in result[kind]:
                _print_change(result["tenant"], kind, item)
    if generation == 0:
        output.stdout.print("\nRun it again: in each tenant one item will have appeared, one changed, one gone.")
    database = info.environment["DATABASE_URL"].rpartition("@")[2]
    for line in (
        "\nTo open while it runs:",
        f"  Temporal Web     {info.temporal_ui_url}",
        f"  PostgreSQL       postgresql://{database} (with its password: DATABASE_URL in {state.environment_file})",
        f"  simulated Graph  {info.environment['GRAPH_BASE_URL']}",
    ):
        output.stdout.print(line, soft_wrap=True, markup=False)
    one, other = results[0]["tenant"], results[-1]["tenant"]
    output.stdout.print("\nTo ask while it runs:")
    for command in (
        f"changes {one}",
        f"baseline set {one} golden --reason 'as agreed'",
        f"drift {one}",
        f"dangling {one}",
        f"compare {one} {other} --html compared.html",
    ):
        output.stdout.print(f"  python starter.py {command}", soft_wrap=True, markup=False, highlight=False)


def _summary(tenant: str, run: RunRecord) -> tuple[object, ...]:
    counts = run.counts
    took = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return (
        tenant,
        output.styled(run.status),
        output.lasting(took),
        counts.observed,
        counts.created,
        counts.changed,
        counts.unchanged,
        counts.missing,
        run.run_id,
    )


def _print_change(tenant: str, kind: str, item: ItemRecord) -> None:
    sure = f" ({item.confidence} confidence, {item.evidence})" if kind == "missing" else ""
    name = item.display_name or item.external_id
    output.stdout.print(f"  {tenant}: {kind} {item.type_key} “{name}”{sure}", markup=False, soft_wrap=True)
