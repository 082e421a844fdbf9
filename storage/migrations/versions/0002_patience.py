"""For bad nights: a fair queue for slots, Graph's pauses shared by all workers, confirmed missing."""

from alembic import op

from storage.migrations.operations import execute

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CONFIRMED_MISSING = """
ALTER TABLE inventory_item
    ADD COLUMN missing_confirmed_at timestamptz,
    ADD COLUMN missing_confirmed_run_id uuid,
    ADD CONSTRAINT missing_confirmed_by_a_run
        CHECK ((missing_confirmed_at IS NULL) = (missing_confirmed_run_id IS NULL));
COMMENT ON COLUMN inventory_item.missing_confirmed_at IS 'when a GET by id last answered 404';
COMMENT ON COLUMN inventory_item.missing_confirmed_run_id IS 'the run that asked'
"""

PACING = """
CREATE TABLE request_pace (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    throttle_family text NOT NULL,
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_until timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, throttle_family)
) WITH (fillfactor = 50);
COMMENT ON TABLE request_pace IS 'when Graph may be asked again, by throttle family';
COMMENT ON COLUMN request_pace.not_before IS 'no request of the family before this moment';
COMMENT ON COLUMN request_pace.held_until IS 'a request that has its turn is under way until this moment, at most';
ALTER TABLE request_pace ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON request_pace TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON request_pace FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON request_pace TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON request_pace TO tenant_inventory_worker
"""

# First come, first served, so that nobody waits for ever; a tenant whose own slots are taken holds nobody else up.
# All that one tenant's transaction learns of the others is how many of their runs are before its own.
SLOT_QUEUE = """
DROP FUNCTION occupied_slots();
CREATE FUNCTION slot_turn(this_run uuid, per_tenant bigint, overall bigint)
    RETURNS TABLE (may_start boolean, ahead bigint) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        WITH open AS (
            SELECT tenant_id, run_id, status, queued_at FROM {schema}.sync_run
            WHERE finished_at IS NULL AND lease_expires_at > clock_timestamp()
        ),
        running AS (SELECT tenant_id, count(*) AS runs FROM open WHERE status = 'running' GROUP BY tenant_id),
        waiting AS (
            SELECT open.run_id, open.queued_at,
                coalesce(running.runs, 0)
                    + row_number() OVER (PARTITION BY open.tenant_id ORDER BY open.queued_at, open.run_id)
                    <= per_tenant AS tenant_has_room
            FROM open LEFT JOIN running USING (tenant_id)
            WHERE open.status = 'queued'
        ),
        before AS (
            SELECT other.tenant_has_room FROM waiting AS mine
            JOIN waiting AS other ON (other.queued_at, other.run_id) < (mine.queued_at, mine.run_id)
            WHERE mine.run_id = this_run
        )
        SELECT
            mine.tenant_has_room
                AND (SELECT coalesce(sum(runs), 0) FROM running)
                    + (SELECT count(*) FROM before WHERE tenant_has_room) < overall,
            (SELECT count(*) FROM before)
        FROM waiting AS mine WHERE mine.run_id = this_run;
    END;
REVOKE ALL ON FUNCTION slot_turn(uuid, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION slot_turn(uuid, bigint, bigint) TO tenant_inventory_worker
"""


def upgrade() -> None:
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    execute(CONFIRMED_MISSING)
    execute(PACING)
    execute(SLOT_QUEUE.format(schema=schema))
