"""A run id of one tenant tells and stops nothing of another's, and no login borrows what guards versions.

A worker may be told any run id, and ids were unique over all tenants: a run of one tenant under the id of another's
kept that one from being recorded, and its place in the queue could be asked for.
"""

from alembic import op

from storage.access import ALL_TENANTS
from storage.migrations.operations import create_index, execute

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SLOT_TURN = f"""
CREATE OR REPLACE FUNCTION slot_turn(this_run uuid, per_tenant bigint, overall bigint)
    RETURNS TABLE (may_start boolean, ahead bigint) LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, {ALL_TENANTS}, pg_temp
    BEGIN ATOMIC
        WITH open AS (
            SELECT tenant_id, run_id, status, queued_at FROM {{schema}}.sync_run
            WHERE finished_at IS NULL AND lease_expires_at > clock_timestamp()
        ),
        running AS (SELECT tenant_id, count(*) AS runs FROM open WHERE status = 'running' GROUP BY tenant_id),
        waiting AS (
            SELECT open.tenant_id, open.run_id, open.queued_at,
                coalesce(running.runs, 0)
                    + row_number() OVER (PARTITION BY open.tenant_id ORDER BY open.queued_at, open.run_id)
                    <= per_tenant AS tenant_has_room
            FROM open LEFT JOIN running USING (tenant_id)
            WHERE open.status = 'queued'
        ),
        mine AS (
            SELECT * FROM waiting
            WHERE (waiting.tenant_id, waiting.run_id) = ({{schema}}.current_tenant(), this_run)
        ),
        before AS (
            SELECT other.tenant_has_room FROM mine
            JOIN waiting AS other ON (other.queued_at, other.run_id, other.tenant_id)
                < (mine.queued_at, mine.run_id, mine.tenant_id)
        )
        SELECT
            mine.tenant_has_room
                AND (SELECT coalesce(sum(runs), 0) FROM running)
                    + (SELECT count(*) FROM before WHERE tenant_has_room) < overall,
            (SELECT count(*) FROM before)
        FROM mine;
    END
"""

# It reads all tenants' pins as the owner. A trigger fires without this privilege, and who has it could put the
# function on a table of their own.
GUARD = "REVOKE ALL ON FUNCTION refuse_loss_of_version() FROM PUBLIC"


def upgrade() -> None:
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    execute(SLOT_TURN.format(schema=schema))
    execute(GUARD)
    create_index("sync_run_by_run_id", "sync_run (run_id)")
    execute("DROP INDEX IF EXISTS sync_run_by_id")
