from answers.item_states import reason, state_of, told_confidence
from cli import output
from cli.table import COLLECTION_COLUMN, Column, Shape
from graph.catalog import kind_of, load_catalog
from inventory.records import ItemRecord


def _kind(item: ItemRecord) -> str:
    kind = kind_of(item.type_key, item.meta)
    collection = load_catalog().collections.get(item.type_key)
    return "" if kind == item.title or (collection is not None and kind == collection.title) else kind


COLLECTION = COLLECTION_COLUMN

NAME = Column("name", "title", lambda item: item.title)

KIND_AND_ID = (Column("kind", "kind", _kind), Column("id", "external_id", shape=Shape.ID, is_kept=True))

CERTAINTY = (
    Column("confidence", "confidence", lambda item: output.styled(told_confidence(item))),
    Column("evidence", "evidence", reason),
)

STATE = (
    Column("state", "state", lambda item: output.styled((state_of(item) or "").replace("_", " "))),
    *CERTAINTY,
    Column("last seen", "last_seen_at", lambda item: output.ago(item.last_seen_at)),
)
