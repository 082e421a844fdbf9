"""How far each collection has been read, and when items went missing and came back: each once, when it is noticed."""

from storage.migrations.operations import execute

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COVERAGE = """
CREATE TABLE collection_coverage (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    type_key text NOT NULL,
    run_id uuid NOT NULL,
    run_started_at timestamptz NOT NULL,
    outcome text NOT NULL,
    error_code text,
    first_listed_at timestamptz,
    listed_run_id uuid,
    listed_from timestamptz,
    listed_at timestamptz,
    listed_cleanly boolean,
    PRIMARY KEY (tenant_id, type_key),
    CONSTRAINT outcome_known CHECK (outcome IN ('complete', 'incomplete', 'failed', 'skipped')),
    CONSTRAINT listed_as_a_whole CHECK (num_nulls(first_listed_at, listed_run_id, listed_from, listed_at,
        listed_cleanly) IN (0, 5))
) WITH (fillfactor = 50);
COMMENT ON TABLE collection_coverage IS 'how far each collection has been read';
COMMENT ON COLUMN collection_coverage.run_id IS 'the latest completed run that selected the collection';
COMMENT ON COLUMN collection_coverage.first_listed_at IS 'when a run first had listed it to its end';
COMMENT ON COLUMN collection_coverage.listed_run_id IS 'the latest run that listed it to its end';
COMMENT ON COLUMN collection_coverage.listed_from IS 'when that run started';
COMMENT ON COLUMN collection_coverage.listed_at IS 'when that run ended';
COMMENT ON COLUMN collection_coverage.listed_cleanly IS 'that run was a success without an error'
"""

ABSENCE = """
ALTER TABLE inventory_item ADD COLUMN absent_from timestamptz;
COMMENT ON COLUMN inventory_item.absent_from IS
    'start of the run whose complete listing first did not show it; null while it is listed';
CREATE TABLE item_absence (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    absent_from timestamptz NOT NULL,
    run_id uuid NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL,
    evidence text NOT NULL,
    confidence text NOT NULL,
    came_back_at timestamptz,
    came_back_run_id uuid,
    PRIMARY KEY (tenant_id, type_key, external_id, absent_from),
    FOREIGN KEY (tenant_id, type_key, external_id) REFERENCES inventory_item (tenant_id, type_key, external_id),
    CONSTRAINT evidence_known CHECK (evidence IN ('confirmed', 'not_listed')),
    CONSTRAINT confidence_known CHECK (confidence IN ('high', 'low')),
    CONSTRAINT came_back_in_a_run CHECK ((came_back_at IS NULL) = (came_back_run_id IS NULL)),
    CONSTRAINT seen_before_absent CHECK (last_seen_at < absent_from)
);
CREATE INDEX item_absence_noticed ON item_absence (tenant_id, noticed_at);
CREATE INDEX item_absence_came_back ON item_absence (tenant_id, came_back_at) WHERE came_back_at IS NOT NULL;
COMMENT ON TABLE item_absence IS 'from when to when a complete listing did not show an item';
COMMENT ON COLUMN item_absence.absent_from IS 'start of the run whose complete listing first did not show it';
COMMENT ON COLUMN item_absence.noticed_at IS 'when that run ended'
"""

# Whichever statement makes an item seen again, and whoever has marked it meanwhile: its absence ends with the mark.
RETURN = """
CREATE FUNCTION end_absence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE item_absence SET came_back_at = NEW.last_seen_at, came_back_run_id = NEW.last_seen_run_id
    WHERE (tenant_id, type_key, external_id, absent_from)
        = (OLD.tenant_id, OLD.type_key, OLD.external_id, OLD.absent_from);
    RETURN NULL;
END $$;
CREATE TRIGGER came_back AFTER UPDATE ON inventory_item FOR EACH ROW
    WHEN (OLD.absent_from IS NOT NULL AND NEW.absent_from IS NULL) EXECUTE FUNCTION end_absence()
"""

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON {table} TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tenant_inventory_worker
"""

COMPLETED = "r.status IN ('success', 'partial', 'failed') AND r.started_at IS NOT NULL"

# What the runs so far have covered.
FILL_COVERAGE = f"""
INSERT INTO collection_coverage (
    tenant_id, type_key, run_id, run_started_at, outcome, error_code,
    first_listed_at, listed_run_id, listed_from, listed_at, listed_cleanly
)
SELECT latest.tenant_id, latest.type_key, latest.run_id, latest.started_at, latest.outcome, latest.error_code,
    listed.first_listed_at, listed.run_id, listed.started_at, listed.finished_at, listed.cleanly
FROM (
    SELECT DISTINCT ON (c.tenant_id, c.type_key) c.tenant_id, c.type_key, c.run_id, r.started_at, c.outcome,
        c.error_code
    FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
    WHERE {COMPLETED}
    ORDER BY c.tenant_id, c.type_key, r.started_at DESC
) AS latest LEFT JOIN (
    SELECT DISTINCT ON (c.tenant_id, c.type_key) c.tenant_id, c.type_key, c.run_id, r.started_at, r.finished_at,
        r.status = 'success' AND r.error_codes = '{{}}' AS cleanly,
        min(r.finished_at) OVER (PARTITION BY c.tenant_id, c.type_key) AS first_listed_at
    FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
    WHERE {COMPLETED} AND c.outcome = 'complete'
    ORDER BY c.tenant_id, c.type_key, r.started_at DESC
) AS listed USING (tenant_id, type_key)
"""

# Noticed by the first complete listing that began after the item was last seen.
FILL_ABSENCES = f"""
WITH absent AS (
    INSERT INTO item_absence (
        tenant_id, type_key, external_id, absent_from, run_id, noticed_at, last_seen_at, evidence, confidence
    )
    SELECT item.tenant_id, item.type_key, item.external_id, first.started_at, first.run_id, first.finished_at,
        item.last_seen_at,
        CASE WHEN item.missing_confirmed_at > item.last_seen_at THEN 'confirmed' ELSE 'not_listed' END,
        CASE WHEN first.cleanly THEN 'high' ELSE 'low' END
    FROM collection_coverage AS coverage JOIN inventory_item AS item USING (tenant_id, type_key) CROSS JOIN LATERAL (
        SELECT r.started_at, r.finished_at, r.run_id, r.status = 'success' AND r.error_codes = '{{}}' AS cleanly
        FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
        WHERE {COMPLETED} AND c.outcome = 'complete'
            AND (c.tenant_id, c.type_key) = (item.tenant_id, item.type_key) AND r.started_at > item.last_seen_at
        ORDER BY r.started_at LIMIT 1
    ) AS first
    WHERE item.last_seen_at < coverage.listed_from
    RETURNING tenant_id, type_key, external_id, absent_from
)
UPDATE inventory_item AS item SET absent_from = absent.absent_from FROM absent
WHERE (item.tenant_id, item.type_key, item.external_id) = (absent.tenant_id, absent.type_key, absent.external_id)
"""

INDEXES = """
CREATE INDEX inventory_item_absent ON inventory_item (tenant_id, type_key, external_id) WHERE absent_from IS NOT NULL;
CREATE INDEX inventory_item_recreation ON inventory_item (tenant_id, type_key, recreates_external_id)
    WHERE recreates_external_id IS NOT NULL;
CREATE INDEX item_version_observed ON item_version (tenant_id, first_observed_at)
"""


def upgrade() -> None:
    execute(COVERAGE)
    execute(ABSENCE)
    execute(FILL_COVERAGE)
    execute(FILL_ABSENCES)
    execute(INDEXES)
    execute(RETURN)
    for table in ("collection_coverage", "item_absence"):
        execute(ISOLATION.format(table=table))
