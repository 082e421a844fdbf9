"""Items are known by ids without case: of ids that are made of GUIDs, the external_id is the lower-case spelling.

A trigger folds the ids of staged rows, so workers of the release before write the same keys. Items that were stored in
another spelling are moved to their keys; if a tenant has an item in several spellings, its versions become one history.
"""

from alembic import op
from sqlalchemy import Connection, text

from storage.migrations.operations import each_tenant, execute

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The lock of the altered table waits for merges under way, and holds others up until the items have been moved.
STAGING = """
ALTER TABLE staged_item ADD COLUMN IF NOT EXISTS graph_id text;
COMMENT ON COLUMN staged_item.graph_id IS 'the id as Graph spells it, where that is not external_id';
CREATE OR REPLACE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS graph_id text;
COMMENT ON COLUMN inventory_item.graph_id IS 'the id as Graph last spelled it, where that is not external_id';
COMMENT ON COLUMN inventory_item.external_id IS
    'the Graph id, in lower case if it is made of GUIDs; a name is never an identity'
"""

# As inventory/item_ids.py says it.
GUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
OF_GUIDS = rf"^(?:[A-Za-z]_)?\{{?{GUID}\}}?(?:[_:;,|]+(?:\{{?{GUID}\}}?|[0-9]+))*$"

KEYS = rf"""
CREATE OR REPLACE FUNCTION item_key(external_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN external_id = lower(external_id) OR external_id !~ '{OF_GUIDS}' THEN external_id
        WHEN substr(external_id, 2, 1) = '_' THEN substr(external_id, 1, 2) || lower(substr(external_id, 3))
        ELSE lower(external_id)
    END
$$;
CREATE OR REPLACE FUNCTION key_staged_item() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    key text := item_key(NEW.external_id);
BEGIN
    IF NEW.external_id <> key THEN
        NEW.graph_id := NEW.external_id;
        NEW.external_id := key;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER keyed BEFORE INSERT ON staged_item FOR EACH ROW
    WHEN (NEW.external_id <> lower(NEW.external_id)) EXECUTE FUNCTION key_staged_item();
CREATE OR REPLACE FUNCTION note_audited_objects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audited_object (tenant_id, object_id, activity_at, event_id)
    SELECT NEW.tenant_id, item_key(object_id), activity_at, NEW.external_id
    FROM moment_of(NEW.meta ->> 'activity_at') AS activity_at
        CROSS JOIN jsonb_array_elements_text(
            CASE WHEN jsonb_typeof(NEW.meta -> 'resource_ids') = 'array' THEN NEW.meta -> 'resource_ids' ELSE '[]' END
        ) AS object_id
    WHERE activity_at IS NOT NULL AND octet_length(object_id) BETWEEN 1 AND 512
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

# Staged rows are of all tenants, and wait for their merges. An owner that is also the worker may not change
# them (migration 0013).
MAY_CHANGE = "SELECT has_table_privilege('staged_item', 'UPDATE')"
STAGED = """
UPDATE staged_item SET graph_id = external_id, external_id = item_key(external_id)
WHERE external_id <> lower(external_id) AND external_id <> item_key(external_id)
"""

# The spellings of an item, the last seen first; one whose document has never been read goes after others.
MOVED = text("""
SELECT type_key, item_key(external_id) AS key, array_agg(
    external_id ORDER BY version_number > 0 DESC, last_seen_at DESC
) AS spellings
FROM inventory_item
WHERE tenant_id = current_tenant() AND (type_key, item_key(external_id)) IN (
    SELECT type_key, item_key(external_id) FROM inventory_item
    WHERE tenant_id = current_tenant() AND external_id <> lower(external_id) AND external_id <> item_key(external_id)
)
GROUP BY type_key, item_key(external_id)
ORDER BY type_key, key
""")

# An item in one spelling, the usual case, keeps the numbers of its versions, so one statement moves many.
ALONE_AT_A_TIME = 1000
ALONE = """
moved AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:keys AS text[]))
        AS one (type_key, external_id, key)
)
"""
MOVE_ALONE = text(f"""
WITH {ALONE},
renamed AS (
    UPDATE inventory_item AS item
    SET external_id = moved.key, graph_id = moved.external_id,
        recreates_external_id = nullif(item.recreates_external_id, moved.external_id)
    FROM moved
    WHERE item.tenant_id = current_tenant()
        AND (item.type_key, item.external_id) = (moved.type_key, moved.external_id)
),
versions AS (
    UPDATE item_version AS v SET external_id = moved.key FROM moved
    WHERE v.tenant_id = current_tenant() AND (v.type_key, v.external_id) = (moved.type_key, moved.external_id)
),
pins AS (
    UPDATE item_version_pin AS pin SET external_id = moved.key FROM moved
    WHERE pin.tenant_id = current_tenant() AND (pin.type_key, pin.external_id) = (moved.type_key, moved.external_id)
)
UPDATE item_absence AS absence SET external_id = moved.key FROM moved
WHERE absence.tenant_id = current_tenant()
    AND (absence.type_key, absence.external_id) = (moved.type_key, moved.external_id)
""")
FOLLOWING_ALONE = tuple(
    text(f"""
    WITH {ALONE}
    UPDATE {table} AS other SET external_id = moved.key FROM moved
    WHERE other.tenant_id = current_tenant()
        AND (other.type_key, other.external_id) = (moved.type_key, moved.external_id)
    """)
    for table in ("item_reference", "unread_item", "pending_item", "baseline_gap", "drift_finding")
)

# What the others tell beside versions was told because of the spelling: absences, gaps, what is read and pending.
DROPPED = (
    *(
        text(f"""
        DELETE FROM {table}
        WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:others)
        """)
        for table in ("item_absence", "baseline_gap", "item_reference", "unread_item", "pending_item")
    ),
    # A baseline pins one version of an item.
    text("""
    DELETE FROM item_version_pin AS pin
    WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:others)
        AND starts_with(pinned_by, 'baseline ') AND EXISTS (
            SELECT FROM item_version_pin AS other
            WHERE (other.tenant_id, other.type_key, other.external_id, other.pinned_by)
                = (pin.tenant_id, pin.type_key, :kept, pin.pinned_by)
        )
    """),
)

# Foreign keys are checked when a statement ends, so one statement moves all rows of an item. Versions are numbered anew
# in the order in which they were observed, those of all spellings together; what the item says now is the last.
MOVE = text("""
WITH numbered AS MATERIALIZED (
    SELECT external_id, v.version_number,
        CASE WHEN NOT :are_several THEN v.version_number ELSE row_number() OVER (
            ORDER BY item.external_id = :kept AND item.version_number = v.version_number,
                v.first_observed_at, v.version_number
        ) END AS number,
        coalesce(
            v.last_observed_at,
            CASE WHEN item.external_id <> :kept THEN coalesce(item.content_observed_at, item.last_seen_at) END
        ) AS last_observed_at,
        coalesce(
            v.last_observed_run_id,
            CASE WHEN item.external_id <> :kept THEN coalesce(item.content_observed_run_id, item.last_seen_run_id) END
        ) AS last_observed_run_id
    FROM item_version AS v JOIN inventory_item AS item USING (tenant_id, type_key, external_id)
    WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:spellings)
),
renamed AS (
    UPDATE inventory_item AS item
    SET external_id = :moved_to, graph_id = CASE WHEN :graph_id <> :key THEN :graph_id END,
        version_number = CASE
            WHEN NOT :are_several THEN item.version_number ELSE (SELECT count(*) FROM numbered)
        END,
        first_seen_at = first.seen_at, first_seen_run_id = first.run_id,
        recreates_external_id = CASE
            WHEN NOT item.recreates_external_id = ANY (:spellings) THEN item.recreates_external_id
        END
    FROM (
        SELECT first_seen_at AS seen_at, first_seen_run_id AS run_id FROM inventory_item
        WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:spellings)
        ORDER BY first_seen_at LIMIT 1
    ) AS first
    WHERE item.tenant_id = current_tenant() AND (item.type_key, item.external_id) = (:type_key, :kept)
),
dropped AS (
    DELETE FROM inventory_item
    WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:spellings)
        AND external_id <> :kept
),
versions AS (
    UPDATE item_version AS v
    SET external_id = :moved_to, version_number = numbered.number,
        last_observed_at = numbered.last_observed_at, last_observed_run_id = numbered.last_observed_run_id
    FROM numbered
    WHERE v.tenant_id = current_tenant() AND v.type_key = :type_key
        AND (v.external_id, v.version_number) = (numbered.external_id, numbered.version_number)
),
pins AS (
    UPDATE item_version_pin AS pin
    SET external_id = :moved_to, version_number = numbered.number
    FROM numbered
    WHERE pin.tenant_id = current_tenant() AND pin.type_key = :type_key
        AND (pin.external_id, pin.version_number) = (numbered.external_id, numbered.version_number)
)
UPDATE item_absence SET external_id = :moved_to
WHERE tenant_id = current_tenant() AND (type_key, external_id) = (:type_key, :kept)
""")

FOLLOWING = tuple(
    text(statement)
    for statement in (
        """
        UPDATE item_reference SET external_id = :key, version_number = (
            SELECT version_number FROM inventory_item
            WHERE tenant_id = current_tenant() AND (type_key, external_id) = (:type_key, :key)
        )
        WHERE tenant_id = current_tenant() AND (type_key, external_id) = (:type_key, :kept)
        """,
        *(
            f"""
            UPDATE {table} SET external_id = :key
            WHERE tenant_id = current_tenant() AND (type_key, external_id) = (:type_key, :kept)
            """
            for table in ("unread_item", "pending_item", "baseline_gap")
        ),
        """
        UPDATE drift_finding SET external_id = :key
        WHERE tenant_id = current_tenant() AND type_key = :type_key AND external_id = ANY (:spellings)
        """,
    )
)

# Ids that other rows name.
NAMED = (
    """
    UPDATE inventory_item SET recreates_external_id = item_key(recreates_external_id)
    WHERE tenant_id = current_tenant() AND recreates_external_id <> item_key(recreates_external_id)
    """,
    """
    UPDATE item_absence SET recreated_as = item_key(recreated_as)
    WHERE tenant_id = current_tenant() AND recreated_as <> item_key(recreated_as)
    """,
    """
    UPDATE item_reference SET target_id = item_key(target_id)
    WHERE tenant_id = current_tenant() AND target_id <> lower(target_id) AND target_id <> item_key(target_id)
    """,
    """
    INSERT INTO audited_object (tenant_id, object_id, activity_at, event_id)
    SELECT tenant_id, item_key(object_id), activity_at, item_key(event_id) FROM audited_object
    WHERE tenant_id = current_tenant() AND (object_id, event_id) <> (item_key(object_id), item_key(event_id))
    ON CONFLICT DO NOTHING
    """,
    """
    DELETE FROM audited_object
    WHERE tenant_id = current_tenant() AND (object_id, event_id) <> (item_key(object_id), item_key(event_id))
    """,
)


def upgrade() -> None:
    execute(STAGING)
    execute(KEYS)
    connection = op.get_bind()
    may_change = connection.execute(text(MAY_CHANGE)).scalar_one()
    if not may_change:
        execute("GRANT UPDATE ON staged_item TO CURRENT_USER")
    execute(STAGED)
    if not may_change:
        execute("REVOKE UPDATE ON staged_item FROM CURRENT_USER")
    for _ in each_tenant():
        groups = connection.execute(MOVED).all()
        if groups:
            execute("ALTER TABLE item_version DISABLE TRIGGER immutable")
        alone = [(type_key, spellings[0], key) for type_key, key, spellings in groups if len(spellings) == 1]
        for start in range(0, len(alone), ALONE_AT_A_TIME):
            _move_alone(connection, alone[start : start + ALONE_AT_A_TIME])
        for type_key, key, spellings in groups:
            if len(spellings) > 1:
                _move(connection, type_key, key, spellings)
        if groups:
            execute("ALTER TABLE item_version ENABLE TRIGGER immutable")
        for statement in NAMED:
            execute(statement)


def _move_alone(connection: Connection, items: list[tuple[str, str, str]]) -> None:
    """Moves items, each in one spelling, to their keys."""
    type_keys, external_ids, keys = zip(*items, strict=True)
    moved = {"type_keys": list(type_keys), "external_ids": list(external_ids), "keys": list(keys)}
    for statement in (MOVE_ALONE, *FOLLOWING_ALONE):
        connection.execute(statement, moved)


def _move(connection: Connection, type_key: str, key: str, spellings: list[str]) -> None:
    """Moves an item in several spellings to its key, by way of a key that nothing has, so that no two rows meet."""
    kept, *others = spellings
    item = {"type_key": type_key, "key": key, "graph_id": kept, "others": others, "kept": kept, "spellings": spellings}
    between = f"{key} "
    for statement in DROPPED:
        connection.execute(statement, item)
    connection.execute(MOVE, {**item, "moved_to": between, "are_several": True})
    now = {"spellings": [between], "kept": between}
    connection.execute(MOVE, {**item, **now, "moved_to": key, "are_several": False})
    for statement in FOLLOWING:
        connection.execute(statement, item)
