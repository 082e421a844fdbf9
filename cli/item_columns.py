"""Columns of tables of items."""

from cli import output
from cli.table import Column, Shape, collection_column
from graph.catalog import kind_of, load_catalog
from inventory.missing import State
from inventory.records import ItemRecord


def _kind(item: ItemRecord) -> str:
    """The kind, where it says more than the heading does."""
    kind = kind_of(item.type_key, item.meta)
    collection = load_catalog().collections.get(item.type_key)
    return "" if kind == item.title or (collection is not None and kind == collection.title) else kind


COLLECTION = collection_column()

NAME = Column("name", "title", lambda item: item.title)

KIND_AND_ID = (Column("kind", "kind", _kind), Column("id", "external_id", shape=Shape.ID, is_kept=True))

STATE = (
    Column("state", "state", lambda item: output.styled(item.state)),
    Column("confidence", "confidence", lambda item: output.styled(item.confidence)),
    Column("evidence", "evidence", lambda item: None if item.state is State.PRESENT else item.evidence),
    Column("last seen", "last_seen_at", lambda item: output.ago(item.last_seen_at)),
)
