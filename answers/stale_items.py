"""Items some of whose details could not be read."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from answers.titled_record import TitledRecord
from graph.catalog import kind_of
from inventory.stale import Staleness
from storage import stale


class StaleItem(TitledRecord):
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    stale: Staleness


class KnownItem(Protocol):
    @property
    def type_key(self) -> str: ...
    @property
    def external_id(self) -> str: ...
    @property
    def display_name(self) -> str | None: ...
    @property
    def meta(self) -> dict[str, Any]: ...


async def stale_items(
    session: AsyncSession, type_keys: Sequence[str] | None = None, left_out: Sequence[str] = ()
) -> list[StaleItem]:
    """Present items, by collection and name."""
    return [stale_item(item, item.stale) for item in await stale.stale_items(session, type_keys, left_out)]


def stale_item(item: KnownItem, staleness: Staleness) -> StaleItem:
    return StaleItem(
        type_key=item.type_key,
        external_id=item.external_id,
        display_name=item.display_name,
        kind=kind_of(item.type_key, item.meta),
        stale=staleness,
    )
