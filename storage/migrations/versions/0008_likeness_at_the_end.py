"""A likeness is worked out when a run ends, of the few documents that may be alike, and no longer kept.

The columns stay, since workers of 0.3.0 may still run beside this schema: they write them.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE staged_item ALTER COLUMN likeness_hash DROP NOT NULL;
COMMENT ON COLUMN staged_item.likeness_hash IS 'written by workers of 0.3.0';
COMMENT ON COLUMN inventory_item.likeness_hash IS 'written by workers of 0.3.0'
"""


def upgrade() -> None:
    op.execute(COLUMNS)
