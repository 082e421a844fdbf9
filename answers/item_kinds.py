"""The kinds of items, as people call them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from graph.catalog import kind_of
from inventory.records import ItemRecord

ItemT = TypeVar("ItemT", bound=ItemRecord)


def with_kind(item: ItemT) -> ItemT:
    """The item with its kind."""
    return item.model_copy(update={"kind": kind_of(item.type_key, item.meta)})


async def with_kinds(items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    """The items with their kinds."""
    async with aclosing(items) as stream:
        async for item in stream:
            yield with_kind(item)
