"""Whole documents: details beside the list, compressed bodies, versions that know when they were observed."""

from uuid import UUID

from alembic import op
from sqlalchemy import Connection, text
from zstandard import ZstdCompressor

from storage.migrations.operations import execute

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROWS_AT_A_TIME = 1000

LISTS_WITHOUT_DETAILS = (
    "androidManagedAppProtections",
    "compliancePolicies",
    "configurationPolicies",
    "depOnboardingSettings",
    "deviceCustomAttributeShellScripts",
    "deviceEnrollmentConfigurations",
    "deviceHealthScripts",
    "deviceManagementScripts",
    "deviceShellScripts",
    "groupPolicyConfigurations",
    "intents",
    "intuneBrandingProfiles",
    "iosManagedAppProtections",
    "mobileApps",
    "policySets",
    "reusablePolicySettings",
    "roleAssignments",
    "roleScopeTags",
    "termsAndConditions",
    "windowsDriverUpdateProfiles",
    "windowsManagedAppProtections",
)
"""The collections of release 0.2.0 of which only the list was read, though items have more."""

STAGING = """
TRUNCATE staged_item;
ALTER TABLE staged_item
    DROP COLUMN document CASCADE,
    ADD COLUMN document bytea NOT NULL,
    ADD COLUMN document_size bigint NOT NULL,
    ADD COLUMN likeness_hash bytea NOT NULL,
    ADD COLUMN list_hash bytea,
    ADD COLUMN is_whole boolean NOT NULL;
ALTER TABLE staged_item ALTER COLUMN document SET STORAGE EXTERNAL;
COMMENT ON COLUMN staged_item.document IS 'canonical JSON, zstd';
COMMENT ON COLUMN staged_item.is_whole IS 'false for what a list shows of an item that has details';
CREATE VIEW staged_item_of_tenant WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_item_of_tenant TO tenant_inventory_worker;
GRANT INSERT (document, document_size, likeness_hash, list_hash, is_whole) ON staged_item TO tenant_inventory_worker
"""

DOCUMENTS = """
ALTER TABLE document ADD COLUMN compressed bytea, ADD COLUMN size bigint;
ALTER TABLE document ALTER COLUMN compressed SET STORAGE EXTERNAL
"""

DOCUMENTS_COMPRESSED = """
ALTER TABLE document DROP COLUMN body;
ALTER TABLE document RENAME COLUMN compressed TO body;
ALTER TABLE document ALTER COLUMN body SET NOT NULL, ALTER COLUMN size SET NOT NULL;
COMMENT ON COLUMN document.content_hash IS 'SHA-256 of the body before compression';
COMMENT ON COLUMN document.body IS 'canonical JSON, zstd';
COMMENT ON COLUMN document.size IS 'bytes of the body before compression'
"""

ITEMS = """
ALTER TABLE inventory_item
    ADD COLUMN likeness_hash bytea,
    ADD COLUMN list_hash bytea,
    ADD COLUMN details_read_at timestamptz,
    ADD COLUMN details_complete boolean NOT NULL DEFAULT true,
    ADD COLUMN content_observed_at timestamptz,
    ADD COLUMN content_observed_run_id uuid,
    ADD COLUMN recreates_external_id text,
    DROP CONSTRAINT version_number_from_one,
    ADD CONSTRAINT version_number_from_zero CHECK (version_number >= 0);
COMMENT ON COLUMN inventory_item.version_number IS 'of the current version; 0 where no document has been read yet';
COMMENT ON COLUMN inventory_item.likeness_hash IS 'SHA-256 of the document without its identity';
COMMENT ON COLUMN inventory_item.list_hash IS 'of the list''s document whose details were last read';
COMMENT ON COLUMN inventory_item.details_complete IS 'the current version holds all details of what the list shows';
COMMENT ON COLUMN inventory_item.content_observed_at IS
    'when the current version was last observed, where that is not when the item was last seen';
COMMENT ON COLUMN inventory_item.recreates_external_id IS
    'an item that was gone when this one came, the same but for its id';
UPDATE inventory_item SET details_complete = false WHERE type_key = ANY ({lists})
"""

VERSIONS = """
ALTER TABLE item_version RENAME COLUMN observed_at TO first_observed_at;
ALTER TABLE item_version RENAME COLUMN run_id TO first_observed_run_id;
ALTER TABLE item_version
    ADD COLUMN display_name text,
    ADD COLUMN details_complete boolean NOT NULL DEFAULT true,
    ADD COLUMN last_observed_at timestamptz,
    ADD COLUMN last_observed_run_id uuid;
COMMENT ON COLUMN item_version.last_observed_at IS
    'null for the current version, which was last observed when its item was, and where 0.2.0 did not record it';
UPDATE item_version SET details_complete = false WHERE type_key = ANY ({lists});
UPDATE item_version AS v SET display_name = item.display_name
FROM inventory_item AS item
WHERE (item.tenant_id, item.type_key, item.external_id, item.version_number)
    = (v.tenant_id, v.type_key, v.external_id, v.version_number)
"""

IMMUTABLE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION refuse_change_of_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.last_observed_at IS NOT NULL
        OR (to_jsonb(OLD) - '{last_observed_at,last_observed_run_id}'::text[])
            <> (to_jsonb(NEW) - '{last_observed_at,last_observed_run_id}'::text[]) THEN
        RAISE EXCEPTION 'a version is immutable' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION refuse_loss_of_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inventory_item AS item
        WHERE (item.tenant_id, item.type_key, item.external_id, item.version_number)
            = (OLD.tenant_id, OLD.type_key, OLD.external_id, OLD.version_number)
    ) OR EXISTS (
        SELECT FROM item_version_pin AS pin
        WHERE (pin.tenant_id, pin.type_key, pin.external_id, pin.version_number)
            = (OLD.tenant_id, OLD.type_key, OLD.external_id, OLD.version_number)
    ) THEN
        RAISE EXCEPTION 'a current or pinned version stays' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER immutable BEFORE UPDATE ON document FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE ON item_version FOR EACH ROW EXECUTE FUNCTION refuse_change_of_version();
CREATE TRIGGER kept BEFORE DELETE ON item_version FOR EACH ROW EXECUTE FUNCTION refuse_loss_of_version();
GRANT UPDATE (last_observed_at, last_observed_run_id) ON item_version TO tenant_inventory_worker
"""

PINS = """
CREATE TABLE item_version_pin (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    version_number bigint NOT NULL,
    pinned_by text NOT NULL,
    reason text,
    pinned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, type_key, external_id, version_number, pinned_by),
    FOREIGN KEY (tenant_id, type_key, external_id, version_number)
        REFERENCES item_version (tenant_id, type_key, external_id, version_number)
);
COMMENT ON TABLE item_version_pin IS 'versions that retention leaves alone';
COMMENT ON COLUMN item_version_pin.pinned_by IS 'who or what needs it: a user, a baseline'
"""

PENDING = """
CREATE TABLE pending_item (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    type_key text NOT NULL,
    external_id text NOT NULL,
    shard smallint NOT NULL,
    list_hash bytea NOT NULL,
    list_document bytea NOT NULL,
    list_document_size bigint NOT NULL,
    progress bytea,
    attempts bigint NOT NULL DEFAULT 0,
    failure jsonb,
    PRIMARY KEY (tenant_id, run_id, type_key, external_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES sync_run (tenant_id, run_id) ON DELETE CASCADE
);
COMMENT ON TABLE pending_item IS 'items of a run whose details are still to be read';
COMMENT ON COLUMN pending_item.shard IS 'from 0 to 15, so that several waves can share a collection';
COMMENT ON COLUMN pending_item.list_document IS 'what the list shows of the item: canonical JSON, zstd';
COMMENT ON COLUMN pending_item.progress IS 'the answers so far, and what is still to be asked: JSON, zstd';
COMMENT ON COLUMN pending_item.failure IS 'why its details cannot be read';
ALTER TABLE pending_item ALTER COLUMN list_document SET STORAGE EXTERNAL, ALTER COLUMN progress SET STORAGE EXTERNAL
"""

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON {table} TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tenant_inventory_worker
"""

# The worker's role may not delete versions; this is the one way, and it knows the rules. Merges hold the same lock
# shared, since one of them may be about to refer to a document that nothing else refers to. A call goes through the
# items in the order of their keys and says how far it came, so that a million versions are looked at once, and not
# again at every call (10 seconds each).
RETENTION = """
CREATE FUNCTION document_lock() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN hashtextextended('document ' || current_tenant()::text, 0);
CREATE FUNCTION forget_versions(
    superseded_before timestamptz, kept bigint, most bigint, after_type_key text, after_external_id text
)
    RETURNS TABLE (versions bigint, documents bigint, last_type_key text, last_external_id text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    hashes bytea[];
    looked_at bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(document_lock());
    WITH looked AS MATERIALIZED (
        SELECT item.type_key, item.external_id, item.version_number
        FROM inventory_item AS item
        WHERE item.tenant_id = current_tenant()
            AND (item.type_key, item.external_id) > (after_type_key, after_external_id)
        ORDER BY item.type_key, item.external_id LIMIT most
    ),
    aged AS (
        SELECT v.type_key, v.external_id, v.version_number, looked.version_number AS current,
            lead(v.first_observed_at) OVER item AS superseded_at,
            count(*) OVER item_from_newest AS newest_first
        FROM looked CROSS JOIN LATERAL (
            SELECT * FROM item_version AS v
            WHERE v.tenant_id = current_tenant()
                AND (v.type_key, v.external_id) = (looked.type_key, looked.external_id)
        ) AS v
        WHERE looked.version_number > 1
        WINDOW item AS (PARTITION BY v.type_key, v.external_id ORDER BY v.version_number),
            item_from_newest AS (PARTITION BY v.type_key, v.external_id ORDER BY v.version_number DESC)
    ),
    chosen AS MATERIALIZED (
        SELECT aged.type_key, aged.external_id, aged.version_number
        FROM aged
        WHERE (aged.superseded_at < superseded_before OR aged.newest_first > kept)
            AND aged.version_number < aged.current
            AND NOT EXISTS (
                SELECT FROM item_version_pin AS pin
                WHERE pin.tenant_id = current_tenant() AND (pin.type_key, pin.external_id, pin.version_number)
                    = (aged.type_key, aged.external_id, aged.version_number)
            )
        ORDER BY aged.type_key, aged.external_id, aged.version_number LIMIT most
    ),
    -- Where the limit cut an item's versions off, the next call looks at that item again.
    cut AS (
        SELECT type_key, external_id FROM chosen
        WHERE (SELECT count(*) FROM chosen) >= most
        ORDER BY type_key DESC, external_id DESC LIMIT 1
    ),
    done AS (
        SELECT looked.type_key, looked.external_id FROM looked
        WHERE NOT EXISTS (
            SELECT FROM cut WHERE (looked.type_key, looked.external_id) >= (cut.type_key, cut.external_id)
        )
        ORDER BY looked.type_key DESC, looked.external_id DESC LIMIT 1
    ),
    forgotten AS (
        DELETE FROM item_version AS v USING chosen
        WHERE v.tenant_id = current_tenant() AND (v.type_key, v.external_id, v.version_number)
            = (chosen.type_key, chosen.external_id, chosen.version_number)
        RETURNING v.content_hash
    )
    SELECT (SELECT count(*) FROM forgotten), ARRAY(SELECT DISTINCT content_hash FROM forgotten),
        (SELECT count(*) FROM looked),
        coalesce((SELECT type_key FROM done), after_type_key),
        coalesce((SELECT external_id FROM done), after_external_id)
    INTO versions, hashes, looked_at, last_type_key, last_external_id;
    IF looked_at < most AND versions < most THEN
        last_type_key := NULL;
        last_external_id := NULL;
    END IF;
    WITH unused AS (
        DELETE FROM document AS d USING unnest(hashes) AS gone (content_hash)
        WHERE d.tenant_id = current_tenant() AND d.content_hash = gone.content_hash
            AND NOT EXISTS (
                SELECT FROM item_version AS v WHERE (v.tenant_id, v.content_hash) = (d.tenant_id, d.content_hash)
            )
        RETURNING 1
    )
    SELECT count(*) INTO documents FROM unused;
    RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION forget_versions(timestamptz, bigint, bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_versions(timestamptz, bigint, bigint, text, text) TO tenant_inventory_worker
"""


def upgrade() -> None:
    connection = op.get_bind()
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    lists = f"ARRAY[{', '.join(map(repr, LISTS_WITHOUT_DETAILS))}]"
    execute(STAGING)
    execute(DOCUMENTS)
    _compress_documents(connection)
    execute(DOCUMENTS_COMPRESSED)
    execute(ITEMS.format(lists=lists))
    execute(VERSIONS.format(lists=lists))
    execute(PINS)
    execute(IMMUTABLE.replace("{schema}", schema))
    execute(PENDING)
    for table in ("item_version_pin", "pending_item"):
        execute(ISOLATION.format(table=table))
    execute(RETENTION.format(schema=schema))


def _compress_documents(connection: Connection) -> None:
    """PostgreSQL has no zstd of its own in every build, so the bodies go through here."""
    compressor = ZstdCompressor()
    batch = text(
        "SELECT tenant_id, content_hash, body FROM document"
        " WHERE (tenant_id, content_hash) > (:tenant_id, :content_hash) ORDER BY tenant_id, content_hash LIMIT :rows"
    )
    last = {"tenant_id": UUID(int=0), "content_hash": b""}
    compress = text(
        "UPDATE document SET compressed = :compressed, size = :size"
        " WHERE tenant_id = :tenant_id AND content_hash = :content_hash"
    )
    while rows := connection.execute(batch, {**last, "rows": ROWS_AT_A_TIME}).all():
        last = {"tenant_id": rows[-1].tenant_id, "content_hash": rows[-1].content_hash}
        bodies = [(row, row.body.encode()) for row in rows]
        connection.execute(
            compress,
            [
                {
                    "tenant_id": row.tenant_id,
                    "content_hash": row.content_hash,
                    "compressed": compressor.compress(body),
                    "size": len(body),
                }
                for row, body in bodies
            ],
        )
