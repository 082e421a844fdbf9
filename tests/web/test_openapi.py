"""A fuzzer attacks the page's JSON by its OpenAPI document: https://schemathesis.readthedocs.io."""

import asyncio
import hashlib
import secrets
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from inventory.people import Person, Role
from local.temporal import EmbeddedTemporal
from storage import access_rules, web_sessions
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from tests.storage.support import observation, sync
from tests.web.process import addresses, environment_of, running
from web.sign_in import COOKIE

pytestmark = pytest.mark.slow

CONTOSO = uuid4()
POLICIES = "conditionalAccessPolicies"


async def signed_in(database: Database, url: str, role: Role) -> str:
    """The session cookie of a person of this role."""
    token = secrets.token_urlsafe(32)
    async with database.no_tenant() as session:
        digest = hashlib.sha256(token.encode()).digest()
        person = Person(person_id=f"local/{role}", name="ada", role=role)
        await web_sessions.add_link(session, digest, person, timedelta(hours=1))
        everything = access_rules.Subject(person.person_id, None)
        await access_rules.set_rule(session, everything, is_excluded=False, set_by="the test", reason=None)
    async with httpx.AsyncClient(base_url=url, timeout=DEADLINE_SECONDS) as client:
        return (await client.get(f"/sign-in/{token}")).cookies[COOKIE]


PHASES = dict.fromkeys((Role.READER, Role.ADMIN), "coverage,fuzzing,stateful")
"""The lowest and the highest role run all phases; the roles between share their routes."""

CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 503]
"""
"""A valid request may be refused: a setting is unknown, or Temporal does not answer."""


def attack(url: str, cookie: str, phases: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "schemathesis.toml").write_text(CONFIG)
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/openapi.json"),
            *("--header", f"Cookie: {COOKIE}={cookie}", "--header", f"Origin: {url}"),
            *("--checks", "all", "--max-examples", "10", "--seed", "1", "--no-color", "--phases", phases),
            *("--request-timeout", str(DEADLINE_SECONDS)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize("role", Role)
async def test_no_request_breaks_the_page_or_its_schema(
    database: Database, database_url: str, temporal: EmbeddedTemporal, tmp_path: Path, role: Role
) -> None:
    for state in ("enabled", "disabled"):
        await sync(database, CONTOSO, [observation(POLICIES, "p1", displayName="Require MFA", state=state)], POLICIES)
    environment = environment_of(database_url, tmp_path, CONTOSO) | {"TEMPORAL_ADDRESS": temporal.address}
    with running(environment, "--port=0", "--json") as process:
        url = addresses(process)["url"]
        cookie = await signed_in(database, url, role)
        result = await asyncio.to_thread(attack, url, cookie, PHASES.get(role, "fuzzing"), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
