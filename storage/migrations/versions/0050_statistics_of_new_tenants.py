"""Statistics of items are made anew soon after a first sync, not once the table has grown by a tenth.

Until then PostgreSQL expects one item of a new tenant, and compares each with each when it moves what was seen.
"""

from storage.migrations.operations import execute

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE inventory_item SET (autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.005)
"""


def upgrade() -> None:
    execute(STATEMENTS)
