"""Plans of promotions, which never change, what was decided about them, and how operators map references."""

from storage.migrations.operations import execute, isolate

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS promotion_plan (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    plan_id uuid NOT NULL,
    source_tenant_id uuid NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    counts jsonb NOT NULL,
    content_hash bytea NOT NULL CONSTRAINT content_hash_is_sha256 CHECK (octet_length(content_hash) = 32),
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, plan_id)
);
ALTER TABLE promotion_plan ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE promotion_plan IS 'what promotions into the tenant would write; a plan never changes';
COMMENT ON COLUMN promotion_plan.source_tenant_id IS
    'the tenant whose items would be written; the tenant itself where earlier versions would be restored';
COMMENT ON COLUMN promotion_plan.counts IS 'how many items would be treated which way';
COMMENT ON COLUMN promotion_plan.content_hash IS 'SHA-256 of the plan as JSON: an approval is of it';
COMMENT ON COLUMN promotion_plan.content IS 'the plan as JSON, a frame of zstd';
CREATE TABLE IF NOT EXISTS promotion_decision (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    plan_id uuid NOT NULL,
    decision text NOT NULL CONSTRAINT decision_known CHECK (decision IN ('approved', 'rejected')),
    content_hash bytea NOT NULL CONSTRAINT content_hash_is_sha256 CHECK (octet_length(content_hash) = 32),
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL,
    PRIMARY KEY (tenant_id, plan_id),
    FOREIGN KEY (tenant_id, plan_id) REFERENCES promotion_plan (tenant_id, plan_id)
);
COMMENT ON TABLE promotion_decision IS 'what was decided about plans: once, for good';
COMMENT ON COLUMN promotion_decision.content_hash IS 'of the plan that was decided about';
CREATE TABLE IF NOT EXISTS promotion_mapping (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    source_tenant_id uuid NOT NULL,
    type_key text NOT NULL,
    source_id text NOT NULL,
    target_id text NOT NULL,
    mapped_by text NOT NULL,
    mapped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL,
    PRIMARY KEY (tenant_id, source_tenant_id, type_key, source_id)
);
COMMENT ON TABLE promotion_mapping IS 'objects of the tenant that operators put in the place of another tenant''s'
"""

IMMUTABLE = """
CREATE OR REPLACE FUNCTION refuse_plan_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'plans and what was decided about them never change' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER promotion_plan_never_changes BEFORE UPDATE ON promotion_plan
    FOR EACH ROW EXECUTE FUNCTION refuse_plan_change();
CREATE OR REPLACE TRIGGER promotion_decision_never_changes BEFORE UPDATE ON promotion_decision
    FOR EACH ROW EXECUTE FUNCTION refuse_plan_change()
"""

ACTIONS = """
ALTER TABLE audit_record DROP CONSTRAINT IF EXISTS action_known;
ALTER TABLE audit_record ADD CONSTRAINT action_known CHECK (action IN (
    'signed_in', 'signed_out', 'sync_requested', 'sync_cancelled', 'deep_read_requested', 'schedule_changed',
    'schedule_deleted', 'decided', 'decision_withdrawn', 'baseline_set', 'baseline_removed', 'pinned', 'unpinned',
    'exported', 'access_changed', 'tenant_purged', 'plan_created', 'plan_approved', 'plan_approval_refused',
    'plan_rejected', 'reference_mapped', 'reference_unmapped'
))
"""


def upgrade() -> None:
    execute(TABLES)
    execute(IMMUTABLE)
    execute(ACTIONS)
    for table in ("promotion_plan", "promotion_decision", "promotion_mapping"):
        isolate(table)
