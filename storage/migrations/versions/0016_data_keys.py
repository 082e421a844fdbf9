"""A data key for each tenant, under which its sensitive values are marked, wrapped by a key that is not here.

Tenants that are here already were marked under the operator's key itself: that stays their data key.
"""

from storage.migrations.operations import execute

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DATA_KEY = """
ALTER TABLE tenant
    ADD COLUMN IF NOT EXISTS data_key bytea,
    ADD COLUMN IF NOT EXISTS data_key_kind text DEFAULT 'legacy'
        CONSTRAINT data_key_kind_known CHECK (data_key_kind IN ('tenant', 'shared', 'legacy'));
ALTER TABLE tenant ALTER COLUMN data_key_kind DROP DEFAULT;
COMMENT ON COLUMN tenant.data_key IS 'what its sensitive values are marked under, wrapped by SENSITIVE_FIELDS_KEY';
COMMENT ON COLUMN tenant.data_key_kind IS 'whose values the data key marks; null before the first one'
"""


def upgrade() -> None:
    execute(DATA_KEY)
