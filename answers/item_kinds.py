"""The kinds and titles of items, as people call them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from graph.catalog import kind_of, title_of
from inventory.records import ItemRecord

ItemT = TypeVar("ItemT", bound=ItemRecord)


def with_kind(item: ItemT) -> ItemT:
    """The item with its kind and its title."""
    kind = kind_of(item.type_key, item.meta)
    title = title_of(item.type_key, item.external_id, item.display_name, kind)
    return item.model_copy(update={"kind": kind, "title": title})


async def with_kinds(items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    """The items with their kinds and titles."""
    async with aclosing(items) as stream:
        async for item in stream:
            yield with_kind(item)
