"""Items know how often their details were last asked for in vain, and when: they are asked for at growing intervals."""

from storage.migrations.operations import execute

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ASKED = """
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS stale_asks smallint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS stale_asked_at timestamptz;
COMMENT ON COLUMN inventory_item.stale_asks IS 'how often in a row details that cannot be read were asked for';
COMMENT ON COLUMN inventory_item.stale_asked_at IS 'when they were last asked for'
"""


def upgrade() -> None:
    execute(ASKED)
