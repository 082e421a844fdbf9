"""Runs and portfolio runs keep the name that their selection was started with."""

from storage.migrations.operations import execute

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NAMES = """
ALTER TABLE sync_run ADD COLUMN IF NOT EXISTS selection_name text;
ALTER TABLE portfolio_run ADD COLUMN IF NOT EXISTS selection_name text;
COMMENT ON COLUMN sync_run.selection_name IS 'what its starter called the selection; null without a name';
COMMENT ON COLUMN portfolio_run.selection_name IS 'what its starter called the selection; null without a name'
"""


def upgrade() -> None:
    execute(NAMES)
