"""Rows as release 0.3.0 wrote them: its documents were stored sorted, and hashed as they were stored."""

import hashlib
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from inventory.canonical import Canonicalizer
from storage.compression import compress

_TENANT = text("INSERT INTO tenant (tenant_id, name) VALUES (:tenant_id, 'Contoso') ON CONFLICT DO NOTHING")

_DOCUMENT = text(
    "INSERT INTO document (tenant_id, content_hash, body, size) VALUES (:tenant_id, :content_hash, :body, :size)"
)

_ITEM = text("""
INSERT INTO inventory_item (
    tenant_id, type_key, external_id, display_name, meta, content_hash, version_number, first_seen_at,
    first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id
)
VALUES (
    :tenant_id, :type_key, :external_id, :display_name, '{}', :content_hash, 1, now() - interval '2 days', :run_id,
    now() - interval '2 days', now() - interval '1 day', :run_id
)
""")

_VERSION = text("""
INSERT INTO item_version (
    tenant_id, type_key, external_id, version_number, content_hash, display_name, first_observed_at,
    first_observed_run_id
)
VALUES (:tenant_id, :type_key, :external_id, 1, :content_hash, :display_name, now() - interval '2 days', :run_id)
""")


def write_item(connection: Connection, tenant_id: UUID, type_key: str, document: dict[str, Any]) -> None:
    """An item with one version, as a superuser writes it."""
    body = Canonicalizer().sorted_canonical(document)
    values = {
        "tenant_id": tenant_id,
        "type_key": type_key,
        "external_id": document["id"],
        "display_name": document.get("displayName"),
        "content_hash": hashlib.sha256(body).digest(),
        "body": compress(body),
        "size": len(body),
        "run_id": uuid4(),
    }
    for statement in (_TENANT, _DOCUMENT, _ITEM, _VERSION):
        connection.execute(statement, values)
