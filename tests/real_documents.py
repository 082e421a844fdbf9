"""The folder of real Graph documents, where it exists (`tests.conftest.needs_graph_data`)."""

import gzip
from collections.abc import Iterator
from typing import Any

import orjson

from tests.conftest import GRAPH_DATA


def real_documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every real document with its collection's path, such as `deviceManagement/deviceConfigurations`."""
    for path in sorted(GRAPH_DATA.glob("*.jsonl.gz")):
        collection = path.name.removesuffix(".jsonl.gz").replace("_", "/")
        with gzip.open(path, "rb") as lines:
            for line in lines:
                yield collection, orjson.loads(line)["document"]


def published_documents(collection: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The real documents of a collection with the path that each was published under."""
    with gzip.open(GRAPH_DATA / f"{collection.replace('/', '_')}.jsonl.gz", "rb") as lines:
        for line in lines:
            published = orjson.loads(line)
            yield published["path"], published["document"]
