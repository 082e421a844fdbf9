"""Run records count items that were not read apart from items that are missing.

Runs that ended before this migration keep both numbers in `missing`.
"""

from storage.migrations.operations import execute

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NOT_READ = """
ALTER TABLE sync_run ADD COLUMN IF NOT EXISTS not_read bigint NOT NULL DEFAULT 0
    CONSTRAINT not_read_not_negative CHECK (not_read >= 0);
COMMENT ON COLUMN sync_run.not_read IS 'items not seen, of collections that the run did not read to their end'
"""


def upgrade() -> None:
    execute(NOT_READ)
