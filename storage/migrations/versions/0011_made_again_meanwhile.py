"""An absence says which item it turned out to be made again as, where an earlier run had seen that one already.

Such a run had not listed the collection to its end, so that it could not tell that the other one was gone.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RECREATED_AS = """
ALTER TABLE item_absence ADD COLUMN recreated_as text;
COMMENT ON COLUMN item_absence.recreated_as IS
    'the id under which it was made again, where a run before this one had seen that already';
CREATE INDEX item_absence_recreated_as ON item_absence (tenant_id, type_key, recreated_as)
    WHERE recreated_as IS NOT NULL;
CREATE INDEX item_absence_recreated ON item_absence (tenant_id, noticed_at) WHERE recreated_as IS NOT NULL
"""


def upgrade() -> None:
    op.execute(RECREATED_AS)
