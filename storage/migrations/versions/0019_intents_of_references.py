"""The intent of an assignment beside its reference, and the policy set that it came by."""

from storage.migrations.operations import execute

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute("ALTER TABLE item_reference ADD COLUMN IF NOT EXISTS intent text NOT NULL DEFAULT ''")
    execute("ALTER TABLE item_reference ADD COLUMN IF NOT EXISTS policy_set_id text NOT NULL DEFAULT ''")
    execute("COMMENT ON COLUMN item_reference.intent IS 'of an assignment that has one'")
    execute("COMMENT ON COLUMN item_reference.policy_set_id IS 'the policy set that an assignment came by'")
