"""The newest runs of `watch` are found among many more full ones by an index of their own."""

from storage.migrations.operations import create_index

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("sync_run_recent_of_watch", "sync_run (queued_at) WHERE kind = 'watch'")
