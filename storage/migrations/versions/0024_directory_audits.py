"""Entra's audit events, too, name the objects that they are about."""

from storage.migrations.operations import execute

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# A trigger's condition cannot be altered. CREATE OR REPLACE changes it under the lock that row changes take anyway.
TRIGGERS = """
CREATE OR REPLACE TRIGGER audit_event_added AFTER INSERT ON inventory_item FOR EACH ROW
    WHEN (NEW.type_key IN ('auditEvents', 'directoryAudits')) EXECUTE FUNCTION note_audited_objects();
CREATE OR REPLACE TRIGGER audit_event_changed AFTER UPDATE ON inventory_item FOR EACH ROW
    WHEN (NEW.type_key IN ('auditEvents', 'directoryAudits') AND OLD.meta <> NEW.meta)
    EXECUTE FUNCTION note_audited_objects()
"""


def upgrade() -> None:
    execute(TRIGGERS)
