"""Portfolio runs: one selection over many tenants, and what became of each."""

from storage.migrations.operations import execute

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATUSES = "('queued', 'running', 'success', 'partial', 'failed', 'cancelled')"

PORTFOLIO_RUN = """
CREATE TABLE portfolio_run (
    portfolio_run_id uuid PRIMARY KEY,
    workflow_id text NOT NULL,
    schedule text,
    selection_hash text NOT NULL,
    selection jsonb NOT NULL,
    chosen jsonb NOT NULL,
    status text NOT NULL DEFAULT 'running',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    error_codes text[] NOT NULL DEFAULT '{{}}',
    cancel_requested_by text,
    cancel_reason text,
    tenants bigint NOT NULL DEFAULT 0,
    success bigint NOT NULL DEFAULT 0,
    partial bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    joined bigint NOT NULL DEFAULT 0,
    CONSTRAINT status_known CHECK (status IN {statuses}),
    CONSTRAINT finished_iff_ended CHECK ((finished_at IS NULL) = (status = 'running')),
    CONSTRAINT selection_hash_is_sha256 CHECK (selection_hash ~ '^[0-9a-f]{{64}}$'),
    CONSTRAINT counts_not_negative CHECK (
        tenants >= 0 AND success >= 0 AND partial >= 0 AND failed >= 0 AND cancelled >= 0 AND joined >= 0
    ),
    CONSTRAINT outcomes_of_its_tenants CHECK (success + partial + failed + cancelled <= tenants)
);
CREATE INDEX portfolio_run_recent ON portfolio_run (started_at);
COMMENT ON TABLE portfolio_run IS 'one selection over many tenants';
COMMENT ON COLUMN portfolio_run.portfolio_run_id IS 'the workflow''s first execution run id';
COMMENT ON COLUMN portfolio_run.schedule IS 'the schedule that started it, if one did';
COMMENT ON COLUMN portfolio_run.selection IS 'the canonical selection';
COMMENT ON COLUMN portfolio_run.chosen IS 'which tenants: all, ids, tags'
"""

# Its rows name tenants, so no transaction that is bound to one may see them.
OF_NO_TENANT = """
ALTER TABLE portfolio_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY no_tenant ON portfolio_run TO tenant_inventory_worker
    USING (current_tenant() IS NULL) WITH CHECK (current_tenant() IS NULL);
CREATE POLICY all_tenants ON portfolio_run FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON portfolio_run TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON portfolio_run TO tenant_inventory_worker
"""

PORTFOLIO_RUN_TENANT = """
CREATE TABLE portfolio_run_tenant (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    portfolio_run_id uuid NOT NULL REFERENCES portfolio_run (portfolio_run_id) ON DELETE CASCADE,
    run_id uuid,
    status text NOT NULL,
    joined boolean NOT NULL,
    error_codes text[] NOT NULL DEFAULT '{{}}',
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, portfolio_run_id),
    CONSTRAINT status_known CHECK (status IN {statuses})
);
CREATE INDEX portfolio_run_tenant_by_run ON portfolio_run_tenant (portfolio_run_id);
COMMENT ON TABLE portfolio_run_tenant IS 'what became of one tenant in one portfolio run';
COMMENT ON COLUMN portfolio_run_tenant.run_id IS 'null where no run of the tenant could be started';
COMMENT ON COLUMN portfolio_run_tenant.status IS 'running where the run was not waited for';
COMMENT ON COLUMN portfolio_run_tenant.joined IS 'the run was under way already';
ALTER TABLE portfolio_run_tenant ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON portfolio_run_tenant TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON portfolio_run_tenant FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON portfolio_run_tenant TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON portfolio_run_tenant TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(PORTFOLIO_RUN.format(statuses=STATUSES))
    execute(OF_NO_TENANT)
    execute(PORTFOLIO_RUN_TENANT.format(statuses=STATUSES))
