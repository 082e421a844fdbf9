"""Which objects an audit event is about, and when it happened: what finds the events of an object by index."""

from storage.migrations.operations import execute

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A table and no index on the meta: row-level security lets no condition on JSON use one.
TABLE = """
CREATE TABLE audited_object (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    object_id text NOT NULL,
    activity_at timestamptz NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (tenant_id, object_id, activity_at, event_id)
);
COMMENT ON TABLE audited_object IS 'which objects an audit event is about, kept by a trigger on the events';
COMMENT ON COLUMN audited_object.activity_at IS 'when it happened, by the clock of Graph';
COMMENT ON COLUMN audited_object.event_id IS 'external_id of the audit event';
ALTER TABLE audited_object ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON audited_object TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON audited_object FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON audited_object TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON audited_object TO tenant_inventory_worker
"""

# An event that says no time that can be read is about nothing that could be found by it; it never fails a merge. Ids
# are no longer than an index row holds.
TRIGGER = """
CREATE FUNCTION moment_of(written text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN written ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T.*Z$' THEN written::timestamptz END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
CREATE FUNCTION note_audited_objects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audited_object (tenant_id, object_id, activity_at, event_id)
    SELECT NEW.tenant_id, object_id, activity_at, NEW.external_id
    FROM moment_of(NEW.meta ->> 'activity_at') AS activity_at
        CROSS JOIN jsonb_array_elements_text(
            CASE WHEN jsonb_typeof(NEW.meta -> 'resource_ids') = 'array' THEN NEW.meta -> 'resource_ids' ELSE '[]' END
        ) AS object_id
    WHERE activity_at IS NOT NULL AND octet_length(object_id) BETWEEN 1 AND 512
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_event_added AFTER INSERT ON inventory_item FOR EACH ROW
    WHEN (NEW.type_key = 'auditEvents') EXECUTE FUNCTION note_audited_objects();
CREATE TRIGGER audit_event_changed AFTER UPDATE ON inventory_item FOR EACH ROW
    WHEN (NEW.type_key = 'auditEvents' AND OLD.meta <> NEW.meta) EXECUTE FUNCTION note_audited_objects()
"""


def upgrade() -> None:
    execute(TABLE)
    execute(TRIGGER)
