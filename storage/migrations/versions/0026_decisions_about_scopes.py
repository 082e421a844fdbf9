"""A decision may be about an item or a field pattern, not only about one finding."""

from storage.migrations.operations import execute

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

DECISION = """
ALTER TABLE drift_decision
    ADD COLUMN IF NOT EXISTS scope_baseline text,
    ADD COLUMN IF NOT EXISTS scope_type_key text,
    ADD COLUMN IF NOT EXISTS scope_external_id text,
    ADD COLUMN IF NOT EXISTS scope_field text,
    ADD COLUMN IF NOT EXISTS scope_expression text,
    ALTER COLUMN value_hash DROP NOT NULL,
    DROP CONSTRAINT IF EXISTS finding_or_scope,
    ADD CONSTRAINT finding_or_scope
        CHECK ((value_hash IS NULL) = (scope_external_id IS NOT NULL OR scope_field IS NOT NULL)),
    DROP CONSTRAINT IF EXISTS item_in_collection,
    ADD CONSTRAINT item_in_collection CHECK (scope_external_id IS NULL OR scope_type_key IS NOT NULL),
    DROP CONSTRAINT IF EXISTS expression_of_field,
    ADD CONSTRAINT expression_of_field CHECK ((scope_field IS NULL) = (scope_expression IS NULL));
COMMENT ON TABLE drift_decision IS
    'what has been decided about findings, items and fields; the latest of each fingerprint counts';
COMMENT ON COLUMN drift_decision.fingerprint IS 'of a finding; of a decision about more than one, of its scope';
COMMENT ON COLUMN drift_decision.value_hash IS
    'of the values that it is about; of others it is none. Null where it is about a scope, whatever the values';
COMMENT ON COLUMN drift_decision.scope_baseline IS 'of a scope: one baseline; each where null';
COMMENT ON COLUMN drift_decision.scope_type_key IS 'of a scope: one collection; each where null';
COMMENT ON COLUMN drift_decision.scope_external_id IS 'of a scope: one item; each where null';
COMMENT ON COLUMN drift_decision.scope_field IS 'of a scope: a pattern of field paths; each where null';
COMMENT ON COLUMN drift_decision.scope_expression IS 'the pattern as a regular expression for a whole path'
"""


def upgrade() -> None:
    execute(DECISION)
