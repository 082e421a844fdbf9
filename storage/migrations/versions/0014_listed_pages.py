"""The pages that a run has read, so that its record claims no listing that nobody read to its end."""

from storage.migrations.operations import execute, isolate

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

LISTED_PAGE = """
CREATE TABLE IF NOT EXISTS listed_page (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    run_id uuid NOT NULL,
    type_key text NOT NULL,
    fetch_token uuid NOT NULL,
    position uuid NOT NULL,
    opens uuid[] NOT NULL,
    error_code text,
    is_merged boolean NOT NULL,
    PRIMARY KEY (tenant_id, run_id, type_key, fetch_token),
    FOREIGN KEY (tenant_id, run_id) REFERENCES sync_run (tenant_id, run_id) ON DELETE CASCADE
);
COMMENT ON TABLE listed_page IS 'the pages that open runs have read';
COMMENT ON COLUMN listed_page.position IS 'the beginning of the SHA-256 of its URL; all zeros where the listing begins';
COMMENT ON COLUMN listed_page.opens IS 'the positions of the pages that it links to';
COMMENT ON COLUMN listed_page.error_code IS 'why the tenant cannot have the collection, where the page said that';
COMMENT ON COLUMN listed_page.is_merged IS 'whether its items are in the inventory'
"""


def upgrade() -> None:
    execute(LISTED_PAGE)
    isolate("listed_page")
