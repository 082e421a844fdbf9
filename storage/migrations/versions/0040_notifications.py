"""Notifications: one row for each event and target, what was looked at already, and what is snoozed."""

from storage.migrations.operations import execute, isolate

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS notification (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    target text NOT NULL,
    event_hash bytea NOT NULL CONSTRAINT event_hash_is_sha256 CHECK (octet_length(event_hash) = 32),
    delivery_id uuid NOT NULL,
    run_id uuid,
    kind text NOT NULL,
    severity text NOT NULL,
    event jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CONSTRAINT state_known CHECK (state IN ('pending', 'sent', 'failed', 'snoozed')),
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts bigint NOT NULL DEFAULT 0,
    ended_at timestamptz,
    answer text,
    PRIMARY KEY (tenant_id, target, event_hash),
    CONSTRAINT ended_iff_not_pending CHECK ((ended_at IS NULL) = (state = 'pending'))
);
CREATE INDEX IF NOT EXISTS notification_pending ON notification (tenant_id, target, delivery_id)
    WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS notification_recent ON notification (tenant_id, noted_at);
COMMENT ON TABLE notification IS 'one event for one target: what is to be sent, and what became of it';
COMMENT ON COLUMN notification.event_hash IS 'SHA-256 of what identifies the event: it is told once';
COMMENT ON COLUMN notification.delivery_id IS
    'of the message: its events go together, and every attempt has the same id';
COMMENT ON COLUMN notification.run_id IS 'the run that noticed the event; null where no run did';
COMMENT ON COLUMN notification.event IS 'what the message says of the event: names and labels, no value';
COMMENT ON COLUMN notification.not_before IS 'no attempt before this moment: one is under way, or has failed';
COMMENT ON COLUMN notification.answer IS 'what came back from the last attempt';
CREATE TABLE IF NOT EXISTS notification_position (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    subject text NOT NULL,
    quiet_until timestamptz NOT NULL DEFAULT clock_timestamp(),
    told_until timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, subject)
);
COMMENT ON TABLE notification_position IS 'how far the events of a collection, a baseline, or the runs have been told';
COMMENT ON COLUMN notification_position.quiet_until IS 'nothing from before this moment is told';
CREATE TABLE IF NOT EXISTS told_run (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    told_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES sync_run (tenant_id, run_id) ON DELETE CASCADE
);
COMMENT ON TABLE told_run IS 'runs whose events have been noted';
CREATE TABLE IF NOT EXISTS notification_snooze (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    snooze_id uuid NOT NULL,
    kind text,
    type_key text,
    external_id text,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    snoozed_by text NOT NULL,
    snoozed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, snooze_id)
);
COMMENT ON TABLE notification_snooze IS 'events of a tenant that nobody is told until a moment; null fits all'
"""


def upgrade() -> None:
    execute(TABLES)
    for table in ("notification", "notification_position", "told_run", "notification_snooze"):
        isolate(table)
