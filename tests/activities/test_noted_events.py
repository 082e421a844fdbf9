"""The events that runs note in the outbox, by the rules of a notifications file, on a real database."""

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.messages.notifications import DeliverEvents, LookForEvents, NoteEvents, TenantsToTell
from activities.notifications import NotificationActivities, NotificationsFile
from activities.tenants import TenantsFile
from answers.drift.baselines import set_moment
from delivery.message import DeliveryAnswer, Message
from delivery.targets import AnyTarget
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Person, Role
from storage import notifications
from storage.confirmations import UnlistedItem, record_gone
from storage.database import Database
from tests.answers.promotion.plan_application import plan_between
from tests.storage.support import begin, end, land, observation, sync, without_locks

TENANT, OTHER = UUID(int=73), UUID(int=74)
POLICIES, GROUPS = "conditionalAccessPolicies", "groups"
FILE = """
[[target]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9/never-reached"
secret_env = "HOOK_SECRET"

[[rule]]
targets = ["ops"]
"""

THROTTLED = {POLICIES: (Outcome.INCOMPLETE, ErrorCode.GRAPH_THROTTLED), GROUPS: (Outcome.COMPLETE, None)}
FORBIDDEN = {POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING), GROUPS: (Outcome.COMPLETE, None)}


class Worker:
    """The activities of a worker, and runs whose events it notes."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.file = folder / "notifications.toml"
        self.file.write_text(FILE)
        self.tenants = folder / "tenants.toml"
        self.tenants.write_text(f'[[tenant]]\nid = "{TENANT}"\nname = "Contoso"\nmanaged_identity = true\n')
        self.activities = NotificationActivities(database, TenantsFile(self.tenants), NotificationsFile(self.file))

    async def run(
        self,
        *observations: Observation,
        outcomes: dict[str, tuple[Outcome, ErrorCode | None]] | None = None,
        missing: tuple[UnlistedItem, ...] = (),
    ) -> list[str]:
        """Runs both collections; returns the new lines in the outbox."""
        run = await begin(self.database, TENANT, POLICIES, GROUPS)
        await land(self.database, TENANT, run, observations)
        if missing:
            async with self.database.tenant(TENANT) as session:
                await record_gone(session, run.run_id, missing)
        await end(self.database, TENANT, run, RunStatus.PARTIAL if outcomes else RunStatus.SUCCESS, outcomes)
        return await self.note(run.run_id)

    async def note(self, *run_ids: UUID, expiring: bool = False) -> list[str]:
        """The new lines in the outbox."""
        before = await self.lines()
        request = NoteEvents(tenant_id=TENANT, look_id=uuid4(), run_ids=list(run_ids), expiring=expiring)
        await ActivityEnvironment().run(self.activities.note_events, request)
        return [line for line in await self.lines() if line not in before]

    async def look(self) -> TenantsToTell:
        return await ActivityEnvironment().run(self.activities.look_for_events, LookForEvents(look_id=uuid4()))

    async def lines(self) -> list[str]:
        async with self.database.tenant(TENANT) as session:
            found = await session.execute(
                text("SELECT concat_ws(' ', state, severity, event ->> 'text') FROM notification ORDER BY event_hash")
            )
            return list(found.scalars())


@pytest.fixture
def worker(database: Database, tmp_path: Path) -> Worker:
    return Worker(database, tmp_path)


def policy(state: str = "enabled", name: str = "Require MFA", **properties: object) -> Observation:
    return observation(POLICIES, "p", displayName=name, state=state, **properties)


GROUP = observation(GROUPS, "g", displayName="Pilot")
WEAKENED = "pending high Require MFA (Conditional Access policy) was weakened: state"


async def test_the_first_run_notes_no_events(worker: Worker) -> None:
    assert await worker.run(policy(), GROUP) == []


async def test_a_weakened_policy_is_noted_once(worker: Worker) -> None:
    await worker.run(policy(), GROUP)
    assert await worker.run(policy("disabled"), GROUP) == [WEAKENED]
    assert await worker.run(policy("disabled"), GROUP) == []
    assert await worker.run(policy("enabled"), GROUP) == [
        "pending low Require MFA (Conditional Access policy) was strengthened: state"
    ]


async def test_all_events_of_a_run_go_in_one_message(worker: Worker, database: Database) -> None:
    await worker.run(policy(), GROUP)
    renamed = observation(GROUPS, "g", displayName="Pilots")
    assert len(await worker.run(policy("disabled"), renamed)) == 2
    async with database.tenant(TENANT) as session:
        deliveries = (await session.execute(text("SELECT DISTINCT delivery_id FROM notification"))).all()
    assert len(deliveries) == 1


async def test_a_rule_selects_events_that_match_all_its_conditions(worker: Worker) -> None:
    worker.file.write_text(f'{FILE}kinds = ["change"]\ntypes = ["{POLICIES}"]\neffect = "weakens"\nseverity = "high"\n')
    await worker.run(policy(), GROUP)
    renamed = observation(GROUPS, "g", displayName="Pilots")
    assert await worker.run(policy("disabled"), renamed) == [WEAKENED]
    assert await worker.run(policy("enabled"), renamed, outcomes=FORBIDDEN) == [], (
        "neither a partial run nor a strengthened policy is noted"
    )


@pytest.mark.parametrize("outcomes", [THROTTLED, FORBIDDEN], ids=["throttled", "forbidden"])
async def test_an_incomplete_collection_notes_no_changes(
    worker: Worker, outcomes: dict[str, tuple[Outcome, ErrorCode | None]]
) -> None:
    await worker.run(policy(), GROUP)
    (partial,) = await worker.run(policy("disabled"), GROUP, outcomes=outcomes)
    assert partial.startswith("pending medium run partial: 1 collection not read")
    assert await worker.run(policy("disabled"), GROUP) == [WEAKENED], "noted by the run that completes the collection"


async def test_items_unseen_by_a_partial_run_are_not_gone(worker: Worker) -> None:
    await worker.run(policy(), GROUP)
    (partial,) = await worker.run(GROUP, outcomes=FORBIDDEN)
    assert partial == "pending medium run partial: 1 collection not read (graph_permission_missing 1)"


async def test_only_confirmed_items_are_gone(worker: Worker) -> None:
    await worker.run(policy(), GROUP)
    assert await worker.run(GROUP) == [], "unlisted, and not requested by id"
    await worker.run(policy(), GROUP)
    item = UnlistedItem(POLICIES, "p", "", None)
    assert await worker.run(GROUP, missing=(item,)) == ["pending high Require MFA (Conditional Access policy) is gone"]


async def test_a_run_that_ends_late_notes_its_changes(worker: Worker, database: Database) -> None:
    """Another run of the same collection began later and was noted before."""
    await worker.run(policy(), GROUP)
    late = await begin(database, TENANT, POLICIES)
    await land(database, TENANT, late, [policy("disabled")])
    assert await worker.run(policy("disabled"), GROUP) == [], "the run that noticed the change is open"
    await end(database, TENANT, late)
    assert await worker.note(late.run_id) == [WEAKENED]


async def test_events_contain_no_secrets_and_no_values(worker: Worker, database: Database) -> None:
    hidden = {"password": "hush-1"}
    await worker.run(policy(), observation(GROUPS, "g", displayName="Pilot", description="before", extra=hidden))
    changed = observation(GROUPS, "g", displayName="Pilot", description="after-text", extra={"password": "hush-2"})
    (line,) = await worker.run(policy(), changed)
    assert "description" in line
    async with database.tenant(TENANT) as session:
        stored = (await session.execute(text("SELECT string_agg(event::text, '') FROM notification"))).scalar_one()
    for value in ("hush", "before", "after-text"):
        assert value not in stored


async def test_message_about_a_hostile_name_has_no_control_characters(worker: Worker) -> None:
    await worker.run(policy(name="x"), GROUP)
    name = 'Evil\r\nBcc: a@b\x1b[31m<script>"{{'
    (line,) = await worker.run(policy("disabled", name=name), GROUP)
    assert line.startswith("pending high")
    messages = []

    async def send(_target: AnyTarget, message: Message) -> DeliveryAnswer:
        messages.append(message)
        return DeliveryAnswer(True, "")

    worker.activities._send = send
    request = DeliverEvents(tenant_id=TENANT, target="ops")
    assert (await ActivityEnvironment().run(worker.activities.deliver_events, request)).sent == 1
    clean_name = 'Evil Bcc: a@b\N{REPLACEMENT CHARACTER}[31m<script>"{{'
    event = f"{clean_name} (Conditional Access policy) was weakened: state, displayName"
    assert [(sent.subject, sent.lines) for sent in messages] == [(f"Contoso: {event}", [event])]


async def test_only_new_drift_is_noted_and_only_once(worker: Worker, database: Database) -> None:
    worker.file.write_text(f'{FILE}kinds = ["drift"]\n')
    await worker.run(policy(), GROUP)
    async with database.tenant(TENANT) as session:
        await set_moment(session, "agreed", None, "ada", None)
    assert await worker.run(policy(), GROUP) == []
    assert await worker.run(policy("disabled"), GROUP, outcomes=THROTTLED) == [], "the collection is incomplete"
    assert await worker.run(policy("disabled"), GROUP) == [
        "pending high drift from agreed: Require MFA (Conditional Access policy): state"
    ]
    assert await worker.run(policy("disabled"), GROUP) == []


async def snooze(database: Database, until: str = "now() + interval '1 day'", **scope: str) -> None:
    columns = "".join(f", {name}" for name in scope)
    values = "".join(f", '{value}'" for value in scope.values())
    async with database.tenant(TENANT) as session:
        await session.execute(
            text(
                f"INSERT INTO notification_snooze (snooze_id, until, reason, snoozed_by{columns})"
                f" VALUES (gen_random_uuid(), {until}, 'maintenance', 'ada'{values})"
            )
        )


async def test_snoozed_events_are_noted_as_snoozed(worker: Worker, database: Database) -> None:
    await worker.run(policy(), GROUP)
    await snooze(database, type_key=POLICIES)
    await snooze(database, "now() - interval '1 minute'", type_key=GROUPS)
    renamed = observation(GROUPS, "g", displayName="Pilots")
    lines = await worker.run(policy("disabled"), renamed)
    assert sorted(line.split()[0] for line in lines) == ["pending", "snoozed"]
    assert next(line for line in lines if "Conditional" in line).startswith("snoozed")


async def test_a_lack_of_clean_runs_is_noted_once_per_clean_run(worker: Worker, database: Database) -> None:
    worker.file.write_text(f'{FILE}kinds = ["not_read"]\nnot_read_hours = 6\n')
    await worker.run(policy(), GROUP)
    assert (await worker.look()).tenants == []

    async def backdate_runs(age: str) -> None:
        async with database.tenant(TENANT) as session:
            moved = f"started_at - interval '{age}', finished_at - interval '{age}', queued_at - interval '{age}'"
            await session.execute(text(f"UPDATE sync_run SET (started_at, finished_at, queued_at) = ({moved})"))

    await backdate_runs("7 hours")
    await snooze(database, kind="not_read")
    assert (await worker.look()).tenants == [], "snoozed"
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE notification_snooze SET ended_at = now()"))
    found = await worker.look()
    assert [tenant.tenant_id for tenant in found.tenants] == [TENANT]
    (line,) = await worker.lines()
    assert line.startswith("pending high no clean run for 6 hours; the last one ended ")
    await worker.look()
    assert len(await worker.lines()) == 1
    await worker.run(policy(), GROUP)
    assert len(await worker.lines()) == 1


def certificate(until: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1, tzinfo=UTC), until)
    return base64.b64encode(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


async def test_an_expiry_is_noted_once_for_each_number_of_days(worker: Worker, database: Database) -> None:
    worker.file.write_text(f'{FILE}kinds = ["expiring"]\nexpiring_days = [30, 7, 0]\n')
    now = datetime.now(UTC)

    def app(days: float, key: str = "k") -> Observation:
        ends = (now + timedelta(days=days)).isoformat()
        secret = {"keyId": key, "displayName": "deploy", "endDateTime": ends, "secretText": None}
        return observation("applications", "a", displayName="Deployer", passwordCredentials=[secret])

    async def read(*observations: Observation, outcome: Outcome = Outcome.COMPLETE) -> None:
        types = ("applications", "applePushNotificationCertificate", "deviceConfigurations")
        run = await begin(database, TENANT, *types)
        await land(database, TENANT, run, observations)
        await end(database, TENANT, run, outcomes=dict.fromkeys(types, (outcome, None)))

    push = observation(
        "applePushNotificationCertificate", "apns", expirationDateTime=(now - timedelta(days=9)).isoformat()
    )
    root = observation(
        "deviceConfigurations", "r", displayName="Root", trustedRootCertificate=certificate(now + timedelta(days=3))
    )
    await read(app(20), push, root, outcome=Outcome.INCOMPLETE)
    assert await worker.note(expiring=True) == [], "the collection was never complete"
    await read(app(20), push, root)
    found = await worker.note(expiring=True)
    assert sorted(line.rsplit(" ", 1)[0] for line in found) == [
        "pending high trusted root certificate of Root expires",
        "pending medium client secret deploy of Deployer expires",
    ], "credentials that expired before the first run are not noted"
    assert await worker.note(expiring=True) == []
    await read(app(5), push, root)
    (line,) = await worker.note(expiring=True)
    assert line.startswith("pending high client secret deploy of Deployer expires")
    await read(app(5), push, root, outcome=Outcome.INCOMPLETE)
    async with database.tenant(TENANT) as session:
        await session.execute(text("DELETE FROM notification"))
    assert await worker.note(expiring=True) == [], "the latest run left the collection incomplete"


async def test_the_expiry_of_the_configured_certificate_is_noted(worker: Worker, tmp_path: Path) -> None:
    """Even if the tenant's inventory does not hold the app, as with a provider's app."""
    worker.file.write_text(f'{FILE}kinds = ["expiring"]\nexpiring_days = [30, 7, 0]\n')
    await worker.run(policy(), GROUP)
    ends = datetime.now(UTC) + timedelta(days=5)
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kept = tmp_path / "app.pem"
    entry = f'[[tenant]]\nid = "{TENANT}"\nname = "Contoso"\nclient_id = "the-app"\ncertificate_file = "{kept}"\n'
    (tmp_path / "tenants.toml").write_text(entry)
    assert await worker.note(expiring=True) == [], "runs report the missing file"
    kept.write_bytes(ssl.DER_cert_to_PEM_cert(base64.b64decode(certificate(ends))).encode() + key)
    events = [f"pending high credential of the app that reads this tenant expires {ends:%Y-%m-%d}"]
    assert await worker.note(expiring=True) == events
    assert await worker.note(expiring=True) == []


async def test_an_expiring_secret_of_the_reading_app_names_that_app(
    worker: Worker, database: Database, tmp_path: Path
) -> None:
    worker.file.write_text(f'{FILE}kinds = ["expiring"]\n')
    client_id = str(uuid4())
    entry = f'[[tenant]]\nid = "{TENANT}"\nname = "Contoso"\nclient_id = "{client_id.upper()}"\n'
    (tmp_path / "tenants.toml").write_text(f'{entry}client_secret_env = "X"\n')
    ends = datetime.now(UTC) + timedelta(days=5)
    secret = {"keyId": "k", "displayName": "deploy", "endDateTime": ends.isoformat(), "secretText": None}
    apps = [
        observation("applications", name, displayName=name, appId=app_id, passwordCredentials=[secret])
        for name, app_id in (("Ours", client_id), ("Another", str(uuid4())))
    ]
    run = await begin(database, TENANT, "applications")
    await land(database, TENANT, run, apps)
    await end(database, TENANT, run, outcomes={"applications": (Outcome.COMPLETE, None)})
    assert sorted(await worker.note(expiring=True)) == [
        f"pending high client secret deploy of Another expires {ends:%Y-%m-%d}",
        f"pending high client secret deploy of Ours, the app that reads this tenant, expires {ends:%Y-%m-%d}",
    ]


async def test_a_look_finds_runs_without_a_notification_workflow(
    worker: Worker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.run(policy(), GROUP)
    run = await begin(database, TENANT, POLICIES, GROUPS)
    await end(database, TENANT, run, RunStatus.FAILED, dict.fromkeys((POLICIES, GROUPS), (Outcome.FAILED, None)))
    monkeypatch.setattr("activities.notifications.UNTOLD_FOR", timedelta(0))
    worker.file.write_text(f'{FILE}kinds = ["run_failed"]\n')
    (tenant,) = (await worker.look()).tenants
    assert (tenant.tenant_id, tenant.run_ids, tenant.expiring) == (TENANT, [run.run_id], False)
    assert await worker.note(run.run_id) == ["pending high run failed: 2 collections not read (not read 2)"]
    assert [found.run_ids for found in (await worker.look()).tenants] == [[]], "the event is pending"


async def test_old_notifications_are_deleted(worker: Worker, database: Database) -> None:
    await worker.run(policy(), GROUP)
    await worker.run(policy("disabled"), GROUP)
    async with database.tenant(TENANT) as session:
        await session.execute(
            text("UPDATE notification SET state = 'sent', ended_at = clock_timestamp() - interval '91 days'")
        )
    await worker.note(expiring=True)
    assert await worker.lines() == []


async def test_a_plan_that_waits_for_approval_is_noted_once(worker: Worker, database_url: str) -> None:
    other = uuid4()
    await worker.run(policy(), GROUP)
    await sync(worker.database, other, [observation(POLICIES, "golden", displayName="Block")], POLICIES, GROUPS)
    ada = Person(person_id="local/ada", name="ada", role=Role.ADMIN)
    plan = await plan_between(database_url, other, TENANT, ada)
    for _ in range(2):
        assert (await worker.look()).tenants
        assert await worker.lines() == [
            f"pending medium a promotion plan of ada waits for approval: {plan.plan_id}",
        ]


async def test_a_locked_tenant_is_left_for_the_next_look(worker: Worker, database_url: str) -> None:
    worker.file.write_text(f'{FILE}kinds = ["plan_waiting"]\n')
    entry = f'[[tenant]]\nid = "{OTHER}"\nname = "Fabrikam"\nmanaged_identity = true\n'
    worker.tenants.write_text(worker.tenants.read_text() + entry)
    for tenant_id in (TENANT, OTHER):
        golden = observation(POLICIES, "golden", displayName="Block")
        await sync(worker.database, tenant_id, [golden], POLICIES, GROUPS)
    ada = Person(person_id="local/ada", name="ada", role=Role.ADMIN)
    await plan_between(database_url, TENANT, OTHER, ada)
    await plan_between(database_url, OTHER, TENANT, ada)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(
            "INSERT INTO notification_position (tenant_id, subject, quiet_until, told_until)"
            " VALUES (%s, %s, now(), now())",
            [TENANT, notifications.RUNS],
        )
        found = await without_locks(database_url, worker.look())
        await connection.rollback()
    assert [tenant.tenant_id for tenant in found.tenants] == [OTHER]
    assert {tenant.tenant_id for tenant in (await worker.look()).tenants} == {TENANT, OTHER}
