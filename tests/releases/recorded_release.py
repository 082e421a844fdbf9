"""A recorded release in a test: its database, and a tenant with the documents that it read."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
from alembic import command
from psycopg import sql
from sqlalchemy import create_engine

from local.simulated_graph import SimulatedTenant
from storage import schema
from storage.database import database_url as sqlalchemy_url
from storage.roles import settle
from tests.releases.record import ITEMS_PER_COLLECTION as ITEMS_PER_COLLECTION
from tests.releases.record import SEED as SEED

MOVED = {"identity/conditionalAccess/authenticationStrengths/policies": "policies/authenticationStrengthPolicies"}
"""Graph's real paths of collections that the release's simulated Graph had elsewhere."""


@dataclass(frozen=True)
class RecordedRelease:
    """A recording by `record`. `revision` is the release's last migration."""

    revision: str
    tenant_id: UUID
    type_keys: Sequence[str]
    documents: Mapping[str, Sequence[dict[str, Any]]]
    tables: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, name: str, revision: str) -> "RecordedRelease":
        """The recording of the release of this name."""
        content = orjson.loads(gzip.decompress(Path(__file__).with_name(f"{name}.json.gz").read_bytes()))
        return cls(revision, UUID(content["tenant_id"]), content["type_keys"], content["documents"], content["tables"])

    def restore(self, database_url: str) -> None:
        """Fills an empty database of a superuser's with the release's tables and rows."""
        engine = create_engine(sqlalchemy_url(database_url))
        with engine.connect() as connection:
            settle(connection)
            command.upgrade(schema._config(connection), self.revision)
        engine.dispose()
        with psycopg.connect(database_url) as connection:
            # Restores rows unchanged, past triggers and in any order of references.
            connection.execute("SET LOCAL session_replication_role = replica")
            for name, table in self.tables.items():
                columns = sql.SQL(", ").join(map(sql.Identifier, table["columns"]))
                copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(name), columns)
                with connection.cursor().copy(copy) as rows:
                    rows.write(table["rows"])

    def serve(self, tenant: SimulatedTenant) -> None:
        """Makes the tenant hold the documents that the release read, and no others of their collections."""
        for path, documents in self.documents.items():
            tenant.hold(MOVED.get(path, path), documents)
