"""Titles of collections and items, and kinds of items."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from graph.catalog import item_title, kind_of, load_catalog
from inventory.records import ItemRecord

ItemT = TypeVar("ItemT", bound=ItemRecord)


def title_of(type_key: str) -> str:
    return load_catalog().title_of(type_key)


def told_kind(item: ItemRecord) -> str:
    """Empty if equal to the collection's title."""
    kind = kind_of(item.type_key, item.meta)
    return "" if kind == title_of(item.type_key) else kind


def with_kind(item: ItemT) -> ItemT:
    kind = kind_of(item.type_key, item.meta)
    title = item_title(item.type_key, item.external_id, item.display_name, kind)
    return item.model_copy(update={"kind": kind, "title": title})


async def with_kinds(items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    async with aclosing(items) as stream:
        async for item in stream:
            yield with_kind(item)
