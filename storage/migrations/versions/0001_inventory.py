"""The tables of the inventory, row-level security, and staging bound to the transaction's tenant."""

from alembic import op

from storage.migrations.operations import execute

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TENANT_TABLES = (
    "tenant",
    "sync_run",
    "sync_run_collection",
    "merged_wave",
    "document",
    "inventory_item",
    "item_version",
)

TABLES = """
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

CREATE TABLE tenant (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id)
);
COMMENT ON COLUMN tenant.name IS 'as the tenants file calls it';

CREATE TABLE sync_run (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    run_id uuid NOT NULL,
    workflow_id text NOT NULL,
    selection_hash text NOT NULL,
    selection jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    lease_expires_at timestamptz,
    error_codes text[] NOT NULL DEFAULT '{}',
    cancel_requested_by text,
    cancel_reason text,
    pages bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    throttled bigint NOT NULL DEFAULT 0,
    observed bigint NOT NULL DEFAULT 0,
    created bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    missing bigint NOT NULL DEFAULT 0,
    invalid bigint NOT NULL DEFAULT 0,
    errors bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, run_id),
    CONSTRAINT status_known
        CHECK (status IN ('queued', 'running', 'success', 'partial', 'failed', 'cancelled')),
    CONSTRAINT finished_iff_ended CHECK ((finished_at IS NULL) = (status IN ('queued', 'running'))),
    CONSTRAINT lease_iff_open CHECK ((lease_expires_at IS NULL) = (finished_at IS NOT NULL)),
    CONSTRAINT running_has_started CHECK (status <> 'running' OR started_at IS NOT NULL),
    CONSTRAINT selection_hash_is_sha256 CHECK (selection_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT counts_not_negative
        CHECK (least(pages, requests, throttled, observed, created, changed, unchanged, missing, invalid, errors) >= 0)
);
COMMENT ON COLUMN sync_run.run_id IS 'the workflow''s first execution run id';
COMMENT ON COLUMN sync_run.selection_hash IS 'SHA-256 of the canonical selection, hexadecimal';
COMMENT ON COLUMN sync_run.selection IS 'the canonical selection';
COMMENT ON COLUMN sync_run.started_at IS 'when the run got its slot; null if it never did';
COMMENT ON COLUMN sync_run.lease_expires_at IS 'an open run past this moment is taken for abandoned';
CREATE UNIQUE INDEX sync_run_one_open_per_selection ON sync_run (tenant_id, selection_hash)
    WHERE finished_at IS NULL;
CREATE INDEX sync_run_latest_completed ON sync_run (tenant_id, selection_hash, started_at)
    WHERE status IN ('success', 'partial', 'failed') AND started_at IS NOT NULL;
CREATE UNIQUE INDEX sync_run_by_id ON sync_run (run_id);
CREATE INDEX sync_run_recent ON sync_run (tenant_id, queued_at);
CREATE INDEX sync_run_recent_overall ON sync_run (queued_at);
CREATE INDEX sync_run_open_lease ON sync_run (lease_expires_at) WHERE finished_at IS NULL;

CREATE TABLE sync_run_collection (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    type_key text NOT NULL,
    outcome text NOT NULL DEFAULT 'incomplete',
    pages bigint NOT NULL DEFAULT 0,
    items bigint NOT NULL DEFAULT 0,
    error_code text,
    context jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, run_id, type_key),
    FOREIGN KEY (tenant_id, run_id) REFERENCES sync_run (tenant_id, run_id) ON DELETE CASCADE,
    CONSTRAINT outcome_known CHECK (outcome IN ('complete', 'incomplete', 'failed', 'skipped')),
    CONSTRAINT error_code_is_a_code CHECK (error_code ~ '^[a-z_]+$')
);
COMMENT ON COLUMN sync_run_collection.context IS 'HTTP status, Graph code, request id, named bad objects';

CREATE UNLOGGED TABLE staged_item (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    fetch_token uuid NOT NULL,
    type_key text NOT NULL,
    external_id text NOT NULL,
    display_name text,
    meta jsonb NOT NULL,
    content_hash bytea NOT NULL,
    document text NOT NULL,
    staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, run_id, fetch_token, type_key, external_id)
);
COMMENT ON COLUMN staged_item.fetch_token IS 'one attempt at fetching one wave';
CREATE VIEW staged_item_of_tenant WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();

CREATE TABLE merged_wave (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    fetch_token uuid NOT NULL,
    result jsonb,
    PRIMARY KEY (tenant_id, run_id, fetch_token),
    FOREIGN KEY (tenant_id, run_id) REFERENCES sync_run (tenant_id, run_id) ON DELETE CASCADE
);
COMMENT ON COLUMN merged_wave.result IS 'null only inside the merging transaction';

CREATE TABLE document (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    content_hash bytea NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (tenant_id, content_hash),
    CONSTRAINT content_hash_is_sha256 CHECK (octet_length(content_hash) = 32)
);
COMMENT ON COLUMN document.content_hash IS 'SHA-256 of the body';
COMMENT ON COLUMN document.body IS 'canonical JSON';

CREATE TABLE inventory_item (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    type_key text NOT NULL,
    external_id text NOT NULL,
    display_name text,
    meta jsonb NOT NULL,
    content_hash bytea NOT NULL,
    version_number bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    first_seen_run_id uuid NOT NULL,
    content_changed_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    last_seen_run_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id),
    CONSTRAINT content_hash_is_sha256 CHECK (octet_length(content_hash) = 32),
    CONSTRAINT version_number_from_one CHECK (version_number >= 1),
    CONSTRAINT seen_in_order CHECK (first_seen_at <= last_seen_at)
) WITH (fillfactor = 80);
COMMENT ON COLUMN inventory_item.external_id IS 'the Graph id; a name is never an identity';
COMMENT ON COLUMN inventory_item.meta IS 'whitelisted keys only';
COMMENT ON COLUMN inventory_item.version_number IS 'of the current version';
COMMENT ON COLUMN inventory_item.content_changed_at IS 'when the current version was first observed';

CREATE TABLE item_version (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    version_number bigint NOT NULL,
    content_hash bytea NOT NULL,
    observed_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id, version_number),
    FOREIGN KEY (tenant_id, type_key, external_id) REFERENCES inventory_item (tenant_id, type_key, external_id),
    FOREIGN KEY (tenant_id, content_hash) REFERENCES document (tenant_id, content_hash)
);
CREATE INDEX item_version_by_document ON item_version (tenant_id, content_hash);
"""

# The only thing that one tenant's transaction may know of the others: how many runs hold a slot.
OCCUPIED_SLOTS = """
CREATE FUNCTION occupied_slots() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN (
        SELECT count(*) FROM {schema}.sync_run
        WHERE finished_at IS NULL AND status = 'running' AND lease_expires_at > clock_timestamp()
    )
"""

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON {table} TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
"""

GRANTS = """
GRANT USAGE ON SCHEMA {schema} TO tenant_inventory_worker, tenant_inventory_portfolio;
REVOKE ALL ON FUNCTION occupied_slots() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION occupied_slots() TO tenant_inventory_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON tenant, sync_run, sync_run_collection, merged_wave, inventory_item TO tenant_inventory_worker;
GRANT SELECT, INSERT ON document, item_version TO tenant_inventory_worker;
GRANT INSERT (run_id, fetch_token, type_key, external_id, display_name, meta, content_hash, document)
    ON staged_item TO tenant_inventory_worker;
GRANT SELECT, DELETE ON staged_item_of_tenant TO tenant_inventory_worker;
"""


def upgrade() -> None:
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    execute(TABLES)
    execute(OCCUPIED_SLOTS.format(schema=schema))
    for table in TENANT_TABLES:
        execute(ISOLATION.format(table=table))
    execute(GRANTS.format(schema=schema))
