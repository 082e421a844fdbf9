"""Room on each page of items for a new row version of every one of them: a full sync rewrites whole pages."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE inventory_item SET (fillfactor = 50)")
