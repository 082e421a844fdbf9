"""Collections and the kinds of items, as people call them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from graph.catalog import kind_of, load_catalog
from inventory.records import ItemRecord

ItemT = TypeVar("ItemT", bound=ItemRecord)


def title_of(type_key: str) -> str:
    """A collection as people call it."""
    collection = load_catalog().collections.get(type_key)
    return type_key if collection is None else collection.title


def told_kind(item: ItemRecord) -> str:
    """The kind, where it says more than the collection's title does."""
    kind = kind_of(item.type_key, item.meta)
    return "" if kind == title_of(item.type_key) else kind


def with_kind(item: ItemT) -> ItemT:
    """The item with its kind."""
    return item.model_copy(update={"kind": kind_of(item.type_key, item.meta)})


async def with_kinds(items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    """The items with their kinds."""
    async with aclosing(items) as stream:
        async for item in stream:
            yield with_kind(item)
