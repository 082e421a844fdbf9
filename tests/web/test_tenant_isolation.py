"""No route, for any role, shows or changes a tenant that the person does not see.

New routes are covered: their addresses, query strings and forms are read from the route.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import text

from answers.drift.baselines import set_moment
from answers.drift.evaluation import evaluate
from answers.drift.queries import open_values
from answers.notifications.outbox import snooze
from inventory.notifications import AddressedEvent, NotificationEvent, NotificationKind
from inventory.outcomes import RunStatus
from inventory.people import Role
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from inventory.severity import Severity
from storage import notifications, portfolio, versions
from storage.database import Database
from tests.answers.promotion.plan_application import plan_between
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, FABRIKAM, POLICIES, person_of, signed_in_as
from web.application import ROUTERS
from web.roles import Needs

MARK = "zzTheirSecretzz"
"""In every name and document of the hidden tenant, and in no request."""

THEIR_ITEM, THEIR_BASELINE = "their-item", "their-baseline"
GROUPS = "groups"


class HiddenRows(NamedTuple):
    """Identifiers of the hidden tenant's rows."""

    run_id: UUID
    portfolio_run_id: UUID
    fingerprint: str
    snooze_id: UUID
    plans: dict[UUID, UUID]
    """By target tenant: a plan into the hidden tenant, and a plan from it."""

    def words(self) -> list[str]:
        """The words by which a request could name these rows."""
        tenant = [str(FABRIKAM), "Fabrikam", f"tenant:{FABRIKAM}"]
        places = [f"{FABRIKAM}/{POLICIES}/{THEIR_ITEM}", f"{POLICIES}/{THEIR_ITEM}"]
        return [
            *tenant,
            *places,
            THEIR_ITEM,
            THEIR_BASELINE,
            *map(str, self[:2]),
            self.fingerprint,
            str(self.snooze_id),
            *map(str, self.plans.values()),
        ]


class Fields(NamedTuple):
    """The names in a route's query string, and in its form."""

    query: frozenset[str]
    form: frozenset[str]


def fields_of(dependant: Dependant) -> Fields:
    query, form = {field.alias for field in dependant.query_params}, {field.alias for field in dependant.body_params}
    for inner in dependant.dependencies:
        more = fields_of(inner)
        query |= more.query
        form |= more.form
    return Fields(frozenset(query), frozenset(form))


def routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def role_of(route: APIRoute) -> Role:
    """The role that a route needs."""
    needed = [dependency.call.role for dependency in route.dependant.dependencies if isinstance(dependency.call, Needs)]
    return max(needed, key=list(Role).index, default=Role.READER)


def path_of(route: APIRoute, tenant_id: UUID, hidden: HiddenRows) -> str:
    """The route's address in a tenant, with the hidden tenant's run and item."""
    values = {
        "tenant_id": str(tenant_id),
        "run_id": str(hidden.run_id),
        "portfolio_run_id": str(hidden.portfolio_run_id),
        "plan_id": str(hidden.plans[tenant_id]),
        "type_key": POLICIES,
        "external_id:path": THEIR_ITEM,
    }
    return re.sub(r"\{([^}]+)\}", lambda named: values[named[1]], route.path)


@pytest.fixture
async def hidden(database: Database, database_url: str) -> HiddenRows:
    return await fill(database, database_url, MARK)


async def fill(database: Database, database_url: str, mark: str, more: str = "") -> HiddenRows:
    """Fills two tenants: ours with one item, theirs with a row of most kinds.

    Their texts contain `mark`, and their documents also `more`.
    """
    await sync(database, CONTOSO, [observation(POLICIES, "ours", displayName="Ours")], POLICIES, GROUPS)
    for note in ("before", "after"):
        found = [
            observation(POLICIES, THEIR_ITEM, displayName=f"{mark} policy", note=f"{mark} {note}{more}"),
            observation(GROUPS, str(uuid4()), displayName=f"{mark} group {note}"),
        ]
        await sync(database, FABRIKAM, found, POLICIES, GROUPS)
        if note == "before":
            async with database.tenant(FABRIKAM) as session:
                await set_moment(session, THEIR_BASELINE, None, "the test", mark)
    async with database.tenant(FABRIKAM) as session:
        await evaluate(session, FABRIKAM, THEIR_BASELINE)
        await versions.pin(session, POLICIES, THEIR_ITEM, 1, "the test", mark)
        (fingerprint, *_) = await open_values(session, THEIR_BASELINE)
        run_id = (await session.execute(text("SELECT run_id FROM sync_run LIMIT 1"))).scalar_one()
        event = NotificationEvent(kind=NotificationKind.CHANGE, severity=Severity.HIGH, key="x", text=mark)
        await notifications.note(session, run_id, run_id, [AddressedEvent("ops", event)])
        snoozed = await snooze(session, datetime.now(UTC) + timedelta(days=9), mark, mark)
    identity = portfolio.PortfolioIdentity(
        uuid4(), mark, Selection(type_keys=(POLICIES,)), TenantChoice(tenant_ids=(FABRIKAM,)), mark, mark
    )
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, identity)
    async with database.tenant(FABRIKAM) as session:
        outcome = portfolio.TenantRunOutcome(run_id, RunStatus.SUCCESS, False, [])
        await portfolio.record_tenant(session, identity.portfolio_run_id, outcome)
    person = person_of(Role.ADMIN)
    into, out = [await plan_between(database_url, *pair, person) for pair in ((CONTOSO, FABRIKAM), (FABRIKAM, CONTOSO))]
    plans = {FABRIKAM: into.plan_id, CONTOSO: out.plan_id}
    return HiddenRows(run_id, identity.portfolio_run_id, fingerprint, snoozed.snooze_id, plans)


def their_rows(database_url: str) -> dict[str, str]:
    """A digest of the hidden tenant's rows for each table, read by a superuser."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_name)"
            " WHERE columns.table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE'"
        )
        digest = "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {} AS t WHERE tenant_id = %s"
        found = {}
        for (name,) in tables.fetchall():
            row = connection.execute(digest.format(name).encode(), [FABRIKAM]).fetchone()
            assert row is not None
            found[name] = row[0]
        assert len(found) > 25
        return found


@pytest.fixture
def unchanged(database_url: str, hidden: HiddenRows) -> Iterator[None]:
    before = their_rows(database_url)
    yield
    assert their_rows(database_url) == before


@pytest.fixture
async def clients(app: FastAPI, database: Database) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """A person of each role, who sees only our tenant."""
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(signed_in_as(app, database, person_of(role), [CONTOSO]))
            for role in Role
        }


def form_of(fields: Fields, **changed: str) -> dict[str, str]:
    """A form with a value in every field."""
    plain = {"request_id": str(uuid4()), "confirmed": "yes", "reason": "a test", "version": "1"}
    filled = {name: plain.get(name, "x") for name in fields.form}
    return {**filled, **changed}


def assert_tells_nothing(answer: httpx.Response, request: str) -> None:
    assert MARK not in answer.text, request
    assert answer.status_code != 500, request
    if "abrikam" not in request:
        assert "Fabrikam" not in answer.text, request


async def test_hidden_tenants_routes_refuse_every_role(
    clients: dict[Role, httpx.AsyncClient], hidden: HiddenRows, unchanged: None
) -> None:
    for route, role in product(routes(), Role):
        fields = fields_of(route.dependant)
        for method in sorted(route.methods or ()):
            if "{tenant_id}" in route.path:
                address = path_of(route, FABRIKAM, hidden)
                form = form_of(fields) if method == "POST" else None
                answer = await clients[role].request(method, address, data=form)
                expected = (404, 422) if role.includes(role_of(route)) else (403, 404, 422)
                assert answer.status_code in expected, (method, address, answer.text)
                assert_tells_nothing(answer, address)


async def test_visible_tenants_routes_show_no_hidden_rows(
    clients: dict[Role, httpx.AsyncClient], hidden: HiddenRows, unchanged: None
) -> None:
    for route, role in product(routes(), (Role.READER, Role.ADMIN)):
        if "GET" in (route.methods or ()) and not route.path.endswith("/live"):
            address = path_of(route, CONTOSO, hidden)
            assert_tells_nothing(await clients[role].get(address), address)


async def test_lower_role_is_refused_every_act(
    clients: dict[Role, httpx.AsyncClient], hidden: HiddenRows, unchanged: None
) -> None:
    acting = [route for route in routes() if "POST" in (route.methods or ())]
    assert len(acting) > 10
    for route, role in product(acting, Role):
        if not role.includes(role_of(route)):
            address = path_of(route, CONTOSO, hidden)
            answer = await clients[role].post(address, data=form_of(fields_of(route.dependant)))
            assert answer.status_code == 403, (address, answer.text)


@pytest.fixture
def admin(clients: dict[Role, httpx.AsyncClient]) -> httpx.AsyncClient:
    """The highest role: a lower role may do nothing that this role may not."""
    return clients[Role.ADMIN]


@pytest.mark.slow
async def test_query_strings_do_not_reach_a_hidden_tenant(
    admin: httpx.AsyncClient, hidden: HiddenRows, unchanged: None
) -> None:
    tried = 0
    for route in routes():
        if "GET" not in (route.methods or ()) or route.path.endswith("/live"):
            continue
        address = path_of(route, CONTOSO, hidden)
        names = fields_of(route.dependant).query
        for query in queries(sorted(names), hidden.words()):
            answer = await admin.get(address, params=query)
            assert_tells_nothing(answer, str(answer.request.url))
            tried += 1
    assert tried > 200


def queries(names: Sequence[str], words: Sequence[str]) -> Iterator[dict[str, str]]:
    """Each name with each word, and the pairs of names that make a question together."""
    for name in names:
        for word in words:
            yield {name: word}
    for first, other in (("left", "right"), ("golden", "tenants"), ("item", "type"), ("reaches", "type")):
        if {first, other} <= set(names):
            for word in words:
                second = POLICIES if other == "type" else str(CONTOSO)
                yield {first: word, other: second}
                yield {first: str(CONTOSO), other: word}
                if "by" in names:
                    yield {first: word, other: second, "by": "setting"}


@pytest.mark.slow
async def test_forms_do_not_reach_a_hidden_tenant(
    admin: httpx.AsyncClient, database: Database, hidden: HiddenRows, unchanged: None
) -> None:
    tried = 0
    for route in routes():
        if "POST" not in (route.methods or ()):
            continue
        address = path_of(route, CONTOSO, hidden)
        fields = fields_of(route.dependant)
        for name in sorted(fields.form - {"request_id", "confirmed"}):
            for word in hidden.words():
                answer = await admin.post(address, data=form_of(fields, **{name: word}))
                assert_tells_nothing(answer, f"{address} {name}={word}")
                tried += 1
    assert tried > 100
    async with database.no_tenant() as session:
        count = text("SELECT count(*) FROM audit_record WHERE tenant_id = :theirs AND action <> 'plan_created'")
        assert (await session.execute(count, {"theirs": FABRIKAM})).scalar_one() == 0
