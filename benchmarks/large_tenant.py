"""One large tenant: how near a sync comes to a loop that only reads, hashes and copies.

    python -m benchmarks.large_tenant [--rounds 5] [--kinds generated real] [--items N] [--workers 2] [--without-others]

Three sides read the same pages of the same running simulated Graph into the same PostgreSQL, one after another: the
bare loop (`benchmarks.bare_loop`), a first sync with a worker for each of two cores, and a second sync that finds
nothing changed. Pages have a thousand items, and the collections have no details, so each side makes the same requests;
the product sends them in `$batch`. The rows of the first sync and of the loop are compared by item and hash.

There are two kinds of items: 200,000 generated ones, about 2 KB each, and 20,000 that repeat the real documents of a
folder under other ids; where that folder is not there, they are left out. The simulated Graph makes and keeps each
page before the measurement, so that it uses little of the two cores; its processor time is printed.

dlt loads the real items, too: once into an empty schema and once more as a merge, which takes longer than everything
else together. It is installed into its own environment, or left out if it cannot be installed.
"""

import argparse
import asyncio
import gzip
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg

from benchmarks.bare_loop import SCHEMA
from benchmarks.machine import CHECKOUT, Machine, facts, played, spread
from graph.catalog import Collection, load_catalog
from inventory.canonical import SENSITIVE_MARK
from inventory.selection import Selection
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from process_exit import run_to_exit

GENERATED = (
    "deviceCompliancePolicies",
    "directoryRoleDefinitions",
    "mobileAppConfigurations",
    "windowsAutopilotDeviceIdentities",
)
"""Collections of generated documents, of three throttle families and without details."""

REAL = ("deviceCompliancePolicies", "managedAppPolicies")
"""Collections with real documents and without details. Conditional Access is left out: the product reads it with one
request a second only."""

DIFFERENT = 200
"""Generated documents of a collection; the others repeat them under other ids and names."""

PROPERTIES = 52
"""Further properties of a generated document: as many as make about 2 KB."""

ITEMS = {"generated": 200_000, "real": 20_000}
DOCUMENTS = CHECKOUT.parent / "shared" / "graph-data"
OTHER_PACKAGES = "dlt[postgres]"
GOALS = {"first sync": 0.6, "unchanged sync": 1.2}

# The loop has no data key: where a value is hidden, the documents of both sides differ in its mark.
_DIFFERENCE = f"""
SELECT count(*) FILTER (WHERE bare.document IS NULL) AS only_item,
    count(*) FILTER (WHERE item.content_hash IS NULL AND bare.document LIKE '%"{SENSITIVE_MARK}":%') AS hidden,
    count(*) FILTER (WHERE bare.document IS NOT NULL AND item.version_number IS DISTINCT FROM 1) AS only_bare
FROM {SCHEMA}.item AS bare FULL JOIN (
    inventory_item JOIN document USING (tenant_id, content_hash)
) AS item USING (type_key, external_id, body_hash)
"""  # noqa: S608 - constants only


class Arguments(NamedTuple):
    """The size of the measurement: items in all collections together, rounds, and items on a page."""

    items: int
    rounds: int
    page_items: int
    workers: int


class Side(NamedTuple):
    """The cost of one side: its seconds, and the simulated Graph's processor seconds meanwhile.

    `processor_seconds`: by part of a sync.
    """

    seconds: float
    graph_seconds: float
    items: int
    document_bytes: int = 0
    processor_seconds: Mapping[str, float] = MappingProxyType({})


def collections(type_keys: Sequence[str]) -> list[Collection]:
    """Entries of the catalog that are listed whole."""
    chosen = [load_catalog().collections[type_key] for type_key in type_keys]
    if any(collection.details for collection in chosen):
        raise ValueError("a collection with details: the product would ask more than the others")
    return chosen


def generate(folder: Path, chosen: Sequence[Collection]) -> None:
    """Writes made-up documents of the collections, as `SimulatedGraph` reads a folder."""
    random = Random(7)  # noqa: S311 - the same documents each time
    for collection in chosen:
        with gzip.open(folder / f"{collection.path.strip('/').replace('/', '_')}.jsonl.gz", "wb") as lines:
            for number in range(DIFFERENT):
                document = {
                    "id": str(UUID(int=random.getrandbits(128))),
                    "displayName": f"Made up {number}",
                    "description": "Made up to be measured",
                    "roleScopeTagIds": ["0"],
                    **{f"generatedProperty{place:02}": _value(random, place) for place in range(PROPERTIES)},
                }
                lines.write(orjson.dumps({"style": "odata-minimal", "document": document}) + b"\n")


def _value(random: Random, place: int) -> Any:
    """A value of the type that the property in this place has, or none."""
    values = (
        random.random() < 0.5,
        random.choice(("notConfigured", "userDefined", "blocked")),
        random.getrandbits(16),
        f"{random.getrandbits(64):016x}",
    )
    return None if random.random() < 0.1 else values[place % len(values)]


def make_pages(tenant: SimulatedTenant, chosen: Sequence[Collection]) -> tuple[int, int]:
    """Has the simulated Graph make every page, and returns the numbers of pages and bytes as JSON."""
    pages = size = 0
    for collection in chosen:
        link: str | None = collection.first_url(UUID(tenant.id))
        while link is not None:
            page = tenant.get(link, collection.api_version)
            pages += 1
            size += len(orjson.dumps(page))
            link = page.get("@odata.nextLink")
            if link is not None:
                link = link.partition(f"/{collection.api_version}/")[2]
    return pages, size


class Round:
    """One round on one machine, started for it."""

    def __init__(self, machine: Machine, chosen: Sequence[Collection], dlt_python: Path | None) -> None:
        self._machine = machine
        self._tenant = machine.graph.tenants[0]
        self._chosen = chosen
        self._dlt_python = dlt_python

    async def measure(self) -> dict[str, Side]:
        """Every side by its name, in the order in which they were played."""
        sides = {"bare loop": await self._bare_loop()}
        sides["first sync"] = await self._sync(sides["bare loop"].items, created=True)
        self._compare()
        sides["unchanged sync"] = await self._sync(sides["bare loop"].items, created=False)
        if self._dlt_python is not None:
            with TemporaryDirectory() as folder:
                sides["dlt, first load"] = await self._dlt(self._dlt_python, folder)
                sides["dlt, merged again"] = await self._dlt(self._dlt_python, folder, "--merge")
        return sides

    async def _bare_loop(self) -> Side:
        type_keys = [collection.type_key for collection in self._chosen]
        return await self._played([sys.executable, "-m", "benchmarks.bare_loop", *type_keys], {})

    async def _dlt(self, python: Path, folder: str, *options: str) -> Side:
        resources = [
            f"{collection.type_key}={collection.api_version}{collection.first_url(UUID(self._tenant.id))}"
            for collection in self._chosen
        ]
        # Without -P the modules beside the script would go before those of dlt's environment.
        program = [str(python), "-P", str(CHECKOUT / "benchmarks" / "dlt_source.py"), *options, *resources]
        environment = {
            "DLT_DATA_DIR": folder,
            "PIPELINES_FOLDER": folder,
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "ERROR",
            "REQUESTS_CA_BUNDLE": str(self._machine.graph.ca_file),
        }
        return await self._played(program, environment)

    async def _played(self, program: Sequence[str], environment: Mapping[str, str]) -> Side:
        """A side that is a program: it reports its own seconds, without its start."""
        self._checkpoint()
        graph = self._machine.graph
        addresses = {
            "GRAPH_BASE_URL": graph.base_url,
            "GRAPH_AUTHORITY_URL": graph.authority_url,
            "GRAPH_CA_FILE": str(graph.ca_file),
            "TENANT_ID": self._tenant.id,
            "CLIENT_ID": self._tenant.client_id,
            "CLIENT_SECRET": self._tenant.client_secret,
            "DATABASE_URL": self._machine.database_url,
        }
        processor_seconds = time.process_time()
        process = await asyncio.create_subprocess_exec(
            *program,
            env={**os.environ, **addresses, **environment},
            cwd=CHECKOUT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(program[:3])} ended with status {process.returncode}")
        figures = orjson.loads(output.splitlines()[-1])
        graph_seconds = time.process_time() - processor_seconds
        return Side(figures["seconds"], graph_seconds, figures["items"], figures.get("document_bytes", 0))

    async def _sync(self, items: int, *, created: bool) -> Side:
        self._checkpoint()
        taken = self._machine.processor_seconds()
        began = time.perf_counter()
        selection = Selection(type_keys=tuple(collection.type_key for collection in self._chosen))
        record = await self._machine.sync(self._tenant, selection)
        seconds = time.perf_counter() - began
        counts = record.counts
        if record.status != "success" or (counts.created if created else counts.unchanged) != items:
            raise SystemExit(f"the run ended as {record.status} with {counts}, where the loop has read {items} items")
        parts = {part: until - taken[part] for part, until in self._machine.processor_seconds().items()}
        return Side(seconds, parts.pop("simulated Graph"), items, processor_seconds=parts)

    def _checkpoint(self) -> None:
        """Writes an earlier side's dirty pages, so that the next side does not wait for them."""
        with psycopg.connect(self._machine.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def _compare(self) -> None:
        """Checks that both sides hold the same items and hashes, then drops the loop's."""
        with psycopg.connect(self._machine.database_url, autocommit=True) as connection:
            row = connection.execute(_DIFFERENCE).fetchone()
            only_item, hidden, only_bare = row or (-1, 0, 0)
            if not only_item == hidden == only_bare:
                raise SystemExit(
                    f"the loop has {only_bare} items that the first sync has not, {hidden} of them with a hidden value;"
                    f" the sync has {only_item} others"
                )
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def report(rounds: Sequence[Mapping[str, Side]]) -> None:
    """Prints seconds and ratios of all rounds."""
    for name in rounds[0]:
        played_in = [measured for measured in rounds if name in measured]
        sides = [measured[name] for measured in played_in]
        graph_seconds = statistics.median(side.graph_seconds for side in sides)
        line = f"{name}: {spread([side.seconds for side in sides])} s"
        line += f", {statistics.median(side.items / side.seconds for side in sides):,.0f} items/s"
        if name == "bare loop":
            line += f", {sides[0].document_bytes / sides[0].items:,.0f} bytes a canonical document"
        else:
            ratios = [measured["bare loop"].seconds / measured[name].seconds for measured in played_in]
            line += f", bare/this {spread(ratios)}"
        if name in GOALS:
            line += f", goal {GOALS[name]}"
        print(f"{line}; the simulated Graph took {graph_seconds:.1f} s of a processor", flush=True)
        if sides[0].processor_seconds:
            taken = (
                f"{part} {spread([side.processor_seconds[part] / side.items * 1e6 for side in sides], 0)}"
                for part in sides[0].processor_seconds
            )
            print(f"  microseconds of a processor an item: {', '.join(taken)}", flush=True)


def environment_of_others(folder: Path) -> Path | None:
    """The Python of an environment made in the folder that has dlt; None if it cannot be installed."""
    python = folder / "bin" / "python"
    try:
        for program in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", OTHER_PACKAGES],
        ):
            subprocess.run(program, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - nothing from outside
    except subprocess.CalledProcessError:
        return None
    return python


def play_rounds(documents: Path, chosen: Sequence[Collection], arguments: Arguments, dlt_python: Path | None) -> None:
    """So many rounds with these documents, each on a machine of its own, and all with the same simulated Graph."""
    rounds: list[Mapping[str, Side]] = []
    with SimulatedGraph(
        documents,
        tenants=1,
        items_per_collection=arguments.items // len(chosen),
        page_size=arguments.page_items,
        keeps_answers=True,
    ) as graph:
        began = time.perf_counter()
        pages, size = make_pages(graph.tenants[0], chosen)
        print(
            f"{arguments.items // len(chosen) * len(chosen):,} items in {len(chosen)} collections and {pages} pages,"
            f" {size / arguments.items:,.0f} bytes an item of a page, made in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        for _ in range(arguments.rounds):
            with Machine(graph, workers=arguments.workers, graph_is_running=True) as machine:
                current = Round(machine, chosen, dlt_python)

                async def play(current: Round = current) -> None:
                    rounds.append(await current.measure())

                played(play)
            report(rounds[-1:])
    if len(rounds) > 1:
        print(f"all {len(rounds)} rounds")
        report(rounds)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_tenant", description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=list(ITEMS), default=list(ITEMS), help="which items")
    parser.add_argument("--items", type=int, help="in all collections together (200,000; of real documents 20,000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page-items", type=int, default=1000, help="items on a page (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: %(default)s)")
    parser.add_argument("--documents", type=Path, default=DOCUMENTS, metavar="FOLDER", help="of the real documents")
    parser.add_argument("--without-others", action="store_true", help="no dlt")
    parser.add_argument("--dlt-python", type=Path, metavar="PATH", help="the Python of an environment that has dlt")
    arguments = parser.parse_args()
    print(facts())
    with TemporaryDirectory() as made, TemporaryDirectory() as environment:
        for kind in arguments.kinds:
            rounds = Arguments(
                arguments.items or ITEMS[kind], arguments.rounds, arguments.page_items, arguments.workers
            )
            if kind == "generated":
                generate(Path(made), collections(GENERATED))
                play_rounds(Path(made), collections(GENERATED), rounds, None)
            elif not arguments.documents.is_dir():
                print(f"real documents are left out: there is no {arguments.documents.name}")
            else:
                dlt_python = arguments.dlt_python
                if dlt_python is None and not arguments.without_others:
                    dlt_python = environment_of_others(Path(environment))
                if dlt_python is None:
                    print("dlt is left out")
                play_rounds(arguments.documents, collections(REAL), rounds, dlt_python)


if __name__ == "__main__":
    run_to_exit(main)
