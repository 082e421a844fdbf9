"""What stays in memory of a golden tenant's items while a walk compares one tenant after another with them."""

from answers.compare.neutral_item import NeutralItem
from answers.compare.rules import Entry

MOST_ITEMS = 50_000
"""Items beyond are read again for each tenant. One takes about 1.5 KB: its name, its digest and the ids in it."""

MOST_BYTES = 8 * 1024 * 1024
"""JSON of whole documents that stay, those that differed first; decoded, they take some ten times as much."""


class KeptItems:
    """Valid for one transaction on a snapshot of the golden tenant."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self._items: dict[tuple[str, str], NeutralItem] = {}
        self._bytes = 0

    def get(self, type_key: str, external_id: str) -> NeutralItem | None:
        return self._items.get((type_key, external_id))

    def put(self, type_key: str, item: NeutralItem) -> None:
        """Keeps the item without its stored document, and without its whole one if these are too many."""
        if len(self._items) < MOST_ITEMS:
            self._items.setdefault((type_key, item.external_id), item)
        item.stored = item.partly = None
        size = 0 if item.whole is None else len(item.whole.neutral.canonical)
        if self._bytes - item.kept_bytes + size > MOST_BYTES:
            item.whole, size = None, 0
        self._bytes += size - item.kept_bytes
        item.kept_bytes = size

    def clear(self) -> None:
        self.entries.clear()
        self._items.clear()
        self._bytes = 0
