"""A baseline says when it was last evaluated and after which runs, so that a page evaluates only what has changed."""

from storage.migrations.operations import execute

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None

BASELINE = """
ALTER TABLE baseline
    ADD COLUMN IF NOT EXISTS evaluated_at timestamptz,
    ADD COLUMN IF NOT EXISTS evaluated_after text;
COMMENT ON COLUMN baseline.evaluated_at IS 'when the tenant was last held against it; null where it never was';
COMMENT ON COLUMN baseline.evaluated_after IS
    'the release, and the runs that had ended by then: of the tenant, and of the other one'
"""


def upgrade() -> None:
    execute(BASELINE)
