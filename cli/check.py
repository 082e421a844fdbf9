import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import typer
from rich.text import Text

from activities.messages.pages import CursorFailure
from activities.request_pace import Pace
from cli import output
from cli.errors import ExitCode, UsageError
from cli.key_warning import compares_hidden_values, warn_without_key
from cli.options import (
    AllOption,
    CategoryOption,
    TenantArgument,
    TypeOption,
    configured_tenant,
    selection_or_all,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from graph.catalog import Collection, load_catalog
from graph.client import GraphAnswer, GraphClient, GraphGet
from graph.credentials import CredentialError
from graph.errors import GraphRequestError, GraphUnreachedError, ReadFailure, classify
from graph.pages import MalformedPageError, read_page
from graph.proxy import overlooked
from graph.tenants import TenantConfig
from inventory.backoff import believable
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.plurals import counted
from inventory.selection import Selection
from inventory.user_errors import UnavailableError
from storage.runs import is_recorded

ATTEMPTS = 3
"""The most tries of a sign-in or request that fails for a time."""

ANSWER_SECONDS = 14.0
"""The limit of a sign-in, and of Graph's first answer."""

DATABASE_SECONDS = 5.0

SILENT_WAIT = timedelta(seconds=2)
"""A longer wait is reported to the person."""


class Readability(StrEnum):
    READABLE = "readable"
    PERMISSION_MISSING = "permission_missing"
    NOT_LICENSED = "not_licensed"
    NOT_FOUND = "not_found"
    DELEGATED_ONLY = "delegated_only"
    FAILED = "failed"


_BY_CODE = {
    ErrorCode.GRAPH_PERMISSION_MISSING: Readability.PERMISSION_MISSING,
    ErrorCode.GRAPH_NOT_LICENSED: Readability.NOT_LICENSED,
    ErrorCode.GRAPH_NOT_FOUND: Readability.NOT_FOUND,
    ErrorCode.GRAPH_DELEGATED_ONLY: Readability.DELEGATED_ONLY,
}

_TO_MEND = frozenset({Readability.PERMISSION_MISSING, Readability.FAILED})

_STYLES = {
    Readability.READABLE: "green",
    Readability.PERMISSION_MISSING: "red",
    Readability.NOT_LICENSED: "dim",
    Readability.NOT_FOUND: "dim",
    Readability.DELEGATED_ONLY: "dim",
    Readability.FAILED: "red",
}


class Probe(NamedTuple):
    collection: Collection
    url: str
    permission: str
    is_single: bool

    @property
    def key(self) -> str:
        """Unique, though two collections may have one URL."""
        return f"{self.collection.type_key} {self.url}"


class Checked(NamedTuple):
    """`failure`: why the collection is unreadable; None if it is readable."""

    collection: Collection
    readability: Readability
    failure: ReadFailure | None

    @property
    def permission(self) -> str:
        """The permission to grant: the listing's, or a detail's."""
        named = None if self.failure is None else self.failure.context.get("permission")
        return str(named or self.collection.permission)


@prints_tables
def check(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
) -> None:
    """Send one small request for each collection of a selection, and show which are readable.

    The default selection is all collections. Exit code 3 if a permission is missing or a request failed. A collection
    that the tenant cannot have, or that Microsoft opens to signed-in people only, is no error.

    Example: python starter.py check Contoso --category conditional-access
    """
    settings = load_settings()
    selection = selection_or_all(type_keys, categories, everything=everything)
    warning = None if settings.graph_proxy_url else overlooked(os.environ)
    if warning is not None:
        output.stderr.print(warning, style="dim")
    warn_without_key(settings)
    checked = asyncio.run(_check(settings, configured_tenant(settings, tenant), selection))
    rows = [{**_row(result), "compares_hidden_values": compares_hidden_values(settings)} for result in checked]
    if output_options().as_json:
        output.print_json(*rows)
    else:
        _print(checked, rows)
    if any(result.readability in _TO_MEND for result in checked):
        raise typer.Exit(ExitCode.PARTIAL)


async def _check(settings: Settings, tenant: TenantConfig, selection: Selection) -> list[Checked]:
    catalog = load_catalog()
    first, *remaining = (_listing(catalog.collections[key], tenant.id) for key in selection.type_keys)
    async with (
        GraphClient.from_endpoints(
            base_url=settings.graph_base_url,
            authority_url=settings.graph_authority_url,
            ca_file=settings.graph_ca_file,
            proxy_url=settings.graph_proxy,
            vault_url=settings.tenant_vault_url,
        ) as graph,
        _pace(settings, tenant) as pace,
    ):
        await _sign_in(graph, tenant)
        asking = _Asking(graph, tenant, pace)
        # The first request goes alone, to learn whether Graph answers at all.
        checked = {
            result.collection.type_key: result
            for wave in ([first], *_waves(remaining))
            for result in await asking.read(wave)
        }
        readable = [result.collection for result in checked.values() if result.readability is Readability.READABLE]
        for wave in _waves([probe for collection in readable for probe in asking.below(collection)]):
            for result in await asking.read(wave):
                if result.readability is Readability.PERMISSION_MISSING:
                    checked[result.collection.type_key] = result
    return sorted(checked.values(), key=lambda result: (result.collection.category, result.collection.type_key))


async def _sign_in(graph: GraphClient, tenant: TenantConfig) -> None:
    """Raises `UsageError` if the credential is refused, `UnavailableError` after other failures."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await graph.sign_in(tenant)
        except TimeoutError:
            raise UnavailableError(
                f"{tenant.name}: sign-in: nothing answers; check the network, the firewall and the proxy"
            ) from None
        except GraphRequestError as error:
            if _is_refused(error):
                raise UsageError(f"{tenant.name}: no token: {error}") from None
            if error.retry_after is None or attempt == ATTEMPTS:
                raise UnavailableError(f"{tenant.name}: no token: {error}") from None
            await _wait_for_service(error.retry_after, "Entra")
    return None


@asynccontextmanager
async def _pace(settings: Settings, tenant: TenantConfig) -> AsyncIterator[Pace | None]:
    """None if the database does not answer or does not know the tenant."""
    async with opened_database(settings) as database:
        try:
            async with asyncio.timeout(DATABASE_SECONDS), database.tenant(tenant.id, read_only=True) as session:
                has_record = await is_recorded(session)
        except (TimeoutError, UnavailableError):
            has_record = False
            output.stderr.print(
                "the database does not answer: the check goes on, but shares no request limits with runs under way",
                style="dim",
            )
        yield Pace(database) if has_record else None


async def _wait_for_service(wait: timedelta, service: str) -> None:
    if wait > SILENT_WAIT:
        output.stderr.print(f"{service} asks to wait {output.lasting(wait)} …", style="dim")
    await asyncio.sleep(wait.total_seconds())


def _waves(probes: Sequence[Probe]) -> Iterator[list[Probe]]:
    groups: dict[tuple[str, str], list[Probe]] = {}
    for probe in probes:
        groups.setdefault((probe.collection.api_version, probe.collection.throttle_family), []).append(probe)
    for group in groups.values():
        limit = group[0].collection.throttle_family.wave_limit
        for start in range(0, len(group), limit):
            yield group[start : start + limit]


class _Asking:
    def __init__(self, graph: GraphClient, tenant: TenantConfig, pace: Pace | None) -> None:
        self._graph = graph
        self._tenant = tenant
        self._pace = pace
        self._answered = False
        self._first_ids: dict[str, str] = {}

    def below(self, collection: Collection) -> Iterator[Probe]:
        """Requests that Graph may refuse though it shows the listing: the first item's children, expansion, details."""
        first_id = self._first_ids.get(collection.type_key)
        if first_id is None:
            return
        if collection.parent is not None:
            # The first request listed the parents, so the id is a parent's.
            yield Probe(collection, collection.child_url(first_id), collection.permission, is_single=False)
            return
        if collection.expand is not None and not collection.singleton:
            yield Probe(collection, collection.expansion_url(first_id), collection.permission, is_single=True)
        for detail in collection.details:
            if not (detail.types or detail.only_where):
                url = detail.path.replace("{id}", quote(first_id, safe=""))
                yield Probe(collection, url, detail.permission or collection.permission, detail.single)

    async def read(self, wave: Sequence[Probe]) -> list[Checked]:
        """Retries Graph's temporary failures."""
        answered: dict[str, Checked] = {}
        remaining = list(wave)
        for attempt in range(1, ATTEMPTS + 1):
            failures = await self._in_turn(remaining)
            answered.update({probe.key: _checked(probe.collection, failures[probe.key]) for probe in remaining})
            again = {key: failure for key, failure in failures.items() if failure is not None and failure.retryable}
            remaining = [probe for probe in remaining if probe.key in again]
            if not remaining or attempt == ATTEMPTS:
                break
            await _wait_for_service(_wait(again, attempt), "Graph")
        return list(answered.values())

    async def _in_turn(self, wave: Sequence[Probe]) -> dict[str, ReadFailure | None]:
        """Asks in the throttle family's turn. Runs heed the Retry-After of the answers, too."""
        family = wave[0].collection.throttle_family
        if self._pace is None:
            failures = await self._ask(wave)
            await asyncio.sleep((family.interval or timedelta(0)).total_seconds())
            return failures
        while True:
            async with self._pace.turn(self._tenant.id, family) as wait:
                if not wait:
                    failures = await self._ask(wave)
                    await self._pace.heed(self._tenant.id, family, _heeded(failures))
                    return failures
            await _wait_for_service(wait, f"Graph, for {family},")

    async def _ask(self, wave: Sequence[Probe]) -> dict[str, ReadFailure | None]:
        """Raises `UsageError` if the credential is refused, `UnavailableError` if Graph has never answered."""
        gets = [GraphGet(probe.key, probe.url) for probe in wave]
        try:
            async with asyncio.timeout(None if self._answered else ANSWER_SECONDS):
                answers = await self._graph.read_batch(self._tenant, wave[0].collection.api_version, gets)
        except TimeoutError:
            raise UnavailableError(f"{self._tenant.name}: Graph does not answer; check the network") from None
        except GraphRequestError as error:
            if _is_refused(error):
                raise UsageError(f"{self._tenant.name}: no token: {error}") from None
            if isinstance(error, GraphUnreachedError) and not self._answered:
                raise UnavailableError(f"{self._tenant.name}: {error}") from None
            self._answered = True
            return {probe.key: _failure_of(error) for probe in wave}
        self._answered = True
        return {probe.key: self._failure(probe, answers[probe.key]) for probe in wave}

    def _failure(self, probe: Probe, answer: GraphAnswer) -> ReadFailure | None:
        collection = probe.collection
        failure = classify(answer, permission=probe.permission, delegated_only=collection.delegated_only)
        if failure is not None:
            return failure
        try:
            page = read_page(answer, singleton=probe.is_single)
        except MalformedPageError as error:
            return error.failure
        first = page.items[0] if page.items else None
        first_id = first.get(collection.id_field) if isinstance(first, dict) else None
        if isinstance(first_id, str):
            self._first_ids.setdefault(collection.type_key, first_id)
        return None


def _is_refused(error: GraphRequestError) -> bool:
    return isinstance(error, CredentialError) or (error.code is ErrorCode.AUTH_FAILED and not error.retryable)


def _heeded(failures: Mapping[str, ReadFailure | None]) -> list[CursorFailure]:
    return [
        CursorFailure(code=failure.code, retryable=failure.retryable, retry_after=failure.retry_after)
        for failure in failures.values()
        if failure is not None
    ]


def _wait(failures: Mapping[str, ReadFailure], attempt: int) -> timedelta:
    waits = [wait for failure in failures.values() if (wait := believable(failure.retry_after)) is not None]
    return max(waits, default=timedelta(seconds=2**attempt))


def _listing(collection: Collection, tenant_id: UUID) -> Probe:
    """Lists the collection, or its parents if it has any."""
    listed = collection if collection.parent is None else load_catalog().collections[collection.parent]
    return Probe(collection, listed.probe_url(tenant_id), listed.permission, collection.singleton)


def _failure_of(error: GraphRequestError) -> ReadFailure:
    return ReadFailure(error.code, error.retryable, error.retry_after, context=error.context)


def _checked(collection: Collection, failure: ReadFailure | None) -> Checked:
    readability = Readability.READABLE if failure is None else _BY_CODE.get(failure.code, Readability.FAILED)
    return Checked(collection, readability, failure)


def _row(result: Checked) -> dict[str, object]:
    return {
        "type_key": result.collection.type_key,
        "category": result.collection.category,
        "readability": result.readability,
        "permission": result.collection.permission,
        "licence_hint": result.collection.licence_hint,
        "error_code": None if result.failure is None else result.failure.code,
        "context": {} if result.failure is None else dict(result.failure.context),
    }


def _print(checked: Sequence[Checked], rows: Sequence[dict[str, object]]) -> None:
    remedies = {result.collection.type_key: _remedy(result) for result in checked}
    columns = (
        Column("category", "category", lambda row: row["category"], Shape.HEADING, yields=True),
        Column("collection", "type_key"),
        Column("answer", "readability", _answer, is_kept=True),
        Column("what to do", "remedy", lambda row: remedies[row["type_key"]]),
    )
    print_table(columns, rows, record=tuple(rows[0]))
    counts = [
        f"{number} {readability.replace('_', ' ')}"
        for readability in Readability
        if (number := sum(result.readability is readability for result in checked))
    ]
    output.stdout.print(f"{counted(len(checked), 'collection')}: {', '.join(counts)}")
    missing = sorted({probe.permission for probe in checked if probe.readability is Readability.PERMISSION_MISSING})
    if missing:
        output.stdout.print(f"grant, with admin consent: {', '.join(missing)}", style="yellow")


def _answer(row: Mapping[str, Any]) -> Text:
    return Text(row["readability"].replace("_", " "), style=_STYLES[row["readability"]])


def _remedy(result: Checked) -> str:
    if result.failure is None:
        return ""
    if result.readability is Readability.PERMISSION_MISSING:
        return f"grant {result.permission}"
    if result.readability is Readability.NOT_LICENSED:
        return f"needs {result.collection.licence_hint}" if result.collection.licence_hint else ""
    if result.readability is Readability.NOT_FOUND:
        return ""
    if result.readability is Readability.DELEGATED_ONLY:
        return "nothing: Graph opens it to signed-in people only"
    return f"{result.failure.code}: {EXPLANATIONS[result.failure.code].remedy}"
