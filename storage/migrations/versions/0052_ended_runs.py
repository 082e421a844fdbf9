"""Whether a run has ended since a moment is looked up: a tenant may have thousands of runs."""

from storage.migrations.operations import create_index

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("sync_run_ended", "sync_run (tenant_id, finished_at)")
