import asyncio
import getpass
import json
import os
import ssl
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from temporalio.service import RPCError

from cli import output
from cli.errors import ExitCode, fail
from cli.exit_codes import EXIT_CODE_OF_STATUS
from cli.output_options import output_options, prints_json
from cli.sessions import opened_database, tenant_session
from cli.sync import sync_tenant
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings, state_folder
from graph.catalog import item_title, kind_of, load_catalog
from graph.tenants import TenantConfig
from inventory.outcomes import RunStatus
from inventory.records import ItemRecord, RunRecord
from inventory.selection import Selection
from inventory.user_errors import UnavailableError
from inventory.visible_text import visible
from local.processes import PartError
from local.stack import Ports, StackProcess, last_words, stop_running
from local.state import StackInfo, State
from storage import queries, recorded_runs
from tenants_source import configured_tenants_of
from web.sign_in import new_link
from workflows.requests import SyncRequest

ATTEMPTS = 60
"""The most tries of a step, while the stack may restart a dead part."""

ATTEMPT_INTERVAL = timedelta(seconds=1)

PortOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=65_535, help="A port of 127.0.0.1; 0 for any free one. Default: the usual one, if it is free."
    ),
]

KINDS = ("appeared", "changed", "missing")

T = TypeVar("T")


@prints_json
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what --keep left running.")] = False,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt what goes to Temporal, now and at later starts.")
    ] = False,
    temporal_ui_port: PortOption = None,
    temporal_port: PortOption = None,
    postgres_port: PortOption = None,
    graph_port: PortOption = None,
    web_port: PortOption = None,
) -> None:
    """Run everything on this machine: servers, a simulated Graph, a worker, the web page, a sync of three tenants.

    Run it twice: the sample tenants change a little from run to run, and nothing is duplicated. A part that dies, as
    by kill -9, is restarted, and the runs continue.

    Example: python starter.py demo --keep
    """
    state = State(state_folder())
    try:
        if stop:
            stopped = stop_running(state)
            output.stderr.print("stopped" if stopped else "nothing was running")
            return
        if encrypt:
            _encrypt(state)
        ports = Ports(postgres_port, temporal_port, temporal_ui_port, graph_port, web_port)
        _demo(state, ports, keep=keep)
    except PartError as error:
        fail(str(error), ExitCode.UNEXPECTED)


def _encrypt(state: State) -> None:
    running = state.running()
    if running is not None and "PAYLOAD_KEYS" not in running.environment:
        fail("the stack runs already, and does not encrypt; stop it first: demo --stop", ExitCode.USAGE)
    state.encrypt_payloads()


def _demo(state: State, ports: Ports, *, keep: bool) -> None:
    generation = state.next_generation()
    running = state.running()
    with StackProcess(state, ports) as stack:
        if running is None:
            output.stderr.print("starting the embedded stack …", style="dim")
            info = stack.start(lambda part: output.stderr.print(f"  {part}", style="dim"))
        else:
            output.stderr.print("the embedded stack is running already", style="dim")
            _set_generation(running, generation)
            info = running
        os.environ.update(info.environment)
        settings = load_settings()
        results = asyncio.run(_sync_all(settings, state))
        is_kept = keep or running is not None
        if is_kept:
            # Before anything is printed, since a reader who leaves ends the command.
            stack.keep()
        if output_options().as_json:
            output.print_json(*(result["run"] for result in results))
        else:
            sign_in_url = asyncio.run(_patiently(state, partial(_sign_in_url, settings, info.web_url)))
            _report(results, state.running() or info, state, generation, sign_in_url)
        if is_kept:
            output.stderr.print_lines(f"\nIt all keeps running. Stop it: {_starter()} demo --stop")
        elif sys.stdin.isatty() and sys.stdout.isatty():
            _wait_for_enter()
        else:
            output.stderr.print_lines("\nNow it stops. Leave it running: make demo KEEP=1")
    worst = max((EXIT_CODE_OF_STATUS[result["run"].status] for result in results), default=ExitCode.SUCCESS)
    raise typer.Exit(worst)


def _set_generation(info: StackInfo, generation: int) -> None:
    context = ssl.create_default_context(cafile=info.environment["GRAPH_CA_FILE"])
    request = urllib.request.Request(  # noqa: S310 - the simulated Graph's own https address
        f"{info.control_url}/generation",
        data=json.dumps({"generation": generation}).encode(),
        headers={"X-Simulator-Key": Path(info.control_key_file).read_text().strip()},
        method="PUT",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    opener.open(request, timeout=10).close()


async def _sync_all(settings: Settings, state: State) -> list[dict[str, Any]]:
    selection = Selection(type_keys=tuple(load_catalog().everything()))
    results = []
    for tenant in configured_tenants_of(settings):
        before = await _patiently(state, partial(_latest_run_id, settings, tenant.id, selection))
        run = await _patiently(state, partial(_synced, settings, tenant, selection, before))
        changes = await _patiently(state, partial(_changes, settings, run, before))
        results.append({"tenant": tenant.name, "run": run, **changes})
    return results


async def _sign_in_url(settings: Settings, web_url: str) -> str:
    async with opened_database(settings) as database:
        return await new_link(database, web_url, getpass.getuser())


async def _patiently(state: State, work: Callable[[], Awaitable[T]]) -> T:
    """Raises `PartError` if the stack ends before the work."""
    working, watching = asyncio.create_task(_tried(work)), asyncio.create_task(_until_gone(state))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise PartError(last_words(state))
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _tried(work: Callable[[], Awaitable[T]]) -> T:
    for _ in range(1, ATTEMPTS):
        with suppress(RPCError, UnavailableError):
            return await work()
        await asyncio.sleep(ATTEMPT_INTERVAL.total_seconds())
    return await work()


async def _until_gone(state: State) -> None:
    while state.running() is not None:  # noqa: ASYNC110 - the supervisor is another process
        await asyncio.sleep(ATTEMPT_INTERVAL.total_seconds())


async def _synced(settings: Settings, tenant: TenantConfig, selection: Selection, before: UUID | None) -> RunRecord:
    """The tenant's run after `before`; starts it unless an earlier try has completed it."""
    latest = await _latest_run_id(settings, tenant.id, selection)
    if latest is not None and latest != before:
        async with tenant_session(settings, tenant.id) as session:
            record = await queries.run_record(session, latest)
        if record is not None:
            return record
    request = SyncRequest(tenant_id=tenant.id, selection=selection)
    return await sync_tenant(settings, request, tenant.name, wait=True, quiet=True)


async def _latest_run_id(settings: Settings, tenant_id: UUID, selection: Selection) -> UUID | None:
    async with tenant_session(settings, tenant_id) as session:
        try:
            question = await queries.question(session, selection.hash())
        except recorded_runs.UnknownSelectionError:
            return None
    return None if question is None else question.latest.run_id


async def _changes(settings: Settings, run: RunRecord, before: UUID | None) -> dict[str, list[ItemRecord]]:
    async with tenant_session(settings, run.tenant_id) as session:
        question = await queries.question(session, run.selection_hash)
        if before is None or question is None or run.status is not RunStatus.SUCCESS:
            return {kind: [] for kind in KINDS}
        return {
            "appeared": await queries.items_first_seen_in(session, question),
            "changed": await queries.items_changed_in(session, question),
            "missing": [
                item async for item in queries.missing_items(session, question) if item.last_seen_run_id == before
            ],
        }


def _wait_for_enter() -> None:
    with suppress(KeyboardInterrupt, EOFError):
        input("\nPress Enter to stop everything (make demo KEEP=1 leaves it running) … ")


def _report(results: list[dict[str, Any]], info: StackInfo, state: State, generation: int, sign_in_url: str) -> None:
    print_table(_COLUMNS, [_summary(result["tenant"], result["run"]) for result in results])
    for result in results:
        for kind in KINDS:
            for item in result[kind]:
                _print_change(result["tenant"], kind, item)
    if generation == 0:
        output.stdout.print_lines("\nRun it again: in each tenant one item will have appeared, one changed, one gone.")
    database = info.environment["DATABASE_URL"].rpartition("@")[2]
    golden, other = results[0]["tenant"], results[1]["tenant"]
    _print_block("Open the web page; this link works once, within an hour:", sign_in_url)
    _print_block(
        "To open while it runs:",
        f"Temporal Web     {info.temporal_ui_url}",
        f"PostgreSQL       postgresql://postgres@{database}",
        f"                 (its password: DATABASE_URL in {_short(state.environment_file)})",
        f"simulated Graph  {info.environment['GRAPH_BASE_URL']}",
    )
    _print_block(
        f"Questions to ask while it runs ({golden} is the golden tenant, the others deviate):",
        *(
            f"{_starter()} {command}"
            for command in (
                f"compare {golden} {other} --fields",
                f"compare --golden {golden} --all-tenants",
                f"baseline set {other} golden --tenant {golden}",
                f"drift {other}",
                f"changes {golden}",
                f"dangling {golden}",
            )
        ),
    )
    _print_block(
        f"To see a run outlive its worker, process {info.worker_pid}:",
        f"{_starter()} sync {golden} --all --deep & sleep 2; kill -9 {info.worker_pid}",
        "A new worker is started, and the same run goes on.",
    )


def _print_block(heading: str, *lines: str) -> None:
    output.stdout.print_lines(f"\n{heading}")
    for line in lines:
        output.stdout.print(f"  {line}")


def _starter() -> str:
    """The command to type, also without an activated environment."""
    python = Path(sys.executable)
    return f"{_short(python) if python.is_relative_to(Path.cwd()) else 'python'} starter.py"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


_COUNTS = ("created", "changed", "unchanged", "missing")

_COLUMNS = (
    Column("tenant", "tenant"),
    Column("status", "status", lambda row: output.styled(row["status"]), is_kept=True),
    Column("took", "took", is_kept=True),
    Column("items", "observed", shape=Shape.NUMBER, is_kept=True),
    *(Column(name, name, shape=Shape.NUMBER, is_kept=True) for name in _COUNTS),
)


def _summary(tenant: str, run: RunRecord) -> dict[str, object]:
    return {
        "tenant": tenant,
        "status": run.status,
        "took": output.took(run.started_at, run.finished_at),
        **run.counts.model_dump(),
    }


def _print_change(tenant: str, kind: str, item: ItemRecord) -> None:
    sure = f" ({item.confidence} confidence, {item.evidence})" if kind == "missing" else ""
    name = item_title(item.type_key, item.external_id, item.display_name, kind_of(item.type_key, item.meta))
    output.stdout.print(f"  {tenant} {kind}: {item.type_key} “{visible(name)}”{sure}")
