"""Items remember the run that found them by id though their listing did not show them."""

from storage.migrations.operations import execute

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FOUND_BY_ID = """
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS found_by_id_run_id uuid;
COMMENT ON COLUMN inventory_item.found_by_id_run_id
    IS 'the latest run whose GET by id found it though its listing did not show it'
"""


def upgrade() -> None:
    execute(FOUND_BY_ID)
