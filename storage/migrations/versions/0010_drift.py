"""Baselines, what deviates from them, and what has been decided about it."""

from storage.migrations.operations import execute

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BASELINE = """
CREATE TABLE baseline (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    name text NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    run_id uuid,
    other_tenant_id uuid,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text,
    PRIMARY KEY (tenant_id, name),
    CONSTRAINT kind_known CHECK (kind IN ('run', 'moment', 'tenant')),
    CONSTRAINT run_iff_run CHECK ((run_id IS NOT NULL) = (kind = 'run')),
    CONSTRAINT tenant_iff_tenant CHECK ((other_tenant_id IS NOT NULL) = (kind = 'tenant')),
    CONSTRAINT another_tenant CHECK (other_tenant_id <> tenant_id)
);
COMMENT ON TABLE baseline IS 'what a tenant is held against; the versions of then are pinned';
COMMENT ON COLUMN baseline.at IS 'the moment; of a run its end; of a tenant when it was set';
COMMENT ON COLUMN baseline.other_tenant_id IS 'the tenant whose inventory, as it is, this one is held against';
CREATE TABLE baseline_collection (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    baseline text NOT NULL,
    type_key text NOT NULL,
    outcome text NOT NULL,
    error_code text,
    run_id uuid NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, baseline, type_key),
    FOREIGN KEY (tenant_id, baseline) REFERENCES baseline (tenant_id, name) ON DELETE CASCADE,
    CONSTRAINT outcome_known CHECK (outcome IN ('complete', 'incomplete', 'failed', 'skipped'))
);
COMMENT ON TABLE baseline_collection IS 'how far each collection had been read; complete ones are covered';
COMMENT ON COLUMN baseline_collection.run_id IS 'the latest completed run by then that selected the collection';
COMMENT ON COLUMN baseline_collection.read_at IS 'when that run ended';
CREATE TABLE baseline_gap (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    baseline text NOT NULL,
    type_key text NOT NULL,
    external_id text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (tenant_id, baseline, type_key, external_id),
    FOREIGN KEY (tenant_id, baseline) REFERENCES baseline (tenant_id, name) ON DELETE CASCADE,
    CONSTRAINT why_known CHECK (why IN ('forgotten', 'unread', 'presumed', 'ambiguous', 'undecided'))
);
COMMENT ON TABLE baseline_gap IS 'items of which the baseline does not know all';
COMMENT ON COLUMN baseline_gap.why IS
    'its version of then is forgotten; no document had been read; whether it was there is not recorded;'
    ' another tenant has several of its name; what it says cannot be compared with what another tenant''s says';
CREATE INDEX item_version_pin_by_whom ON item_version_pin (tenant_id, pinned_by, type_key, external_id)
"""

FINDING = """
CREATE TABLE drift_finding (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    fingerprint text NOT NULL,
    period bigint NOT NULL,
    baseline text NOT NULL,
    type_key text NOT NULL,
    external_id text NOT NULL,
    display_name text,
    item_kind text NOT NULL,
    path text NOT NULL,
    kind text NOT NULL,
    before text,
    after text,
    hidden boolean NOT NULL,
    value_hash bytea NOT NULL,
    severity text NOT NULL,
    evidence text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at timestamptz,
    PRIMARY KEY (tenant_id, fingerprint, period),
    FOREIGN KEY (tenant_id, baseline) REFERENCES baseline (tenant_id, name) ON DELETE CASCADE,
    CONSTRAINT fingerprint_is_sha256 CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    CONSTRAINT value_hash_is_sha256 CHECK (octet_length(value_hash) = 32),
    CONSTRAINT kind_known CHECK (kind IN ('added', 'removed', 'changed', 'item_added', 'item_missing')),
    CONSTRAINT severity_known CHECK (severity IN ('high', 'medium', 'low')),
    CONSTRAINT hidden_not_shown CHECK (NOT hidden OR before IS NULL AND after IS NULL)
);
CREATE UNIQUE INDEX drift_finding_one_open ON drift_finding (tenant_id, fingerprint) WHERE resolved_at IS NULL;
CREATE INDEX drift_finding_by_baseline ON drift_finding (tenant_id, baseline, type_key, external_id);
COMMENT ON TABLE drift_finding IS 'what deviates from a baseline: one row each time it began to';
COMMENT ON COLUMN drift_finding.fingerprint IS 'SHA-256 of tenant, baseline, item, field and kind';
COMMENT ON COLUMN drift_finding.period IS 'from 1: how often it has begun to deviate';
COMMENT ON COLUMN drift_finding.path IS 'the field; empty for the item as a whole';
COMMENT ON COLUMN drift_finding.before IS 'in the baseline: canonical JSON, sensitive values hidden';
COMMENT ON COLUMN drift_finding.value_hash IS 'SHA-256 of both values; a decision is about them';
COMMENT ON COLUMN drift_finding.first_seen_at IS 'when the first version that deviates was first observed';
COMMENT ON COLUMN drift_finding.last_seen_at IS 'when the item was last seen to deviate';
COMMENT ON COLUMN drift_finding.resolved_at IS 'when it was noticed that it no longer deviates'
"""

# No foreign key to the finding: a decision outlives a baseline that is dropped and set again.
DECISION = """
CREATE TABLE drift_decision (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    fingerprint text NOT NULL,
    number bigint NOT NULL,
    decision text NOT NULL,
    value_hash bytea NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL,
    until timestamptz,
    PRIMARY KEY (tenant_id, fingerprint, number),
    CONSTRAINT decision_known CHECK (decision IN ('open', 'accepted', 'expected')),
    CONSTRAINT value_hash_is_sha256 CHECK (octet_length(value_hash) = 32)
);
COMMENT ON TABLE drift_decision IS 'what has been decided about findings; the latest of each counts';
COMMENT ON COLUMN drift_decision.value_hash IS 'of the values that it is about; of others it is none';
COMMENT ON COLUMN drift_decision.until IS 'it holds before this moment; for good where null'
"""

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON {table} TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(BASELINE)
    execute(FINDING)
    execute(DECISION)
    for table in ("baseline", "baseline_collection", "baseline_gap", "drift_finding", "drift_decision"):
        execute(ISOLATION.format(table=table))
